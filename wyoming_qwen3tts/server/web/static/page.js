// The frame: which view is shown, whether the service is there, how it is.
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

/** Milliseconds before the page asks again whether the service is there. */
const PATIENCE = 2000;

const VIEWS = { speak, compare, voices: { ...voices, hide: clone.hide }, activity, cache };
const links = [...document.querySelectorAll("nav a")];
let shown = null;
/** Whether the service has answered, so that views may ask it for more. */
let there = false;
let timer = 0;

/** Show the view that the address names; an unknown one is the first. */
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
  if (there) VIEWS[name].show?.();
  scrollTo(0, 0);
}

/** Look the voices up; where the service is not there yet, say so calmly and go on trying. */
async function begin() {
  clearTimeout(timer);
  const notice = $("#notice");
  try {
    await load();
    notice.hidden = true;
    if (!there) VIEWS[shown].show?.();
    there = true;
    await health();
  } catch (error) {
    notice.hidden = false;
    if ($("p", notice).textContent !== error.message) $("p", notice).textContent = error.message;
    if (isAway(error)) timer = setTimeout(begin, PATIENCE);
  }
}

async function health() {
  const { version, engines, default_voice: preferred } = await ask("health");
  const said = engines.map(({ name, ready, models, reason }) =>
    ready ? [name, ...Object.keys(models ?? {})].join(" ") : `${name} does not speak (${reason})`);
  $("#health").textContent = `wyoming-qwen3tts ${version} · voices of ${said.join(", ")} · default voice: ${preferred}`;
}

for (const view of [...Object.values(VIEWS), clone, design, prerender]) view.start?.();
// Links are followed by hand: with a base, the browser would take them for another page.
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
