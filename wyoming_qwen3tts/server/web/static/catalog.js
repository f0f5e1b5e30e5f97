// The voices of the service, and the select elements that offer them.
import { ask } from "./api.js";
import { $, fill, language, make } from "./dom.js";

/**
 * @typedef {Object} Voice
 * @property {string} id
 * @property {string} name
 * @property {string} description
 * @property {string[]} languages BCP 47, its own first
 * @property {string} engine
 * @property {string} model
 * @property {string} license SPDX identifier, or empty
 * @property {"preset"|"cloned"|"designed"} kind
 * @property {string} [base] the voice of which this one is a style or an accent
 * @property {string[]} styles
 * @property {boolean} instructions whether it supports them
 * @property {boolean} default
 * @property {boolean} removable
 */

const ENGINES = { builtin: "Built-in", espeak: "eSpeak NG, robotic", qwen3: "Qwen3-TTS", remote: "Another server" };

/** The service's answer about its voices. @type {{voices: Voice[], problems: {name: string, message: string}[]}} */
export let catalog = { voices: [], problems: [] };
/** A text of some seconds for every language in which voices can be made. @type {Object<string, string>} */
export let sentences = {};

const listeners = [];

/** Add a function that is called whenever the voices were loaded. */
export const onCatalog = (listener) => listeners.push(listener);

/** Load the voices. */
export async function load() {
  const answer = await ask("v1/audio/voices");
  // Styles and accents are also listed as voices of their own; the page has other controls for them.
  catalog = { ...answer, voices: answer.voices.filter((voice) => !voice.base || voice.default) };
  if (!Object.keys(sentences).length) sentences = await ask("sentences.json");
  for (const listener of listeners) listener(catalog);
}

export const find = (id) => catalog.voices.find((voice) => voice.id === id);

/** @returns {[string, Voice[]][]} the voices by engine, custom voices first */
export function groups(voices = catalog.voices) {
  const found = new Map([["Your voices", []]]);
  for (const voice of voices) {
    const group = voice.removable ? "Your voices" : engineName(voice);
    found.set(group, [...(found.get(group) ?? []), voice]);
  }
  return [...found].filter(([, members]) => members.length);
}

/** Fill a select with the voices; `first` is an option before all of them. */
export function offerVoices(select, first = null) {
  const chosen = select.options.length > 0;
  const options = groups().map(([label, members]) =>
    make("optgroup", { label }, ...members.map((voice) =>
      make("option", { value: voice.id }, `${voice.name} (${language(voice.languages[0])})`))));
  fill(select, first ? [first, ...options] : options);
  const preferred = catalog.voices.find((voice) => voice.default);
  if (!chosen && !first && preferred) select.value = preferred.id;
}

/** Fill a select with languages. */
export function offerLanguages(select, tags, automatic = true) {
  const options = tags.map((tag) => make("option", { value: tag }, language(tag)));
  fill(select, automatic ? [make("option", { value: "" }, "Detect from the text"), ...options] : options);
}

/** The request for a sample of a voice. Digits can be read in every language. */
export function sample(voice) {
  const tag = voice.languages[0] ?? "en";
  return { input: sentences[tag.split("-")[0]] ?? "1, 2, 3, 4, 5.", voice: voice.id, language: tag };
}

/** The name of a voice's engine, for users. */
export const engineName = (voice) => ENGINES[voice.engine] ?? voice.engine;

const spoken = (voice) => new Set(voice.languages.map((tag) => tag.split("-")[0]));

/**
 * A request for every language that has a sample text and a voice: the default voice, if it speaks the language,
 * else the first voice whose own language it is, else the first that speaks it.
 * @returns {{input: string, voice: string, language: string}[]}
 */
export function examples() {
  const preferred = catalog.voices.find((voice) => voice.default);
  return Object.keys(sentences).flatMap((language) => {
    const able = catalog.voices.filter((voice) => spoken(voice).has(language));
    const own = able.find((voice) => voice.languages[0].split("-")[0] === language);
    const voice = able.includes(preferred) ? preferred : own ?? able[0];
    return voice ? [{ input: sentences[language], voice: voice.id, language }] : [];
  });
}

/** Show a control's field and enable it, or hide and disable it. */
export function setAvailable(control, is) {
  $(`label[for=${control.id}]`).closest(".field").hidden = !is;
  control.disabled = !is;
}
