// Marks are drawn: masks, boxes, skeletons, names, and the handles of the one that is selected.
import { app, classes, joints, seen } from "./app.js";
import { colourOf, isLight } from "./colours.js";
import { gripsOf } from "./reshaping.js";
import { clockwise } from "./shapes.js";
import { outlineOf, tintOf } from "./tints.js";

/**
 * @typedef {import("./documents.js").Mark} Mark
 * @typedef {import("./rle.js").Box} Box
 */

const FONT = '600 12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const GRAY = "#808086";

/** @param {CanvasRenderingContext2D} context @param {Box|null} part of the picture, to which drawing is clipped */
export function paintMarks(context, part) {
  if (!app.doc || !app.isShown) return;
  app.drawMap(context);
  const objects = seen().map((object) => (object.key === app.draft?.key ? app.draft : object));
  if (app.draft && !objects.includes(app.draft)) objects.push(app.draft);
  const near = objects.filter((object) => !part || meet(object.box, part));
  near.sort((one, other) => areaOf(other) - areaOf(one)); // small ones on top
  for (const object of near) paintMask(context, object);
  for (const object of near) paintLines(context, object);
  for (const object of near) paintSkeleton(context, object);
  paintNames(context, objects);
  const selected = objects.find((object) => object.key === app.selected);
  if (selected) paintGrips(context, selected);
  app.tool?.draw?.(context);
}

/** @param {Mark} object */
export const colourOfMark = (object) =>
  object.crowd || object.ignore ? GRAY : colourOf(Math.max(0, classes().indexOf(object.label)));
/** @param {Mark} object */
const areaOf = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
/** @param {Box} one @param {Box} other */
const meet = (one, other) => one[0] <= other[2] && other[0] <= one[2] && one[1] <= other[3] && other[1] <= one[3];
/** @param {Mark} object */
const isSuggestion = (object) => object.score !== null && object.score !== undefined && !!app.doc?.isSuggested;

/** @param {CanvasRenderingContext2D} context @param {Mark} object */
function paintMask(context, object) {
  const { view } = app;
  if (object.rle) {
    const { bits, canvas } = tintOf(object, view, colourOfMark(object));
    const [x, y] = view.toScreen(bits.x, bits.y);
    context.imageSmoothingEnabled = view.scale * view.ratio < 2;
    if (bits.width && bits.height)
      context.drawImage(
        /** @type {HTMLCanvasElement} */ (canvas),
        x,
        y,
        bits.width * view.scale,
        bits.height * view.scale,
      );
    if (object !== app.draft)
      outline(context, path(outlineOf(object, view)), colourOfMark(object), isSuggestion(object) ? [6, 4] : []);
  } else if (object.polygons) {
    paintPolygons(context, object);
  }
}

/** Fills what is in one of a mark's polygons and in no hole. @param {CanvasRenderingContext2D} context @param {Mark} object */
function paintPolygons(context, object) {
  const [polygons, holes] = [object.polygons ?? [], object.holes ?? []];
  const colour = colourOfMark(object);
  context.save();
  for (const hole of holes) context.clip(outside(hole), "evenodd");
  context.fillStyle = colour;
  context.globalAlpha = 0.45;
  context.fill(path(polygons.map(clockwise))); // parts that overlap are filled once
  context.restore();
  outline(context, path([...polygons, ...holes]), colour, isSuggestion(object) ? [6, 4] : []);
}

/** @param {import("./shapes.js").Ring} hole */
function outside(hole) {
  const made = path([hole]);
  made.rect(0, 0, ...app.view.size());
  return made;
}

/** @param {import("./shapes.js").Ring[]} rings */
function path(rings) {
  const made = new Path2D();
  for (const ring of rings) {
    ring.forEach(([x, y], index) => made[index ? "lineTo" : "moveTo"](...app.view.toScreen(x, y)));
    made.closePath();
  }
  return made;
}

/** Draws a line that is seen on dark and on light pictures. @param {CanvasRenderingContext2D} context @param {Path2D} line @param {string} colour @param {number[]} dashes */
function outline(context, line, colour, dashes, width = 2) {
  context.lineWidth = width + 2;
  context.strokeStyle = "rgb(0 0 0 / .45)";
  context.setLineDash(dashes);
  context.stroke(line);
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke(line);
  context.setLineDash([]);
}

/** @param {CanvasRenderingContext2D} context @param {Mark} object */
function paintLines(context, object) {
  const isSelected = object.key === app.selected;
  const hasMask = object.rle || object.polygons;
  if (hasMask && !isSelected) return;
  const [x1, y1] = app.view.toScreen(object.box[0], object.box[1]);
  const [x2, y2] = app.view.toScreen(object.box[2], object.box[3]);
  const line = new Path2D();
  line.rect(x1, y1, x2 - x1, y2 - y1);
  const dashes = isSuggestion(object) ? [6, 4] : hasMask ? [2, 4] : object.crowd || object.ignore ? [10, 3, 2, 3] : [];
  outline(context, line, colourOfMark(object), dashes, isSelected ? 3 : 2);
}

/** @param {CanvasRenderingContext2D} context @param {Mark} object */
function paintSkeleton(context, object) {
  const { keypoints, visibility } = object;
  if (!keypoints || !visibility) return;
  const { names, skeleton } = joints();
  const at = keypoints.map(([x, y]) => app.view.toScreen(x, y));
  for (const [from, to] of skeleton) {
    if (!visibility[from] || !visibility[to]) continue;
    const line = new Path2D();
    line.moveTo(...at[from]);
    line.lineTo(...at[to]);
    outline(context, line, sideOf(names[from]) === sideOf(names[to]) ? sideOf(names[from]) : "#ffffff", []);
  }
  at.forEach(([x, y], joint) => {
    if (!visibility[joint]) return;
    const isChosen = object.key === app.selected && app.place && "joint" in app.place && app.place.joint === joint;
    context.beginPath();
    context.arc(x, y, isChosen ? 7 : 4.5, 0, 2 * Math.PI);
    context.fillStyle = visibility[joint] === 2 ? sideOf(names[joint]) : "#000000"; // hidden ones are hollow
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = visibility[joint] === 2 ? "#000000" : sideOf(names[joint]);
    context.stroke();
  });
}

/** Gives the left side orange, the right side blue. @param {string} [name] of a joint */
function sideOf(name = "") {
  const lower = name.toLowerCase();
  if (lower.includes("left") || lower.startsWith("l_")) return "#e69f00";
  return lower.includes("right") || lower.startsWith("r_") ? "#1e88e5" : "#ffffff";
}

/** Writes names where they hide no other, the selected one's first. @param {CanvasRenderingContext2D} context @param {Mark[]} objects */
function paintNames(context, objects) {
  const order = [...objects].sort(
    (one, other) =>
      Number(other.key === app.selected) - Number(one.key === app.selected) ||
      (other.score ?? 1) - (one.score ?? 1) ||
      areaOf(other) - areaOf(one),
  );
  /** @type {Box[]} */
  const taken = [];
  const [across, down] = app.view.size();
  context.font = FONT;
  context.textBaseline = "middle";
  for (const object of order) {
    const [x1, y1] = app.view.toScreen(object.box[0], object.box[1]);
    const [x2, y2] = app.view.toScreen(object.box[2], object.box[3]);
    if (x2 < 0 || y2 < 0 || x1 > across || y1 > down) continue;
    const text = nameOf(object);
    const width = Math.ceil(context.measureText(text).width) + 10;
    if (object.key !== app.selected && width * 18 > (x2 - x1) * (y2 - y1) && x2 - x1 < width) continue;
    const left = Math.max(0, Math.min(x1 - 1, across - width));
    const top = [y1 - 19, y1 + 1, y2 - 19, y2 + 1].find(
      (y) => y >= 0 && y + 18 <= down && !taken.some((other) => meet([left, y, left + width, y + 18], other)),
    );
    if (top === undefined) continue;
    taken.push([left, top, left + width, top + 18]);
    const colour = colourOfMark(object);
    context.fillStyle = colour;
    context.fillRect(left, top, width, 18);
    context.fillStyle = isLight(colour) ? "#000000" : "#ffffff";
    context.fillText(text, left + 5, top + 9.5);
  }
}

/** Names a mark, with its score and what it is besides. @param {Mark} object */
export function nameOf(object) {
  const score = object.score === null || object.score === undefined ? "" : ` ${object.score.toFixed(2)}`;
  const flags = [...(object.crowd ? ["crowd"] : []), ...(object.ignore ? ["ignored"] : [])];
  return `${object.label}${score}${flags.length ? ` (${flags.join(", ")})` : ""}`;
}

/** @param {CanvasRenderingContext2D} context @param {Mark} object */
function paintGrips(context, object) {
  if (!app.doc?.canEdit || app.tool?.name !== "choose") return;
  for (const { place, x, y, kind } of gripsOf(object, app.view.scale)) {
    if (kind === "joint") continue; // is drawn as such
    const [sx, sy] = app.view.toScreen(x, y);
    const isChosen = JSON.stringify(place) === JSON.stringify(app.place);
    const size = kind === "middle" ? 3 : isChosen ? 6 : 4;
    context.beginPath();
    if (kind === "side") context.rect(sx - size, sy - size, 2 * size, 2 * size);
    else context.arc(sx, sy, size, 0, 2 * Math.PI);
    context.fillStyle = isChosen ? "#000000" : "#ffffff";
    context.globalAlpha = kind === "middle" ? 0.75 : 1;
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = isChosen ? "#ffffff" : "#000000";
    context.stroke();
    context.globalAlpha = 1;
  }
}
