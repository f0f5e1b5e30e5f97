// What was asked for lately, and how long it took to the first sound.
import { ask } from "./api.js";
import { $, count, make, milliseconds, say, seconds } from "./dom.js";
import { isKept, plot } from "./plot.js";

/** Milliseconds between two looks, as long as somebody looks. */
const EVERY = 4000;
const LIMIT = 100;
/** Pixels: a plot for less than that would have nothing but letters. */
const NARROWEST = 280;
/** Outcomes that are nobody's fault: who left had heard enough. */
const FINE = ["ok", "gone"];

const line = $("#activity-view .status");
let timer = 0;
/** @type {Object[]} what was shown last */
let shown = [];

function row(request) {
  const { time, voice, first_audio_ms: first, outcome, cache, audio_seconds: length, rtf, characters, door } = request;
  const when = new Date(time * 1000);
  const cell = (name, text, more) => make(name, more, text ?? "–");
  return make("tr", {},
    cell("td", when.toLocaleTimeString(), { title: when.toLocaleString() }),
    cell("td.voice", voice, { title: voice ?? "" }),
    cell("td.number", first === null ? null : milliseconds(first)),
    cell(FINE.includes(outcome) ? "td" : "td.bad", outcome),
    cell("td", cache),
    cell("td.number", length ? seconds(length) : null),
    cell("td.number", rtf?.toFixed(2)),
    cell("td.number", count(characters)),
    cell("td", door));
}

async function refresh() {
  if (document.hidden) return;
  try {
    const { requests } = await ask(`v1/requests?limit=${LIMIT}`);
    say(line, requests.length ? "" : "Nobody has asked for anything since the service started.");
    if (requests.map(({ id }) => id).join() === shown.map(({ id }) => id).join()) return;
    shown = requests;
    $("#activity-view tbody").replaceChildren(...requests.map(row));
    draw();
  } catch (error) {
    say(line, error.message, true);
  }
}

function draw() {
  const place = $("#plot .plot");
  const { drawing, text } = plot(shown, Math.max(NARROWEST, place.clientWidth));
  place.replaceChildren(...drawing);
  $("#plot-text").textContent = text;
  $("#plot .legend").hidden = !shown.some(isKept);
}

/** Look, and go on looking. */
export function show() {
  hide();
  timer = setInterval(refresh, EVERY);
  refresh();
}

/** Look no more. */
export function hide() {
  clearInterval(timer);
}

/** Set the view up. */
export function start() {
  document.addEventListener("visibilitychange", () => $("#activity-view").hidden || refresh());
  addEventListener("resize", () => $("#activity-view").hidden || draw());
}
