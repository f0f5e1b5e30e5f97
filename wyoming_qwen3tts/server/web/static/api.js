// Requests to the service: with a key where it wants one, and errors as the sentences it wrote.
import { $, answered } from "./dom.js";

const KEY = "wyoming-qwen3tts-key";

/** What the service refused, in its own words. */
export class ApiError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.param = error.param;
  }
}

/**
 * Ask the service, and for a key where it wants one.
 * @param {string} path relative to the page, so that it works under any prefix
 * @param {RequestInit & {json?: any, asking?: () => void}} options `asking` is told when the clock starts
 * @returns {Promise<Response>} one that is well; throws ApiError, or the browser's own error
 */
export async function call(path, { json, asking, ...options } = {}) {
  for (;;) {
    const headers = new Headers(options.headers);
    const key = storedKey();
    if (key) headers.set("Authorization", `Bearer ${key}`);
    if (json !== undefined) {
      headers.set("Content-Type", "application/json");
      options.body = JSON.stringify(json);
      options.method ??= "POST";
    }
    asking?.();
    const response = await reached(fetch(path, { ...options, headers }), options.signal);
    if (response.ok) return response;
    const error = await refusal(response);
    if (response.status !== 401) throw error;
    if (key === storedKey() && !(await askKey(error.message))) throw error;
  }
}

/** Ask for an answer in JSON. */
export const ask = async (path, options) => (await call(path, options)).json();

/**
 * Ask for something that takes a while, and hear of it as it goes on (server-sent events).
 * @param {string} path
 * @param {any} json
 * @param {(event: any) => void} progress
 * @returns {Promise<any>} the last event, `done`; throws ApiError for `error`
 */
export async function follow(path, json, progress) {
  const response = await call(path, { json, headers: { Accept: "text/event-stream" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reached(reader.read());
    if (done) throw new Error("The service broke off before it was done.");
    const events = (text + value).split(/\r?\n\r?\n/);
    text = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5));
      if (!data.length) continue; // a comment that keeps the connection open
      const said = JSON.parse(data.join("\n"));
      if (said.type === "error") throw new ApiError(response.status, said.error);
      if (said.type === "done") return said;
      progress(said);
    }
  }
}

/** Whether an error says that the service is not there, or not yet. */
export const isAway = (error) => error.away || error.status === 503;

async function reached(promise, signal) {
  try {
    return await promise;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw Object.assign(new Error("The service does not answer; is it running?"), { away: true });
  }
}

/** What a refusal says; whatever stands between the page and the service may answer in another form. */
async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const plain = `The service answered with status ${response.status}.`;
  return new ApiError(response.status, { message: plain, ...body.error });
}

/** The asking that goes on: who else needs a key meanwhile waits for the same answer. */
let asked = null;

function askKey(reason) {
  asked ??= (async () => {
    $("#key-reason").textContent = reason;
    $("#key-value").value = "";
    const yes = await answered($("#key"));
    if (yes) storeKey($("#key-value").value.trim(), $("#key-remember").checked);
    return yes;
  })().finally(() => (asked = null));
  return asked;
}

let ownKey = "";

/** The key, also where the browser lets this page keep nothing, as in a frame of another site. */
function storedKey() {
  try {
    return sessionStorage.getItem(KEY) || localStorage.getItem(KEY) || ownKey;
  } catch {
    return ownKey;
  }
}

function storeKey(key, remember) {
  ownKey = key;
  try {
    localStorage.removeItem(KEY);
    sessionStorage.setItem(KEY, key);
    if (remember) localStorage.setItem(KEY, key);
  } catch {
    // it is known until the page is left
  }
}
