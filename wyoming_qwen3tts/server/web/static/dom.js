// The few things that every view does with the document. Text only ever gets in as text.

/** @returns {HTMLElement} the first match; a missing one is a mistake in the page */
export const $ = (selector, root = document) => root.querySelector(selector);

/**
 * Make an element. `properties` are the element's own, `data-` and `aria-` ones are attributes.
 * @param {string} name such as `p` or `td.number`
 * @param {Object<string, any>} properties
 * @param {...(Node|string)} children strings become text
 */
export function make(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(properties)) {
    if (/^(aria|data)-|^(role|scope|for)$/.test(key)) element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

/** Say something in a status line: a person sees it, a screen reader reads it. */
export function say(line, text, bad = false) {
  line.classList.toggle("bad", bad);
  line.replaceChildren(text);
}

/** Say something and the remarks that came with it. */
export function sayAll(line, text, remarks) {
  say(line, text);
  if (remarks.length) line.append(make("ul", {}, ...remarks.map((remark) => make("li", {}, remark))));
}

/**
 * Say what was wrong with a form: beside the field that is to blame, else in the form's status line.
 * @param {HTMLFormElement} form
 * @param {Error & {param?: string}} error
 */
export function blame(form, error) {
  const control = error.param && form.elements.namedItem(error.param);
  const field = control?.closest?.(".field:not([hidden])");
  if (!field) return say($(".status", form), error.message, true);
  const id = `${control.form.id}-${error.param}-fault`;
  field.append(make("p.fault", { id, role: "alert" }, error.message));
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", `${control.getAttribute("aria-describedby") ?? ""} ${id}`.trim());
  control.focus();
}

/** Forget what was wrong with a form. */
export function absolve(form) {
  for (const fault of form.querySelectorAll(".fault")) {
    const control = $(`[aria-describedby~="${fault.id}"]`, form);
    const others = control.getAttribute("aria-describedby").split(" ").filter((id) => id !== fault.id);
    control.setAttribute("aria-describedby", others.join(" "));
    control.removeAttribute("aria-invalid");
    fault.remove();
  }
  say($(".status", form), "");
}

/** Fill a select; what was chosen stays chosen where it still exists. */
export function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options);
  if ([...select.options].some((option) => option.value === before)) select.value = before;
}

/**
 * Ask before something cannot be undone.
 * @param {{title: string, text: string, action: string, choices?: Node[]}} question
 * @returns {Promise<string|null>} null for no; else the choice, empty where there is none
 */
export function confirm({ title, text, action, choices = [] }) {
  const dialog = $("#confirm");
  $("h2", dialog).textContent = title;
  $("p", dialog).textContent = text;
  $("button.danger", dialog).textContent = action;
  const choice = $("select", dialog);
  choice.replaceChildren(...choices);
  choice.closest(".field").hidden = !choices.length;
  return answered(dialog).then((yes) => (yes ? choice.value : null));
}

/** Show a dialog; resolve to whether it was confirmed. */
export function answered(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

const numbers = new Intl.NumberFormat("en");
const tags = new Intl.DisplayNames(["en"], { type: "language" });

export const count = (value) => numbers.format(value);
export const milliseconds = (value) => `${numbers.format(Math.round(value))} ms`;
export const seconds = (value) => `${value.toFixed(value < 9.95 ? 1 : 0)} s`;

/** @param {number} value bytes */
export function bytes(value) {
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, value)) / 3));
  return `${(value / 1000 ** power).toFixed(power && value < 100 * 1000 ** power ? 1 : 0)} ${["B", "kB", "MB", "GB"][power]}`;
}

/** The name of a language in English; a tag that nobody knows is its own name. */
export function language(tag) {
  try {
    return tags.of(tag);
  } catch {
    return tag;
  }
}
