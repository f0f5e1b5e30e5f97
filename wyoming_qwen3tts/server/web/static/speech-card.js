// A card for one speech: its waveform while it arrives, its measurements, and buttons.
import { make, milliseconds, seconds } from "./dom.js";
import { BAR, RATE } from "./audio.js";
import { Speech } from "./speech.js";

/** Shortest time that the waveform's width stands for, seconds. */
const MIN_SECONDS = 3;
/** Pixels from one bar to the next, and of one bar. */
const STEP = 4;
const WIDTH = 2.5;
/** The exponent of the peaks: perceived loudness grows more slowly than the amplitude. */
const LOUDNESS_EXPONENT = 0.6;

const SOURCES = {
  memory: "from memory",
  disk: "from disk",
  redis: "from Redis",
  shared: "shared with another request",
  miss: "not cached",
  part: "partly cached",
  off: "not used",
};
/** With reduced motion the playhead moves in steps. */
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** One card, for one speech after the other. */
export class SpeechCard {
  /**
   * @param {string} title
   * @param {() => void} [fresh] the action of its button while there is nothing to replay
   */
  constructor(title, fresh) {
    this.fresh = fresh;
    this.canvas = make("canvas", { role: "img", "aria-label": "Waveform: no audio yet." });
    this.caption = make("figcaption", {}, title);
    this.facts = make("dl");
    this.again = make("button", { type: "button", disabled: !fresh }, "Play");
    this.save = make("a.upload", { hidden: true, download: "speech.wav" }, "Download WAV");
    this.element = make("figure.card.speech-card", {}, this.caption, this.canvas, this.facts,
      make("div.actions", {}, this.again, this.save));
    this.again.addEventListener("click", () => this.#press());
    new ResizeObserver(() => this.#draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** Speak a request; resolves to the speech at the end of playback. */
  async speak(request, changed = () => {}) {
    this.clear();
    const speech = new Speech(request, () => {
      if (speech !== this.speech) return; // it was replaced by another speech
      this.#show(speech);
      changed(speech);
    });
    this.speech = speech;
    await speech.speak();
    return speech;
  }

  /** Stop and remove the speech. */
  clear() {
    this.speech?.stop();
    this.speech = null;
    URL.revokeObjectURL(this.save.href);
    this.save.removeAttribute("href");
    this.save.hidden = true;
    this.again.textContent = "Play";
    this.again.disabled = !this.fresh;
    this.facts.replaceChildren();
    this.#draw();
  }

  #press() {
    if (this.speech?.playing) this.speech.stop();
    else if (this.speech?.audio.length) this.speech.replay();
    else this.fresh();
  }

  #show(speech) {
    const busy = speech.state === "requesting" || speech.state === "receiving";
    this.again.textContent = speech.playing ? "Stop" : "Play again";
    this.again.disabled = !speech.playing && !speech.audio.length && !this.fresh;
    this.#showFacts(speech);
    if (speech.state === "complete" && !this.save.href) {
      this.save.href = URL.createObjectURL(speech.audio.wav());
      this.save.hidden = false;
    }
    if (!busy) this.canvas.setAttribute("aria-label", `Waveform of ${seconds(speech.audio.seconds)} of audio.`);
    this.#animate();
  }

  #showFacts({ first, served, audio, state, cache }) {
    const facts = [];
    if (first !== null) {
      facts.push(["First audio", milliseconds(first), served && `${milliseconds(served)} in the service`]);
      facts.push(["Audio", seconds(audio.seconds), { truncated: "incomplete", stopped: "stopped" }[state]]);
    }
    if (cache) facts.push(["Cache", SOURCES[cache] ?? cache]);
    this.facts.replaceChildren(...facts.map(([name, value, note]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, value, ...(note ? [" ", make("small", {}, note)] : [])))));
  }

  /** Redraw until playback has ended. */
  #animate() {
    if (this.moving) return;
    this.moving = true;
    const step = () => {
      this.#draw();
      this.moving = this.speech?.playing ?? false;
      if (!this.moving) return;
      if (calm.matches) setTimeout(step, 500);
      else requestAnimationFrame(step);
    };
    step();
  }

  #draw() {
    const { canvas, speech } = this;
    const scale = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    canvas.width = width * scale;
    canvas.height = height * scale;
    if (!speech || !width) return;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const [played, unplayed] = [style.getPropertyValue("--accent"), style.getPropertyValue("--edge")];
    const bars = Math.floor(width / STEP);
    const shown = Math.max(MIN_SECONDS, speech.audio.seconds);
    const head = speech.playing ? speech.position : 0;
    for (let bar = 0; bar * shown < bars * speech.audio.seconds; bar++) {
      const tall = Math.max(2, loudest(speech.audio.peaks, (bar * shown) / bars, ((bar + 1) * shown) / bars) ** LOUDNESS_EXPONENT * height * 0.92);
      pen.fillStyle = (bar * shown) / bars < head || !speech.playing ? played : unplayed;
      pen.fillRect(bar * STEP, (height - tall) / 2, WIDTH, tall);
    }
    if (speech.playing && speech.audio.length) {
      pen.fillStyle = style.getPropertyValue("--ink");
      pen.fillRect(Math.min(width - 2, (head / shown) * width), 0, 2, height);
    }
  }
}

/** The loudest sample between two times, 0 to 1. */
function loudest(peaks, from, to) {
  let most = 0;
  const end = Math.max(from * RATE / BAR + 1, to * RATE / BAR);
  for (let bar = Math.floor(from * RATE / BAR); bar < end; bar++) most = Math.max(most, peaks[bar] ?? 0);
  return most;
}
