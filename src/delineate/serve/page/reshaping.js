// Marks are moved, resized and bent. Each function gives a new mark; none changes the one that it is given.
import { boxOf, cut, encode } from "./rle.js";
import { boxAround, clipped, distanceToLine, isInside, traced } from "./shapes.js";
import { bitsOf, setBits } from "./tints.js";

/**
 * @typedef {import("./documents.js").Mark} Mark
 * @typedef {import("./shapes.js").Ring} Ring
 * @typedef {import("./shapes.js").Point} Point
 * @typedef {import("./app.js").Place} Place
 * @typedef {{width: number, height: number}} Size
 * @typedef {{kind: "side"|"corner"|"middle"|"joint", place: any, x: number, y: number}} Grip
 */

const SIDES = [
  [0, 0],
  [0.5, 0],
  [1, 0],
  [1, 0.5],
  [1, 1],
  [0.5, 1],
  [0, 1],
  [0, 0.5],
]; // of a box, as shares

/** Lists the rings of a mark: its polygons, then its holes. @param {Mark} object @returns {Ring[]} */
export const ringsOf = (object) => [...(object.polygons ?? []), ...(object.holes ?? [])];

/** Lists where a mark can be gripped. @param {Mark} object @param {number} scale screen pixels a pixel @returns {Grip[]} */
export function gripsOf(object, scale) {
  /** @type {Grip[]} */
  const grips = [];
  object.keypoints?.forEach(
    ([x, y], joint) => object.visibility?.[joint] && grips.push({ kind: "joint", place: { joint }, x, y }),
  );
  ringsOf(object).forEach((corners, ring) =>
    corners.forEach(([x, y], vertex) => grips.push({ kind: "corner", place: { ring, vertex }, x, y })),
  );
  ringsOf(object).forEach((corners, ring) =>
    corners.forEach(([x, y], vertex) => {
      const [nextX, nextY] = corners[(vertex + 1) % corners.length];
      if (Math.hypot(nextX - x, nextY - y) * scale < 40) return; // no room for one more
      grips.push({ kind: "middle", place: { ring, vertex, isNew: true }, x: (x + nextX) / 2, y: (y + nextY) / 2 });
    }),
  );
  const [x1, y1, x2, y2] = object.box;
  if (!object.polygons && !object.rle) {
    SIDES.forEach(([right, down]) =>
      grips.push({ kind: "side", place: { side: [right, down] }, x: x1 + right * (x2 - x1), y: y1 + down * (y2 - y1) }),
    );
  }
  return grips;
}

/** Says whether a mark is at a point, by its mask where it has one. @param {Mark} object @param {Point} point @param {number} tolerance @param {Size} size */
export function isAt(object, [x, y], tolerance, size) {
  const [x1, y1, x2, y2] = object.box;
  if (x < x1 - tolerance || y < y1 - tolerance || x > x2 + tolerance || y > y2 + tolerance) return false;
  if (object.polygons) {
    if (
      ringsOf(object).some((ring) =>
        ring.some((corner, index) => distanceToLine([x, y], corner, ring[(index + 1) % ring.length]) < tolerance),
      )
    )
      return true;
    return (
      object.polygons.some((ring) => isInside([ring], x, y)) &&
      !(object.holes ?? []).some((ring) => isInside([ring], x, y))
    );
  }
  const bits = bitsOf(object, size);
  if (!bits) return true;
  const [column, row] = [Math.floor(x) - bits.x, Math.floor(y) - bits.y];
  return (
    column >= 0 && row >= 0 && column < bits.width && row < bits.height && bits.data[row * bits.width + column] === 1
  );
}

/** Moves a mark with all that is of it, as far as the picture goes. @param {Mark} object @param {number} dx @param {number} dy @param {Size} size @returns {Mark} */
export function moved(object, dx, dy, size) {
  const [x1, y1, x2, y2] = object.box;
  let right = Math.max(-x1, Math.min(size.width - x2, dx));
  let down = Math.max(-y1, Math.min(size.height - y2, dy));
  if (object.rle) [right, down] = [Math.round(right), Math.round(down)];
  const shift = (/** @type {Point[]} */ points) => points.map(([x, y]) => /** @type {Point} */ ([x + right, y + down]));
  const other = {
    ...object,
    box: /** @type {import("./rle.js").Box} */ ([x1 + right, y1 + down, x2 + right, y2 + down]),
    polygons: object.polygons && object.polygons.map(shift),
    holes: object.holes && object.holes.map(shift),
    keypoints:
      object.keypoints &&
      object.keypoints.map(
        ([x, y], joint) => /** @type {Point} */ (object.visibility?.[joint] ? [x + right, y + down] : [x, y]),
      ),
  };
  if (!object.rle) return other;
  const bits = /** @type {import("./rle.js").Bits} */ (bitsOf(object, size));
  const shifted = { ...bits, x: bits.x + right, y: bits.y + down };
  setBits(other, shifted, object);
  return other;
}

/** Writes the run lengths of a mark whose bits were moved or painted, and its box. @param {Mark} object @param {Size} size @returns {Mark|null} */
export function sealed(object, size) {
  if (!object.rle) return object;
  const bits = /** @type {import("./rle.js").Bits} */ (bitsOf(object, size));
  const box = boxOf(bits);
  if (!box) return null;
  const tight = cut(bits, box);
  const made = { ...object, rle: encode(tight, size.height, size.width), box };
  setBits(made, tight);
  return made;
}

/** Moves what was gripped to a point. @param {Mark} object @param {any} place @param {Point} point @param {Size} size @returns {Mark} */
export function bent(object, place, point, size) {
  const [x, y] = [Math.max(0, Math.min(size.width, point[0])), Math.max(0, Math.min(size.height, point[1]))];
  if ("joint" in place)
    return withJoint(object, place.joint, [x, y], Math.max(1, object.visibility?.[place.joint] ?? 2));
  if ("ring" in place)
    return withRings(
      object,
      ringsOf(object).map((ring, index) =>
        index === place.ring ? ring.map((corner, at) => (at === place.vertex ? [x, y] : corner)) : ring,
      ),
    );
  let [x1, y1, x2, y2] = object.box;
  if (place.side[0] === 0) x1 = x;
  if (place.side[0] === 1) x2 = x;
  if (place.side[1] === 0) y1 = y;
  if (place.side[1] === 1) y2 = y;
  return { ...object, box: [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)] };
}

/** Puts a corner behind another one, half way to the next. @param {Mark} object @param {{ring: number, vertex: number}} place @returns {Mark} */
export function withCorner(object, { ring, vertex }) {
  return withRings(
    object,
    ringsOf(object).map((corners, index) => {
      if (index !== ring) return corners;
      const [[x, y], [nextX, nextY]] = [corners[vertex], corners[(vertex + 1) % corners.length]];
      return [...corners.slice(0, vertex + 1), [(x + nextX) / 2, (y + nextY) / 2], ...corners.slice(vertex + 1)];
    }),
  );
}

/** Takes a corner away, and with its third last one the ring; null where nothing is left. @param {Mark} object @param {{ring: number, vertex: number}} place */
export function withoutCorner(object, { ring, vertex }) {
  const rings = ringsOf(object).map((corners, index) =>
    index === ring ? corners.filter((_, at) => at !== vertex) : corners,
  );
  const first = object.polygons?.length ?? 0;
  const polygons = rings.slice(0, first).filter((corners) => corners.length > 2);
  const holes = rings.slice(first).filter((corners) => corners.length > 2);
  return polygons.length
    ? { ...object, polygons, holes: holes.length ? holes : null, box: boxAround(polygons.flat()) }
    : null;
}

/** Adds a part, or a hole. @param {Mark} object @param {Ring} ring @param {boolean} isHole @returns {Mark} */
export function withRing(object, ring, isHole) {
  if (isHole) return { ...object, holes: [...(object.holes ?? []), ring] };
  const polygons = [...(object.polygons ?? []), ring];
  return { ...object, polygons, box: boxAround(polygons.flat()) };
}

/** @param {Mark} object @param {any[]} rings @returns {Mark} */
function withRings(object, rings) {
  const first = object.polygons?.length ?? 0;
  const polygons = /** @type {Ring[]} */ (rings.slice(0, first));
  return { ...object, polygons, holes: object.holes && rings.slice(first), box: boxAround(polygons.flat()) };
}

/** Places a joint; the box goes with it, unless it is that of a mask. @param {Mark} object @param {number} joint @param {Point} point @param {number} visibility @returns {Mark} */
export function withJoint(object, joint, [x, y], visibility) {
  const [x1, y1, x2, y2] = object.box;
  const isFree = visibility && !object.polygons && !object.rle;
  return {
    ...object,
    keypoints: (object.keypoints ?? []).map((other, index) =>
      index === joint ? (visibility ? [x, y] : [0, 0]) : other,
    ),
    visibility: (object.visibility ?? []).map((other, index) => (index === joint ? visibility : other)),
    box: isFree ? [Math.min(x1, x), Math.min(y1, y), Math.max(x2, x), Math.max(y2, y)] : object.box,
  };
}

/** Says whether a joint is seen; one that had no place is put into the middle. @param {Mark} object @param {number} joint @param {number} visibility */
export function withVisibility(object, joint, visibility) {
  const [x1, y1, x2, y2] = object.box;
  const place = object.visibility?.[joint] ? object.keypoints?.[joint] : null;
  return withJoint(object, joint, place ?? [(x1 + x2) / 2, (y1 + y2) / 2], visibility);
}

/** Makes polygons of a mask; null where these cannot say it: an island in a hole. @param {Mark} object @param {Size} size */
export function asPolygons(object, size) {
  const bits = bitsOf(object, size);
  if (!bits) return null;
  const { polygons, holes } = traced(bits);
  if (!polygons.length || polygons.some(([corner]) => holes.some((hole) => isInside([hole], corner[0], corner[1]))))
    return null;
  const inside = (/** @type {Ring} */ ring) =>
    ring.map(([x, y]) => /** @type {Point} */ (clipped([x, y, x, y], size.width, size.height).slice(0, 2)));
  return {
    ...object,
    rle: null,
    polygons: polygons.map(inside),
    holes: holes.length ? holes.map(inside) : null,
    box: boxAround(polygons.flat()),
  };
}
