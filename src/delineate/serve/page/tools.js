// Tools are in the hand one at a time; which there are, the task says.
import { app, changed, task } from "./app.js";
import { choosing } from "./choosing.js";
import { $, el, fill, say } from "./dom.js";
import { boxing, jointing, outlining, prompting } from "./drawing.js";
import { brush, eraser, filling } from "./painting.js";
import { leaveCrosshair } from "./stage.js";

/** @type {any[]} */
export const tools = [choosing, boxing, outlining, brush, eraser, filling, jointing, prompting];
const usable = () => tools.filter((tool) => tool === choosing || (app.doc?.canEdit && tool.tasks.includes(task())));

/** Takes a tool. @param {string} name */
export function useTool(name) {
  const tool = usable().find((one) => one.name === name);
  if (!tool) return;
  app.tool?.cancel();
  leaveCrosshair();
  app.tool = tool;
  say(tool.hint);
  changed();
}

/** Shows the tools that there are. */
export function renderTools() {
  const there = usable();
  if (!there.includes(app.tool)) app.tool = choosing;
  $("stage").style.cursor = app.tool.cursor;
  fill(
    $("tools"),
    ...there.map((tool) =>
      el(
        "button",
        {
          type: "button",
          "data-focus": tool.name,
          "aria-pressed": String(tool === app.tool),
          title: tool.hint,
          onclick: () => useTool(tool.name),
        },
        tool.title,
        el("kbd", { "aria-hidden": "true" }, tool.key.toUpperCase()),
      ),
    ),
  );
  $("brush-size").hidden = !["brush", "eraser"].includes(app.tool.name);
  $("radius").value = String(Math.round(Math.log2(app.radius) * 10));
  $("radius-said").textContent = `${Math.max(1, Math.round(2 * app.radius))} px`;
}
