// Finds objects in a picture with an export for ONNX Runtime, in a browser.
import * as ort from "onnxruntime-web";

// Opens the export in a folder of this server.
export async function openExport(folder) {
  const response = await fetch(`${folder}/system.json`);
  if (!response.ok) throw new Error(`${folder}/system.json: ${response.statusText}`);
  const record = await response.json();
  if (record.target !== "onnx") throw new Error(`${folder}: export the run with --to onnx`);
  if (record.search) throw new Error(`${folder}: its graph needs the proposals of ${record.search.kind}`);
  if (!record.outputs.includes("boxes")) throw new Error(`${folder}: this page draws boxes, and it gives label maps`);
  return { record, session: await ort.InferenceSession.create(`${folder}/graph.onnx`) };
}

// Finds the objects of an ImageBitmap: names, scores, and boxes x1 y1 x2 y2 in its pixels; the likeliest come first.
export async function predict({ record, session }, picture) {
  const [height, width] = resizedSize(picture, record.preprocess);
  const type = record.pictures ?? "uint8"; // earlier exports do not say it
  const Values = type === "float32" ? Float32Array : Uint8Array;
  const smooth = record.preprocess.resizing === "smooth";
  const values = planes(resized(pixels(picture), picture, height, width, smooth, Values), Values);
  const rows = await session.run({ pictures: new ort.Tensor(type, values, [1, 3, height, width]) });
  const ratios = [picture.width / width, picture.height / height];
  return Array.from(rows.scores.data, (score, row) => ({
    name: record.categories.class_names[Number(rows.labels.data[row])],
    score,
    box: Array.from(rows.boxes.data.slice(4 * row, 4 * row + 4), (side, place) => side * ratios[place % 2]),
  })).filter((object) => object.score >= 0); // rows that are nothing score -1
}

// The height and width in which the graph takes a picture.
function resizedSize({ height, width }, { size, short_side: short, long_side: long, resizing }) {
  if (size) return size;
  let scale = short ? short / Math.min(height, width) : 1;
  if (long) scale = Math.min(scale, long / Math.max(height, width));
  const rounded = resizing === "smooth" ? nearest : Math.floor;
  return [height, width].map((side) => Math.max(1, rounded(side * scale)));
}

// Halves become even, as in Python.
function nearest(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}

// RGBA, row by row.
function pixels(picture) {
  const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, picture.width, picture.height).data;
}

// Bilinear, and where it is smooth antialiased, as the network learned to see pictures: a canvas resizes otherwise.
function resized(values, picture, height, width, smooth, Values) {
  const wide = resampled(values, picture.height, picture.width, 4, width, smooth, Values);
  return resampled(wide, 1, picture.height, 4 * width, height, smooth, Values);
}

// Values (before, length, after) become (before, to, after).
function resampled(values, before, length, after, to, smooth, Values) {
  if (to === length) return values;
  const result = new Values(before * to * after);
  const half = Values === Uint8Array ? 0.5 : 0; // bytes round halves up, as Pillow does
  const ratio = length / to;
  const reach = smooth ? Math.max(ratio, 1) : 1;
  for (let place = 0; place < to; place++) {
    const centre = (place + 0.5) * ratio;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const stop = Math.min(Math.trunc(centre + reach + 0.5), length);
    const weights = [];
    for (let from = first; from < stop; from++) weights.push(Math.max(0, 1 - Math.abs(from + 0.5 - centre) / reach));
    const sum = weights.reduce((total, weight) => total + weight);
    for (let row = 0; row < before; row++)
      for (let channel = 0; channel < after; channel++) {
        let value = 0;
        weights.forEach((weight, tap) => (value += weight * values[(row * length + first + tap) * after + channel]));
        result[(row * to + place) * after + channel] = value / sum + half;
      }
  }
  return result;
}

// Red, green and blue apart, as the graph takes pictures.
function planes(rgba, Values) {
  const area = rgba.length / 4;
  return Values.from({ length: 3 * area }, (_, at) => rgba[4 * (at % area) + Math.floor(at / area)]);
}
