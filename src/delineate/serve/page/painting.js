// Brush, eraser and fill: of label maps, and of the masks of objects. A stroke tints only what it touches.
import { app, changed, commit, label, select, selectedMark, task } from "./app.js";
import { colourOf } from "./colours.js";
import { mark, markOf } from "./documents.js";
import { sealed } from "./reshaping.js";
import { blank, cut } from "./rle.js";
import { clipped, flood, outward, rasterised, stroke } from "./shapes.js";
import { bitsOf, retint, setBits } from "./tints.js";

/**
 * @typedef {import("./shapes.js").Point} Point
 * @typedef {import("./rle.js").Bits} Bits
 * @typedef {import("./rle.js").Box} Box
 */

const ROOM = 64; // pixels by which the bits of a mask grow at once
let last = /** @type {Point|null} */ (null);
let at = /** @type {Point|null} */ (null); // where the brush is seen
let before = /** @type {Bits|null} */ (null); // the label map before a stroke
let touched = /** @type {Box|null} */ (null);

/** @param {Box|null} one @param {Box} other @returns {Box} */
const joined = (one, other) =>
  one
    ? [Math.min(one[0], other[0]), Math.min(one[1], other[1]), Math.max(one[2], other[2]), Math.max(one[3], other[3])]
    : other;
/** @param {boolean} isErasing */
const valueOf = (isErasing) => (isErasing ? app.session.ignore : app.label);

/** @param {boolean} isErasing */
function painter(isErasing) {
  return {
    name: isErasing ? "eraser" : "brush",
    key: isErasing ? "e" : "p",
    title: isErasing ? "Eraser" : "Brush",
    tasks: ["instance", "segment"],
    cursor: "none",
    hint: isErasing
      ? "Drag over what is not the chosen object's, or of a label map over what is not to be learned; [ and ] change the size"
      : "Drag over what is of the class, or of the chosen object; with none chosen a new one begins; [ and ] change the size",
    /** @param {Point} point */
    down(point) {
      const { doc } = app;
      if (!doc?.canEdit || !app.isShown) return;
      if (task() === "segment") {
        const map = /** @type {Bits} */ (doc.labelMap);
        before = { ...map, data: map.data.slice() };
      } else {
        const chosen = selectedMark();
        if (!chosen && isErasing) return;
        const bits = chosen && bitsOf(chosen, doc);
        const own = bits ? { ...bits, data: bits.data.slice() } : blank([...pixel(point), ...pixel(point)]);
        const begun =
          chosen ?? mark({ label: label(), box: clipped(around(point), doc.width, doc.height) });
        app.draft = { ...begun, polygons: null, holes: null, rle: { size: [doc.height, doc.width], counts: "" } };
        setBits(app.draft, own);
        if (!chosen) select(app.draft.key);
      }
      last = point;
      paint(point, isErasing);
    },
    /** @param {Point} point */
    move(point) {
      const old = at;
      at = point;
      for (const place of [old, at]) if (place) app.view.redraw(around(place));
      if (last) paint(point, isErasing);
    },
    up() {
      const { doc, draft } = app;
      const [map, part] = [before, touched];
      [last, before, touched, app.draft] = [null, null, null, null];
      if (!doc || !part) return void changed();
      if (map) return commitMap(map, part);
      const object = draft && sealed(draft, doc);
      if (object) commit([{ kind: "put", object }]);
      else if (draft && markOf(doc, draft.key)) commit([{ kind: "remove", key: draft.key }]);
      changed();
    },
    cancel() {
      if (before && app.doc) app.doc.labelMap?.data.set(before.data);
      if (before) app.refreshMap();
      [last, at, before, touched, app.draft] = [null, null, null, null, null];
      app.view.redraw();
    },
    /** @param {CanvasRenderingContext2D} context */
    draw(context) {
      if (!at) return;
      const [x, y] = app.view.toScreen(...at);
      for (const [width, colour] of /** @type {[number, string][]} */ ([
        [4, "rgb(0 0 0 / .6)"],
        [2, isErasing ? "#ffffff" : colourOf(app.label)],
      ])) {
        context.beginPath();
        context.arc(x, y, Math.max(2, app.radius * app.view.scale), 0, 2 * Math.PI);
        context.setLineDash(isErasing ? [5, 4] : []);
        context.lineWidth = width;
        context.strokeStyle = colour;
        context.stroke();
        context.setLineDash([]);
      }
    },
  };
}

export const brush = painter(false);
export const eraser = painter(true);

export const filling = {
  name: "fill",
  key: "f",
  title: "Fill",
  tasks: ["segment"],
  cursor: "crosshair",
  hint: "Click: all that is connected there and of one class becomes the class that is chosen",
  /** @param {Point} point */
  down(point) {
    const map = app.doc?.canEdit && app.doc.labelMap;
    const [x, y] = pixel(point);
    if (!map || x < 0 || y < 0 || x >= map.width || y >= map.height) return;
    const old = { ...map, data: map.data.slice() };
    const part = flood(map, x, y, app.label);
    if (part) commitMap(old, part);
  },
  move() {},
  up() {},
  cancel() {},
};

/** Fills a ring of a label map with the class that is chosen. @param {import("./shapes.js").Ring} ring */
export function fillMap(ring) {
  const map = app.doc?.labelMap;
  if (!map) return;
  const [old, part] = [{ ...map, data: map.data.slice() }, rasterised([ring], map.width, map.height)];
  for (let y = 0; y < part.height; y++) {
    for (let x = 0; x < part.width; x++)
      if (part.data[y * part.width + x]) map.data[(y + part.y) * map.width + x + part.x] = app.label;
  }
  if (part.width && part.height) commitMap(old, [part.x, part.y, part.x + part.width, part.y + part.height]);
}

/** @param {Bits} old the label map before @param {Box} part that was painted */
function commitMap(old, part) {
  const map = /** @type {Bits} */ (app.doc?.labelMap);
  const { data } = cut(map, part);
  map.data.set(old.data);
  commit([{ kind: "label_map", box: part, data }], old);
  app.refreshMap(part);
}

/** @param {Point} point @param {boolean} isErasing */
function paint(point, isErasing) {
  const { doc, draft } = app;
  if (!doc || !last) return;
  let part;
  if (draft) {
    const bits = isErasing ? /** @type {Bits} */ (bitsOf(draft, doc)) : grown(draft, point);
    part = stroke(bits, last, point, app.radius, isErasing ? 0 : 1);
    retint(draft, part);
    draft.box = joined(draft.box, part);
  } else {
    part = stroke(/** @type {Bits} */ (doc.labelMap), last, point, app.radius, valueOf(isErasing));
    app.refreshMap(part);
  }
  if (part[0] < part[2] && part[1] < part[3]) touched = joined(touched, part);
  last = point;
  app.view.redraw(joined(around(point), part));
}

/** Makes room for a stroke in the bits of a draft. @param {import("./documents.js").Mark} draft @param {Point} point */
function grown(draft, point) {
  const { width, height } = app.view;
  const bits = /** @type {Bits} */ (bitsOf(draft, app.view));
  const reach = clipped(joined(around(/** @type {Point} */ (last)), around(point)), width, height);
  const [x1, y1, x2, y2] = [bits.x, bits.y, bits.x + bits.width, bits.y + bits.height];
  if (reach[0] >= x1 && reach[1] >= y1 && reach[2] <= x2 && reach[3] <= y2) return bits;
  const larger = cut(bits, [
    Math.max(0, Math.min(x1, reach[0] - ROOM)),
    Math.max(0, Math.min(y1, reach[1] - ROOM)),
    Math.min(width, Math.max(x2, reach[2] + ROOM)),
    Math.min(height, Math.max(y2, reach[3] + ROOM)),
  ]);
  setBits(draft, larger);
  return larger;
}

/** @param {Point} point @returns {Point} */
const pixel = ([x, y]) => [
  Math.max(0, Math.min(app.view.width - 1, Math.floor(x))),
  Math.max(0, Math.min(app.view.height - 1, Math.floor(y))),
];
/** @param {Point} point @returns {Box} */
const around = ([x, y]) => outward([x - app.radius, y - app.radius, x + app.radius, y + app.radius]);
