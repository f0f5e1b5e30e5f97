// The voices there are, and the selects that offer them.
import { ask } from "./api.js";
import { $, fill, language, make } from "./dom.js";

/**
 * @typedef {Object} Voice
 * @property {string} id
 * @property {string} name
 * @property {string} description
 * @property {string[]} languages BCP 47, its own first
 * @property {string} engine
 * @property {"preset"|"cloned"|"designed"} kind
 * @property {string} [base] the voice that this one is a style or an accent of
 * @property {string[]} styles
 * @property {boolean} instructions whether it listens to them
 * @property {boolean} default
 * @property {boolean} removable
 */

const ENGINES = { builtin: "Built-in", espeak: "eSpeak NG, robotic", qwen3: "Qwen3-TTS" };

/** What the service said of its voices. @type {{voices: Voice[], problems: {name: string, message: string}[]}} */
export let catalog = { voices: [], problems: [] };
/** A text of some seconds for every language a voice can be made in. @type {Object<string, string>} */
export let sentences = {};

const listeners = [];

/** Be told whenever the voices were looked up. */
export const onCatalog = (listener) => listeners.push(listener);

/** Look the voices up. */
export async function load() {
  const answer = await ask("v1/audio/voices");
  // Styles and accents are also listed as voices of their own; here they are chosen otherwise.
  catalog = { ...answer, voices: answer.voices.filter((voice) => !voice.base || voice.default) };
  if (!Object.keys(sentences).length) sentences = await ask("sentences.json");
  for (const listener of listeners) listener(catalog);
}

export const find = (id) => catalog.voices.find((voice) => voice.id === id);

/** @returns {[string, Voice[]][]} the voices by where they come from, the household's own first */
export function groups(voices = catalog.voices) {
  const found = new Map([["Your voices", []]]);
  for (const voice of voices) {
    const group = voice.removable ? "Your voices" : (ENGINES[voice.engine] ?? voice.engine);
    found.set(group, [...(found.get(group) ?? []), voice]);
  }
  return [...found].filter(([, members]) => members.length);
}

/** Offer the voices in a select; `first` is an option before all of them. */
export function offerVoices(select, first = null) {
  const chosen = select.options.length > 0;
  const options = groups().map(([label, members]) =>
    make("optgroup", { label }, ...members.map((voice) =>
      make("option", { value: voice.id }, `${voice.name} (${language(voice.languages[0])})`))));
  fill(select, first ? [first, ...options] : options);
  const preferred = catalog.voices.find((voice) => voice.default);
  if (!chosen && !first && preferred) select.value = preferred.id;
}

/** Offer languages in a select. */
export function offerLanguages(select, tags, automatic = true) {
  const options = tags.map((tag) => make("option", { value: tag }, language(tag)));
  fill(select, automatic ? [make("option", { value: "" }, "As the text is"), ...options] : options);
}

/** What a voice is asked to say where somebody only wants to hear it. Digits are read in every language. */
export function sample(voice) {
  const tag = voice.languages[0] ?? "en";
  return { input: sentences[tag.split("-")[0]] ?? "1, 2, 3, 4, 5.", voice: voice.id, language: tag };
}

/** Show a field only where it has a use. */
export function useful(control, is) {
  $(`label[for=${control.id}]`).closest(".field").hidden = !is;
  control.disabled = !is;
}
