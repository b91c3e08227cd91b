// Tools that draw new marks: boxes, polygons, bodies joint by joint, and what a model makes of a click or a rough box.
import * as api from "./api.js";
import { app, changed, commit, joints, label, select, selectedMark, task } from "./app.js";
import { colourOf } from "./colours.js";
import { complain, say } from "./dom.js";
import { mark } from "./documents.js";
import { fillMap } from "./painting.js";
import { withJoint, withRing } from "./reshaping.js";
import { boxAround, clipped } from "./shapes.js";

/** @typedef {import("./shapes.js").Point} Point */

const LEAST = 3; // pixels of the screen, of a box that is meant
let from = /** @type {Point|null} */ (null);
let to = /** @type {Point|null} */ (null);
/** @type {Point[]} */
let corners = [];
let pressed = /** @type {{point: Point, reach: number, visibility: number}|null} */ (null); // where the pointer came down
let adds = /** @type {"part"|"hole"|null} */ (null); // what the next polygon is of the chosen mark

/** @param {Point} point @returns {Point} */
const inside = ([x, y]) => /** @type {Point} */ (clipped([x, y, x, y], app.view.width, app.view.height).slice(0, 2));
const drawnBox = () => (from && to ? boxAround([from, to]) : null);
const isMeant = () =>
  !!from && !!to && Math.min(Math.abs(from[0] - to[0]), Math.abs(from[1] - to[1])) * app.view.scale >= LEAST;

/** @param {CanvasRenderingContext2D} context @param {Point[]} points @param {boolean} isClosed */
function drawLine(context, points, isClosed) {
  context.beginPath();
  points.forEach(([x, y], index) => context[index ? "lineTo" : "moveTo"](...app.view.toScreen(x, y)));
  if (isClosed) context.closePath();
  context.lineWidth = 4;
  context.strokeStyle = "rgb(0 0 0 / .5)";
  context.stroke();
  context.lineWidth = 2;
  context.strokeStyle = colourOf(app.label);
  context.stroke();
}

const dragging = {
  /** @param {Point} point */
  down(point) {
    [from, to] = [inside(point), inside(point)];
  },
  /** @param {Point} point */
  move(point) {
    if (!from) return;
    to = inside(point);
    app.view.redraw();
  },
  cancel() {
    [from, to] = [null, null];
    app.view.redraw();
  },
  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    if (from && to) drawLine(context, [from, [to[0], from[1]], to, [from[0], to[1]]], true);
  },
};

export const boxing = {
  ...dragging,
  name: "box",
  key: "b",
  title: "Box",
  tasks: ["detect"],
  cursor: "crosshair",
  hint: "Drag from one corner of the object to the other",
  up() {
    const box = isMeant() ? drawnBox() : null;
    dragging.cancel();
    if (box) addMark({ box });
  },
};

export const prompting = {
  ...dragging,
  name: "prompt",
  key: "s",
  title: "Suggest",
  tasks: ["detect", "instance", "keypoints"],
  cursor: "crosshair",
  hint: "Click an object, or drag a rough box around it: the model, or a search, finds it",
  up() {
    const place = isMeant() ? { box: drawnBox() ?? undefined } : { point: from ?? undefined };
    dragging.cancel();
    return promptAt(place);
  },
};

/** Has a mark made of a place. @param {{box?: number[], point?: number[]}} place @param {string} [key] of the mark that it takes the place of */
export async function promptAt(place, key) {
  const doc = app.doc;
  if (!doc?.canEdit || doc.id === null) return;
  say("Looking…");
  try {
    const { object } = await api.prompt(doc.id, key ? (selectedMark()?.label ?? label()) : label(), place);
    if (app.doc !== doc) return;
    if (!object) return void say("Nothing was found there. Drag a box around it, or draw it.");
    addMark({ ...object, ...(key && { key }) });
    say(`${object.label}: found. Undo it, or correct it.`);
  } catch (error) {
    complain(/** @type {Error} */ (error).message);
  }
}

/** @param {Partial<import("./documents.js").Mark>} values */
function addMark(values) {
  const { names } = joints();
  const bare = task() === "keypoints" && {
    keypoints: names.map(() => /** @type {Point} */ ([0, 0])),
    visibility: names.map(() => 0),
  };
  const object = mark({ label: label(), ...values, ...(!values.keypoints && bare) });
  commit([{ kind: "put", object }]);
  select(object.key);
}

/** Puts a mark into the middle of what is seen, to be moved by the keyboard. */
export function addInMiddle() {
  const { view, doc } = app;
  if (!doc?.canEdit || task() === "segment") return;
  const [width, height] = view.size();
  const [x, y] = view.toPicture(width / 2, height / 2);
  const half = Math.min(width, height) / 8 / view.scale;
  const [x1, y1, x2, y2] = clipped([x - half, y - half, x + half, y + half], doc.width, doc.height).map(Math.round);
  if (task() === "instance")
    addMark({
      box: [x1, y1, x2, y2],
      polygons: [
        [
          [x1, y1],
          [x2, y1],
          [x2, y2],
          [x1, y2],
        ],
      ],
    });
  else if (task() === "keypoints") {
    const { names } = joints();
    const columns = Math.ceil(Math.sqrt(names.length));
    const keypoints = names.map(
      (_, joint) =>
        /** @type {Point} */ ([
          x1 + (x2 - x1) * (((joint % columns) + 0.5) / columns),
          y1 + (y2 - y1) * ((Math.floor(joint / columns) + 0.5) / Math.ceil(names.length / columns)),
        ]),
    );
    addMark({ box: [x1, y1, x2, y2], keypoints, visibility: names.map(() => 2) });
  } else addMark({ box: [x1, y1, x2, y2] });
}

/** Begins a part or a hole of the chosen mark. @param {"part"|"hole"} what */
export function begin(what) {
  app.useTool("polygon");
  adds = what;
  say(`Click the corners of the ${what}; Enter, or the first corner again, closes it`);
}

export const outlining = {
  name: "polygon",
  key: "g",
  title: "Polygon",
  tasks: ["instance", "segment"],
  cursor: "crosshair",
  hint: "Click corner after corner; Enter, or the first corner again, closes it; Backspace takes one back",
  /** @param {Point} point @param {PointerEvent} event */
  down(point, event) {
    pressed = { point, reach: event.pointerType === "touch" ? 20 : 9, visibility: 2 };
  },
  /** @param {Point} point */
  move(point) {
    to = corners.length ? inside(point) : null;
    if (to) app.view.redraw();
  },
  up() {
    if (!pressed) return;
    const { point, reach } = pressed;
    pressed = null;
    const [[x, y], last] = [corners[0] ?? point, corners[corners.length - 1]];
    if (corners.length > 2 && Math.hypot(x - point[0], y - point[1]) * app.view.scale < reach)
      return outlining.finish();
    if (!last || Math.hypot(last[0] - point[0], last[1] - point[1]) * app.view.scale >= LEAST)
      corners.push(inside(point));
    app.view.redraw();
  },
  pause: () => void (pressed = null), // two fingers zoom, and the corners stay
  finish() {
    const [ring, what, chosen] = [corners, adds, selectedMark()];
    outlining.cancel();
    if (ring.length < 3) return;
    if (task() === "segment") fillMap(ring);
    else if (what && chosen?.polygons) commit([{ kind: "put", object: withRing(chosen, ring, what === "hole") }]);
    else addMark({ polygons: [ring], box: boxAround(ring) });
  },
  back() {
    corners.pop();
    app.view.redraw();
    return true;
  },
  cancel() {
    [corners, to, adds, pressed] = [[], null, null, null];
    app.view.redraw();
  },
  isBusy: () => corners.length > 0,
  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    if (!corners.length) return;
    drawLine(context, to ? [...corners, to] : corners, false);
    for (const [x, y] of corners) {
      context.beginPath();
      context.arc(...app.view.toScreen(x, y), 4, 0, 2 * Math.PI);
      context.fillStyle = "#ffffff";
      context.fill();
      context.stroke();
    }
  },
};

let joint = -1; // the one that is placed next; -1: the box is drawn first

export const jointing = {
  ...dragging,
  name: "body",
  key: "j",
  title: "Body",
  tasks: ["keypoints"],
  cursor: "crosshair",
  hint: "Drag a box around the body; then click joint after joint, as they are named here",
  /** @param {Point} point @param {PointerEvent} event */
  down(point, event) {
    if (joint < 0) dragging.down(point);
    else pressed = { point, reach: 0, visibility: event.shiftKey ? 1 : 2 };
  },
  up() {
    const [box, place] = [isMeant() ? drawnBox() : null, pressed];
    jointing.pause();
    if (place) return jointing.place(inside(place.point), place.visibility);
    if (joint >= 0 || !box) return;
    addMark({ box });
    jointing.next(0);
  },
  /** Lets go of the pointer, as two fingers zoom; the body stays as far as it is. */
  pause() {
    pressed = null;
    dragging.cancel();
  },
  /** @param {Point} point @param {number} visibility */
  place(point, visibility) {
    const object = selectedMark();
    if (!object) return jointing.cancel();
    if (visibility) commit([{ kind: "put", object: withJoint(object, joint, point, visibility) }]);
    jointing.next(joint + 1);
  },
  /** @param {number} number */
  next(number) {
    const { names } = joints();
    joint = number < names.length ? number : -1;
    if (joint < 0) say("The body has all its joints; choose it to move them");
    else
      say(
        `Click ${names[joint]} (${joint + 1} of ${names.length}); with Shift where it is hidden; X leaves it out; Enter ends`,
      );
    changed();
  },
  skip: () => joint >= 0 && (jointing.place([0, 0], 0), true),
  finish: () => void (joint >= 0 && jointing.next(Infinity)),
  isBusy: () => joint >= 0,
  cancel() {
    joint = -1;
    jointing.pause();
  },
};
