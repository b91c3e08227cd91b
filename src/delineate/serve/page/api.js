// The server is asked. Paths are relative, so that the page also works below another path of a proxy.

/** Is how this window is known to the server. */
export const CLIENT = uuid();

/** The server refused, or does not answer (status 0). `message` is its one line, `body` what it sent. */
export class Refused extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(
      body?.error ??
        (status === 401
          ? "the token is missing: open the address that the server printed"
          : `the server answered ${status}`),
    );
    this.status = status;
    this.body = body;
  }
}

/** Makes an identity; `crypto.randomUUID` is only there on localhost and https. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * Sends one request and reads JSON.
 * @param {string} method @param {string} path @param {any} [content] a Blob, or what is sent as JSON
 * @param {AbortSignal} [signal]
 */
async function ask(method, path, content, signal) {
  const isBlob = content instanceof Blob;
  const type = !isBlob
    ? "application/json"
    : content.type.startsWith("image/")
      ? content.type
      : "application/octet-stream";
  const body = content === undefined || isBlob ? content : JSON.stringify(content);
  let answer;
  try {
    answer = await fetch(path, { method, body, signal, headers: body === undefined ? {} : { "Content-Type": type } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused(0, { error: "the server does not answer" });
  }
  const read = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, read);
  return read;
}

/** @param {Record<string, any>} values those that are null are left out */
const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null)).toString();
/** @param {string} name */
const modelPath = (name) => `v2/models/${encodeURIComponent(name)}`;

/** Lists the names of the models. @returns {Promise<string[]>} */
export const modelNames = async () => (await ask("GET", "v2/models")).models.map((/** @type {any} */ one) => one.name);
/** @param {string} name */
export const modelFacts = (name) => ask("GET", modelPath(name));
/** @param {string} name @param {Blob} picture @param {{min_score?: number, label_map?: 1}} options @param {AbortSignal} [signal] */
export const predict = (name, picture, options, signal) =>
  ask("POST", `${modelPath(name)}/predict?${query(options)}`, picture, signal);

/** Asks what is labelled here; null where the server only predicts. */
export const session = () =>
  ask("GET", "api/session").catch((error) => (error.status === 404 ? null : Promise.reject(error)));
/** @param {string} order @param {number} offset @param {number} limit */
export const pictures = (order, offset, limit) => ask("GET", `api/pictures?${query({ order, offset, limit })}`);
/** @param {number} id */
export const picture = (id) => ask("GET", `api/pictures/${id}`);
/** @param {number} id */
export const image = (id) => blob(imagePath(id));
/** @param {number} id @param {number} [side] of a thumbnail */
export const imagePath = (id, side) => `api/pictures/${id}/image${side ? `?side=${side}` : ""}`;
/** @param {number} id @param {string} model @param {number} minScore */
export const propose = (id, model, minScore) =>
  ask("POST", `api/pictures/${id}/propose`, { model, min_score: minScore });
/** @param {number} id @param {number} version @param {any[]} edits */
export const edit = (id, version, edits) => ask("POST", `api/pictures/${id}/edits`, { version, client: CLIENT, edits });
/** @param {number} id @param {string} label @param {{box?: number[], point?: number[]}} place */
export const prompt = (id, label, place) => ask("POST", `api/pictures/${id}/prompt`, { label, ...place });
/** @param {number} id @param {number} version */
export const labelMap = (id, version) => blob(`api/pictures/${id}/label_map?version=${version}`);
/** @param {string} name */
export const addClass = (name) => ask("POST", "api/classes", { name });
export const training = () => ask("GET", "api/training");
/** @param {number} minutes */
export const beginTraining = (minutes) => ask("POST", "api/training", { minutes });
export const stopTraining = () => ask("DELETE", "api/training");
export const acceptTraining = () => ask("POST", "api/training/accept", {});

/** Reads a file. @param {string} path @returns {Promise<Blob>} */
async function blob(path) {
  const answer = await fetch(path).catch(() => Promise.reject(new Refused(0, { error: "the server does not answer" })));
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
  return answer.blob();
}

/**
 * Hears what happens at the server, and connects again where it was away.
 * @param {(event: any) => void} heard @param {() => void} back is called after the server was away
 */
export function listen(heard, back, wasAway = false) {
  const source = new EventSource("api/events");
  source.onmessage = (message) => heard(JSON.parse(message.data));
  source.onopen = () => wasAway && back();
  source.onerror = () => {
    source.close();
    setTimeout(() => listen(heard, back, true), 1500);
  };
}
