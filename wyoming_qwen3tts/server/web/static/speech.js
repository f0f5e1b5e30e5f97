// One text on its way from the service to the ear. Only one is heard at a time.
import { call } from "./api.js";
import { make, seconds } from "./dom.js";
import { Player, Sound, loudspeaker } from "./sound.js";

/** @type {Speech|null} */
let audible = null;

export class Speech {
  sound = new Sound();
  /** Milliseconds from asking to the first byte of sound, as this browser saw them. */
  first = null;
  /** The same, as the service saw them. */
  served = null;
  /** Where the service had it from. */
  cache = null;
  /** asking, coming, whole, stopped, broken (began, but did not end well) or failed */
  state = "asking";
  /** Why it is broken or failed, in a sentence. @type {Error|null} */
  error = null;
  playing = false;
  /** @type {Player|null} */
  #player = null;
  #abort = new AbortController();
  #changed;

  /**
   * @param {Object} request what `v1/audio/speech` takes
   * @param {(speech: Speech) => void} changed is told whenever there is something new to see
   */
  constructor(request, changed = () => {}) {
    this.request = request;
    this.#changed = changed;
  }

  /** Ask for the text and play it while it is made; resolves when all of it was heard, and never throws. */
  async speak() {
    this.#take();
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
      this.state = "whole";
    } catch (error) {
      if (this.state === "stopped") return;
      // What was on its way when it broke off may be lost: then it broke off after nothing at all.
      this.state = arrived ? "broken" : "failed";
      this.error = arrived ? new Error(`The reply broke off after ${seconds(this.sound.seconds)}: this is not all of it.`) : error;
    }
    this.#changed(this);
    await this.#player.end();
    this.#rest();
  }

  /** Play again what was received. */
  async replay() {
    this.#take();
    for (const piece of this.sound.pieces) this.#player.push(piece);
    await this.#player.end();
    this.#rest();
  }

  /** Be silent at once, and let the service stop where it is still at work. */
  stop() {
    if (this.state === "asking" || this.state === "coming") this.state = "stopped";
    this.#abort.abort();
    this.#player?.stop();
    this.#rest();
  }

  /** Seconds that were heard. */
  get position() {
    return this.#player?.position ?? 0;
  }

  async #receive(reader, asked) {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (!value.length) continue;
      this.first ??= performance.now() - asked;
      this.state = "coming";
      this.#player.push(this.sound.push(value));
      this.#changed(this);
    }
    if (!this.sound.length) throw new Error("The service sent no sound.");
  }

  #take() {
    audible?.stop();
    audible = this;
    this.#player = new Player(loudspeaker());
    this.playing = true;
    this.#changed(this);
  }

  #rest() {
    this.playing = false;
    this.#changed(this);
  }
}

/** Stop whatever is heard. */
export const hush = () => audible?.stop();

/**
 * Make a button that says something, and stops saying it.
 * @param {string} name what a screen reader calls it; begins with Play
 * @param {() => Object} request
 * @param {(why: string) => void} failed is told in a sentence why not, or that it is forgotten
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
