// A voice from a description.
import { follow } from "./api.js";
import { catalog, load, offerLanguages, onCatalog, sentences } from "./catalog.js";
import { allow } from "./clone.js";
import { $, absolve, blame, say, sayAll } from "./dom.js";

const form = $("#design");
const { name, language, description, text, seed } = form.elements;
const line = $(".status", form);

function request() {
  return {
    name: name.value.trim(),
    description: description.value.trim(),
    language: language.value,
    ...(text.value.trim() && { text: text.value.trim() }),
    ...(seed.value && { seed: Number(seed.value) }),
  };
}

async function design() {
  absolve(form);
  const asked = request();
  if (!asked.name) return blame(form, { param: "name", message: "A voice needs a name." });
  if (!asked.description) return blame(form, { param: "description", message: "Say what it is to sound like." });
  const button = $("button.primary", form);
  button.disabled = true;
  say(line, "Asking…");
  try {
    const { voice, remarks } = await follow("v1/audio/voices/design", asked, ({ step }) => say(line, step));
    await load();
    for (const field of [name, description, text, seed]) field.value = "";
    sayAll(line, voice ? `${voice.name} can speak now.` : "The voice is kept.", remarks);
  } catch (error) {
    say(line, "");
    blame(form, error);
  }
  button.disabled = false;
}

/** Set the form up. */
export function start() {
  onCatalog(() => {
    offerLanguages(language, Object.keys(sentences), false);
    allow(form, catalog.can_design, catalog.design_reason);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    design();
  });
}
