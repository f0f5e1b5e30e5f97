// Audio: bytes to samples, gapless playback, and WAV files.

/** Samples per second of the service's PCM (mono, signed 16 bit, little endian). */
export const RATE = 24000;
/** Seconds buffered before playback starts, so that the second chunk arrives in time. */
const START_BUFFER = 0.06;
/** The same after an underrun: one long gap is better than many short ones. */
const UNDERRUN_BUFFER = 0.3;
/** Seconds of a fade where audio ends or starts in the middle of a wave, which avoids a click. */
const FADE = 0.004;
/** Samples of one bar of a waveform: 10 ms. */
export const BAR = RATE / 100;

let context = null;

/**
 * The page's audio context. Browsers allow it only in response to a user action.
 * It runs at the rate of the voices, so that the browser resamples the stream and not each chunk.
 */
export function audioContext() {
  context ??= new AudioContext({ sampleRate: RATE });
  context.resume();
  return context;
}

/** Received samples, and their peaks. */
export class SampleBuffer {
  /** @type {Int16Array[]} */
  pieces = [];
  /** @type {number[]} the loudest sample of every bar, 0 to 1 */
  peaks = [];
  length = 0;
  /** The first byte of a sample whose second byte has not arrived. */
  #half = new Uint8Array(0);

  /** Append bytes as they arrive; return the complete samples. */
  push(bytes) {
    const all = new Uint8Array(this.#half.length + bytes.length);
    all.set(this.#half);
    all.set(bytes, this.#half.length);
    const whole = all.length - (all.length % 2);
    this.#half = all.slice(whole);
    const samples = new Int16Array(all.buffer, 0, whole / 2);
    this.pieces.push(samples);
    for (const sample of samples) {
      const bar = Math.floor(this.length++ / BAR);
      this.peaks[bar] = Math.max(this.peaks[bar] ?? 0, Math.abs(sample) / 32768);
    }
    return samples;
  }

  get seconds() {
    return this.length / RATE;
  }

  /** @returns {Blob} the samples as a WAV file */
  wav() {
    return wav(this.pieces, RATE);
  }
}

/**
 * Write a WAV file, mono, 16 bit.
 * @param {Int16Array[]} pieces
 * @param {number} rate samples a second
 */
export function wav(pieces, rate) {
  const size = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  const head = new DataView(new ArrayBuffer(44));
  const word = (at, text) => [...text].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF");
  head.setUint32(4, 36 + size, true);
  word(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); // PCM
  head.setUint16(22, 1, true); // channels
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  word(36, "data");
  head.setUint32(40, size, true);
  return new Blob([head, ...pieces], { type: "audio/wav" });
}

/** Plays audio while it arrives: every chunk begins exactly at the sample after the previous one. */
export class Player {
  /** Resolves when the last sample was played, or playback was stopped. */
  finished;
  #context;
  #gain;
  #sources = new Set();
  #frames = 0;
  #next = 0; // when the next chunk is to be played, in frames of the context's clock
  #played = 0;
  #fading = 0; // when the final fade-out starts, seconds of the context's clock
  #ended = false;
  #finish;

  /** @param {BaseAudioContext} context at RATE */
  constructor(context) {
    this.finished = new Promise((resolve) => (this.#finish = resolve));
    this.#context = context;
    this.#gain = context.createGain();
    this.#gain.connect(context.destination);
  }

  /** @param {Int16Array} samples */
  push(samples) {
    if (!samples.length || this.#ended) return;
    const buffer = this.#context.createBuffer(1, samples.length, RATE);
    buffer.getChannelData(0).set(Float32Array.from(samples, (sample) => sample / 32768));
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(this.#gain);
    const now = this.#context.currentTime * RATE;
    const empty = this.#next <= now;
    if (empty) this.#next = Math.ceil(now + (this.#frames ? UNDERRUN_BUFFER : START_BUFFER) * RATE);
    source.start(this.#next / RATE);
    this.#fade(empty && this.#frames > 0, this.#next / RATE, (this.#next + samples.length) / RATE);
    this.#next += samples.length;
    this.#frames += samples.length;
    this.#sources.add(source);
    source.onended = () => {
      this.#sources.delete(source);
      this.#settle();
    };
  }

  /** Mark the end of the audio; what was pushed is played completely. */
  end() {
    if (!this.#ended) this.#cancelFadeOut();
    this.#ended = true;
    this.#settle();
    return this.finished;
  }

  /** Stop playback at once. */
  stop() {
    this.#ended = true;
    const now = this.#context.currentTime;
    this.#gain.gain.cancelScheduledValues(now);
    this.#gain.gain.setTargetAtTime(0, now, FADE / 4);
    for (const source of this.#sources) source.stop(now + FADE);
    this.#sources.clear();
    this.#finish();
  }

  /** Seconds of audio that were played, without gaps. */
  get position() {
    const ahead = this.#next - (this.#context.currentTime - (this.#context.outputLatency || 0)) * RATE;
    this.#played = Math.max(this.#played, Math.min(this.#frames, this.#frames - ahead));
    return this.#played / RATE;
  }

  /** Schedule a fade-out at the end of a chunk, in case of an underrun, and a fade-in after one. */
  #fade(afterUnderrun, begin, end) {
    const { gain } = this.#gain;
    this.#cancelFadeOut();
    if (afterUnderrun) gain.setValueAtTime(0, begin).linearRampToValueAtTime(1, begin + FADE);
    this.#fading = Math.max(begin + FADE, end - FADE);
    gain.setValueAtTime(1, this.#fading).linearRampToValueAtTime(0, Math.max(this.#fading, end));
  }

  /** Cancel the scheduled fade-out: another chunk follows, or this was the end of the audio. */
  #cancelFadeOut() {
    this.#gain.gain.cancelScheduledValues(this.#fading).setValueAtTime(1, this.#fading);
  }

  #settle() {
    if (this.#ended && !this.#sources.size) this.#finish();
  }
}
