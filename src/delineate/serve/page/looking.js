// Pictures that are dropped on the page, videos and the camera are only looked at: a model marks them, nothing is kept.
import * as api from "./api.js";
import { app, changed, select, task } from "./app.js";
import { $, complain, el, fill, say } from "./dom.js";
import { mark, opened } from "./documents.js";
import { fromBase64, readPalette } from "./png.js";

const LEAST = 0.05; // the score from which on marks are asked for; the slider shows fewer
const SIDE = 960; // pixels, of a frame that is sent
/** @type {{file: File}[]} */
const dropped = [];
let current = /** @type {{file: File}|null} */ (null);
let ticket = 0;
let playing = /** @type {{video: HTMLVideoElement, end: () => void}|null} */ (null);

/** @param {Blob} picture @param {AbortSignal} [signal] */
const ask = (picture, signal) =>
  api.predict(
    /** @type {string} */ (app.model),
    picture,
    { ...(app.facts.thresholds && { min_score: LEAST }), ...(app.facts.task === "segment" && { label_map: 1 }) },
    signal,
  );

/** Makes a document of a record of what was found. @param {any} record @param {string} file */
async function found(record, file) {
  const objects = (record.boxes ?? []).map((/** @type {any} */ box, /** @type {number} */ row) =>
    mark({
      box,
      label: record.labels[row],
      score: record.scores[row],
      rle: record.masks?.[row] ?? null,
      keypoints: record.keypoints?.[row] ?? null,
      visibility: record.visibility?.[row] ?? null,
    }),
  );
  const labelMap = record.label_map ? await readPalette(fromBase64(record.label_map)) : null;
  return opened({ file, width: record.width, height: record.height, objects }, labelMap);
}

/** Takes files that were dropped or chosen. @param {Iterable<File>} files */
export function take(files) {
  if (!app.model) return complain("There is no model yet that could mark pictures");
  const [videos, pictures] = [[], []].map(() => /** @type {File[]} */ ([]));
  for (const file of files) (file.type.startsWith("video/") ? videos : pictures).push(file);
  const taken = pictures.map((file) => ({ file }));
  dropped.push(...taken);
  if (taken.length) openDropped(taken[0]);
  else if (videos.length) play(videos[0]);
}

/** @param {{file: File}} entry */
async function openDropped(entry) {
  const mine = ++ticket;
  leave();
  current = entry;
  say(`${entry.file.name}: looking…`);
  try {
    const [record, bitmap] = await Promise.all([
      ask(entry.file),
      createImageBitmap(entry.file).catch(() => Promise.reject(new Error("this browser cannot show it"))),
    ]);
    const doc = await found(record, entry.file.name);
    if (mine !== ticket || current !== entry) return;
    app.doc = doc;
    app.view.show(bitmap, doc.width, doc.height);
    app.resetMap();
    select(null);
    say(
      `${entry.file.name}: ${task() === "segment" ? "marked" : `${doc.objects.size} found`}; only looked at, nothing is kept`,
    );
  } catch (error) {
    complain(`${entry.file.name}: ${/** @type {Error} */ (error).message}`);
  }
}

/** Looks again at what is open, as another model was chosen. */
export function lookAgain() {
  if (current && !app.doc?.canEdit) openDropped(current);
}

/** Lists what was dropped. */
export function renderDropped() {
  $("dropped-panel").hidden = !dropped.length;
  fill(
    $("dropped"),
    ...dropped.map((entry, index) =>
      el(
        "li",
        {},
        el(
          "button",
          {
            type: "button",
            class: "picture",
            "data-focus": `dropped-${index}`,
            "aria-current": entry === current ? "true" : null,
            onclick: () => openDropped(entry),
          },
          el("span", { class: "file" }, entry.file.name),
        ),
      ),
    ),
  );
}

/** Stops what plays, and what is looked at is no longer. */
export function leave() {
  playing?.end();
  [playing, current] = [null, null];
}

/** Plays a video, or the camera, with what the model finds in it. @param {File|"camera"} source */
export async function play(source) {
  if (!app.model) return complain("There is no model yet that could mark pictures");
  leave();
  const mine = ++ticket;
  const video = /** @type {HTMLVideoElement} */ (el("video", { playsinline: true }));
  video.muted = true;
  const name = source === "camera" ? "camera" : source.name;
  const ends = new AbortController();
  try {
    if (source === "camera") {
      if (!navigator.mediaDevices) throw new Error("a browser gives the camera to localhost and https alone");
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } });
    } else video.src = URL.createObjectURL(source);
    await video.play();
  } catch (error) {
    return complain(`${name}: ${/** @type {Error} */ (error).message}`);
  }
  const end = () => {
    ends.abort();
    video.pause();
    /** @type {MediaStream|null} */ (video.srcObject)?.getTracks().forEach((track) => track.stop());
    if (video.src) URL.revokeObjectURL(video.src);
    $("player").hidden = true;
  };
  if (mine !== ticket) return end();
  playing = { video, end };
  showPlayer(video, source === "camera");
  await follow(video, name, ends.signal);
}

/** Shows each frame, and asks of one after another what is in it. @param {HTMLVideoElement} video @param {string} name @param {AbortSignal} signal */
async function follow(video, name, signal) {
  const shrink = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
  const [width, height] = [Math.round(video.videoWidth * shrink), Math.round(video.videoHeight * shrink)];
  const frame = new OffscreenCanvas(width, height);
  let [isAsking, asked] = [false, -1];
  app.doc = opened({ file: name, width, height }, null);
  app.resetMap();
  select(null);
  const look = async () => {
    [isAsking, asked] = [true, video.currentTime];
    const began = performance.now();
    frame.getContext("2d")?.drawImage(video, 0, 0, width, height);
    try {
      const doc = await found(
        await ask(await frame.convertToBlob({ type: "image/jpeg", quality: 0.85 }), signal),
        name,
      );
      if (signal.aborted) return;
      app.doc = doc;
      app.resetMap();
      $("player-said").textContent =
        `${(1000 / (performance.now() - began)).toFixed(1)} looks a second, ${doc.objects.size} found`;
      changed();
    } catch (error) {
      if (!signal.aborted) complain(`${name}: ${/** @type {Error} */ (error).message}`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    isAsking = false;
  };
  while (!signal.aborted) {
    app.view.show(video, width, height, false);
    $("seek").value = String(video.currentTime);
    if (!isAsking && video.currentTime !== asked && video.readyState > 1) look();
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}

/** @param {HTMLVideoElement} video @param {boolean} isCamera */
function showPlayer(video, isCamera) {
  $("player").hidden = false;
  $("seek").hidden = isCamera;
  $("seek").max = String(isCamera ? 1 : video.duration);
  $("seek").oninput = () => (video.currentTime = Number($("seek").value));
  const said = () => ($("pause").textContent = video.paused ? "Play" : "Pause");
  $("pause").onclick = () => (video.paused ? video.play() : video.pause());
  video.onplay = video.onpause = said;
  said();
}
