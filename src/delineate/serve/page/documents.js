// A document is what is marked in one picture. Each change is a list of edits, and has a list that takes it back.
import { uuid } from "./api.js";
import { cut } from "./rle.js";

/**
 * @typedef {import("./rle.js").Bits} Bits
 * @typedef {import("./rle.js").Box} Box
 * @typedef {import("./shapes.js").Ring} Ring
 * @typedef {{key: string, label: string, box: Box, polygons: Ring[]|null, holes: Ring[]|null, rle: import("./rle.js").Rle|null,
 *   keypoints: [number, number][]|null, visibility: number[]|null, crowd: boolean, ignore: boolean, score: number|null}} Mark
 *   an object; marks are never changed, only replaced
 * @typedef {{kind: "put", object: Mark, isTaken?: boolean} | {kind: "remove", key: string} | {kind: "state", state: string} |
 *   {kind: "label_map", box: Box, data: Uint8Array}} Edit
 * @typedef {{redo: Edit[], undo: Edit[], wasSuggested: boolean}} Change
 * @typedef {{id: number|null, file: string, width: number, height: number, version: number, state: string, source: string,
 *   objects: Map<string, Mark>, labelMap: Bits|null, suggestions: Mark[], isSuggested: boolean, canEdit: boolean,
 *   undo: Change[], redo: Change[], pending: Edit[], batch: any[]|null, isSending: boolean,
 *   kept: Map<string, Mark>, keptMap: Uint8Array|null}} Doc
 *   `objects` and `labelMap` are what is seen; `kept` and `keptMap` what the server has; `pending` leads from these to
 *   those. Where `isSuggested`, a model's suggestions (or its label map) are seen, which nobody has taken yet.
 */

/** Makes a mark; what is not given is nothing. @param {Partial<Mark>} values @returns {Mark} */
export const mark = (values) => ({
  key: uuid(),
  label: "",
  box: [0, 0, 0, 0],
  polygons: null,
  holes: null,
  rle: null,
  keypoints: null,
  visibility: null,
  crowd: false,
  ignore: false,
  score: null,
  ...values,
});

/** @param {any} told the server's document, or what one would be @param {Bits|null} labelMap @returns {Doc} */
export function opened(told, labelMap) {
  const objects = new Map((told.objects ?? []).map((/** @type {Mark} */ object) => [object.key, object]));
  return {
    id: null,
    source: "none",
    version: 0,
    state: "new",
    canEdit: false,
    ...told,
    objects,
    labelMap,
    suggestions: [],
    isSuggested: false,
    undo: [],
    redo: [],
    pending: [],
    batch: null,
    isSending: false,
    kept: new Map(objects),
    keptMap: labelMap && labelMap.data.slice(),
  };
}

/** Lists the marks that are seen, of those that a model suggests or of those that are kept. @param {Doc} doc @returns {Mark[]} */
export const marksOf = (doc) => (doc.isSuggested ? doc.suggestions : [...doc.objects.values()]);

/** @param {Doc} doc @param {string|null} key */
export const markOf = (doc, key) => marksOf(doc).find((object) => object.key === key) ?? null;

/** Makes edits; gives those that take them back. @param {Doc} doc @param {Edit[]} edits @returns {Edit[]} */
export function apply(doc, edits) {
  return edits.map((edit) => applyOne(doc, edit)).reverse();
}

/** @param {Doc} doc @param {Edit} edit @returns {Edit} */
function applyOne(doc, edit) {
  if (edit.kind === "state") {
    const before = doc.state;
    doc.state = edit.state;
    return { kind: "state", state: before };
  }
  if (doc.state === "new") doc.state = "changed";
  if (edit.kind === "label_map") return paint(/** @type {Bits} */ (doc.labelMap), edit);
  const key = edit.kind === "put" ? edit.object.key : edit.key;
  const before = doc.objects.get(key);
  if (edit.kind === "put") doc.objects.set(key, edit.object);
  else doc.objects.delete(key);
  return before ? { kind: "put", object: before } : { kind: "remove", key };
}

/** @param {Bits} map @param {Extract<Edit, {kind: "label_map"}>} edit @returns {Edit} */
function paint(map, { box, data }) {
  const before = cut(map, box).data;
  const [x1, y1, x2, y2] = box;
  for (let y = y1; y < y2; y++)
    map.data.set(data.subarray((y - y1) * (x2 - x1), (y - y1 + 1) * (x2 - x1)), y * map.width + x1);
  return { kind: "label_map", box, data: before };
}

/**
 * Makes a change that can be taken back. The first one takes what a model suggests, as far as it is seen.
 * @param {Doc} doc @param {Edit[]} edits @param {Mark[]} seen @param {Bits|null} before the label map before the change
 * @returns {Edit[]} all that the server is to be told
 */
export function change(doc, edits, seen, before) {
  const wasSuggested = doc.isSuggested;
  /** @type {Edit[]} */
  const taken = wasSuggested
    ? seen.map((object) => ({ kind: "put", object: { ...object, score: null }, isTaken: true }))
    : [];
  if (wasSuggested && doc.state === "new") taken.unshift({ kind: "state", state: "changed" }); // and back to it
  if (wasSuggested && before)
    taken.push({ kind: "label_map", box: [0, 0, doc.width, doc.height], data: before.data.slice() });
  const redo = [...taken, ...edits];
  doc.isSuggested = false;
  doc.undo.push({ redo, undo: apply(doc, redo), wasSuggested });
  doc.redo = [];
  return redo;
}

/** Takes the last change back, or makes the one again that was taken back. @param {Doc} doc @param {"undo"|"redo"} which */
export function step(doc, which) {
  const last = doc[which].pop();
  if (!last) return [];
  apply(doc, last[which]);
  doc.isSuggested = which === "undo" && last.wasSuggested;
  doc[which === "undo" ? "redo" : "undo"].push(last);
  return last[which];
}

/**
 * Says whether two marks are the same, however the server writes numbers; a mask is the same where its letters are.
 * @param {Mark|undefined} one @param {Mark|undefined} other
 */
export function isSame(one, other) {
  return one === other || (!!one && !!other && comparable(one) === comparable(other));
}

/** @param {Mark} object */
const comparable = ({ label, box, polygons, holes, rle, keypoints, visibility, crowd, ignore }) =>
  JSON.stringify(
    [
      label,
      box,
      polygons ?? 0,
      holes?.length ? holes : 0,
      rle?.counts ?? 0,
      keypoints ?? 0,
      visibility ?? 0,
      crowd,
      ignore,
    ],
    (_, value) => (typeof value === "number" ? Math.round(value * 100) : value),
  );
