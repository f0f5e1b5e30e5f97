// What became of one speech, as a figure: its waveform while it comes, its figures, and what to do with it.
import { make, milliseconds, seconds } from "./dom.js";
import { BAR, RATE } from "./sound.js";
import { Speech } from "./speech.js";

/** Seconds that a waveform is wide before it has to get denser. */
const NARROWEST = 3;
/** Pixels from one bar to the next, and of one. */
const STEP = 4;
const WIDTH = 2.5;
/** What loudness is raised to: the ear makes less of a difference between loud and soft than the samples do. */
const SOFT = 0.6;

const SOURCES = {
  memory: "kept in memory",
  disk: "kept on disk",
  redis: "kept in Redis",
  shared: "shared with another request",
  miss: "made anew",
  part: "partly kept",
  off: "nothing is kept",
};
/** Whoever wants less motion sees the playhead step, not glide. */
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** One figure, for one speech after the other. */
export class Take {
  /**
   * @param {string} title
   * @param {() => void} [fresh] what its button does while there is nothing to play again
   */
  constructor(title, fresh) {
    this.fresh = fresh;
    this.canvas = make("canvas", { role: "img", "aria-label": "Waveform: no sound yet." });
    this.caption = make("figcaption", {}, title);
    this.facts = make("dl");
    this.again = make("button", { type: "button", disabled: !fresh }, "Play");
    this.save = make("a.upload", { hidden: true, download: "speech.wav" }, "Download WAV");
    this.element = make("figure.card.take", {}, this.caption, this.canvas, this.facts,
      make("div.actions", {}, this.again, this.save));
    this.again.addEventListener("click", () => this.#press());
    new ResizeObserver(() => this.#draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** Speak a request; resolves to the speech when it was heard. */
  async speak(request, changed = () => {}) {
    this.clear();
    const speech = new Speech(request, () => {
      if (speech !== this.speech) return; // what was stopped for this one has nothing to say any more
      this.#show(speech);
      changed(speech);
    });
    this.speech = speech;
    await speech.speak();
    return speech;
  }

  /** Be as empty as in the beginning. */
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
    else if (this.speech?.sound.length) this.speech.replay();
    else this.fresh();
  }

  #show(speech) {
    const busy = speech.state === "asking" || speech.state === "coming";
    this.again.textContent = speech.playing ? "Stop" : "Play again";
    this.again.disabled = !speech.playing && !speech.sound.length && !this.fresh;
    this.#tell(speech);
    if (speech.state === "whole" && !this.save.href) {
      this.save.href = URL.createObjectURL(speech.sound.wav());
      this.save.hidden = false;
    }
    if (!busy) this.canvas.setAttribute("aria-label", `Waveform of ${seconds(speech.sound.seconds)} of sound.`);
    this.#follow();
  }

  #tell({ first, served, sound, state, cache }) {
    const facts = [];
    if (first !== null) {
      facts.push(["First audio", milliseconds(first), served && `${milliseconds(served)} in the service`]);
      facts.push(["Sound", seconds(sound.seconds), { broken: "broken off", stopped: "stopped" }[state]]);
    }
    if (cache) facts.push(["Cache", SOURCES[cache] ?? cache]);
    this.facts.replaceChildren(...facts.map(([name, value, note]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, value, ...(note ? [" ", make("small", {}, note)] : [])))));
  }

  /** Draw until nothing moves any more. */
  #follow() {
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
    const [heard, coming] = [style.getPropertyValue("--accent"), style.getPropertyValue("--edge")];
    const bars = Math.floor(width / STEP);
    const shown = Math.max(NARROWEST, speech.sound.seconds);
    const head = speech.playing ? speech.position : 0;
    for (let bar = 0; bar * shown < bars * speech.sound.seconds; bar++) {
      const tall = Math.max(2, loudest(speech.sound.peaks, (bar * shown) / bars, ((bar + 1) * shown) / bars) ** SOFT * height * 0.92);
      pen.fillStyle = (bar * shown) / bars < head || !speech.playing ? heard : coming;
      pen.fillRect(bar * STEP, (height - tall) / 2, WIDTH, tall);
    }
    if (speech.playing && speech.sound.length) {
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
