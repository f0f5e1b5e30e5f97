// DOM helpers for all views. Strings are always inserted as text, never as HTML.

/** @returns {HTMLElement} the first match, or null */
export const $ = (selector, root = document) => root.querySelector(selector);

/**
 * Create an element. `properties` are set on the element; `data-` and `aria-` ones as attributes.
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

/** Show a message in a status line, which screen readers announce. */
export function say(line, text, bad = false) {
  line.classList.toggle("bad", bad);
  line.replaceChildren(text);
}

/** Show a message and a list of remarks. */
export function sayAll(line, text, remarks) {
  say(line, text);
  if (remarks.length) line.append(make("ul", {}, ...remarks.map((remark) => make("li", {}, remark))));
}

/**
 * Show an error of a form: beside the invalid field, else in the form's status line.
 * @param {HTMLFormElement} form
 * @param {Error & {param?: string}} error
 */
export function showError(form, error) {
  const control = error.param && form.elements.namedItem(error.param);
  const field = control?.closest?.(".field:not([hidden])");
  if (!field) return say($(".status", form), error.message, true);
  const id = `${control.form.id}-${error.param}-fault`;
  field.append(make("p.fault", { id, role: "alert" }, error.message));
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-describedby", `${control.getAttribute("aria-describedby") ?? ""} ${id}`.trim());
  control.focus();
}

/** Remove all errors of a form. */
export function clearErrors(form) {
  for (const fault of form.querySelectorAll(".fault")) {
    const control = $(`[aria-describedby~="${fault.id}"]`, form);
    const others = control.getAttribute("aria-describedby").split(" ").filter((id) => id !== fault.id);
    control.setAttribute("aria-describedby", others.join(" "));
    control.removeAttribute("aria-invalid");
    fault.remove();
  }
  say($(".status", form), "");
}

/** Replace a select's options; the selected value stays selected if it still exists. */
export function fill(select, options) {
  const before = select.value;
  select.replaceChildren(...options);
  if ([...select.options].some((option) => option.value === before)) select.value = before;
}

/**
 * Ask for confirmation before something that cannot be undone.
 * @param {{title: string, text: string, action: string, choices?: Node[]}} question
 * @returns {Promise<string|null>} null for no; else the choice, or "" if there are no choices
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

export const duration = (value) => (value < 100 ? `${Math.ceil(value)} s` : `${Math.round(value / 60)} min`);

/** @param {number} value bytes */
export function bytes(value) {
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, value)) / 3));
  return `${(value / 1000 ** power).toFixed(power && value < 100 * 1000 ** power ? 1 : 0)} ${["B", "kB", "MB", "GB"][power]}`;
}

/** The name of a language in that language. */
export const ownName = (tag) => new Intl.DisplayNames([tag], { type: "language" }).of(tag);

/** The English name of a language; an unknown tag is returned unchanged. */
export function language(tag) {
  try {
    return tags.of(tag);
  } catch {
    return tag;
  }
}
