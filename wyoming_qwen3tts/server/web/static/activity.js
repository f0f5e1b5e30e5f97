// The activity view: the last requests, and their times to first audio.
import { ask } from "./api.js";
import { $, count, make, milliseconds, say, seconds } from "./dom.js";
import { isKept, plot } from "./plot.js";

/** Milliseconds between two updates while the view is visible. */
const INTERVAL = 4000;
const LIMIT = 100;
/** Pixels; on a narrower plot the labels would leave no space for the dots. */
const MIN_WIDTH = 280;
/** Outcomes that are not errors; "gone": the client disconnected. */
const FINE = ["ok", "gone"];

const line = $("#activity-view .status");
let timer = 0;
/** @type {Object[]} the requests in the table */
let shown = [];

function row(request) {
  const { time, voice, first_audio_seconds: first, outcome, cache, audio_seconds: length, characters, api } = request;
  const when = new Date(time * 1000);
  const cell = (name, text, more) => make(name, more, text ?? "–");
  return make("tr", {},
    cell("td", when.toLocaleTimeString(), { title: when.toLocaleString() }),
    cell("td.voice", voice, { title: voice ?? "" }),
    cell("td.number", first === null ? null : milliseconds(1000 * first)),
    cell(FINE.includes(outcome) ? "td" : "td.bad", outcome),
    cell("td", cache),
    cell("td.number", length ? seconds(length) : null),
    cell("td.number", request.real_time_factor?.toFixed(2)),
    cell("td.number", count(characters)),
    cell("td", api));
}

async function refresh() {
  if (document.hidden) return;
  try {
    const { requests } = await ask(`v1/requests?limit=${LIMIT}`);
    say(line, requests.length ? "" : "No requests since the service started.");
    if (requests.map(({ id }) => id).join() === shown.map(({ id }) => id).join()) return;
    shown = requests;
    $("#activity-view tbody").replaceChildren(...requests.map(row));
    draw();
  } catch (error) {
    say(line, error.message, true);
  }
}

function draw() {
  const container = $("#plot .plot");
  const { drawing, text } = plot(shown, Math.max(MIN_WIDTH, container.clientWidth));
  container.replaceChildren(...drawing);
  $("#plot-text").textContent = text;
  $("#plot .legend").hidden = !shown.some(isKept);
}

/** Update now and every INTERVAL. */
export function show() {
  hide();
  timer = setInterval(refresh, INTERVAL);
  refresh();
}

/** Stop updating. */
export function hide() {
  clearInterval(timer);
}

/** Set the view up. */
export function start() {
  document.addEventListener("visibilitychange", () => $("#activity-view").hidden || refresh());
  addEventListener("resize", () => $("#activity-view").hidden || draw());
}
