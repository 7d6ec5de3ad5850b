/**
 * The registrar's page: keeps the key of the tab, sends the letter to the API, shows what to tell the citizen, and is ready for the next one.
 * Whoever has a session needs none of this: the form goes by itself.
 */
import { byId, lang, text } from "./page.js";

/** @typedef {{ type?: string, title?: string, detail?: string, errors?: { field: string, detail: string }[] }} Problem */

const STORE = "otklik.desk.key";
const TIMEOUT_MS = 15_000;
const STAYS = ["source", "event.name", "event.at", "event.place"];

const form = /** @type {HTMLFormElement} */ (byId("form"));
const signed = form.dataset["signed"] === "1";
const receipt = byId("receipt");
const status = byId("status");
let busy = false;

/** @param {string} name */
const idOf = (name) => (name === "source" ? "source_telephone" : name.replace(".", "_"));

// ---- the key

function showKey() {
  if (signed) {
    return;
  }
  const kept = sessionStorage.getItem(STORE) !== null;
  byId("key_ask").hidden = kept;
  byId("key_kept").hidden = !kept;
  form.hidden = !kept;
}

/** @param {string} sentence */
function refuseKey(sentence) {
  sessionStorage.removeItem(STORE);
  showKey();
  byId("key_error").textContent = sentence;
  byId("key_error").hidden = false;
  byId("key").setAttribute("aria-invalid", "true");
  byId("key").focus();
}

if (!signed) {
  byId("key_form").addEventListener("submit", (event) => {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (byId("key"));
    if (field.value.trim() === "") {
      return;
    }
    sessionStorage.setItem(STORE, field.value.trim());
    field.value = "";
    field.removeAttribute("aria-invalid");
    byId("key_error").hidden = true;
    showKey();
    first().focus();
  });
  byId("key_forget").addEventListener("click", () => {
    sessionStorage.removeItem(STORE);
    showKey();
    byId("key").focus();
  });
}

/** Where to go on: the choice that is made, or else the first one; the text when the source stays from the letter before. */
function first() {
  const chosen = form.querySelector("input[name=source]:checked");
  return chosen ? byId("text") : byId("source_telephone");
}

// ---- errors

function clearErrors() {
  byId("summary").hidden = true;
  for (const error of form.querySelectorAll(".error")) {
    error.textContent = "";
    /** @type {HTMLElement} */ (error).hidden = true;
  }
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
  }
  for (const field of form.querySelectorAll(".field-bad")) {
    field.classList.remove("field-bad");
  }
}

/** @param {Problem} problem */
function showErrors(problem) {
  const errors = problem.errors?.length ? problem.errors : [{ field: "", detail: problem.detail ?? text("refused") }];
  byId("summary_list").replaceChildren(
    ...errors.map(({ field, detail }) => {
      const item = document.createElement("li");
      const control = document.getElementById(idOf(field));
      if (!control) {
        item.textContent = detail;
        return item;
      }
      const error = byId(`${field.replace(".", "_")}_error`);
      error.textContent = detail;
      error.hidden = false;
      control.setAttribute("aria-invalid", "true");
      control.closest(".field")?.classList.add("field-bad");
      control.closest("details")?.setAttribute("open", "");
      const link = document.createElement("a");
      link.href = `#${control.id}`;
      const label = field === "source" ? control.closest("fieldset")?.querySelector("legend") : form.querySelector(`label[for="${control.id}"]`);
      link.textContent = `${(label?.textContent ?? "").trim()}: ${detail}`;
      item.append(link);
      return item;
    }),
  );
  byId("summary").hidden = false;
  byId("summary").focus();
}

// ---- sending

/** The letter as the API takes it: event.name is a member of event. */
function letter() {
  /** @type {Record<string, any>} */
  const body = {};
  for (const [name, value] of new FormData(form)) {
    const typed = String(value).trim();
    if (typed === "" || name === "idempotency_key") {
      continue;
    }
    const [outer = "", inner] = name.split(".");
    const number = Number(typed.replace(",", "."));
    const told = outer === "point" && Number.isFinite(number) ? number : outer === "notify" ? true : typed;
    if (inner) {
      (body[outer] ??= {})[inner] = told;
    } else {
      body[outer] = told;
    }
  }
  body["text"] ??= "";
  return JSON.stringify(body);
}

/** @param {{ number: string, code: string }} answer */
function stored(answer) {
  byId("receipt_number").textContent = answer.number;
  byId("receipt_code").textContent = answer.code;
  receipt.hidden = false;
  for (const field of form.elements) {
    if ((field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement || field instanceof HTMLSelectElement) && !STAYS.includes(field.name)) {
      if (field instanceof HTMLInputElement && field.type === "checkbox") {
        field.checked = false;
      } else {
        field.value = "";
      }
    }
  }
  /** @type {HTMLInputElement} */ (byId("idempotency_key")).value = crypto.randomUUID();
  receipt.focus();
  receipt.scrollIntoView({ block: "start" });
}

async function send() {
  try {
    const response = await fetch("/api/v1/desk/appeals", {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Accept-Language": lang,
        "Idempotency-Key": /** @type {HTMLInputElement} */ (byId("idempotency_key")).value,
        "X-Api-Key": sessionStorage.getItem(STORE) ?? "",
      },
      body: letter(),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer = await response.json();
    if (response.status === 201) {
      status.textContent = "";
      stored(answer);
    } else if (response.status === 401 || response.status === 403) {
      refuseKey(text("key_wrong"));
    } else if (response.status === 422 || response.status === 400) {
      showErrors(answer);
    } else {
      status.textContent = text("busy");
    }
  } catch {
    status.textContent = text("offline"); // the key of the letter stays: sent again it is stored once
  }
}

form.addEventListener("submit", async (event) => {
  if (signed) {
    return;
  }
  event.preventDefault();
  if (busy) {
    return;
  }
  busy = true;
  clearErrors();
  receipt.hidden = true;
  status.textContent = text("sending");
  await send();
  if (status.textContent === text("sending")) {
    status.textContent = "";
  }
  busy = false;
});

form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

byId("summary").addEventListener("click", (event) => {
  const id = event.target instanceof HTMLAnchorElement ? event.target.hash.slice(1) : "";
  if (id !== "") {
    event.preventDefault();
    byId(id).closest("details")?.setAttribute("open", "");
    byId(id).focus();
  }
});

byId("receipt_actions").hidden = false;
byId("print").addEventListener("click", () => window.print());
byId("next").addEventListener("click", () => {
  receipt.hidden = true;
  first().focus();
});

showKey();
document.documentElement.dataset["script"] = "ready";
