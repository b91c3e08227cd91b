// Shapes are drawn into bits, and bits are traced as shapes.
import { blank } from "./rle.js";

/**
 * @typedef {import("./rle.js").Bits} Bits
 * @typedef {import("./rle.js").Box} Box
 * @typedef {[number, number]} Point
 * @typedef {Point[]} Ring  closed: the last point joins the first
 */

/** @param {Point[]} points @returns {Box} */
export function boxAround(points) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity]; // a border has more points than a call takes
  for (const [x, y] of points) {
    [left, top] = [Math.min(left, x), Math.min(top, y)];
    [right, bottom] = [Math.max(right, x), Math.max(bottom, y)];
  }
  return [left, top, right, bottom];
}

/** Keeps a box inside of a picture. @param {number[]} box @param {number} width @param {number} height @returns {Box} */
export const clipped = ([x1, y1, x2, y2], width, height) => [
  Math.max(0, Math.min(x1, width)),
  Math.max(0, Math.min(y1, height)),
  Math.max(0, Math.min(x2, width)),
  Math.max(0, Math.min(y2, height)),
];

/** Widens a box to whole pixels. @param {number[]} box @returns {Box} */
export const outward = ([x1, y1, x2, y2]) => [Math.floor(x1), Math.floor(y1), Math.ceil(x2), Math.ceil(y2)];

/** Turns a ring so that it goes round as all others do. @param {Ring} ring @returns {Ring} */
export function clockwise(ring) {
  const twice = ring.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = ring[(index + 1) % ring.length];
    return sum + x * nextY - nextX * y;
  }, 0);
  return twice < 0 ? [...ring].reverse() : ring;
}

/** Says whether a point is inside an odd number of rings. @param {Ring[]} rings @param {number} x @param {number} y */
export const isInside = (rings, x, y) => crossings(rings, y).filter((at) => at > x).length % 2 === 1;

/** Finds where rings cross a row, from left to right. @param {Ring[]} rings @param {number} y */
function crossings(rings, y) {
  const found = [];
  for (const ring of rings) {
    for (let index = 0; index < ring.length; index++) {
      const [x1, y1] = ring[index];
      const [x2, y2] = ring[(index + 1) % ring.length];
      if (y1 <= y !== y2 <= y) found.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1));
    }
  }
  return found.sort((one, other) => one - other);
}

/** Sets the pixels whose centres are inside an odd number of rings. @param {Ring[]} rings @param {number} width @param {number} height */
export function rasterised(rings, width, height) {
  const bits = blank(outward(clipped(boxAround(rings.flat()), width, height)));
  for (let row = 0; row < bits.height; row++) {
    const found = crossings(rings, bits.y + row + 0.5);
    for (let pair = 0; pair + 1 < found.length; pair += 2) {
      const from = Math.max(0, Math.ceil(found[pair] - 0.5) - bits.x);
      const to = Math.min(bits.width, Math.ceil(found[pair + 1] - 0.5) - bits.x);
      if (from < to) bits.data.fill(1, row * bits.width + from, row * bits.width + to);
    }
  }
  return bits;
}

/**
 * Writes a value along a line as thick as a brush, and gives the box of what may have changed.
 * @param {Bits} bits @param {Point} from @param {Point} to @param {number} radius in pixels @param {number} value @returns {Box}
 */
export function stroke(bits, [x1, y1], [x2, y2], radius, value) {
  const reach = [
    Math.min(x1, x2) - radius,
    Math.min(y1, y2) - radius,
    Math.max(x1, x2) + radius,
    Math.max(y1, y2) + radius,
  ];
  const [left, top, right, bottom] = outward(reach);
  const box = /** @type {Box} */ ([
    Math.max(bits.x, left),
    Math.max(bits.y, top),
    Math.min(bits.x + bits.width, right),
    Math.min(bits.y + bits.height, bottom),
  ]);
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length = dx * dx + dy * dy;
  for (let y = box[1]; y < box[3]; y++) {
    for (let x = box[0]; x < box[2]; x++) {
      const [px, py] = [x + 0.5 - x1, y + 0.5 - y1];
      const along = length === 0 ? 0 : Math.max(0, Math.min(1, (px * dx + py * dy) / length));
      if ((px - along * dx) ** 2 + (py - along * dy) ** 2 <= radius * radius) {
        bits.data[(y - bits.y) * bits.width + x - bits.x] = value;
      }
    }
  }
  return box;
}

/**
 * Writes a value to all that is connected with a pixel and has its value; gives the box of what changed, or null.
 * @param {Bits} map from (0, 0) on @param {number} x @param {number} y @param {number} value @returns {Box|null}
 */
export function flood({ width, height, data }, x, y, value) {
  const old = data[y * width + x];
  if (old === value) return null;
  let [left, top, right, bottom] = [x, y, x, y];
  const rows = [y * width + x];
  while (rows.length) {
    const at = /** @type {number} */ (rows.pop());
    if (data[at] !== old) continue;
    const row = Math.floor(at / width) * width;
    let [from, to] = [at, at];
    while (from > row && data[from - 1] === old) from--;
    while (to < row + width - 1 && data[to + 1] === old) to++;
    data.fill(value, from, to + 1);
    [left, right] = [Math.min(left, from - row), Math.max(right, to - row)];
    [top, bottom] = [Math.min(top, row / width), Math.max(bottom, row / width)];
    for (const next of [row - width, row + width]) {
      if (next < 0 || next >= width * height) continue;
      for (let column = from - row; column <= to - row; column++) {
        if (data[next + column] === old && (column === from - row || data[next + column - 1] !== old))
          rows.push(next + column);
      }
    }
  }
  return [left, top, right + 1, bottom + 1];
}

/**
 * Traces the borders of bits as polygons and holes, no farther than `tolerance` pixels from them.
 * @param {Bits} bits @returns {{polygons: Ring[], holes: Ring[]}}
 */
export function traced(bits, tolerance = 0.8) {
  /** @type {{polygons: Ring[], holes: Ring[]}} */
  const found = { polygons: [], holes: [] };
  for (const ring of borders(bits)) {
    const simple = simplified(ring, tolerance).map(([x, y]) => /** @type {Point} */ ([x + bits.x, y + bits.y]));
    if (simple.length > 2) (area(ring) > 0 ? found.polygons : found.holes).push(simple);
  }
  return found;
}

/** @param {Ring} ring positive where it goes clockwise, as borders of parts do */
const area = (ring) =>
  ring.reduce((sum, [x, y], index) => {
    const [nextX, nextY] = ring[(index + 1) % ring.length];
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);

/** Follows the edges between pixels that are set and those that are not, with what is set to the right. @param {Bits} bits */
function* borders({ width, height, data }) {
  const isSet = (/** @type {number} */ x, /** @type {number} */ y) =>
    x >= 0 && y >= 0 && x < width && y < height && data[y * width + x] === 1;
  /** @type {Map<number, number[]>} */
  const edges = new Map();
  const add = (
    /** @type {number} */ x1,
    /** @type {number} */ y1,
    /** @type {number} */ x2,
    /** @type {number} */ y2,
  ) => {
    const from = y1 * (width + 1) + x1;
    edges.set(from, [...(edges.get(from) ?? []), y2 * (width + 1) + x2]);
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!isSet(x, y)) continue;
      if (!isSet(x, y - 1)) add(x, y, x + 1, y);
      if (!isSet(x + 1, y)) add(x + 1, y, x + 1, y + 1);
      if (!isSet(x, y + 1)) add(x + 1, y + 1, x, y + 1);
      if (!isSet(x - 1, y)) add(x, y + 1, x, y);
    }
  }
  for (const start of edges.keys()) {
    while (edges.get(start)?.length) {
      /** @type {Ring} */
      const ring = [];
      let at = start;
      do {
        ring.push([at % (width + 1), Math.floor(at / (width + 1))]);
        at = /** @type {number} */ (edges.get(at)?.pop());
      } while (at !== start);
      yield ring;
    }
  }
}

/** Leaves out points that are near the line between their neighbours (Douglas & Peucker 1973). @param {Ring} ring @param {number} tolerance */
export function simplified(ring, tolerance) {
  const far = ring.reduce(
    (best, [x, y], index) => {
      const distance = (x - ring[0][0]) ** 2 + (y - ring[0][1]) ** 2;
      return distance > best.distance ? { index, distance } : best;
    },
    { index: 0, distance: -1 },
  ).index;
  const closed = [...ring, ring[0]];
  const kept = new Set([0, far]);
  const parts = [
    [0, far],
    [far, ring.length],
  ];
  while (parts.length) {
    const [from, to] = /** @type {number[]} */ (parts.pop());
    let [worst, distance] = [-1, tolerance];
    for (let index = from + 1; index < to; index++) {
      const away = distanceToLine(closed[index], closed[from], closed[to]);
      if (away > distance) [worst, distance] = [index, away];
    }
    if (worst < 0) continue;
    kept.add(worst);
    parts.push([from, worst], [worst, to]);
  }
  return [...kept].sort((one, other) => one - other).map((index) => closed[index]);
}

/** @param {Point} point @param {Point} from @param {Point} to */
export function distanceToLine([x, y], [x1, y1], [x2, y2]) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / length));
  return Math.hypot(x - x1 - along * dx, y - y1 - along * dy);
}
