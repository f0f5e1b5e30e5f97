// Sound: bytes to samples, samples to the loudspeaker without a gap, samples to a file.

/** Samples a second of all that the service says (mono, signed 16 bit, little endian). */
export const RATE = 24000;
/** Seconds between the first sound and its playing, so that the second piece is there in time. */
const LEAD = 0.06;
/** The same after the sound has run dry: one long gap is better than many short ones. */
const AGAIN = 0.3;
/** Seconds in which sound fades where it ends in the middle of a wave: at once, but without a click. */
const FADE = 0.004;
/** Samples of one bar of a waveform: 10 ms. */
export const BAR = RATE / 100;

let context = null;

/**
 * The page's way to the loudspeaker. Browsers allow it only while a person presses something.
 * It runs at the rate of the voices, so that the browser resamples all of it at once, not piece by piece.
 */
export function loudspeaker() {
  context ??= new AudioContext({ sampleRate: RATE });
  context.resume();
  return context;
}

/** What was received: samples, and how loud they are. */
export class Sound {
  /** @type {Int16Array[]} */
  pieces = [];
  /** @type {number[]} the loudest sample of every bar, 0 to 1 */
  peaks = [];
  length = 0;
  /** The first half of a sample whose second half is still on its way. */
  #half = new Uint8Array(0);

  /** Take bytes as the network cut them; return the samples that are whole. */
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

  /** @returns {Blob} the sound as a WAV file */
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

/** Plays one sound while it comes: every piece begins on the very sample where the one before ends. */
export class Player {
  /** Resolves when the last sample was heard, or the sound was stopped. */
  finished;
  #context;
  #gain;
  #sources = new Set();
  #frames = 0;
  #next = 0; // when what is pushed next is to be heard, in frames of the context's clock
  #heard = 0;
  #fading = 0; // when the sound is to fade out, seconds of the context's clock
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
    const dry = this.#next <= now;
    if (dry) this.#next = Math.ceil(now + (this.#frames ? AGAIN : LEAD) * RATE);
    source.start(this.#next / RATE);
    this.#fade(dry && this.#frames > 0, this.#next / RATE, (this.#next + samples.length) / RATE);
    this.#next += samples.length;
    this.#frames += samples.length;
    this.#sources.add(source);
    source.onended = () => {
      this.#sources.delete(source);
      this.#settle();
    };
  }

  /** No more comes; what was pushed is played to its last sample. */
  end() {
    if (!this.#ended) this.#loud();
    this.#ended = true;
    this.#settle();
    return this.finished;
  }

  /** Be silent now. */
  stop() {
    this.#ended = true;
    const now = this.#context.currentTime;
    this.#gain.gain.cancelScheduledValues(now);
    this.#gain.gain.setTargetAtTime(0, now, FADE / 4);
    for (const source of this.#sources) source.stop(now + FADE);
    this.#sources.clear();
    this.#finish();
  }

  /** Seconds of the sound that were heard; a pause for want of sound does not count. */
  get position() {
    const ahead = this.#next - (this.#context.currentTime - (this.#context.outputLatency || 0)) * RATE;
    this.#heard = Math.max(this.#heard, Math.min(this.#frames, this.#frames - ahead));
    return this.#heard / RATE;
  }

  /** Fade out at the end of what there is, in case nothing follows in time, and in where something did not. */
  #fade(again, begin, end) {
    const { gain } = this.#gain;
    this.#loud();
    if (again) gain.setValueAtTime(0, begin).linearRampToValueAtTime(1, begin + FADE);
    this.#fading = Math.max(begin + FADE, end - FADE);
    gain.setValueAtTime(1, this.#fading).linearRampToValueAtTime(0, Math.max(this.#fading, end));
  }

  /** Something follows, or this was the very end: take the last fading out back. */
  #loud() {
    this.#gain.gain.cancelScheduledValues(this.#fading).setValueAtTime(1, this.#fading);
  }

  #settle() {
    if (this.#ended && !this.#sources.size) this.#finish();
  }
}
