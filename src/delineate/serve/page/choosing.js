// The first tool chooses marks, moves and bends them; by the keyboard as by the pointer.
import { app, changed, commit, joints, seen, select, selectedMark } from "./app.js";
import { counted, say } from "./dom.js";
import { nameOf } from "./marks.js";
import { bent, gripsOf, isAt, moved, sealed, withCorner } from "./reshaping.js";

/**
 * @typedef {import("./documents.js").Mark} Mark
 * @typedef {import("./shapes.js").Point} Point
 */

const STILL = 3; // pixels of the screen that a click may move
/** @type {{place: any, from: Point, object: Mark, isMoving: boolean}|null} */
let held = null; // place: what is held of the mark; null is all of it
let isPanning = false;

export const choosing = {
  name: "choose",
  key: "v",
  title: "Choose",
  tasks: ["detect", "instance", "keypoints", "segment"],
  cursor: "default",
  hint: "Click a mark to choose it, drag to move it, drag its handles to bend it; drag beside marks to move the picture",

  /** @param {Point} point @param {PointerEvent} event */
  down(point, event) {
    const reach = (event.pointerType === "touch" ? 18 : 8) / app.view.scale;
    const chosen = selectedMark();
    const grip =
      app.doc?.canEdit && chosen
        ? gripsOf(chosen, app.view.scale).find(({ x, y }) => Math.hypot(x - point[0], y - point[1]) <= reach)
        : null;
    if (chosen && grip) {
      const { isNew, ...place } = grip.place;
      const object = isNew ? withCorner(chosen, place) : chosen;
      if (isNew) place.vertex++;
      held = { place, from: point, object, isMoving: !!isNew };
      select(chosen.key, "side" in place ? null : place);
      return;
    }
    const hit = markAt(point, reach / 2);
    select(hit?.key ?? null);
    isPanning = !hit;
    held = hit && app.doc?.canEdit ? { place: null, from: point, object: hit, isMoving: false } : null;
  },

  /** @param {Point} point @param {{dx: number, dy: number}} event */
  move(point, event) {
    if (isPanning) app.view.pan(event.dx, event.dy);
    if (!held || !app.doc) return;
    const [dx, dy] = [point[0] - held.from[0], point[1] - held.from[1]];
    if (!held.isMoving && Math.hypot(dx, dy) * app.view.scale < STILL) return;
    held.isMoving = true;
    app.draft = held.place ? bent(held.object, held.place, point, app.doc) : moved(held.object, dx, dy, app.doc);
    app.view.redraw();
  },

  up() {
    const { draft, doc } = app;
    [held, isPanning] = [null, false];
    app.draft = null;
    if (!draft || !doc) return;
    const object = sealed(draft, doc);
    if (object && object.box[2] > object.box[0] && object.box[3] > object.box[1]) commit([{ kind: "put", object }]);
    else changed();
  },

  cancel() {
    [held, isPanning] = [null, false];
    app.draft = null;
    app.view.redraw();
  },
  isBusy: () => held !== null,
};

/** Finds the smallest mark at a point. @param {Point} point @param {number} tolerance */
function markAt(point, tolerance) {
  const size = /** @type {import("./documents.js").Doc} */ (app.doc);
  const area = (/** @type {Mark} */ { box }) => (box[2] - box[0]) * (box[3] - box[1]);
  const hits = seen().filter((object) => isAt(object, point, tolerance, size));
  return hits.sort((one, other) => area(one) - area(other))[0] ?? null;
}

/** Moves what is chosen, a mark or a part of it, by pixels of the picture; makes it larger with `isResizing`. @param {number} dx @param {number} dy @param {boolean} isResizing */
export function nudge(dx, dy, isResizing) {
  const [object, { doc }] = [selectedMark(), app];
  if (!object || !doc?.canEdit) return false;
  const place = /** @type {any} */ (app.place);
  let made = /** @type {Mark|null} */ (null);
  if (place) {
    const grip = gripsOf(object, app.view.scale).find((one) => JSON.stringify(one.place) === JSON.stringify(place));
    if (grip) made = bent(object, place, [grip.x + dx, grip.y + dy], doc);
  } else if (isResizing) {
    const { box } = object;
    if (!object.polygons && !object.rle)
      made = bent(
        object,
        { side: [1, 1] },
        [Math.max(box[0] + 1, box[2] + dx), Math.max(box[1] + 1, box[3] + dy)],
        doc,
      );
  } else {
    made = sealed(moved(object, dx, dy, doc), doc);
  }
  if (made) commit([{ kind: "put", object: made }]);
  return true;
}

/** Chooses the next mark, or the one before. @param {number} by */
export function chooseNext(by) {
  const objects = seen();
  if (!objects.length) return;
  const at = objects.findIndex((object) => object.key === app.selected);
  const next = objects[(at < 0 && by < 0 ? objects.length - 1 : at + by + objects.length) % objects.length];
  select(next.key);
  app.view.reveal(next.box);
  say(`${nameOf(next)}, ${objects.indexOf(next) + 1} of ${counted(objects.length, "mark")}`);
}

/** Chooses the next corner or joint of the chosen mark. @param {number} by */
export function choosePlace(by) {
  const object = selectedMark();
  const grips = object
    ? gripsOf(object, app.view.scale).filter(({ kind }) => kind === "corner" || kind === "joint")
    : [];
  if (!object || !grips.length) return;
  const at = grips.findIndex(({ place }) => JSON.stringify(place) === JSON.stringify(app.place));
  const next = grips[(at < 0 && by < 0 ? grips.length - 1 : at + by + grips.length) % grips.length];
  select(object.key, next.place);
  say(
    next.kind === "joint"
      ? joints().names[next.place.joint]
      : `corner ${grips.indexOf(next) + 1} of ${counted(grips.length, "corner")}`,
  );
  app.view.reveal([next.x, next.y, next.x, next.y]);
}
