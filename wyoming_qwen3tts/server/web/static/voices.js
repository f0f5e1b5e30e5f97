// The list of voices: what they are, how they sound, and away with the household's own.
import { ask } from "./api.js";
import { catalog, groups, load, onCatalog, sample } from "./catalog.js";
import { $, confirm, language, make, say } from "./dom.js";
import { sayButton } from "./speech.js";

/** Voices of one kind that are listed without being asked for. */
const FEW = 12;

const place = $("#voice-list");
const search = $("#voices-search");
const line = $("#voices-status");

/** Whether a voice is one of those that somebody looks for. */
function matches(voice, words) {
  const all = [voice.name, voice.description, ...voice.languages, ...voice.languages.map(language)];
  const text = all.join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function list() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = catalog.voices.filter((voice) => matches(voice, words));
  place.replaceChildren(...groups(found).map(([title, members]) => group(title, members, words.length > 0)));
  say(line, words.length ? `${found.length} of ${catalog.voices.length} voices` : "");
}

function group(title, members, open) {
  const rows = make("ul.rows", {}, ...members.map(row));
  const heading = make("summary", {}, `${title} (${members.length})`);
  return make("details", { open: open || members.length <= FEW }, heading, rows);
}

function row(voice) {
  const spoken = voice.languages.map(language).join(", ");
  const about = make("div", {},
    make("p", {}, make("strong", {}, voice.name),
      ...(voice.default ? [make("span.tag", {}, "default")] : []),
      ...(voice.kind === "preset" ? [] : [make("span.tag", {}, voice.kind)])),
    make("p", {}, voice.description),
    make("p.muted", {}, [spoken, ...voice.styles].join(" · ")));
  const play = sayButton(`Play a sample of ${voice.name}`, () => sample(voice), (why) => say(line, why, true));
  const actions = make("div.actions", {}, play);
  if (voice.removable) {
    const away = make("button.danger", { type: "button", "aria-label": `Remove ${voice.name}` }, "Remove…");
    away.addEventListener("click", () => remove(voice));
    actions.append(away);
  }
  return make("li", {}, about, actions);
}

async function remove({ id, name }) {
  const text = "The recording and all that was made of it will be gone.";
  if ((await confirm({ title: `Remove ${name}?`, text, action: "Remove" })) === null) return;
  try {
    await ask(`v1/audio/voices/${encodeURIComponent(id)}`, { method: "DELETE" });
    await load();
    say(line, `${name} is gone.`);
    search.focus();
  } catch (error) {
    say(line, error.message, true);
  }
}

/** Look again: voices come and go by other ways, too. */
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
