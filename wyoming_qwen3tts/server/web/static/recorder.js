// Records the microphone to a WAV file, without the browser's filters: a clone would imitate their artifacts.
import { wav } from "./audio.js";

/** Seconds after which a recording ends: the service uses at most the first half of it. */
const MAX_SECONDS = 30;

/** Why this browser cannot record, as a sentence; null if it can. */
export function whyNot() {
  if (!isSecureContext)
    return "Browsers allow the microphone only on pages loaded over https or from this machine. Choose a file instead.";
  return navigator.mediaDevices?.getUserMedia ? null : "This browser cannot record. Choose a file instead.";
}

export class Recorder {
  #pieces = [];
  #length = 0;
  #onSamples;
  #stream;
  #context;

  /**
   * @param {(seconds: number, level: number, full: boolean) => void} onSamples called as samples arrive; `level`
   *   is the loudest of them, 0 to 1, and `full` whether the recording has reached its limit
   */
  constructor(onSamples) {
    this.#onSamples = onSamples;
  }

  /** Start recording. Throws an Error with a message for the user if the microphone cannot be used. */
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
    node.port.onmessage = ({ data }) => this.#append(data);
    this.#context.createMediaStreamSource(this.#stream).connect(node);
  }

  /** Stop recording. @returns {Promise<{file: Blob, seconds: number}>} */
  async stop() {
    for (const track of this.#stream.getTracks()) track.stop();
    const rate = this.#context.sampleRate;
    await this.#context.close();
    return { file: wav(this.#pieces, rate), seconds: this.#length / rate };
  }

  #append(samples) {
    this.#pieces.push(Int16Array.from(samples, (sample) => Math.max(-1, Math.min(1, sample)) * 32767));
    this.#length += samples.length;
    const level = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    const seconds = this.#length / this.#context.sampleRate;
    this.#onSamples(seconds, level, seconds >= MAX_SECONDS);
  }
}

const REFUSALS = {
  NotAllowedError: "The microphone is blocked for this page. Allow it in the browser, or choose a file.",
  NotFoundError: "There is no microphone here. Choose a file instead.",
  NotReadableError: "The microphone cannot be opened; another program may be using it.",
};
