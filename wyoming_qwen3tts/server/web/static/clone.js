// A voice from a recording: made here, or a file.
import { ask } from "./api.js";
import { catalog, load, offerLanguages, onCatalog, sentences } from "./catalog.js";
import { $, absolve, blame, say, sayAll, seconds } from "./dom.js";
import { Recorder, whyNot } from "./recorder.js";
import { hush } from "./speech.js";

/** Seconds that are advised. */
const SHORT = 5;
const LONG = 15;

const form = $("#clone");
const { name, language, transcript, description, record, file } = form.elements;
const line = $(".status", form);
/** @type {Blob|null} what is going to be sent */
let recording = null;
/** @type {Recorder|null} */
let recorder = null;

/** Take a recording as the one to be sent, and let the person hear it. */
function take(blob, about) {
  recording = blob;
  const place = $("#recording");
  const audio = $("audio", place);
  URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(blob);
  $("p", place).textContent = about;
  place.hidden = false;
}

function advice(length) {
  if (length < SHORT) return `${seconds(length)}: rather short, ${SHORT} to ${LONG} s are best.`;
  return length > LONG ? `${seconds(length)}: rather long, what is over ${LONG} s is cut.` : seconds(length);
}

async function begin() {
  hush();
  absolve(form);
  recorder = new Recorder((length, level, full) => {
    $("#level meter").value = level;
    $("#level output").textContent = seconds(length);
    if (full) end();
  });
  record.disabled = true;
  try {
    await recorder.start();
    $("#level").hidden = false;
    $("#recording").hidden = true;
    record.textContent = "Stop recording";
    say(line, "Recording.");
  } catch (error) {
    recorder = null;
    say(line, error.message, true);
  }
  record.disabled = false;
}

async function end() {
  const ended = recorder;
  recorder = null;
  if (!ended) return;
  const made = await ended.stop();
  record.textContent = "Record again";
  $("#level").hidden = true;
  file.value = "";
  take(new File([made.file], "recording.wav", { type: "audio/wav" }), advice(made.seconds));
  if (transcript.value) return say(line, "Recorded. Listen to it before you send it.");
  transcript.value = $("#reading blockquote").textContent;
  say(line, "Recorded. Listen to it before you send it; and if you did not read what was to be read, correct it below.");
}

async function clone() {
  absolve(form);
  if (!name.value.trim()) return blame(form, { param: "name", message: "A voice needs a name." });
  if (!recording) return say(line, "There is no recording yet: record one, or choose a file.", true);
  const body = new FormData();
  body.set("name", name.value.trim());
  body.set("file", recording, recording.name);
  body.set("language", language.value);
  for (const field of [transcript, description]) if (field.value.trim()) body.set(field.name, field.value.trim());
  const button = $("button.primary", form);
  button.disabled = true;
  say(line, "Sending the recording…");
  try {
    const { voice, remarks } = await ask("v1/audio/voices", { method: "POST", body });
    await load();
    clear();
    sayAll(line, voice ? `${voice.name} can speak now.` : "The voice is kept.", remarks);
  } catch (error) {
    say(line, "");
    blame(form, error);
  }
  button.disabled = false;
}

/** Be ready for another voice. */
function clear() {
  recording = null;
  $("#recording").hidden = true;
  record.textContent = "Record";
  for (const field of [name, transcript, description, file]) field.value = "";
}

/** Record no longer than somebody sees it. */
export function hide() {
  if (recorder && !record.disabled) end();
}

/** Set the form up. */
export function start() {
  const missing = whyNot();
  record.disabled = missing !== null;
  $("#no-microphone").hidden = missing === null;
  $("#no-microphone").textContent = missing ?? "";
  const read = () => ($("#reading blockquote").textContent = sentences[language.value] ?? "");
  onCatalog(() => {
    offerLanguages(language, Object.keys(sentences), false);
    read();
    allow(form, catalog.can_clone, catalog.clone_reason);
  });
  language.addEventListener("change", read);
  record.addEventListener("click", () => (recorder ? end() : begin()));
  file.addEventListener("change", () => {
    if (file.files.length) take(file.files[0], file.files[0].name);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clone();
  });
}

/** Let a form be used, or say why it cannot be. */
export function allow(form, can, reason) {
  $("fieldset", form).disabled = !can;
  $(".reason", form).hidden = can;
  $(".reason", form).textContent = can ? "" : `Not possible here: ${reason}`;
}
