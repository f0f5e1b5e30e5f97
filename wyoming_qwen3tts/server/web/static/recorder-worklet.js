// Runs beside the page, in the browser's audio thread: hands on what the microphone hears, some 85 ms at a time.
const SIZE = 4096;

class Recorder extends AudioWorkletProcessor {
  #samples = new Float32Array(SIZE);
  #filled = 0;

  process([[heard]]) {
    if (!heard) return true; // the microphone is not there yet
    for (const sample of heard) {
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
