// The compare view: one text in two voices, one after the other, optionally blind.
import { offerVoices, onCatalog } from "./catalog.js";
import { $, milliseconds, say } from "./dom.js";
import { SpeechCard } from "./speech-card.js";

const form = $("#compare-view form");
const { text, a, b, blind, stop, reveal } = form.elements;
const line = $(".status", form);
const cards = [0, 1].map((i) => new SpeechCard("", () => form.reportValidity() && perform(i)));
/** The voices of the two cards; in random order for a blind comparison. @type {string[]} */
let cast = [];
/** Counts comparisons, so that an older one does not continue after a newer one was started. */
let round = 0;
/** The last round whose times were shown; once each, as the result of "Reveal" uses the same line. */
let reported = -1;

/** Start a new comparison: another text, or other voices. */
function reset() {
  round++;
  for (const card of cards) card.clear();
  cast = [a.value, b.value];
  if (blind.checked && Math.random() < 0.5) cast.reverse();
  reveal.hidden = !blind.checked;
  title();
  say(line, "");
}

function title() {
  cards.forEach((card, i) => (card.caption.textContent = reveal.hidden ? cast[i] : `Voice ${i + 1}`));
}

/** Speak the text with the voice of a card; return whether it was played completely. */
async function perform(i) {
  say(line, "");
  const speech = await cards[i].speak({ input: text.value, voice: cast[i] }, show);
  if (speech.error) say(line, `${cards[i].caption.textContent}: ${speech.error.message}`, true);
  return speech.state === "complete";
}

function show() {
  stop.disabled = !cards.some(({ speech }) => speech?.playing);
  const [one, other] = cards.map(({ speech }) => speech?.first ?? null);
  if (one === null || other === null || reported === round) return;
  reported = round;
  say(line, `First audio after ${milliseconds(one)} and after ${milliseconds(other)}.`);
}

async function both() {
  reset();
  const mine = round;
  if ((await perform(0)) && mine === round) await perform(1);
}

/** Set the view up. */
export function start() {
  $("#compare-view .cards").append(...cards.map((card) => card.element));
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
    for (const { speech } of cards) speech?.stop();
  });
  reveal.addEventListener("click", () => {
    reveal.hidden = true;
    title();
    say(line, `The first is ${cast[0]}, the second ${cast[1]}.`);
  });
}
