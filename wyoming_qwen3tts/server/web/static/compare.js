// The same text in two voices, one after the other, if wanted without knowing which is which.
import { offerVoices, onCatalog } from "./catalog.js";
import { $, milliseconds, say } from "./dom.js";
import { Take } from "./take.js";

const form = $("#compare-view form");
const { text, a, b, blind, stop, reveal } = form.elements;
const line = $(".status", form);
const takes = [0, 1].map((i) => new Take("", () => form.reportValidity() && perform(i)));
/** The voices of the two takes; drawn by lot where nobody is to know. @type {string[]} */
let cast = [];
/** Counts what was pressed: who waited for a sound of before does not go on. */
let round = 0;
/** The round whose first sounds were told of: once, for who they are is told in the same place. */
let told = -1;

/** Begin anew: another text, or other voices. */
function reset() {
  round++;
  for (const take of takes) take.clear();
  cast = [a.value, b.value];
  if (blind.checked && Math.random() < 0.5) cast.reverse();
  reveal.hidden = !blind.checked;
  title();
  say(line, "");
}

function title() {
  takes.forEach((take, i) => (take.caption.textContent = reveal.hidden ? cast[i] : `Voice ${i + 1}`));
}

/** Say the text in the voice of a take; return whether all of it was said and heard. */
async function perform(i) {
  say(line, "");
  const speech = await takes[i].speak({ input: text.value, voice: cast[i] }, show);
  if (speech.error) say(line, `${takes[i].caption.textContent}: ${speech.error.message}`, true);
  return speech.state === "whole";
}

function show() {
  stop.disabled = !takes.some(({ speech }) => speech?.playing);
  const [one, other] = takes.map(({ speech }) => speech?.first ?? null);
  if (one === null || other === null || told === round) return;
  told = round;
  say(line, `First audio after ${milliseconds(one)} and after ${milliseconds(other)}.`);
}

async function both() {
  reset();
  const mine = round;
  if ((await perform(0)) && mine === round) await perform(1);
}

/** Set the view up. */
export function start() {
  $("#compare-view .takes").append(...takes.map((take) => take.element));
  onCatalog(({ voices }) => {
    const before = cast.length && [a.value, b.value].join();
    for (const select of [a, b]) offerVoices(select);
    if (!cast.length) b.value = voices.find((voice) => voice.id !== a.value)?.id ?? a.value;
    if ([a.value, b.value].join() !== before) reset();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    both();
  });
  form.addEventListener("change", reset);
  stop.addEventListener("click", () => {
    round++;
    for (const { speech } of takes) speech?.stop();
  });
  reveal.addEventListener("click", () => {
    reveal.hidden = true;
    title();
    say(line, `The first is ${cast[0]}, the second ${cast[1]}.`);
  });
}
