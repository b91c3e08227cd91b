// What the page shows, and the few ways in which it changes. All other files read it from here.
import { change, marksOf, step } from "./documents.js";

/**
 * @typedef {import("./documents.js").Doc} Doc
 * @typedef {import("./documents.js").Edit} Edit
 * @typedef {import("./documents.js").Mark} Mark
 * @typedef {import("./rle.js").Bits} Bits
 * @typedef {{ring: number, vertex: number} | {joint: number}} Place  a corner of a mark's rings, or a joint
 */

export const app = {
  session: /** @type {any} */ (null), // what is labelled here; null where the server only predicts
  models: /** @type {string[]} */ ([]),
  model: /** @type {string|null} */ (null),
  facts: /** @type {any} */ (null), // of that model
  doc: /** @type {Doc|null} */ (null),
  view: /** @type {import("./view.js").View} */ (/** @type {unknown} */ (null)),
  saver: /** @type {any} */ (null),
  tool: /** @type {any} */ (null),
  label: 0, // the class of what is drawn next
  radius: 8, // of the brush, in pixels of the picture
  selected: /** @type {string|null} */ (null), // a mark's key
  place: /** @type {Place|null} */ (null), // in the selected mark
  draft: /** @type {Mark|null} */ (null), // takes the place of the mark of its key while it is drawn
  threshold: /** @type {number|null} */ (null), // null: the run's own, a class
  hidden: /** @type {Set<string>} */ (new Set()), // classes
  isShown: true, // marks are
  resetMap: () => {}, // the label map is another one
  leave: () => {}, // what was only looked at is left
  useTool: /** @type {(name: string) => void} */ (() => {}),
  drawMap: /** @type {(context: CanvasRenderingContext2D) => void} */ (() => {}),
  refreshMap: /** @type {(part?: import("./rle.js").Box) => void} */ (() => {}), // draws the label map again, where it has changed
};

/** @type {Set<() => void>} */
const watchers = new Set();
/** Calls a function after each change of what is shown. @param {() => void} watcher */
export const watch = (watcher) => void watchers.add(watcher);
/** Says that what is shown has changed. */
export function changed() {
  watchers.forEach((watcher) => watcher());
  app.view.redraw();
}

export const task = () =>
  /** @type {string} */ ((app.doc?.canEdit && app.session ? app.session : (app.facts ?? app.session))?.task ?? "");
/** @returns {string[]} */
export const classes = () => (app.doc?.canEdit || !app.facts ? app.session?.classes : app.facts.classes) ?? [];
/** Gives the class of what is drawn next. */
export const label = () => classes()[app.label] ?? classes()[0];
/** @returns {{names: string[], skeleton: [number, number][]}} */
export function joints() {
  const from = (app.doc?.canEdit || !app.facts ? app.session : app.facts) ?? {};
  return { names: from.keypoint_names ?? [], skeleton: from.skeleton ?? [] };
}

/** Finds the score from which a class is shown. @param {string} label */
export const thresholdOf = (label) => app.threshold ?? app.facts?.thresholds?.[label] ?? 0.5;
/** @param {Mark} object */
export const scoresEnough = (object) =>
  object.score === null || object.score === undefined || object.score >= thresholdOf(object.label);
/** @param {Mark} object */
export const isSeen = (object) => !app.hidden.has(object.label) && scoresEnough(object);
/** Lists the marks that are seen, in their order. */
export const seen = () => (app.doc ? marksOf(app.doc).filter(isSeen) : []);
export const selectedMark = () => seen().find((object) => object.key === app.selected) ?? null;

/** @param {string|null} key @param {Place|null} [place] */
export function select(key, place = null) {
  [app.selected, app.place] = [key, place];
  changed();
}

/** Makes a change that can be taken back, and has it saved. @param {Edit[]} edits @param {Bits|null} [before] the label map before */
export function commit(edits, before = null) {
  const doc = app.doc;
  if (!doc?.canEdit) return;
  const own = edits.map((edit) => (edit.kind === "put" ? { ...edit, object: { ...edit.object, score: null } } : edit));
  app.saver.save(doc, change(doc, own, seen(), before ?? doc.labelMap));
  changed();
}

/** @param {"undo"|"redo"} which */
export function takeStep(which) {
  const doc = app.doc;
  if (!doc?.canEdit) return;
  app.tool?.cancel();
  const edits = step(doc, which);
  for (const edit of edits) if (edit.kind === "label_map") app.refreshMap(edit.box);
  if (edits.length) app.saver.save(doc, edits);
  app.place = null;
  changed();
}
