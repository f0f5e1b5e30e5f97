// The list of voices, with samples; custom voices can be removed.
import { ask } from "./api.js";
import { catalog, engineName, groups, load, onCatalog, sample } from "./catalog.js";
import { $, confirm, language, make, say } from "./dom.js";
import { sayButton } from "./speech.js";

/** Groups with at most this many voices are open initially. */
const MAX_OPEN = 12;

const container = $("#voice-list");
const search = $("#voices-search");
const line = $("#voices-status");

/** Whether a voice matches all words of a search. */
function matches(voice, words) {
  const all = [voice.name, voice.description, ...voice.languages, ...voice.languages.map(language)];
  const text = all.join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function list() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = catalog.voices.filter((voice) => matches(voice, words));
  container.replaceChildren(...groups(found).map(([title, members]) => group(title, members, words.length > 0)));
  say(line, words.length ? `${found.length} of ${catalog.voices.length} voices` : "");
}

function group(title, members, open) {
  const rows = make("ul.rows", {}, ...members.map(row));
  const heading = make("summary", {}, `${title} (${members.length})`);
  return make("details", { open: open || members.length <= MAX_OPEN }, heading, rows);
}

function row(voice) {
  const spoken = voice.languages.map(language).join(", ");
  const about = make("div", {},
    make("p", {}, make("strong", {}, voice.name),
      ...(voice.default ? [make("span.tag", {}, "default")] : []),
      ...(voice.kind === "preset" ? [] : [make("span.tag", {}, voice.kind)])),
    make("p", {}, voice.description),
    make("p.muted", {}, [spoken, ...voice.styles].join(" · ")),
    make("p.muted", {}, `Engine: ${[engineName(voice), voice.model].filter(Boolean).join(", ")} · ${licence(voice)}`));
  const play = sayButton(`Play a sample of ${voice.name}`, () => sample(voice), (why) => say(line, why, true));
  const actions = make("div.actions", {}, play);
  if (voice.removable) {
    const away = make("button.danger", { type: "button", "aria-label": `Remove ${voice.name}` }, "Remove…");
    away.addEventListener("click", () => remove(voice));
    actions.append(away);
  }
  return make("li", {}, about, actions);
}

/** The terms of a voice; a clone also depends on the person who was recorded. */
function licence({ kind, license }) {
  if (kind === "cloned") return `Licence of the model: ${license || "not known"}; the voice is that of the person recorded`;
  return `Licence: ${license || "not known"}`;
}

async function remove({ id, name }) {
  const text = "The recording and everything computed from it will be deleted.";
  if ((await confirm({ title: `Remove ${name}?`, text, action: "Remove" })) === null) return;
  try {
    await ask(`v1/audio/voices/${encodeURIComponent(id)}`, { method: "DELETE" });
    await load();
    say(line, `${name} is removed.`);
    search.focus();
  } catch (error) {
    say(line, error.message, true);
  }
}

/** Reload the voices: they may have been changed elsewhere. */
export function show() {
  load().catch((error) => say(line, error.message, true));
}

/** Set the list up. */
export function start() {
  search.addEventListener("input", list);
  onCatalog(({ problems }) => {
    list();
    $("#problems").replaceChildren(...problems.map(({ name, message }) => make("li", {}, `${name}: ${message}`)));
  });
}
