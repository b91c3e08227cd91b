// The pictures of the folder, in an order; one of them is open.
import * as api from "./api.js";
import { app, changed, commit, select } from "./app.js";
import { $, complain, counted, el, fill, say } from "./dom.js";
import { mark, opened } from "./documents.js";
import { fromBase64, readPalette } from "./png.js";

const PAGE = 100; // pictures that are listed at once
const KEPT = 24; // documents with their history; of label maps each has the pixels
const LEAST = 0.05; // the score from which on a model suggests; the slider shows fewer
const STATES = /** @type {Record<string, string>} */ ({ new: "", changed: "changed", done: "✓ done" });

/** @type {Map<number, import("./documents.js").Doc>} */
const documents = new Map();
/** @type {any[]} */
let entries = [];
let total = 0;
let order = "teaches";
let ticket = 0;
let heading = /** @type {number|null} */ (null); // the picture that is being opened
let refreshing = 0;
let drawn = ""; // what the list on the page says

/** Lists the folder's pictures from the first on, and opens one. */
export async function openQueue() {
  order = app.session.orders[0];
  fill(
    $("order"),
    ...app.session.orders.map((/** @type {string} */ name) =>
      el(
        "option",
        { value: name },
        { teaches: "most to learn first", name: "by name", random: "in random order" }[name] ?? name,
      ),
    ),
  );
  $("order").addEventListener("change", (/** @type {any} */ event) => {
    order = event.target.value;
    return restart();
  });
  $("more").addEventListener("click", more);
  $("done").addEventListener("click", () =>
    app.doc?.state === "done" ? commit([{ kind: "state", state: "changed" }]) : done(),
  );
  $("next").addEventListener("click", () => move(1));
  $("previous").addEventListener("click", () => move(-1));
  await restart();
}

async function restart() {
  entries = [];
  await more();
  const first = entries.find(({ state }) => state !== "done") ?? entries[0];
  if (first && !app.doc) await open(first.id);
}

async function more() {
  try {
    const page = await api.pictures(order, entries.length, PAGE);
    total = page.total;
    const known = new Set(entries.map(({ id }) => id));
    entries.push(...page.pictures.filter((/** @type {any} */ entry) => !known.has(entry.id)));
  } catch (error) {
    complain(/** @type {Error} */ (error).message);
  }
  renderQueue();
}

/** Asks again how far all pictures are; their order on the page stays. */
export function refreshQueue() {
  clearTimeout(refreshing);
  refreshing = window.setTimeout(async () => {
    const answers = await Promise.all([api.session(), api.pictures(order, 0, Math.max(PAGE, entries.length))]).catch(
      () => null,
    );
    if (!answers) return;
    app.session = { ...app.session, ...answers[0] };
    const newest = new Map(answers[1].pictures.map((/** @type {any} */ entry) => [entry.id, entry]));
    entries = entries.map((entry) => newest.get(entry.id) ?? entry);
    changed();
  }, 300);
}

/** Shows the list, and how much is done. */
export function renderQueue() {
  if (!app.session) return;
  const { doc } = app;
  const current = entries.find(({ id }) => id === doc?.id);
  if (current && doc && current.state !== doc.state) {
    const by = (/** @type {string} */ state) => Number(doc.state === state) - Number(current.state === state);
    app.session.counts.done += by("done");
    app.session.counts.changed += by("changed");
    current.state = doc.state;
  }
  const { pictures, done: ready } = app.session.counts;
  $("share").max = pictures || 1;
  $("share").value = ready;
  $("share-said").textContent =
    `${ready} of ${counted(pictures, "picture")} done (${Math.round((100 * ready) / (pictures || 1))} %)`;
  $("more").hidden = entries.length >= total;
  $("done").hidden = $("previous").hidden = $("next").hidden = !doc?.canEdit;
  $("done-said").textContent = doc?.state === "done" ? "Not done" : "Done, next";
  const now = JSON.stringify([current?.id, entries.map(({ id, state, value }) => [id, state, value])]);
  if (now !== drawn) fill($("queue"), ...entries.map((entry) => lineOf(entry, entry === current)));
  drawn = now;
}

/** @param {any} entry @param {boolean} isOpen */
function lineOf(entry, isOpen) {
  const value = entry.value === null || entry.state === "done" ? null : `teaches ${entry.value.toFixed(2)}`;
  return el(
    "li",
    {},
    el(
      "button",
      {
        type: "button",
        class: "picture",
        "data-focus": `picture-${entry.id}`,
        "data-id": entry.id,
        "aria-current": isOpen ? "true" : null,
        disabled: !!entry.error,
        title: entry.error ?? entry.file,
        onclick: () => open(entry.id),
      },
      entry.error
        ? null
        : el("img", { src: api.imagePath(entry.id, 160), alt: "", loading: "lazy", width: 56, height: 42 }),
      el("span", { class: "file" }, entry.file),
      el(
        "span",
        { class: "state" },
        entry.error ? "cannot be read" : [STATES[entry.state], value].filter(Boolean).join(" · "),
      ),
    ),
  );
}

/** Opens the next picture of the list that can be read, or the one before. @param {number} by */
export async function move(by) {
  const from = heading ?? app.doc?.id;
  const at = entries.findIndex(({ id }) => id === from);
  let place = at < 0 ? 0 : at + by;
  for (; ; place += by) {
    if (place === entries.length && entries.length < total) await more();
    if (!entries[place]?.error) break;
  }
  if (entries[place]) return open(entries[place].id);
  say(by > 0 ? "This is the last picture" : "This is the first picture");
}

/** Puts what teaches most now behind the pictures that were passed. */
async function reorder() {
  const page = await api.pictures(order, 0, Math.max(PAGE, entries.length)).catch(() => null);
  if (!page) return;
  const passed = entries.slice(0, entries.findIndex(({ id }) => id === app.doc?.id) + 1);
  const known = new Set(passed.map(({ id }) => id));
  entries = [...passed, ...page.pictures.filter((/** @type {any} */ entry) => !known.has(entry.id))];
  for (const entry of entries) entry.state = documents.get(entry.id)?.state ?? entry.state; // it may not be saved yet
  total = page.total;
}

/** Says that the picture is done, and opens the next that is not. */
export async function done() {
  const { doc } = app;
  if (!doc?.canEdit) return;
  if (app.tool.isBusy?.()) app.tool.finish?.();
  if (doc.state !== "done") commit([{ kind: "state", state: "done" }]);
  if (order !== "name") await reorder();
  for (;;) {
    const at = entries.findIndex(({ id }) => id === doc.id);
    const next = [...entries.slice(at + 1), ...entries.slice(0, at)].find(
      ({ state, error }) => state !== "done" && !error,
    );
    if (next) return open(next.id);
    const before = entries.length;
    if (before < total) await more();
    if (entries.length === before) return say("All pictures are done");
  }
}

/** Loads the label map of a document that the server told of. @param {any} told */
export const labelMapOf = async (told) =>
  told.label_map ? readPalette(await api.labelMap(told.id, told.version)) : null;

/** Keeps a document, and lets go of those that were open longest ago and are saved. @param {number} id @param {import("./documents.js").Doc} doc */
function keep(id, doc) {
  documents.delete(id);
  documents.set(id, doc);
  const saved = [...documents].filter(([, one]) => one !== doc && !one.pending.length && !one.isSending);
  for (const [old] of saved.slice(0, Math.max(0, documents.size - KEPT))) documents.delete(old);
}

/** Opens a picture of the folder. @param {number} id */
export async function open(id) {
  const mine = ++ticket;
  heading = id;
  app.tool.cancel();
  try {
    let doc = documents.get(id);
    const picture = api.image(id).then((file) => createImageBitmap(file));
    const told = doc?.pending.length ? null : await api.picture(id);
    if (told && (!doc || doc.version !== told.version))
      doc = { ...opened(told, await labelMapOf(told)), canEdit: true };
    const bitmap = await picture;
    if (mine !== ticket || !doc) return;
    keep(id, doc);
    app.leave();
    app.doc = doc;
    if (app.label >= (doc.labelMap ? app.session.label_map_names : app.session.classes).length) app.label = 0;
    app.view.show(bitmap, doc.width, doc.height);
    app.resetMap();
    select(null);
    say(`${doc.width} × ${doc.height} pixels`);
    document.querySelector(`[data-id="${id}"]`)?.scrollIntoView({ block: "nearest" });
    suggest();
  } catch (error) {
    complain(/** @type {Error} */ (error).message);
  } finally {
    if (mine === ticket) heading = null;
  }
}

/** Has the model mark the picture that is open, where nobody has. */
export async function suggest() {
  const { doc, model } = app;
  const isUntouched = () =>
    app.doc === doc && doc?.state === "new" && doc.source === "none" && !doc.objects.size && !doc.pending.length;
  if (!doc?.canEdit || !model || !isUntouched()) return;
  try {
    const { objects, label_map: map } = await api.propose(/** @type {number} */ (doc.id), model, LEAST);
    const labelMap = map ? await readPalette(fromBase64(map)) : null;
    if (!isUntouched() || app.model !== model) return;
    doc.suggestions = objects.map((/** @type {any} */ object) => mark(object));
    doc.isSuggested = objects.length > 0 || !!map;
    if (labelMap) doc.labelMap = labelMap;
    app.resetMap();
    changed();
  } catch (error) {
    complain(`${model}: ${/** @type {Error} */ (error).message}`);
  }
}

/** Looks whether others changed a picture that was opened here. @param {number} id */
export async function catchUp(id) {
  const doc = documents.get(id);
  if (!doc || doc.isSending) return; // the answer to what is sent says it
  const told = await api.picture(id).catch(() => null);
  if (told && !doc.isSending && told.version > doc.version) await app.saver.merge(doc, told);
}

export const openedId = () => app.doc?.id ?? null;
