// Masks and label maps are tinted once, and drawn from there; where they change, that part is tinted again.
import { colourOf, rgbOf } from "./colours.js";
import { decode } from "./rle.js";
import { rasterised, simplified, traced } from "./shapes.js";

/**
 * @typedef {import("./documents.js").Mark} Mark
 * @typedef {import("./rle.js").Bits} Bits
 * @typedef {import("./rle.js").Box} Box
 * @typedef {import("./shapes.js").Ring} Ring
 * @typedef {{bits: Bits, canvas: HTMLCanvasElement|null, colour: string}} Tint
 */

const TILE = 512;
const SHARE = 115; // of a tint, of 255
const GRAY = [0x46464a, 0x96969c]; // hatches
/** @type {WeakMap<Mark, Tint>} */
const tints = new WeakMap();

/** Gives the bits of a mark with a mask. @param {Mark} object @param {{width: number, height: number}} size */
export function bitsOf(object, size) {
  const kept = tints.get(object);
  if (kept) return kept.bits;
  if (!object.rle && !object.polygons) return null;
  const bits = object.rle ? decode(object.rle) : filled(object, size);
  tints.set(object, { bits, canvas: null, colour: "" });
  return bits;
}

/** Says that a mark has these bits; they may be tinted as those of another one. @param {Mark} object @param {Bits} bits @param {Mark} [other] */
export const setBits = (object, bits, other) =>
  void tints.set(object, { canvas: null, colour: "", ...(other && tints.get(other)), bits });

/** Fills polygons as the server does: what is in one of them and in no hole. @param {Mark} object @param {{width: number, height: number}} size */
function filled(object, { width, height }) {
  const rings = object.polygons ?? [];
  const bits = rasterised(rings.slice(0, 1), width, height);
  if (rings.length === 1 && !object.holes?.length) return bits;
  const whole = { x: 0, y: 0, width, height, data: new Uint8Array(width * height) };
  rings.forEach((ring) => put(whole, rasterised([ring], width, height), 1));
  object.holes?.forEach((ring) => put(whole, rasterised([ring], width, height), 0));
  return whole;
}

/** @param {Bits} whole @param {Bits} part @param {number} value is written where the part is set */
function put(whole, part, value) {
  for (let y = 0; y < part.height; y++) {
    for (let x = 0; x < part.width; x++) {
      if (part.data[y * part.width + x]) whole.data[(y + part.y) * whole.width + x + part.x] = value;
    }
  }
}

/** Gives the tinted mask of a mark with run lengths. @param {Mark} object @param {{width: number, height: number}} size @param {string} colour */
export function tintOf(object, size, colour) {
  bitsOf(object, size);
  const tint = /** @type {Tint} */ (tints.get(object));
  if (!tint.canvas || tint.colour !== colour) {
    const { x, y, width, height } = tint.bits;
    tint.canvas = Object.assign(document.createElement("canvas"), { width: width || 1, height: height || 1 });
    tint.colour = colour;
    retint(object, [x, y, x + width, y + height]);
  }
  return tint;
}

/** @type {WeakMap<Mark, Ring[][]>} */
const outlines = new WeakMap();

/**
 * Gives the rings around the pixels of a mask, as exact as a screen shows them.
 * @param {Mark} object @param {import("./view.js").View} view
 */
export function outlineOf(object, view) {
  const level = Math.max(0, Math.floor(Math.log2(1 / view.scale)));
  const kept = outlines.get(object) ?? [];
  outlines.set(object, kept);
  if (!kept[0]) {
    const { polygons, holes } = traced(/** @type {Bits} */ (bitsOf(object, view)), 0);
    kept[0] = [...polygons, ...holes];
  }
  return (kept[level] ??= kept[0].map((ring) => simplified(ring, 2 ** (level - 1))));
}

/** Tints a part of a mask again. @param {Mark} object @param {Box} part of the picture */
export function retint(object, part) {
  const tint = tints.get(object);
  if (!tint?.canvas) return;
  const { x, y, width, data } = tint.bits;
  const color = pack(rgbOf(tint.colour), SHARE);
  const isHatched = object.crowd || object.ignore;
  write(tint.canvas, [part[0] - x, part[1] - y, part[2] - x, part[3] - y], (column, row) => {
    if (!data[row * width + column]) return 0;
    return isHatched ? hatch(column + x, row + y) : color;
  });
}

/**
 * Makes the tints of a label map, in tiles, so that a stroke changes few of them.
 * @param {Bits} map @param {number} numClasses values from there on are background, and not tinted @param {number} ignore
 */
export function makeTiles({ width, height, data }, numClasses, ignore) {
  const colors = Array.from({ length: 256 }, (_, value) =>
    value < numClasses ? pack(rgbOf(colourOf(value)), SHARE) : 0,
  );
  const borders = colors.map((color) => (color ? (color | 0xff000000) >>> 0 : 0));
  /** @type {{x: number, y: number, canvas: HTMLCanvasElement}[]} */
  const tiles = [];
  for (let y = 0; y < height; y += TILE) {
    for (let x = 0; x < width; x += TILE) {
      const size = { width: Math.min(TILE, width - x), height: Math.min(TILE, height - y) };
      tiles.push({ x, y, canvas: Object.assign(document.createElement("canvas"), size) });
    }
  }

  /** @param {Box} part is tinted again */
  function refresh(part = [0, 0, width, height]) {
    for (const { x, y, canvas } of tiles) {
      write(canvas, [part[0] - x, part[1] - y, part[2] - x, part[3] - y], (column, row) => {
        const [px, py] = [column + x, row + y];
        const at = py * width + px;
        const value = data[at];
        if (value === ignore) return hatch(px, py);
        const isBorder =
          (px > 0 && data[at - 1] !== value) ||
          (px + 1 < width && data[at + 1] !== value) ||
          (py > 0 && data[at - width] !== value) ||
          (py + 1 < height && data[at + width] !== value);
        return isBorder ? borders[value] : colors[value];
      });
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {import("./view.js").View} view */
  function draw(context, view) {
    context.imageSmoothingEnabled = view.scale * view.ratio < 2;
    for (const { x, y, canvas } of tiles) {
      const [x1, y1] = view.toScreen(x, y).map(Math.round); // tiles meet at whole pixels
      const [x2, y2] = view.toScreen(x + canvas.width, y + canvas.height).map(Math.round);
      context.drawImage(canvas, x1, y1, x2 - x1, y2 - y1);
    }
  }

  refresh();
  return { draw, refresh };
}

/** Writes colours into a part of a canvas, and one pixel around it. @param {HTMLCanvasElement} canvas @param {Box} part @param {(x: number, y: number) => number} color */
function write(canvas, part, color) {
  const [x1, y1] = [Math.max(0, part[0] - 1), Math.max(0, part[1] - 1)];
  const [x2, y2] = [Math.min(canvas.width, part[2] + 1), Math.min(canvas.height, part[3] + 1)];
  if (x1 >= x2 || y1 >= y2) return;
  const image = new ImageData(x2 - x1, y2 - y1);
  const pixels = new Uint32Array(image.data.buffer);
  for (let y = y1, at = 0; y < y2; y++) for (let x = x1; x < x2; x++, at++) pixels[at] = color(x, y);
  canvas.getContext("2d", { willReadFrequently: false })?.putImageData(image, x1, y1);
}

/** @param {number} x @param {number} y */
const hatch = (x, y) => (0xb0000000 | GRAY[((x + y) >> 2) % 2]) >>> 0;
/** @param {[number, number, number]} color @param {number} alpha */
const pack = ([red, green, blue], alpha) => ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
