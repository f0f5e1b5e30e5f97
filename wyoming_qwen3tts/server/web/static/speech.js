// One speech request and its playback. Only one is played at a time.
import { call } from "./api.js";
import { make, seconds } from "./dom.js";
import { Player, SampleBuffer, audioContext } from "./audio.js";

/** @type {Speech|null} the one being played */
let current = null;

export class Speech {
  audio = new SampleBuffer();
  /** Milliseconds from the request to the first byte of audio, measured by the browser. */
  first = null;
  /** The same, measured by the service. */
  served = null;
  /** Where the service had the audio from. */
  cache = null;
  /** requesting, receiving, complete, stopped, truncated (an error after the first audio) or failed */
  state = "requesting";
  /** Why it is truncated or failed. @type {Error|null} */
  error = null;
  playing = false;
  /** @type {Player|null} */
  #player = null;
  #abort = new AbortController();
  #changed;

  /**
   * @param {Object} request a body of `v1/audio/speech`
   * @param {(speech: Speech) => void} changed called after every change of state
   */
  constructor(request, changed = () => {}) {
    this.request = request;
    this.#changed = changed;
  }

  /** Send the request and play the audio while it arrives; resolves at the end of playback, never throws. */
  async speak() {
    this.#startPlayback();
    let asked = 0;
    let arrived = false;
    try {
      const response = await call("v1/audio/speech", {
        json: { model: "tts-1", ...this.request, response_format: "pcm", stream_format: "audio" },
        signal: this.#abort.signal,
        asking: () => (asked = performance.now()),
      });
      arrived = true;
      this.served = Number(response.headers.get("X-First-Audio-Ms")) || null;
      this.cache = response.headers.get("X-Cache");
      await this.#receive(response.body.getReader(), asked);
      this.state = "complete";
    } catch (error) {
      if (this.state === "stopped") return;
      // The browser may drop received data when the connection ends: the answer may be truncated to nothing.
      this.state = arrived ? "truncated" : "failed";
      this.error = arrived ? new Error(`The audio is incomplete: it ended after ${seconds(this.audio.seconds)}.`) : error;
    }
    this.#changed(this);
    await this.#player.end();
    this.#endPlayback();
  }

  /** Play the received audio again. */
  async replay() {
    this.#startPlayback();
    for (const piece of this.audio.pieces) this.#player.push(piece);
    await this.#player.end();
    this.#endPlayback();
  }

  /** Stop playback at once, and cancel the request. */
  stop() {
    if (this.state === "requesting" || this.state === "receiving") this.state = "stopped";
    this.#abort.abort();
    this.#player?.stop();
    this.#endPlayback();
  }

  /** Seconds that were played. */
  get position() {
    return this.#player?.position ?? 0;
  }

  async #receive(reader, asked) {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (!value.length) continue;
      this.first ??= performance.now() - asked;
      this.state = "receiving";
      this.#player.push(this.audio.push(value));
      this.#changed(this);
    }
    if (!this.audio.length) throw new Error("The service sent no audio.");
  }

  #startPlayback() {
    current?.stop();
    current = this;
    this.#player = new Player(audioContext());
    this.playing = true;
    this.#changed(this);
  }

  #endPlayback() {
    this.playing = false;
    this.#changed(this);
  }
}

/** Stop all playback. */
export const stopPlayback = () => current?.stop();

/**
 * Create a button that plays a request, and stops it.
 * @param {string} name the accessible name; begins with Play
 * @param {() => Object} request
 * @param {(why: string) => void} failed called with an error message, or with "" to clear it
 */
export function sayButton(name, request, failed) {
  const button = make("button", { type: "button" });
  const label = (does) => {
    button.textContent = does;
    button.setAttribute("aria-label", name.replace("Play", does));
  };
  let speech = null;
  label("Play");
  button.addEventListener("click", async () => {
    if (speech?.playing) return speech.stop();
    failed("");
    speech = new Speech(request(), ({ playing }) => label(playing ? "Stop" : "Play"));
    await speech.speak();
    if (speech.error) failed(speech.error.message);
  });
  return button;
}
