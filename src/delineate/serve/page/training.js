// Training goes on from the page: it is begun, watched, and what it made is taken or left.
import * as api from "./api.js";
import { app } from "./app.js";
import { $, complain, say } from "./dom.js";

let last = /** @type {any} */ (null);

/** Lets the buttons work, and shows how far a training is. */
export async function openTraining() {
  const minutes = $("minutes");
  $("train").addEventListener("click", () => tried(() => api.beginTraining(Number(minutes.value))));
  $("stop").addEventListener("click", () => tried(api.stopTraining));
  $("accept").addEventListener("click", () =>
    tried(async () => {
      const { model } = await api.acceptTraining();
      say(`${model} now marks pictures as it was trained to`);
      return api.training();
    }),
  );
  $("training-panel").hidden = false;
  await tried(api.training);
}

/** @param {() => Promise<any>} asked gives how far it is */
async function tried(asked) {
  try {
    showTraining(await asked());
  } catch (error) {
    complain(/** @type {Error} */ (error).message);
  }
}

/** Asks how far a training is. */
export const refreshTraining = () => tried(api.training);

/** @param {any} status as the server tells it */
export function showTraining(status) {
  last = status;
  renderTraining();
}

/** Shows what is known of it. */
export function renderTraining() {
  if (!last || !app.session) return;
  const isRunning = last.state === "running";
  $("train").hidden = $("minutes-field").hidden = isRunning;
  $("train").disabled = !app.session.can_train && !isRunning;
  $("train-hint").hidden = isRunning || app.session.can_train;
  $("stop").hidden = !isRunning;
  $("accept").hidden = last.state !== "done";
  $("progress").hidden = !isRunning;
  $("progress").value = last.progress;
  $("training-said").setAttribute("aria-live", isRunning ? "off" : "polite"); // not every second
  $("training-said").textContent = said(last);
  drawLosses(last.losses);
}

/** @param {any} status */
function said({ state, epoch, losses, metric, before, after, error, progress }) {
  const number = (/** @type {number|null} */ value) => (value === null ? "–" : value.toFixed(3));
  const measured =
    metric && (before !== null || after !== null)
      ? ` ${metric} on the pictures held out: ${number(before)} before, ${number(after)} after`
      : "";
  if (state === "running")
    return `${Math.round(100 * progress)} % of the time, epoch ${epoch}${losses.length ? `, loss ${number(losses[losses.length - 1])}` : ""}.${before !== null ? ` ${metric} before: ${number(before)}.` : ""}`;
  if (state === "failed") return `It failed: ${error}`;
  if (state !== "done") return "";
  if (before === null || after === null) return `It is done.${measured}.`;
  return `It is done.${measured}: ${after > before ? `better by ${number(after - before)}` : after < before ? `worse by ${number(before - after)}` : "the same"}.`;
}

/** @param {number[]} losses of the epochs */
function drawLosses(losses) {
  const [width, height] = [240, 60];
  const isCurve = losses.length > 1;
  $("losses").toggleAttribute("hidden", !isCurve); // an SVG element has no such property
  if (!isCurve) return;
  const top = Math.max(...losses);
  const points = losses.map(
    (loss, index) => `${(index / (losses.length - 1)) * width},${height - 2 - (loss / top) * (height - 4)}`,
  );
  $("losses-line").setAttribute("points", points.join(" "));
  $("losses-title").textContent =
    `the loss went from ${losses[0].toFixed(3)} to ${losses[losses.length - 1].toFixed(3)}`;
}
