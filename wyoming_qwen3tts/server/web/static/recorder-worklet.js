// An audio worklet: passes the microphone's samples to the page, some 85 ms at a time.
const SIZE = 4096;

class Recorder extends AudioWorkletProcessor {
  #samples = new Float32Array(SIZE);
  #filled = 0;

  process([[samples]]) {
    if (!samples) return true; // the microphone is not connected yet
    for (const sample of samples) {
      this.#samples[this.#filled++] = sample;
      if (this.#filled < SIZE) continue;
      this.port.postMessage(this.#samples);
      this.#samples = new Float32Array(SIZE);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
