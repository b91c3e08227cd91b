// Every key stands in one list, which works them and is shown.
import { app, changed, classes, commit, select, selectedMark, takeStep, task, thresholdOf } from "./app.js";
import { chooseNext, choosePlace, nudge } from "./choosing.js";
import { $, el, fill, say } from "./dom.js";
import { addInMiddle, begin, jointing, promptAt } from "./drawing.js";
import { asPolygons, withCorner, withJoint, withVisibility, withoutCorner } from "./reshaping.js";
import { moveCrosshair, press } from "./stage.js";
import { tools } from "./tools.js";

/** @typedef {{keys: string[], does: string, run: (event: KeyboardEvent) => any, onStage?: boolean, isHidden?: boolean}} Key */

const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

/** Changes the chosen mark. @param {(object: import("./documents.js").Mark) => import("./documents.js").Mark|null} make */
export function remake(make) {
  const object = selectedMark();
  if (!object || !app.doc?.canEdit) return;
  const made = make(object);
  commit([made ? { kind: "put", object: made } : { kind: "remove", key: object.key }]);
  if (!made) select(null);
}

/** Takes away what is chosen: a corner, a joint, or the mark. */
export function removeChosen() {
  const place = /** @type {any} */ (app.place);
  app.place = null;
  if (place && "ring" in place) remake((object) => withoutCorner(object, place));
  else if (place && "joint" in place) remake((object) => withJoint(object, place.joint, [0, 0], 0));
  else remake(() => null);
}

/** Makes corners of a mask that was painted. */
export function makePolygons() {
  const object = selectedMark();
  const made = object?.rle && app.doc ? asPolygons(object, app.doc) : null;
  if (made) commit([{ kind: "put", object: made }]);
  else
    say(
      object?.rle
        ? "This mask has an island in a hole, which polygons cannot say; use the brush"
        : "Choose a mask that was painted or found",
    );
}

/** Gives what is chosen, and what is drawn next, a class. @param {number} number */
export function useLabel(number) {
  if (number >= (task() === "segment" ? (app.session?.label_map_names ?? []) : classes()).length) return;
  app.label = number;
  if (task() !== "segment") remake((object) => ({ ...object, label: classes()[number] }));
  changed();
}

/** @param {"crowd"|"ignore"} flag */
export const toggle = (flag) => remake((object) => ({ ...object, [flag]: !object[flag] }));

/** @param {number} by */
function moveThreshold(by) {
  app.threshold = Math.round(Math.max(0, Math.min(1, thresholdOf(classes()[0]) + by)) * 100) / 100;
  changed();
}

/** @param {number} by a factor */
export function resizeBrush(by) {
  app.radius = Math.max(0.5, Math.min(500, by > 1 ? Math.max(app.radius * by, app.radius + 0.5) : app.radius * by));
  changed();
}

/** @param {KeyboardEvent} event */
function moveByArrow(event) {
  const [x, y] = ARROWS[event.key];
  const by = event.shiftKey ? 10 : 1;
  if (app.tool.name === "choose") {
    if (!nudge(x * by, y * by, event.altKey)) app.view.pan(-x * 40, -y * 40);
  } else moveCrosshair(x * (event.shiftKey ? 1 : 12), y * (event.shiftKey ? 1 : 12));
}

/** Gives the chosen joint the next visibility: visible, hidden, left out. */
function turnJoint() {
  const place = /** @type {any} */ (app.place);
  if (jointing.skip() || !place || !("joint" in place)) return;
  remake((object) => withVisibility(object, place.joint, ((object.visibility?.[place.joint] ?? 0) + 2) % 3));
}

/** @param {{move: (by: number) => void, done: () => void}} queue @returns {Key[]} */
function makeKeys(queue) {
  const label = Array.from({ length: 9 }, (_, index) => ({
    keys: [`${index + 1}`],
    does: "",
    isHidden: true,
    run: () => useLabel(index),
  }));
  return [
    { keys: ["?"], does: "shows these keys", run: () => $("keys").showModal() },
    ...tools.map((tool) => ({
      keys: [tool.key],
      does: `takes the tool: ${tool.title.toLowerCase()}`,
      run: () => app.useTool(tool.name),
    })),
    {
      keys: ["Enter"],
      does: "ends what is drawn; else says that the picture is done, and shows the next",
      onStage: true,
      run: () => (app.tool.isBusy?.() && app.tool.finish ? app.tool.finish() : queue.done()),
    },
    { keys: ["d"], does: "done, and the next picture", run: queue.done },
    { keys: [".", "PageDown"], does: "the next picture", run: () => queue.move(1) },
    { keys: [",", "PageUp"], does: "the picture before", run: () => queue.move(-1) },
    { keys: ["Ctrl+z"], does: "takes the last change back", run: () => takeStep("undo") },
    { keys: ["Ctrl+Shift+z", "Ctrl+y"], does: "makes it again", run: () => takeStep("redo") },
    ...label,
    { keys: ["1", "…", "9"], does: "the class of what is chosen, and of what is drawn next", run: () => {} },
    { keys: ["l"], does: "chooses the next mark", run: () => chooseNext(1) },
    { keys: ["k"], does: "chooses the mark before", run: () => chooseNext(-1) },
    { keys: ["w"], does: "chooses the next corner or joint of the mark", run: () => choosePlace(1) },
    { keys: ["q"], does: "chooses the corner or joint before", run: () => choosePlace(-1) },
    {
      keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"],
      does: "move what is chosen (with Shift by ten; with Alt they resize a box), else the picture; with another tool, its crosshair",
      onStage: true,
      run: moveByArrow,
    },
    {
      keys: [" ", "Ctrl+ "],
      does: "uses the tool at the crosshair; with Ctrl a joint is hidden",
      onStage: true,
      run: (event) => press(false, event.ctrlKey),
    },
    {
      keys: ["Shift+ "],
      does: "holds the tool down there, until it is pressed again",
      onStage: true,
      run: () => press(true),
    },
    { keys: ["n"], does: "puts a new mark into the middle", run: addInMiddle },
    {
      keys: ["Delete", "Backspace"],
      does: "removes what is chosen; takes back the last corner of what is drawn",
      run: () => (app.tool.isBusy?.() && app.tool.back?.()) || removeChosen(),
    },
    {
      keys: ["a"],
      does: "adds a corner behind the chosen one",
      run: () =>
        app.place && "ring" in app.place && remake((object) => withCorner(object, /** @type {any} */ (app.place))),
    },
    { keys: ["x"], does: "the chosen joint: visible, hidden, left out", run: turnJoint },
    { keys: ["c"], does: "the chosen mark is a crowd, or not", run: () => toggle("crowd") },
    { keys: ["i"], does: "the chosen mark is ignored, or not", run: () => toggle("ignore") },
    {
      keys: ["r"],
      does: "has the model look again into the box of the chosen mark",
      run: () => {
        const object = selectedMark();
        if (object) promptAt({ box: object.box }, object.key);
      },
    },
    { keys: ["m"], does: "makes corners of a painted mask", run: makePolygons },
    { keys: ["u"], does: "adds a part to the chosen polygon", run: () => selectedMark()?.polygons && begin("part") },
    { keys: ["o"], does: "adds a hole to the chosen polygon", run: () => selectedMark()?.polygons && begin("hole") },
    { keys: ["["], does: "a smaller brush", run: () => resizeBrush(1 / 1.25) },
    { keys: ["]"], does: "a larger brush", run: () => resizeBrush(1.25) },
    { keys: ["t"], does: "shows more of what the model found: a lower threshold", run: () => moveThreshold(-0.05) },
    { keys: ["Shift+t"], does: "shows less of it", run: () => moveThreshold(0.05) },
    {
      keys: ["h"],
      does: "hides the marks, and shows them",
      run: () => {
        app.isShown = !app.isShown;
        changed();
      },
    },
    { keys: ["+", "="], does: "zooms in", run: () => app.view.zoom(1.25) },
    { keys: ["-"], does: "zooms out", run: () => app.view.zoom(0.8) },
    { keys: ["0"], does: "shows the whole picture", run: () => app.view.fit() },
    {
      keys: ["Escape"],
      does: "stops what is drawn; else chooses nothing",
      run: () => (app.tool.isBusy?.() ? app.tool.cancel() : select(null)),
    },
  ];
}

const NAMES = /** @type {Record<string, string>} */ ({
  " ": "Space",
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  PageDown: "Page down",
  PageUp: "Page up",
});
const nameOf = (/** @type {string} */ key) => key.replace(/ $|Arrow.*|Page.*/, (part) => NAMES[part] ?? part);

/** Lets keys work, and lists them. @param {{move: (by: number) => void, done: () => void}} queue */
export function listenToKeys(queue) {
  const list = makeKeys(queue);
  const rows = list
    .filter((key) => !key.isHidden)
    .map(({ keys, does }) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, ...keys.flatMap((key) => [el("kbd", {}, nameOf(key)), " "])),
        el("td", {}, does),
      ),
    );
  fill($("key-rows"), ...rows);
  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("dialog, textarea, select, input:not([type=range], [type=checkbox])")) return;
    if (event.altKey && !event.key.startsWith("Arrow")) return; // is the browser's
    const isOnStage =
      target === $("stage") ||
      target === document.body ||
      (event.key.startsWith("Arrow") && !!target.closest("#marks-list"));
    const held = `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.shiftKey && event.key.length === 1 && /[a-z ]/i.test(event.key) ? "Shift+" : ""}`;
    const name = held + (event.key.length === 1 ? event.key.toLowerCase() : event.key);
    const key = list.find((one) => one.keys.includes(name) && (isOnStage || !one.onStage));
    if (!key) return;
    event.preventDefault();
    key.run(event);
  });
}
