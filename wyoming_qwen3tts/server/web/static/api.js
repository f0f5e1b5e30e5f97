// Requests to the service: with the API key if needed, and its error messages.
import { $, answered } from "./dom.js";

const KEY = "wyoming-qwen3tts-key";

/** An error response of the service, with its message. */
export class ApiError extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.param = error.param;
  }
}

/**
 * Send a request; if the service needs an API key, ask the user for it.
 * @param {string} path relative to the page, so that it works under any prefix
 * @param {RequestInit & {json?: any, asking?: () => void}} options `asking` is called just before each attempt
 * @returns {Promise<Response>} a successful response; throws ApiError, or the browser's own error
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

/** Send a request; return its JSON response. */
export const ask = async (path, options) => (await call(path, options)).json();

/**
 * Send a request for a long operation, and report its progress (server-sent events).
 * @param {string} path
 * @param {any} json
 * @param {(event: any) => void} progress
 * @returns {Promise<any>} the last event, `done`; throws ApiError for an `error` event
 */
export async function follow(path, json, progress) {
  const response = await call(path, { json, headers: { Accept: "text/event-stream" } });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reached(reader.read());
    if (done) throw new Error("The connection ended before the operation was complete.");
    const events = (text + value).split(/\r?\n\r?\n/);
    text = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5));
      if (!data.length) continue; // a comment that keeps the connection open
      const message = JSON.parse(data.join("\n"));
      if (message.type === "error") throw new ApiError(response.status, message.error);
      if (message.type === "done") return message;
      progress(message);
    }
  }
}

/** Whether an error means that the service does not run, or is starting. */
export const isAway = (error) => error.away || error.status === 503;

async function reached(promise, signal) {
  try {
    return await promise;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw Object.assign(new Error("The service does not answer; is it running?"), { away: true });
  }
}

/** The error of a response; a proxy in front of the service may answer in another form. */
async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const plain = `The service answered with status ${response.status}.`;
  return new ApiError(response.status, { message: plain, ...body.error });
}

/** The open key dialog's promise, shared by all requests that need a key meanwhile. */
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

/** The API key; kept in memory if the browser denies storage, as in a frame of another site. */
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
    // storage is denied: `ownKey` keeps it until the page is left
  }
}
