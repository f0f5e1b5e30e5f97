// The page's frame: which view is shown, whether the service can be reached, and its state.
import * as activity from "./activity.js";
import { ask, isAway } from "./api.js";
import * as cache from "./cache.js";
import { load } from "./catalog.js";
import * as clone from "./clone.js";
import * as compare from "./compare.js";
import * as design from "./design.js";
import { $, duration } from "./dom.js";
import * as prerender from "./prerender.js";
import * as speak from "./speak.js";
import * as voices from "./voices.js";

/** Milliseconds between attempts while the service cannot be reached. */
const RETRY_DELAY = 2000;
/** Milliseconds between two looks while a model is loading, and otherwise. */
const LOADING_INTERVAL = 1000;
const HEALTH_INTERVAL = 30000;

const VIEWS = { speak, compare, voices: { ...voices, hide: clone.hide }, activity, cache };
const links = [...document.querySelectorAll("nav a")];
let shown = null;
/** Whether the service has answered, so that views may send requests. */
let connected = false;
let timer = 0;

/** Show the view in the URL's fragment; by default the first one. */
function route() {
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "speak";
  if (name === shown) return;
  if (shown) {
    VIEWS[shown].hide?.();
    $(`#${shown}-view`).hidden = true;
  }
  shown = name;
  $(`#${name}-view`).hidden = false;
  for (const link of links) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (connected) VIEWS[name].show?.();
  scrollTo(0, 0);
}

/** Load the voices; while the service cannot be reached, show a notice and retry. */
async function begin() {
  clearTimeout(timer);
  const notice = $("#notice");
  try {
    await load();
    notice.hidden = true;
    if (!connected) VIEWS[shown].show?.();
    connected = true;
    await health();
  } catch (error) {
    notice.hidden = false;
    if ($("p", notice).textContent !== error.message) $("p", notice).textContent = error.message;
    if (isAway(error)) timer = setTimeout(begin, RETRY_DELAY);
  }
}

async function health() {
  clearTimeout(timer);
  const { version, engines, speaking, default_voice: preferred } = await ask("health");
  const states = engines.map(({ name, ready, models, reason }) =>
    ready ? [name, ...Object.keys(models ?? {})].join(" ") : `${name} not ready (${reason})`);
  $("#health").textContent = `wyoming-qwen3tts ${version} · engines: ${states.join(", ")} · default voice: ${preferred}`;
  const was = !$("#loading").hidden;
  const loading = engines.find((engine) => engine.loading)?.loading;
  showLoading(loading, speaking);
  if (was && !loading) await load();
  timer = setTimeout(() => health().catch(begin), loading ? LOADING_INTERVAL : HEALTH_INTERVAL);
}

/** Show what an engine does before it can speak, how much of it is done, and what speaks meanwhile. */
function showLoading(loading, speaking) {
  const box = $("#loading");
  box.hidden = !loading;
  if (!loading) return;
  const { step, model, share, seconds_left: left } = loading;
  const done = share === null ? "" : `, ${Math.round(100 * share)} %`;
  const time = left === null ? "" : `, about ${duration(left)} left`;
  const meanwhile = speaking ? ` Until then, other voices speak (engine: ${speaking}).` : "";
  const text = `${step[0].toUpperCase()}${step.slice(1)} ${model}${done}${time}.${meanwhile}`;
  if ($("p", box).textContent !== text) $("p", box).textContent = text;
  if (share === null) $("progress", box).removeAttribute("value");
  else $("progress", box).value = share;
}

for (const view of [...Object.values(VIEWS), clone, design, prerender]) view.start?.();
// Links are handled here: with a <base> element the browser would load another page.
for (const link of links) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    location.hash = link.hash;
  });
}
$(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("#main").focus();
});
$("#notice button").addEventListener("click", begin);
addEventListener("hashchange", route);
route();
begin();
