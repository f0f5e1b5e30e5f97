// The speak view: a text, a voice and its options, spoken while it is synthesized.
import { examples, find, offerLanguages, offerVoices, onCatalog, sample, sentences, setAvailable } from "./catalog.js";
import { $, clearErrors, showError, fill, make, milliseconds, ownName, say, seconds } from "./dom.js";
import { SpeechCard } from "./speech-card.js";

const form = $("#speak-view form");
const { text, voice, style, language, speed, instructions, stop } = form.elements;
const line = $(".status", form);
const card = new SpeechCard("");
/** The sample text in the field, which is replaced when another voice is selected. */
let offered = text.value;

/** The request; options with their default values are omitted. */
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

/** Show the options of the selected voice. */
function adapt() {
  const chosen = find(voice.value);
  const styles = chosen?.styles ?? [];
  fill(style, [make("option", { value: "" }, "Default"), ...styles.map((name) => make("option", { value: name }, name))]);
  setAvailable(style, styles.length > 0);
  setAvailable(instructions, chosen?.instructions ?? false);
  offerLanguages(language, chosen?.languages ?? []);
  if (text.value !== offered || !chosen) return;
  const greeting = sample(chosen).input;
  // The page's own default text is English already, and shorter.
  text.value = offered = greeting === sentences.en ? text.defaultValue : greeting;
}

function show({ state, first, audio, error }) {
  const busy = state === "requesting" || state === "receiving";
  stop.disabled = !busy && !card.speech?.playing;
  if (state === "requesting") say(line, "Sending the request…");
  else if (state === "receiving") say(line, `First audio after ${milliseconds(first)}.`);
  else if (state === "complete") say(line, `${seconds(audio.seconds)} of audio; first audio after ${milliseconds(first)}.`);
  else if (state === "stopped") say(line, "Stopped.");
  else if (state === "truncated") say(line, error.message, true);
  else if (line.textContent !== error.message) showError(form, error);
}

async function speak() {
  clearErrors(form);
  if (!form.reportValidity()) return;
  card.element.hidden = false;
  card.caption.textContent = [voice.value, style.value].filter(Boolean).join(", ");
  await card.speak(request(), show);
}

/** Offer an example in every language that a voice speaks. */
function offerExamples() {
  const buttons = examples().map((example) => {
    const button = make("button", { type: "button", lang: example.language }, ownName(example.language));
    button.addEventListener("click", () => {
      voice.value = example.voice;
      adapt();
      text.value = offered = example.input;
      speak();
    });
    return button;
  });
  $("#examples").replaceChildren(...buttons);
  $("#examples-field").hidden = !buttons.length;
}

/** Set the view up. */
export function start() {
  card.element.hidden = true;
  $("#speak-view .cards").append(card.element);
  onCatalog(() => {
    offerVoices(voice);
    adapt();
    offerExamples();
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
  stop.addEventListener("click", () => card.speech.stop());
  if (/Mac|iPhone|iPad/.test(navigator.platform)) $("#speak-hint kbd").textContent = "⌘";
}
