// The page's frame: which view is shown, whether the service can be reached, and its state.
import * as activity from "./activity.js";
import { ask, isAway } from "./api.js";
import * as cache from "./cache.js";
import { load } from "./catalog.js";
import * as clone from "./clone.js";
import * as compare from "./compare.js";
import * as design from "./design.js";
import { $ } from "./dom.js";
import * as prerender from "./prerender.js";
import * as speak from "./speak.js";
import * as voices from "./voices.js";

/** Milliseconds between attempts while the service cannot be reached. */
const RETRY_DELAY = 2000;

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
  const { version, engines, default_voice: preferred } = await ask("health");
  const states = engines.map(({ name, ready, models, reason }) =>
    ready ? [name, ...Object.keys(models ?? {})].join(" ") : `${name} not ready (${reason})`);
  $("#health").textContent = `wyoming-qwen3tts ${version} · engines: ${states.join(", ")} · default voice: ${preferred}`;
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
