// The first view: type, choose, hear it while it is made.
import { find, offerLanguages, offerVoices, onCatalog, sample, sentences, useful } from "./catalog.js";
import { $, absolve, blame, fill, make, milliseconds, say, seconds } from "./dom.js";
import { Take } from "./take.js";

const form = $("#speak-view form");
const { text, voice, style, language, speed, instructions, stop } = form.elements;
const line = $(".status", form);
const take = new Take("");
/** The text that stands there until somebody writes another one. */
let offered = text.value;

/** What is asked for; what is as it always is goes unsaid. */
function request() {
  return {
    input: text.value,
    voice: voice.value || null,
    ...(style.value && { style: style.value }),
    ...(language.value && { language: language.value }),
    ...(speed.value !== "1" && { speed: Number(speed.value) }),
    ...(!instructions.disabled && instructions.value.trim() && { instructions: instructions.value.trim() }),
  };
}

/** Offer what the chosen voice can do. */
function adapt() {
  const chosen = find(voice.value);
  const styles = chosen?.styles ?? [];
  fill(style, [make("option", { value: "" }, "As it is"), ...styles.map((name) => make("option", { value: name }, name))]);
  useful(style, styles.length > 0);
  useful(instructions, chosen?.instructions ?? false);
  offerLanguages(language, chosen?.languages ?? []);
  if (text.value !== offered || !chosen) return;
  const greeting = sample(chosen).input;
  // The greeting that the page comes with is English already, and shorter.
  text.value = offered = greeting === sentences.en ? text.defaultValue : greeting;
}

function show({ state, first, sound, error }) {
  const busy = state === "asking" || state === "coming";
  stop.disabled = !busy && !take.speech?.playing;
  if (state === "asking") say(line, "Asking…");
  else if (state === "coming") say(line, `The first sound came after ${milliseconds(first)}.`);
  else if (state === "whole") say(line, `${seconds(sound.seconds)} of sound; the first came after ${milliseconds(first)}.`);
  else if (state === "stopped") say(line, "Stopped.");
  else if (state === "broken") say(line, error.message, true);
  else if (line.textContent !== error.message) blame(form, error);
}

async function speak() {
  absolve(form);
  if (!form.reportValidity()) return;
  take.element.hidden = false;
  take.caption.textContent = [voice.value, style.value].filter(Boolean).join(", ");
  await take.speak(request(), show);
}

/** Set the view up. */
export function start() {
  take.element.hidden = true;
  $("#speak-view .takes").append(take.element);
  onCatalog(() => {
    offerVoices(voice);
    adapt();
  });
  voice.addEventListener("change", adapt);
  speed.addEventListener("input", () => ($("output[for=speak-speed]").textContent = `${Number(speed.value)}×`));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    speak();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      speak();
    }
  });
  stop.addEventListener("click", () => take.speech.stop());
  if (/Mac|iPhone|iPad/.test(navigator.platform)) $("#speak-hint kbd").textContent = "⌘";
}
