// The form that designs a voice from a description.
import { follow } from "./api.js";
import { catalog, load, offerLanguages, onCatalog, sentences } from "./catalog.js";
import { allow } from "./clone.js";
import { $, clearErrors, showError, say, sayAll } from "./dom.js";

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
  clearErrors(form);
  const asked = request();
  if (!asked.name) return showError(form, { param: "name", message: "A voice needs a name." });
  if (!asked.description) return showError(form, { param: "description", message: "A voice needs a description." });
  const button = $("button.primary", form);
  button.disabled = true;
  say(line, "Sending the request…");
  try {
    const { voice, remarks } = await follow("v1/audio/voices/design", asked, ({ step }) => say(line, step));
    await load();
    for (const field of [name, description, text, seed]) field.value = "";
    sayAll(line, voice ? `${voice.name} can speak now.` : "The voice is stored.", remarks);
  } catch (error) {
    say(line, "");
    showError(form, error);
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
