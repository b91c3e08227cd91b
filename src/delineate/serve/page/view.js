// A view shows a part of a picture: on one canvas the picture, which is decoded once, on another what is marked.

/**
 * @typedef {import("./rle.js").Box} Box
 * @typedef {ReturnType<typeof makeView>} View
 */

const MOST = 64; // screen pixels of one of the picture's

/**
 * @param {HTMLElement} stage @param {HTMLCanvasElement} back @param {HTMLCanvasElement} front
 * @param {(context: CanvasRenderingContext2D, clip: Box|null) => void} paint draws marks, of a part of the picture or of all
 */
export function makeView(stage, back, front, paint) {
  /** @type {(CanvasImageSource & {width: number, height: number})[]} */
  let levels = []; // the picture, and ever half of it: shrinking by more than two skips pixels
  let isBackDue = false;
  let due = /** @type {Box|null|undefined} */ (undefined); // null is all
  let frame = 0;
  const view = {
    width: 0,
    height: 0,
    scale: 1,
    x: 0,
    y: 0,
    isFitted: true,
    ratio: 1,
    toScreen: (/** @type {number} */ x, /** @type {number} */ y) =>
      /** @type {[number, number]} */ ([x * view.scale + view.x, y * view.scale + view.y]),
    toPicture: (/** @type {number} */ x, /** @type {number} */ y) =>
      /** @type {[number, number]} */ ([(x - view.x) / view.scale, (y - view.y) / view.scale]),
    size: () => [stage.clientWidth, stage.clientHeight],
    show,
    fit,
    zoom,
    pan,
    reveal,
    redraw,
    redrawAll,
  };

  /** Shows a picture; its place stays where it is of the same size. @param {any} source @param {number} width @param {number} height */
  function show(source, width, height, isStill = true) {
    levels = source ? [source] : [];
    for (let [w, h] = [width >> 1, height >> 1]; source && isStill && w > 256 && h > 256; w >>= 1, h >>= 1) {
      const half = Object.assign(document.createElement("canvas"), { width: w, height: h });
      half.getContext("2d")?.drawImage(levels[levels.length - 1], 0, 0, w, h);
      levels.push(half);
    }
    const isOther = width !== view.width || height !== view.height;
    Object.assign(view, { width, height });
    if (isOther || isStill) fit();
    redrawAll();
  }

  function fit() {
    const [width, height] = view.size();
    view.scale = Math.min(MOST, (width - 24) / (view.width || 1), (height - 24) / (view.height || 1));
    view.x = (width - view.width * view.scale) / 2;
    view.y = (height - view.height * view.scale) / 2;
    view.isFitted = true;
    redrawAll();
  }

  /** Zooms, and keeps a place of the screen where it is. @param {number} factor @param {number} [x] @param {number} [y] */
  function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const [width, height] = view.size();
    const least = Math.min(1, (width - 24) / (view.width || 1), (height - 24) / (view.height || 1)) / 2;
    const scale = Math.max(least, Math.min(MOST, view.scale * factor));
    view.x = x - ((x - view.x) * scale) / view.scale;
    view.y = y - ((y - view.y) * scale) / view.scale;
    view.scale = scale;
    pan(0, 0);
  }

  /** @param {number} dx @param {number} dy in pixels of the screen */
  function pan(dx, dy) {
    const [width, height] = view.size();
    view.x = Math.max(60 - view.width * view.scale, Math.min(width - 60, view.x + dx)); // some of it stays in sight
    view.y = Math.max(60 - view.height * view.scale, Math.min(height - 60, view.y + dy));
    view.isFitted = false;
    redrawAll();
  }

  /** Pans as far as is needed to see a box. @param {Box} box */
  function reveal([x1, y1, x2, y2]) {
    const [width, height] = view.size();
    const [x, y] = view.toScreen((x1 + x2) / 2, (y1 + y2) / 2);
    if (x < 0 || y < 0 || x > width || y > height) pan(width / 2 - x, height / 2 - y);
  }

  /** Draws marks again when the screen is next drawn, in a part of the picture or everywhere. @param {Box|null} [part] */
  function redraw(part = null) {
    due =
      part && due !== null
        ? due
          ? [Math.min(due[0], part[0]), Math.min(due[1], part[1]), Math.max(due[2], part[2]), Math.max(due[3], part[3])]
          : part
        : null;
    frame ||= requestAnimationFrame(draw);
  }

  function redrawAll() {
    isBackDue = true;
    redraw();
  }

  function draw() {
    frame = 0;
    if (isBackDue) drawPicture();
    if (due !== undefined) drawMarks(due);
    isBackDue = false;
    due = undefined;
    Object.assign(stage.dataset, { scale: view.scale, x: view.x, y: view.y });
  }

  function drawPicture() {
    const context = /** @type {CanvasRenderingContext2D} */ (back.getContext("2d"));
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, back.width, back.height);
    if (!levels.length) return;
    const scale = view.scale * view.ratio;
    const level = Math.min(levels.length - 1, Math.max(0, Math.floor(Math.log2(1 / scale))));
    context.setTransform(scale, 0, 0, scale, view.x * view.ratio, view.y * view.ratio);
    context.imageSmoothingEnabled = scale < 3;
    context.drawImage(levels[level], 0, 0, view.width, view.height);
  }

  /** @param {Box|null} part */
  function drawMarks(part) {
    const context = /** @type {CanvasRenderingContext2D} */ (front.getContext("2d"));
    context.save();
    context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
    if (part) {
      const [x1, y1] = view.toScreen(part[0], part[1]);
      const [x2, y2] = view.toScreen(part[2], part[3]);
      const room = 16; // lines and handles reach beyond what they are of
      context.beginPath();
      context.rect(
        Math.floor(x1) - room,
        Math.floor(y1) - room,
        Math.ceil(x2 - x1) + 2 * room,
        Math.ceil(y2 - y1) + 2 * room,
      );
      context.clip();
    }
    context.clearRect(0, 0, front.width, front.height);
    paint(context, part);
    context.restore();
  }

  new ResizeObserver(() => {
    view.ratio = window.devicePixelRatio || 1;
    for (const canvas of [back, front]) {
      canvas.width = Math.round(stage.clientWidth * view.ratio);
      canvas.height = Math.round(stage.clientHeight * view.ratio);
    }
    if (view.isFitted) fit();
    else redrawAll();
  }).observe(stage);
  return view;
}
