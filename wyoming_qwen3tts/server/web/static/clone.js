// The form that clones a voice from a recording, made here or uploaded as a file.
import { ask } from "./api.js";
import { catalog, load, offerLanguages, onCatalog, sentences } from "./catalog.js";
import { $, clearErrors, showError, say, sayAll, seconds } from "./dom.js";
import { Recorder, whyNot } from "./recorder.js";
import { stopPlayback } from "./speech.js";

/** Recommended length of a recording, seconds. */
const SHORT = 5;
const LONG = 15;

const form = $("#clone");
const { name, language, transcript, description, record, file } = form.elements;
const line = $(".status", form);
/** @type {Blob|null} the recording to send */
let recording = null;
/** @type {Recorder|null} */
let recorder = null;

/** Use a recording as the one to send, and show a player for it. */
function setRecording(blob, about) {
  recording = blob;
  const container = $("#recording");
  const audio = $("audio", container);
  URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(blob);
  $("p", container).textContent = about;
  container.hidden = false;
}

function advice(length) {
  if (length < SHORT) return `${seconds(length)}: rather short, ${SHORT} to ${LONG} s are best.`;
  return length > LONG ? `${seconds(length)}: rather long, only the first ${LONG} s are used.` : seconds(length);
}

async function begin() {
  stopPlayback();
  clearErrors(form);
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
  setRecording(new File([made.file], "recording.wav", { type: "audio/wav" }), advice(made.seconds));
  if (transcript.value) return say(line, "Recorded. Listen to it before you send it.");
  transcript.value = $("#reading blockquote").textContent;
  say(line, "Recorded. Listen to it before you send it. If you read another text, correct the transcript below.");
}

async function clone() {
  clearErrors(form);
  if (!name.value.trim()) return showError(form, { param: "name", message: "A voice needs a name." });
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
    sayAll(line, voice ? `${voice.name} can speak now.` : "The voice is stored.", remarks);
  } catch (error) {
    say(line, "");
    showError(form, error);
  }
  button.disabled = false;
}

/** Reset the form. */
function clear() {
  recording = null;
  $("#recording").hidden = true;
  record.textContent = "Record";
  for (const field of [name, transcript, description, file]) field.value = "";
}

/** Stop recording when the view is hidden. */
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
    if (file.files.length) setRecording(file.files[0], file.files[0].name);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clone();
  });
}

/** Enable a form, or disable it and show the reason. */
export function allow(form, can, reason) {
  $("fieldset", form).disabled = !can;
  $(".reason", form).hidden = can;
  $(".reason", form).textContent = can ? "" : `Not possible here: ${reason}`;
}
