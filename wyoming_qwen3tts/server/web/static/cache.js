// The cache view: size and hit rates of each tier, and the cached phrases.
import { ask } from "./api.js";
import { offerVoices, onCatalog } from "./catalog.js";
import { $, bytes, confirm, count, fill, make, say, seconds } from "./dom.js";
import { sayButton } from "./speech.js";

/** Milliseconds after the last key press before a search begins. */
const SEARCH_DELAY = 250;
const LIMIT = 100;
const TIERS = { memory: "Memory", disk: "Disk", redis: "Redis" };

const search = $("#phrase-search");
const voice = $("#phrase-voice");
const line = $("#phrases-status");
let timer = 0;

function tier(name, { reason, entries, bytes: size, limit, pinned, hits, misses, saved_seconds: saved }) {
  const asked = hits + misses;
  const title = make("h2", {}, TIERS[name] ?? name);
  if (reason) return make("div.card", {}, title, make("p.bad", {}, `Not available: ${reason}`));
  const facts = [
    ["Phrases", count(entries)],
    ["Pinned", count(pinned)],
    ["Synthesis saved", seconds(saved)],
  ];
  return make("div.card", {},
    title,
    ...bar("Used", limit ? size / limit : null, limit ? `${bytes(size)} of ${bytes(limit)}` : bytes(size)),
    ...bar("Hits", asked ? hits / asked : 0, asked ? `${Math.round((100 * hits) / asked)} % of ${count(asked)}` : "not used yet"),
    make("dl", {}, ...facts.flatMap(([what, value]) => [make("dt", {}, what), make("dd", {}, value)])));
}

/** A fraction as text and as a bar; only as text if `share` is null. */
function bar(name, share, words) {
  const label = make("p", {}, make("span", {}, name), make("span", {}, words));
  if (share === null) return [label];
  return [label, make("meter", { min: 0, max: 1, value: share, "aria-label": `${name}: ${words}` })];
}

function phrase({ key, text, voice: speaker, seconds: length, pinned }) {
  const about = make("div", {},
    make("p", {}, text, ...(pinned ? [make("span.tag", {}, "pinned")] : [])),
    make("p.muted", {}, [speaker, ...(length === null ? [] : [seconds(length)])].join(" · ")));
  const play = sayButton(`Play “${text}”`, () => ({ input: text, voice: speaker }), (why) => say(line, why, true));
  const drop = make("button.danger", { type: "button", "aria-label": `Delete “${text}”` }, "Delete");
  const row = make("li", {}, about, make("div.actions", {}, play, drop));
  drop.addEventListener("click", () => attempt(async () => {
    await ask(`v1/cache/phrases/${encodeURIComponent(key)}`, { method: "DELETE" });
    const next = (row.nextElementSibling ?? row.previousElementSibling)?.querySelector("button.danger");
    row.remove();
    (next ?? search).focus();
    say(line, `“${text}” is deleted.`);
    await sizes();
  }));
  return row;
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    say(line, error.message, true);
  }
}

async function sizes() {
  const { tiers } = await ask("v1/cache");
  const cards = Object.entries(tiers).map(([name, numbers]) => tier(name, numbers));
  $("#tiers").replaceChildren(...(cards.length ? cards : [make("p.card", {}, "The cache is off in the settings.")]));
}

async function phrases() {
  const query = new URLSearchParams({ search: search.value, voice: voice.value, limit: LIMIT });
  for (const [name, value] of [...query]) if (!value) query.delete(name);
  const { total, phrases: found } = await ask(`v1/cache/phrases?${query}`);
  $("#phrases").replaceChildren(...found.map(phrase));
  const shown = total > found.length ? `The last ${count(found.length)} of ${count(total)} phrases.` : `${count(total)} ${total === 1 ? "phrase" : "phrases"}.`;
  say(line, total ? shown : "No phrases found.");
}

async function clear() {
  const everything = make("option", { value: "" }, "Everything");
  const choices = [everything, ...[...voice.options].slice(1).map(({ value }) => make("option", { value }, `Phrases of ${value}`))];
  const text = "Deleted phrases are synthesized again when they are needed. Pinned phrases are deleted, too.";
  const choice = await confirm({ title: "Clear the cache?", text, action: "Clear", choices });
  if (choice === null) return;
  await attempt(async () => {
    const { dropped } = await ask(`v1/cache${choice ? `?${new URLSearchParams({ voice: choice })}` : ""}`, { method: "DELETE" });
    await Promise.all([sizes(), phrases()]);
    say(line, `${count(dropped)} ${dropped === 1 ? "phrase is" : "phrases are"} deleted.`);
  });
}

/** Load and show the content. */
export const show = () => attempt(() => Promise.all([sizes(), phrases()]));

/** Set the view up. */
export function start() {
  const all = () => make("option", { value: "" }, "All voices");
  fill(voice, [all()]);
  onCatalog(() => offerVoices(voice, all()));
  voice.addEventListener("change", () => attempt(phrases));
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => attempt(phrases), SEARCH_DELAY);
  });
  $("#clear").addEventListener("click", clear);
}
