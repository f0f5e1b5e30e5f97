// The microphone as a WAV file. Nothing is changed on the way: a clone takes on what a telephone's filters do.
import { wav } from "./sound.js";

/** Seconds after which a recording ends by itself: nothing uses more of it. */
const LONGEST = 30;

/** Why this browser cannot record, as a sentence; null where it can. */
export function whyNot() {
  if (!isSecureContext)
    return "Browsers lend the microphone only to pages that came over https or from this very machine, and this one did not. Choose a file instead.";
  return navigator.mediaDevices?.getUserMedia ? null : "This browser cannot record. Choose a file instead.";
}

export class Recorder {
  #pieces = [];
  #length = 0;
  #heard;
  #stream;
  #context;

  /** @param {(seconds: number, level: number, full: boolean) => void} heard `level`: the loudest sample, 0 to 1 */
  constructor(heard) {
    this.#heard = heard;
  }

  /** Begin. Throws an Error with a sentence where the microphone is not to be had. */
  async start() {
    const raw = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    this.#context = new AudioContext();
    try {
      await this.#context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio: raw });
    } catch (error) {
      await this.#context.close();
      throw new Error(REFUSALS[error.name] ?? `The microphone cannot be used: ${error.message}`);
    }
    const node = new AudioWorkletNode(this.#context, "recorder", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => this.#take(data);
    this.#context.createMediaStreamSource(this.#stream).connect(node);
  }

  /** End. @returns {Promise<{file: Blob, seconds: number}>} */
  async stop() {
    for (const track of this.#stream.getTracks()) track.stop();
    const rate = this.#context.sampleRate;
    await this.#context.close();
    return { file: wav(this.#pieces, rate), seconds: this.#length / rate };
  }

  #take(samples) {
    this.#pieces.push(Int16Array.from(samples, (sample) => Math.max(-1, Math.min(1, sample)) * 32767));
    this.#length += samples.length;
    const level = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    const seconds = this.#length / this.#context.sampleRate;
    this.#heard(seconds, level, seconds >= LONGEST);
  }
}

const REFUSALS = {
  NotAllowedError: "The browser was not allowed to use the microphone. Allow it for this page, or choose a file.",
  NotFoundError: "There is no microphone here. Choose a file instead.",
  NotReadableError: "The microphone cannot be opened; another program may be using it.",
};
