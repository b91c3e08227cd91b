// Label maps travel as PNGs: to the server with the value in red, from it in the colours of PASCAL VOC's palette.

/** @typedef {import("./rle.js").Bits} Bits */

/** Writes values, row by row, as a PNG in base64, red being the value. @param {Uint8Array} data @param {number} width @param {number} height */
export async function redPng(data, width, height) {
  const colors = new Uint8ClampedArray(4 * data.length).fill(255);
  for (let pixel = 0; pixel < data.length; pixel++) colors[4 * pixel] = data[pixel];
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.putImageData(new ImageData(colors, width, height), 0, 0);
  const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}

/** Reads values from a PNG in VOC's palette, whose colours hold the bits of the value. @param {Blob} png @returns {Promise<Bits>} */
export async function readPalette(png) {
  const bitmap = await createImageBitmap(png, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (
    canvas.getContext("2d", { willReadFrequently: true })
  );
  context.drawImage(bitmap, 0, 0);
  const colors = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height);
  for (let pixel = 0; pixel < data.length; pixel++) {
    const [red, green, blue] = [colors[4 * pixel], colors[4 * pixel + 1], colors[4 * pixel + 2]];
    data[pixel] =
      (red >> 7) |
      ((green >> 7) << 1) |
      ((blue >> 7) << 2) |
      (((red >> 6) & 1) << 3) |
      (((green >> 6) & 1) << 4) |
      (((blue >> 6) & 1) << 5) |
      (((red >> 5) & 1) << 6) |
      (((green >> 5) & 1) << 7);
  }
  return { x: 0, y: 0, width, height, data };
}

/** @param {string} text base64 */
export const fromBase64 = (text) =>
  new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))], { type: "image/png" });
