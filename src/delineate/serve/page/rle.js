// Masks at rest are COCO's run lengths; at hand they are bits, of the part of the picture where there are any.

/**
 * A mask's cut-out: `data` is 0 or 1 row by row, its first pixel at (x, y) of the picture.
 * @typedef {{x: number, y: number, width: number, height: number, data: Uint8Array}} Bits
 * @typedef {{size: [number, number], counts: string|number[]}} Rle
 * @typedef {[number, number, number, number]} Box  x1 y1 x2 y2
 */

/** @param {Box} box @returns {Bits} */
export function blank([x1, y1, x2, y2]) {
  return { x: x1, y: y1, width: x2 - x1, height: y2 - y1, data: new Uint8Array((x2 - x1) * (y2 - y1)) };
}

/** Reads COCO's compressed counts: differences from the count before the last, in groups of five bits. @param {string} text */
export function readCounts(text) {
  const counts = [];
  for (let at = 0; at < text.length;) {
    let value = 0;
    let shift = 0;
    let group;
    do {
      group = text.charCodeAt(at++) - 48;
      value |= (group & 0x1f) << shift;
      shift += 5;
    } while (group & 0x20);
    if (group & 0x10 && shift < 32) value |= -1 << shift;
    counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
  }
  return counts;
}

/** Writes COCO's compressed counts. @param {number[]} counts */
export function writeCounts(counts) {
  let text = "";
  counts.forEach((count, index) => {
    let value = index > 2 ? count - counts[index - 2] : count;
    for (let more = true; more;) {
      const group = value & 0x1f;
      value >>= 5;
      more = group & 0x10 ? value !== -1 : value !== 0;
      text += String.fromCharCode((more ? group | 0x20 : group) + 48);
    }
  });
  return text;
}

/** @param {Rle} rle @returns {Bits} */
export function decode({ size: [height, width], counts: written }) {
  const counts = typeof written === "string" ? readCounts(written) : written;
  const bits = blank(extent(counts, height, width));
  let at = 0;
  for (let run = 0; run < counts.length; at += counts[run], run++) {
    if (run % 2 === 0) continue;
    let column = Math.floor(at / height);
    let row = at % height;
    for (let left = counts[run]; left > 0; left--) {
      bits.data[(row - bits.y) * bits.width + column - bits.x] = 1;
      if (++row === height) [row, column] = [0, column + 1];
    }
  }
  return bits;
}

/** Encodes bits as the mask of a picture. @param {Bits} bits @param {number} height @param {number} width @returns {Rle} */
export function encode(bits, height, width) {
  /** @type {number[]} */
  const counts = [];
  let value = 0;
  let run = 0;
  const add = (/** @type {number} */ bit, /** @type {number} */ length) => {
    if (length === 0) return;
    if (bit !== value) {
      counts.push(run);
      [value, run] = [bit, 0];
    }
    run += length;
  };
  add(0, bits.x * height);
  for (let column = 0; column < bits.width; column++) {
    add(0, bits.y);
    for (let row = 0; row < bits.height; row++) add(bits.data[row * bits.width + column], 1);
    add(0, height - bits.y - bits.height);
  }
  add(0, (width - bits.x - bits.width) * height);
  counts.push(run);
  return { size: [height, width], counts: writeCounts(counts) };
}

/** Finds the smallest box around the bits that are set, in the picture; null where there is none. @param {Bits} bits @returns {Box|null} */
export function boxOf({ x, y, width, height, data }) {
  let [left, top, right, bottom] = [width, -1, -1, -1];
  for (let row = 0; row < height; row++) {
    const first = data.indexOf(1, row * width) - row * width;
    if (first < 0 || first >= width) continue;
    const last = data.lastIndexOf(1, row * width + width - 1) - row * width;
    if (top < 0) top = row;
    bottom = row;
    left = Math.min(left, first);
    right = Math.max(right, last);
  }
  return top < 0 ? null : [x + left, y + top, x + right + 1, y + bottom + 1];
}

/** Takes the part of a map, or more than that, where what is new is 0. @param {Bits} bits @param {Box} box @returns {Bits} */
export function cut(bits, box) {
  const part = blank(box);
  const from = Math.max(bits.x, part.x);
  const to = Math.min(bits.x + bits.width, part.x + part.width);
  const end = Math.min(bits.y + bits.height, part.y + part.height);
  for (let y = Math.max(bits.y, part.y); y < end && from < to; y++) {
    const start = (y - bits.y) * bits.width - bits.x;
    part.data.set(bits.data.subarray(start + from, start + to), (y - part.y) * part.width + from - part.x);
  }
  return part;
}

/** @param {number[]} counts @param {number} height @param {number} width @returns {Box} */
function extent(counts, height, width) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  let at = 0;
  for (let run = 0; run < counts.length; at += counts[run], run++) {
    if (run % 2 === 0 || counts[run] === 0) continue;
    const last = at + counts[run] - 1;
    const isTall = Math.floor(at / height) !== Math.floor(last / height);
    left = Math.min(left, Math.floor(at / height));
    right = Math.max(right, Math.floor(last / height) + 1);
    top = isTall ? 0 : Math.min(top, at % height);
    bottom = isTall ? height : Math.max(bottom, (last % height) + 1);
  }
  return right === 0 ? [0, 0, 0, 0] : [left, top, right, bottom];
}
