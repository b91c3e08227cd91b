// Each change is posted at once. While the server is away, changes wait in memory; what others changed meanwhile is kept.
import * as api from "./api.js";
import { apply, isSame, opened } from "./documents.js";
import { redPng } from "./png.js";

/**
 * @typedef {import("./documents.js").Doc} Doc
 * @typedef {import("./documents.js").Edit} Edit
 */

const FIRST_WAIT = 500; // milliseconds
const LONGEST_WAIT = 8000;
const MOST_EDITS = 500; // in one post
const MOST_LETTERS = 8e6; // in one post; the server takes 32 MiB
const NEVER = [400, 404, 413, 415, 422]; // trying again is of no use

/**
 * @param {object} hooks
 * @param {(waiting: number, trouble: string|null) => void} hooks.told hears how many changes are not saved, and why
 * @param {(doc: Doc, lost: number) => void} hooks.merged hears that others changed a picture, and how much of ours fell to that
 * @param {(line: string) => void} hooks.refused hears why a change was not taken
 * @param {(told: any) => Promise<import("./rle.js").Bits|null>} hooks.labelMapOf loads a document's label map
 */
export function makeSaver(hooks) {
  /** @type {Set<Doc>} */
  const waiting = new Set();
  let trouble = /** @type {string|null} */ (null);
  const tell = () =>
    hooks.told(
      [...waiting].reduce((sum, doc) => sum + doc.pending.length, 0),
      trouble,
    );

  /** @param {Doc} doc @param {Edit[]} edits that were made in it */
  function save(doc, edits) {
    doc.pending.push(...edits);
    waiting.add(doc);
    tell();
    return send(doc);
  }

  /** @param {Doc} doc */
  async function send(doc) {
    if (doc.isSending) return;
    doc.isSending = true;
    for (let wait = FIRST_WAIT; doc.pending.length;) {
      // The same is posted again until it is answered: the server knows it by that.
      doc.batch ??= await batched(doc.pending);
      try {
        await post(doc, doc.batch);
        [wait, trouble] = [FIRST_WAIT, null];
      } catch (error) {
        trouble = /** @type {Error} */ (error).message;
        tell();
        await new Promise((resolve) => setTimeout(resolve, wait));
        wait = Math.min(2 * wait, LONGEST_WAIT);
      }
      tell();
    }
    waiting.delete(doc);
    doc.isSending = false;
    tell();
  }

  /** Posts edits; raises what a later try may mend. @param {Doc} doc @param {any[]} batch */
  async function post(doc, batch) {
    try {
      const { version } = await api.edit(/** @type {number} */ (doc.id), doc.version, batch);
      keep(doc, doc.pending.splice(0, batch.length));
      [doc.version, doc.batch] = [version, null];
    } catch (error) {
      const { status, body, message } = /** @type {api.Refused} */ (error);
      if (status === 409) await merge(doc, body.document);
      else if (NEVER.includes(status)) await giveUp(doc, message);
      else throw error;
    }
  }

  /** Takes the newest document, and makes our pending edits in it that touch nothing that others changed. @param {Doc} doc @param {any} told */
  async function merge(doc, told) {
    const newest = opened(told, await hooks.labelMapOf(told));
    const theirs = new Set(
      [...doc.kept.keys(), ...newest.kept.keys()].filter((key) => !isSame(doc.kept.get(key), newest.kept.get(key))),
    );
    const isFree = (/** @type {Edit} */ edit) =>
      edit.kind === "label_map"
        ? !newest.keptMap || isUntouched(doc, newest.keptMap, edit.box)
        : edit.kind === "put" && edit.isTaken
          ? newest.kept.size === 0 // else the other has taken the model's marks, too
          : !theirs.has(keyOf(edit));
    const ours = doc.pending.filter((edit) => isFree(edit));
    const lost = doc.pending.filter((edit) => !isFree(edit) && !isThere(newest, edit));
    Object.assign(doc, {
      version: newest.version,
      state: newest.state,
      source: newest.source,
      objects: newest.objects,
      kept: newest.kept,
      labelMap: newest.labelMap,
      keptMap: newest.keptMap,
      pending: ours,
      batch: null,
      isSuggested: false,
    });
    apply(doc, ours);
    const stays = (/** @type {import("./documents.js").Change} */ change) =>
      change.redo.every((edit) => isFree(edit) || isThere(newest, edit));
    doc.undo = doc.undo.filter(stays);
    doc.redo = doc.redo.filter(stays);
    hooks.merged(doc, lost.length);
  }

  /** @param {Doc} doc @param {string} line */
  async function giveUp(doc, line) {
    hooks.refused(line);
    [doc.pending, doc.batch, doc.undo, doc.redo] = [[], null, [], []];
    const told = await api.picture(/** @type {number} */ (doc.id)).catch(() => null);
    if (told) await merge(doc, told);
  }

  return { save, merge, hasUnsaved: () => waiting.size > 0 };
}

/** @param {Edit} edit */
const keyOf = (edit) => (edit.kind === "put" ? edit.object.key : edit.kind === "remove" ? edit.key : "");

/** Says whether an edit of ours is what the newest has already. @param {Doc} newest @param {Edit} edit */
const isThere = (newest, edit) =>
  edit.kind === "put"
    ? isSame(newest.kept.get(edit.object.key), edit.object)
    : edit.kind === "remove" && !newest.kept.has(edit.key);

/** @param {Doc} doc @param {Uint8Array} map @param {import("./rle.js").Box} box */
function isUntouched(doc, map, [x1, y1, x2, y2]) {
  if (!doc.keptMap) return true;
  for (let y = y1; y < y2; y++)
    for (let at = y * doc.width + x1; at < y * doc.width + x2; at++) if (map[at] !== doc.keptMap[at]) return false;
  return true;
}

/** Notes what the server has now. @param {Doc} doc @param {Edit[]} edits */
function keep(doc, edits) {
  const kept = /** @type {any} */ ({
    ...doc,
    objects: doc.kept,
    labelMap: doc.labelMap && { ...doc.labelMap, data: doc.keptMap },
  });
  apply(kept, edits);
}

/** Writes the first edits, as many as one post takes. @param {Edit[]} edits */
export async function batched(edits) {
  const batch = [];
  let letters = 0;
  for (const edit of edits.slice(0, MOST_EDITS)) {
    const one = await written(edit);
    letters += JSON.stringify(one).length;
    if (batch.length && letters > MOST_LETTERS) break;
    batch.push(one);
  }
  return batch;
}

/** Writes an edit as it is posted. @param {Edit} edit */
async function written(edit) {
  if (edit.kind === "put") return { kind: "put", object: edit.object };
  if (edit.kind !== "label_map") return edit;
  const [x1, y1, x2, y2] = edit.box;
  return { kind: "label_map", box: edit.box, png: await redPng(edit.data, x2 - x1, y2 - y1) };
}
