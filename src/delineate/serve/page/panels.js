// Beside the picture stand the model, the threshold, the classes, and every mark as a line that can be chosen.
import * as api from "./api.js";
import { app, changed, classes, isSeen, joints, scoresEnough, select, selectedMark, task, thresholdOf } from "./app.js";
import { colourOf } from "./colours.js";
import { marksOf } from "./documents.js";
import { $, complain, counted, el, fill, say } from "./dom.js";
import { begin, promptAt } from "./drawing.js";
import { makePolygons, remake, removeChosen, toggle, useLabel } from "./keys.js";
import { nameOf } from "./marks.js";
import { withVisibility } from "./reshaping.js";

const MOST = 300; // lines
const VISIBILITY = ["left out", "hidden", "visible"];

/** Shows all of it anew. */
export function renderPanels() {
  renderThreshold();
  renderClasses();
  renderMarks();
  renderChosen();
}

function renderThreshold() {
  const marks = app.doc ? marksOf(app.doc) : [];
  const scores = marks.filter(({ score }) => score !== null && score !== undefined);
  $("threshold-panel").hidden = !app.facts?.thresholds || (app.doc?.canEdit && !app.doc.isSuggested);
  const own = classes().map((label) => [label, app.facts?.thresholds?.[label] ?? 0.5]);
  $("threshold").value = String(app.threshold ?? own[0]?.[1] ?? 0.5);
  $("threshold-said").textContent = app.threshold === null ? "the run's own" : app.threshold.toFixed(2);
  $("threshold-own").disabled = app.threshold === null;
  const values = [...new Set(own.map(([, value]) => Number(value).toFixed(2)))];
  fill($("threshold-marks"), ...values.map((value) => el("i", { style: { left: `${100 * Number(value)}%` } })));
  const said =
    values.length === 1
      ? values[0]
      : own
          .slice(0, 4)
          .map(([label, value]) => `${label} ${Number(value).toFixed(2)}`)
          .join(", ") + (own.length > 4 ? "…" : "");
  $("threshold-runs").textContent =
    `▲ the run's own: ${said}. ${counted(scores.filter(isSeen).length, "mark")} of ${scores.length} shown.`;
}

function renderClasses() {
  $("add-class").hidden = !app.session?.can_add_classes || !app.doc?.canEdit;
  const names =
    task() === "segment"
      ? app.session && app.doc?.canEdit
        ? app.session.label_map_names
        : (app.facts?.label_map_names ?? classes())
      : classes();
  const counts = new Map();
  const marks = app.doc ? marksOf(app.doc).filter(scoresEnough) : [];
  for (const { label } of marks) counts.set(label, (counts.get(label) ?? 0) + 1);
  fill(
    $("classes"),
    ...names.map((/** @type {string} */ name, /** @type {number} */ index) => {
      const shown = el("input", {
        type: "checkbox",
        "data-focus": `shown-${name}`,
        "aria-label": `show ${name}`,
        onchange: () => toggleClass(name),
      });
      /** @type {HTMLInputElement} */ (shown).checked = !app.hidden.has(name);
      const swatch = el("span", {
        class: "swatch",
        "aria-hidden": "true",
        style: { background: index < classes().length ? colourOf(index) : "transparent" },
      });
      const use = el(
        "button",
        {
          type: "button",
          class: "name",
          "data-focus": `class-${name}`,
          "aria-pressed": String(index === app.label),
          disabled: !app.doc?.canEdit,
          onclick: () => useLabel(index),
        },
        swatch,
        el("span", {}, name),
        index < 9 && app.doc?.canEdit ? el("kbd", { "aria-hidden": "true" }, String(index + 1)) : null,
      );
      return el(
        "li",
        {},
        task() === "segment" ? null : shown,
        use,
        el("span", { class: "count" }, counts.has(name) ? String(counts.get(name)) : ""),
      );
    }),
  );
}

/** @param {string} name */
function toggleClass(name) {
  if (!app.hidden.delete(name)) app.hidden.add(name);
  changed();
}

function renderMarks() {
  $("marks-panel").hidden = task() === "segment";
  const marks = app.doc ? marksOf(app.doc).filter(isSeen) : [];
  $("marks-title").textContent = counted(marks.length, app.doc?.isSuggested ? "suggestion" : "mark");
  const lines = marks.slice(0, MOST).map((object) =>
    el(
      "li",
      {},
      el(
        "button",
        {
          type: "button",
          class: "name",
          "data-focus": object.key,
          "data-key": object.key,
          "aria-pressed": String(object.key === app.selected),
          onclick: () => {
            select(object.key);
            app.view.reveal(object.box);
          },
        },
        el("span", {
          class: "swatch",
          "aria-hidden": "true",
          style: { background: colourOf(Math.max(0, classes().indexOf(object.label))) },
        }),
        el("span", {}, nameOf(object)),
      ),
    ),
  );
  if (marks.length > MOST) lines.push(el("li", {}, `… and ${marks.length - MOST} more`));
  fill($("marks-list"), ...lines);
}

function renderChosen() {
  const [object, { doc }] = [selectedMark(), app];
  $("chosen").hidden = !object || !doc?.canEdit;
  if (!object || !doc?.canEdit) return;
  const choice = el(
    "select",
    {
      "data-focus": "label",
      "aria-label": "class of the chosen mark",
      onchange: (/** @type {any} */ event) => useLabel(event.target.selectedIndex),
    },
    ...classes().map((name) => el("option", { selected: name === object.label }, name)),
  );
  const button = (/** @type {string} */ name, /** @type {string} */ key, /** @type {() => void} */ run) =>
    el("button", { type: "button", "data-focus": name, onclick: run }, name, el("kbd", { "aria-hidden": "true" }, key));
  const flag = (/** @type {"crowd"|"ignore"} */ name, /** @type {string} */ said) => {
    const box = /** @type {HTMLInputElement} */ (
      el("input", { type: "checkbox", "data-focus": name, onchange: () => toggle(name) })
    );
    box.checked = object[name];
    return el("label", { class: "check" }, box, said);
  };
  fill(
    $("chosen"),
    el("label", {}, el("span", {}, "Class"), choice),
    flag("crowd", "a crowd, not one object"),
    flag("ignore", "ignored: neither learned nor measured"),
    el(
      "div",
      { class: "buttons" },
      button("Delete", "Del", removeChosen),
      button("Look again", "R", () => promptAt({ box: object.box }, object.key)),
      object.rle ? button("Make corners", "M", makePolygons) : null,
      object.polygons ? button("Add part", "U", () => begin("part")) : null,
      object.polygons ? button("Add hole", "O", () => begin("hole")) : null,
    ),
    ...(object.visibility ?? []).map((value, joint) => jointLine(joint, value)),
  );
}

/** @param {number} joint @param {number} value */
function jointLine(joint, value) {
  const name = joints().names[joint] ?? `joint ${joint + 1}`;
  const choice = el(
    "select",
    {
      "data-focus": `joint-${joint}`,
      "aria-label": `${name} is`,
      onchange: (/** @type {any} */ event) =>
        remake((object) => withVisibility(object, joint, event.target.selectedIndex)),
    },
    ...VISIBILITY.map((said, index) => el("option", { selected: index === value }, said)),
  );
  return el("label", { class: "joint" }, el("span", {}, name), choice);
}

/** Lets a class be added, which is that of what is drawn next. */
export function listenToClasses() {
  $("add-class").addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    const name = $("new-class").value.trim();
    try {
      useClasses((await api.addClass(name)).classes);
      app.label = app.session.classes.indexOf(name);
      $("new-class").value = "";
      changed();
      say(`${name} is what is drawn next`);
    } catch (error) {
      complain(/** @type {Error} */ (error).message);
    }
  });
}

/** Hears which classes there are now. @param {string[]} names */
export function useClasses(names) {
  app.session = { ...app.session, classes: names };
  changed();
}

/** Lets the controls of the threshold work. */
export function listenToThreshold() {
  $("threshold").addEventListener("input", (/** @type {any} */ event) => {
    app.threshold = Number(event.target.value);
    changed();
  });
  $("threshold-own").addEventListener("click", () => {
    app.threshold = null;
    changed();
  });
}
