// The page begins here: what there is, is asked of the server, and its parts are put together.
import * as api from "./api.js";
import { app, changed, classes, takeStep, watch } from "./app.js";
import { $, complain, counted, el, fill, say } from "./dom.js";
import { listenToKeys } from "./keys.js";
import { leave, lookAgain, play, renderDropped, take } from "./looking.js";
import { paintMarks } from "./marks.js";
import { listenToClasses, listenToThreshold, renderPanels, useClasses } from "./panels.js";
import { catchUp, done, labelMapOf, move, openQueue, openedId, refreshQueue, renderQueue, suggest } from "./queue.js";
import { makeSaver } from "./saving.js";
import { drawCrosshair, listenToPointers } from "./stage.js";
import { makeTiles } from "./tints.js";
import { renderTools, tools, useTool } from "./tools.js";
import { openTraining, refreshTraining, renderTraining, showTraining } from "./training.js";
import { makeView } from "./view.js";

/** Draws the label map of the document that is open from now on. */
function resetMap() {
  const tiles = app.doc?.labelMap ? makeTiles(app.doc.labelMap, classes().length, app.session?.ignore ?? 255) : null;
  app.drawMap = (context) => tiles?.draw(context, app.view);
  app.refreshMap = (part) => {
    tiles?.refresh(part);
    app.view.redraw(part);
  };
  app.view.redraw();
}

/** @param {string} name */
async function useModel(name) {
  try {
    app.facts = await api.modelFacts(name);
    app.model = name;
    app.threshold = null;
    if (app.doc?.isSuggested) [app.doc.isSuggested, app.doc.suggestions] = [false, []];
    changed();
    lookAgain();
    suggest();
  } catch (error) {
    complain(`${name}: ${/** @type {Error} */ (error).message}`);
  }
}

async function refreshModels() {
  app.models = await api.modelNames();
  const before = app.model;
  fill($("model"), ...app.models.map((name) => el("option", { value: name, selected: name === before }, name)));
  $("model-field").hidden = !app.models.length;
  $("camera").hidden = $("open").hidden = !app.models.length;
  const name = before && app.models.includes(before) ? before : app.models[0];
  if (name) await useModel(name);
}

/** @param {any} event of the server */
function heard(event) {
  if (event.kind === "training") {
    showTraining(event);
    if (event.state !== "running") refreshQueue();
  } else if (event.kind === "classes") useClasses(event.classes);
  else if (event.kind === "model") refreshModels().catch(() => {});
  else if (event.kind === "picture" && event.client !== api.CLIENT) {
    catchUp(event.id);
    refreshQueue();
  }
}

/** The server was away, and is there again. */
function back() {
  say("The server is there again");
  refreshQueue();
  refreshTraining();
  refreshModels().catch(() => {});
  const id = openedId();
  if (id !== null) catchUp(id);
}

const saver = makeSaver({
  told(waiting, trouble) {
    $("saved").textContent = waiting
      ? trouble
        ? `${counted(waiting, "change")} not saved yet: ${trouble}; trying again`
        : "Saving…"
      : "All changes are saved";
    $("saved").classList.toggle("trouble", !!waiting && !!trouble);
    if (!waiting) renderTraining();
  },
  merged(doc, lost) {
    if (doc !== app.doc) return;
    resetMap();
    changed();
    say(
      lost
        ? `Somebody else changed the same at the same time: theirs stays, ${counted(lost, "change")} of yours did not`
        : "Somebody else changed this picture; you see it now",
    );
  },
  refused: (line) => complain(`Not saved: ${line}`),
  labelMapOf,
});

function listen() {
  const files = $("files");
  $("open").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    take(files.files);
    files.value = "";
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer?.files ?? []);
  });
  $("camera").addEventListener("click", () => play("camera"));
  $("model").addEventListener("change", () => useModel($("model").value));
  $("undo").addEventListener("click", () => takeStep("undo"));
  $("redo").addEventListener("click", () => takeStep("redo"));
  $("zoom-in").addEventListener("click", () => app.view.zoom(1.25));
  $("zoom-out").addEventListener("click", () => app.view.zoom(0.8));
  $("fit").addEventListener("click", () => app.view.fit());
  $("show-keys").addEventListener("click", () => $("keys").showModal());
  $("close-keys").addEventListener("click", () => $("keys").close());
  $("radius").addEventListener("input", () => {
    app.radius = 2 ** (Number($("radius").value) / 10);
    changed();
  });
  for (const tab of document.querySelectorAll("#tabs button")) {
    tab.addEventListener("click", () => showTab(/** @type {HTMLElement} */ (tab).dataset.tab ?? ""));
  }
  window.addEventListener("beforeunload", (event) => saver.hasUnsaved() && event.preventDefault());
}

/** Shows one of the panels where there is room for one only. @param {string} name */
function showTab(name) {
  document.body.dataset.tab = name;
  for (const tab of document.querySelectorAll("#tabs button"))
    tab.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (tab).dataset.tab === name));
}

function render() {
  renderTools();
  renderQueue();
  renderDropped();
  renderPanels();
  const { doc } = app;
  $("undo").hidden = $("redo").hidden = !doc?.canEdit;
  $("undo").disabled = !doc?.undo.length;
  $("redo").disabled = !doc?.redo.length;
  $("empty").hidden = !!doc;
  $("file").textContent = doc ? doc.file : "";
  $("stage").setAttribute(
    "aria-label",
    doc ? `${doc.file}; ${tools.find((tool) => tool === app.tool)?.title} tool` : "no picture",
  );
}

async function start() {
  app.view = makeView($("stage"), $("picture"), $("marks"), (context, part) => {
    paintMarks(context, part);
    drawCrosshair(context);
  });
  Object.assign(app, { saver, tool: tools[0], useTool, resetMap, leave });
  watch(render);
  listen();
  listenToPointers();
  listenToThreshold();
  listenToClasses();
  listenToKeys({ move, done });
  try {
    app.session = await api.session();
    document.body.dataset.mode = app.session ? "label" : "look";
    $("folder").textContent = app.session ? app.session.folder : "pictures are looked at, nothing is kept";
    await refreshModels();
    changed();
    if (app.session) {
      await openQueue();
      await openTraining();
      api.listen(heard, back);
      if (app.session.notes?.length) say(app.session.notes.join("; "));
    }
    showTab("side");
  } catch (error) {
    complain(/** @type {Error} */ (error).message);
  }
  document.body.dataset.ready = "yes";
}

start();
