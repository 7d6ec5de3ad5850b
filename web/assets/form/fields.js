/** The fields of the form by their names: read, filled, and marked with what is wrong. */

import { byId, text } from "../page.js";

export const form = /** @type {HTMLFormElement} */ (byId("form"));
const summary = byId("summary");

/** What a draft keeps. */
export const NAMES = [
  "text", "address", "point.lat", "point.lon", "theme", "public", "contact.name", "contact.email", "contact.phone", "notify", "consent",
];
/** What can be wrong. */
const MARKED = [...NAMES, "files"];

/** @param {string} name */
export function control(name) {
  return /** @type {HTMLInputElement} */ (byId(name.replace(".", "_")));
}

export function readForm() {
  /** @type {Record<string, string | boolean>} */
  const values = {};
  for (const name of NAMES) {
    const field = control(name);
    const value = field.type === "checkbox" ? field.checked : field.value;
    if (value !== "" && value !== false) {
      values[name] = value;
    }
  }
  return values;
}

/** @param {Record<string, string | boolean>} values */
export function fillForm(values) {
  for (const name of NAMES) {
    const field = control(name);
    if (field.type === "checkbox") {
      field.checked = values[name] === true;
    } else {
      field.value = typeof values[name] === "string" ? values[name] : "";
    }
  }
}

/**
 * @param {string} name
 * @param {string} sentence "" takes the error away
 */
export function showError(name, sentence) {
  const field = control(name);
  const error = byId(`${field.id}_error`);
  error.textContent = sentence;
  error.hidden = sentence === "";
  field.closest(".field")?.classList.toggle("field-bad", sentence !== "");
  if (sentence === "") {
    field.removeAttribute("aria-invalid");
  } else {
    field.setAttribute("aria-invalid", "true");
    field.closest("details")?.setAttribute("open", "");
  }
}

export function clearErrors() {
  MARKED.forEach((name) => showError(name, ""));
  summary.hidden = true;
  byId("summary_list").replaceChildren();
  document.title = document.title.replace(`${text("error_title")} `, "");
}

/** @param {string} name */
function labelOf(name) {
  const label = form.querySelector(`label[for="${control(name).id}"]`);
  return (label?.firstChild?.textContent ?? "").trim().replace(/[:?]$/, "");
}

/**
 * Puts each error beside its field and all of them on top, and goes there.
 * @param {{ field: string, detail: string }[]} errors
 */
export function showErrors(errors) {
  const list = byId("summary_list");
  list.replaceChildren(
    ...errors.map(({ field, detail }) => {
      const item = document.createElement("li");
      if (!MARKED.includes(field)) {
        item.textContent = detail;
        return item;
      }
      showError(field, detail);
      const link = document.createElement("a");
      link.href = `#${control(field).id}`;
      link.textContent = `${labelOf(field)}: ${detail}`;
      item.append(link);
      return item;
    }),
  );
  summary.hidden = false;
  if (!document.title.startsWith(text("error_title"))) {
    document.title = `${text("error_title")} ${document.title}`;
  }
  summary.focus();
}

// A link of the summary leads into the field, not only to it.
summary.addEventListener("click", (event) => {
  const id = event.target instanceof HTMLAnchorElement ? event.target.hash.slice(1) : "";
  if (id !== "") {
    event.preventDefault();
    byId(id).closest("details")?.setAttribute("open", "");
    byId(id).focus();
    byId(id).scrollIntoView({ block: "center" });
  }
});
