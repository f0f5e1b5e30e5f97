// The form that synthesizes phrases in advance and pins them in the cache.
import { follow } from "./api.js";
import { show } from "./cache.js";
import { find, offerLanguages, offerVoices, onCatalog } from "./catalog.js";
import { $, clearErrors, showError, count, sayAll, say, seconds } from "./dom.js";

const form = $("#prerender");
const { phrases, voice, language } = form.elements;
const line = $(".status", form);
const bar = $("progress", form);

function progress({ done, total, failed }) {
  bar.max = Math.max(1, total);
  bar.value = done;
  say(line, `${count(done)} of ${count(total)}${failed ? `, ${count(failed)} failed` : ""}`);
}

async function prerender() {
  clearErrors(form);
  const lines = phrases.value.split("\n").map((phrase) => phrase.trim()).filter(Boolean);
  if (!lines.length) return showError(form, { param: "phrases", message: "There is no phrase yet." });
  const button = $("button.primary", form);
  button.disabled = true;
  bar.hidden = false;
  bar.removeAttribute("value");
  try {
    const asked = { phrases: lines, voice: voice.value, ...(language.value && { language: language.value }) };
    const { stored, failed, seconds: length } = await follow("v1/cache/phrases", asked, progress);
    const faults = failed.map(({ text, error }) => `“${text}”: ${error.message}`);
    await show();
    sayAll(line, `${count(stored)} ${stored === 1 ? "phrase is" : "phrases are"} stored, ${seconds(length)} of audio.`, faults);
  } catch (error) {
    say(line, "");
    showError(form, error);
  }
  bar.hidden = true;
  button.disabled = false;
}

/** Set the form up. */
export function start() {
  const adapt = () => offerLanguages(language, find(voice.value)?.languages ?? []);
  onCatalog(() => {
    offerVoices(voice);
    adapt();
  });
  voice.addEventListener("change", adapt);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    prerender();
  });
}
