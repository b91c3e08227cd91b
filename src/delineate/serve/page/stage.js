// The pointer and the keyboard reach the tool in hand through the stage; both zoom and pan.
import { app } from "./app.js";
import { $ } from "./dom.js";

/** @typedef {import("./shapes.js").Point} Point */

/** @type {Map<number, PointerEvent>} */
const fingers = new Map();
let isPinching = false; // two fingers zoom, until both are gone
let panner = -1; // the pointer that moves the picture
let crosshair = /** @type {Point|null} */ (null); // where the keyboard points
let isHolding = false; // the keyboard holds the tool down

/** Lets pointers and wheels work on the stage. */
export function listenToPointers() {
  const stage = $("stage");
  stage.addEventListener("pointerdown", down);
  stage.addEventListener("pointermove", move);
  stage.addEventListener("pointerup", up);
  stage.addEventListener("pointercancel", up);
  stage.addEventListener("pointerleave", () => fingers.size || app.tool.move([-1e6, -1e6], { dx: 0, dy: 0 }));
  stage.addEventListener("dblclick", () => app.tool.name === "polygon" && app.tool.finish());
  stage.addEventListener("contextmenu", (/** @type {Event} */ event) => event.preventDefault());
  stage.addEventListener(
    "wheel",
    (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      app.view.zoom(Math.exp(-event.deltaY / (event.ctrlKey ? 100 : 400)), ...onStage(event));
    },
    { passive: false },
  );
}

/** @param {MouseEvent} event @returns {Point} */
function onStage(event) {
  const { left, top } = $("stage").getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
}

/** @param {PointerEvent} event */
function down(event) {
  if (!app.doc) return;
  crosshair = null;
  $("stage").setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
  if (fingers.size === 2) {
    isPinching = true;
    (app.tool.pause ?? app.tool.cancel)();
  } else if (event.button > 0) panner = event.pointerId;
  else if (fingers.size === 1) app.tool.down(app.view.toPicture(...onStage(event)), event);
}

/** @param {PointerEvent} event */
function move(event) {
  const old = fingers.get(event.pointerId);
  if (!app.doc || (!old && fingers.size)) return;
  const [dx, dy] = old ? [event.clientX - old.clientX, event.clientY - old.clientY] : [0, 0];
  if (old) fingers.set(event.pointerId, event);
  if (fingers.size === 2 && old) {
    const [other] = [...fingers.values()].filter((finger) => finger.pointerId !== event.pointerId);
    const distance = (/** @type {PointerEvent} */ finger) =>
      Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
    app.view.zoom(distance(event) / Math.max(1, distance(old)), ...onStage(other));
    app.view.pan(dx / 2, dy / 2);
  } else if (event.pointerId === panner) app.view.pan(dx, dy);
  else if (!isPinching) {
    for (const one of event.getCoalescedEvents?.() ?? [])
      if (old) app.tool.move(app.view.toPicture(...onStage(one)), { dx: 0, dy: 0 });
    app.tool.move(app.view.toPicture(...onStage(event)), { dx, dy });
  }
}

/** @param {PointerEvent} event */
function up(event) {
  if (!fingers.delete(event.pointerId)) return;
  const wasPinching = isPinching;
  isPinching &&= fingers.size > 0;
  if (event.pointerId === panner) panner = -1;
  else if (wasPinching) return;
  else if (event.type === "pointerup") app.tool.up();
  else app.tool.cancel();
}

/** Moves the crosshair of the keyboard by pixels of the screen. @param {number} dx @param {number} dy */
export function moveCrosshair(dx, dy) {
  const { view, doc } = app;
  if (!doc) return;
  const [width, height] = view.size();
  const [x, y] = crosshair ?? view.toPicture(width / 2, height / 2);
  crosshair = [
    Math.max(0, Math.min(doc.width, x + dx / view.scale)),
    Math.max(0, Math.min(doc.height, y + dy / view.scale)),
  ];
  view.reveal([...crosshair, ...crosshair]);
  app.tool.move(crosshair, { dx: 0, dy: 0 });
  view.redraw();
}

/** Clicks with the tool at the crosshair, or holds it there until the next call. @param {boolean} isHeld @param {boolean} shiftKey */
export function press(isHeld, shiftKey = false) {
  if (!crosshair) moveCrosshair(0, 0);
  const event = { pointerType: "key", shiftKey };
  if (isHolding || !isHeld) {
    if (!isHolding) app.tool.down(crosshair, event);
    isHolding = false;
    app.tool.up();
  } else {
    isHolding = true;
    app.tool.down(crosshair, event);
  }
  app.view.redraw();
}

/** Forgets where the keyboard pointed. */
export function leaveCrosshair() {
  [crosshair, isHolding] = [null, false];
}

/** @param {CanvasRenderingContext2D} context */
export function drawCrosshair(context) {
  if (!crosshair) return;
  const [x, y] = app.view.toScreen(...crosshair);
  for (const [width, colour] of /** @type {[number, string][]} */ ([
    [4, "#000000"],
    [2, "#ffffff"],
  ])) {
    context.beginPath();
    context.moveTo(x - 12, y);
    context.lineTo(x + 12, y);
    context.moveTo(x, y - 12);
    context.lineTo(x, y + 12);
    context.lineWidth = width;
    context.strokeStyle = isHolding && width === 2 ? "#e69f00" : colour;
    context.stroke();
  }
}
