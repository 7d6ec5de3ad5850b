/**
 * The public form: keeps a draft, sends it under one key until it is accepted, shows errors beside the fields.
 * Without this file the form posts by itself and the server answers with the same page.
 */

import { byId, lang, pause, retryAfter, text } from "./page.js";

/**
 * What localStorage keeps until the letter is accepted.
 * @typedef {object} Draft
 * @property {string} key Idempotency-Key of this letter
 * @property {Record<string, string | boolean>} values by name of the field
 * @property {string[]} sent exact bodies of tries whose end is not known, oldest first
 * @property {number} savedAt milliseconds since 1970
 */

/** @typedef {{ number: string, code: string, track: string }} Accepted */
/** @typedef {{ type?: string, title?: string, detail?: string, errors?: { field: string, detail: string }[] }} Problem */

const STORE = "otklik.draft";
const TEXT_MAX = 10_000; // characters, as the server counts them
const DRAFT_DAYS = 30;
const KEY_DAYS = 3; // the server forgets keys after that: an older one no longer protects from a second letter
const TIMEOUT_MS = 20_000;
const DAY_MS = 86_400_000;

const form = /** @type {HTMLFormElement} */ (byId("form"));
const fields = byId("fields");
const summary = byId("summary");
const textField = /** @type {HTMLTextAreaElement} */ (byId("text"));
const consent = /** @type {HTMLInputElement} */ (byId("consent"));
const NAMES = [
  "text", "address", "point.lat", "point.lon", "theme", "contact.name", "contact.email", "contact.phone", "consent",
];

/** @type {Draft} */
let draft = newDraft();
let busy = false;

/** @param {string} name */
function control(name) {
  return /** @type {HTMLInputElement} */ (byId(name.replace(".", "_")));
}

function newDraft() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  return { key, values: {}, sent: /** @type {string[]} */ ([]), savedAt: Date.now() };
}

// ---- draft

/** @returns {Draft | null} */
function readDraft() {
  try {
    const found = JSON.parse(localStorage.getItem(STORE) ?? "null");
    const fresh = found && Date.now() - found.savedAt < DRAFT_DAYS * DAY_MS;
    return fresh && typeof found.key === "string" && typeof found.values === "object" && Array.isArray(found.sent) ? found : null;
  } catch {
    return null; // storage forbidden or not ours
  }
}

function writeDraft() {
  draft.savedAt = Date.now();
  try {
    localStorage.setItem(STORE, JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

function forgetDraft() {
  draft = newDraft();
  try {
    localStorage.removeItem(STORE);
  } catch {
    // nothing was kept either
  }
}

function readForm() {
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
function fillForm(values) {
  for (const name of NAMES) {
    const field = control(name);
    if (field.type === "checkbox") {
      field.checked = values[name] === true;
    } else {
      field.value = typeof values[name] === "string" ? values[name] : "";
    }
  }
}

/** @param {string} sentence "" hides the line */
function showDraft(sentence) {
  byId("draft").hidden = sentence === "";
  const status = byId("draft_status");
  if (status.textContent !== sentence) {
    status.textContent = sentence;
  }
}

let saving = 0;
function saveSoon() {
  clearTimeout(saving);
  saving = window.setTimeout(save, 400);
}

function save() {
  clearTimeout(saving);
  saving = 0;
  if (busy || form.hidden) {
    return; // on its way, or taken: what was typed last must not come back as a new draft
  }
  draft.values = readForm();
  if (Object.keys(draft.values).length === 0 && draft.sent.length === 0) {
    forgetDraft();
    showDraft("");
  } else if (writeDraft()) {
    showDraft(text("draft_saved"));
  }
}

function restore() {
  const kept = readDraft();
  const typed = readForm();
  if (kept) {
    draft = kept;
    if (Date.now() - kept.savedAt > KEY_DAYS * DAY_MS) {
      draft.key = newDraft().key;
      draft.sent = [];
    }
  }
  if (Object.keys(typed).length > 0) {
    draft.values = typed; // the server gave back what was typed, or the browser did
  } else if (kept) {
    fillForm(kept.values);
    showDraft(text("draft_restored"));
  }
  byId("resumed").hidden = draft.sent.length === 0;
  count();
}

// ---- errors

/**
 * @param {string} name
 * @param {string} sentence "" takes the error away
 */
function showError(name, sentence) {
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

function clearErrors() {
  NAMES.forEach((name) => showError(name, ""));
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
function showErrors(errors) {
  const list = byId("summary_list");
  list.replaceChildren(
    ...errors.map(({ field, detail }) => {
      const item = document.createElement("li");
      if (!NAMES.includes(field)) {
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

// ---- sending

/** The letter as the API takes it. */
function letter() {
  const values = /** @type {Record<string, string>} */ (readForm());
  /** @type {Record<string, unknown>} */
  const body = { text: values["text"] ?? "" };
  for (const name of ["theme", "address"]) {
    if (values[name]) {
      body[name] = values[name];
    }
  }
  /** @type {Record<string, number | string>} */
  const point = {};
  for (const name of ["lat", "lon"]) {
    const typed = (values[`point.${name}`] ?? "").trim().replace(",", ".");
    if (typed !== "") {
      point[name] = Number.isFinite(Number(typed)) ? Number(typed) : typed; // the server names what is no number
    }
  }
  if (Object.keys(point).length > 0) {
    body["point"] = point;
  }
  const contact = contactOf(values);
  if (Object.keys(contact).length > 0) {
    body["contact"] = contact;
    if (consent.checked) {
      body["consent"] = consent.value;
    }
  }
  return JSON.stringify(body);
}

/** @param {Record<string, string>} values */
function contactOf(values) {
  /** @type {Record<string, string>} */
  const contact = {};
  for (const name of ["name", "email", "phone"]) {
    if (values[`contact.${name}`]?.trim()) {
      contact[name] = values[`contact.${name}`];
    }
  }
  return contact;
}

/** What can be told without asking the server. */
function check() {
  const values = /** @type {Record<string, string>} */ (readForm());
  const errors = [];
  if (!values["text"]?.trim()) {
    errors.push({ field: "text", detail: text("text_required") });
  }
  if (Object.keys(contactOf(values)).length > 0 && !consent.checked) {
    errors.push({ field: "consent", detail: text("consent_required") });
  }
  return errors;
}

/** @param {boolean} on */
function setBusy(on) {
  busy = on;
  fields.inert = on;
  form.setAttribute("aria-busy", String(on));
  byId("actions").hidden = on;
  byId("sending").hidden = !on;
  byId("sending_actions").hidden = true;
  byId("sending_count").textContent = "";
  byId("sending_text").textContent = on ? text("sending") : "";
}

/** @type {((go: "again" | "edit") => void) | null} */
let wake = null;

/**
 * Waits until it is time for the next try, the network is back, or the resident decides.
 * @param {number} seconds
 * @param {string} why
 * @returns {Promise<"again" | "edit">}
 */
function waitFor(seconds, why) {
  byId("sending_text").textContent = why;
  byId("sending_actions").hidden = false;
  const until = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    byId("sending_count").textContent = text("retry_in", { s: Math.max(left, 0) });
    if (left <= 0) {
      wake?.("again");
    }
  };
  const timer = setInterval(tick, 500);
  tick();
  return new Promise((resolve) => {
    wake = (go) => {
      wake = null;
      clearInterval(timer);
      byId("sending_actions").hidden = true;
      byId("sending_count").textContent = "";
      byId("sending_text").textContent = text("sending");
      resolve(go);
    };
  });
}

window.addEventListener("online", () => wake?.("again"));
byId("retry_now").addEventListener("click", () => {
  byId("sending").focus();
  wake?.("again");
});
byId("edit").addEventListener("click", () => wake?.("edit"));

/**
 * One try. A response that says nothing about the letter counts as none.
 * @param {string} body
 * @returns {Promise<Response | null>}
 */
async function post(body) {
  try {
    return await fetch("/api/v1/appeals", {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Language": lang,
        "Idempotency-Key": draft.key,
      },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    return null;
  }
}

/**
 * Tries until there is an answer; null when the resident wants to change the text first.
 * @param {string} body
 * @returns {Promise<Response | null>}
 */
async function deliver(body) {
  for (let attempt = 0; ; attempt++) {
    const response = await post(body);
    const passing = !response || [409, 429, 500, 502, 503, 504, 507].includes(response.status);
    if (response && !passing) {
      return response;
    }
    const seconds = Math.max(response ? retryAfter(response) : 0, response?.status === 409 ? 1 : pause(attempt));
    if (await waitFor(seconds, text(response ? "busy" : "offline")) === "edit") {
      return null;
    }
  }
}

/**
 * @param {Response} response
 * @returns {Promise<any>}
 */
async function read(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}

async function send() {
  const body = letter();
  draft.sent = [...draft.sent.filter((other) => other !== body), body]; // from here on the server may have it, whatever we hear
  draft.values = readForm();
  writeDraft();
  // "Key reused" means that an earlier try has arrived after all, and then the text was changed: ask for the answer to that one.
  /** @type {any} */
  let answer = {};
  for (const tried of [body, ...draft.sent.filter((other) => other !== body)]) {
    const response = await deliver(tried);
    if (!response) {
      return;
    }
    answer = await read(response);
    if (response.status === 201) {
      accepted(answer, tried !== body);
      return;
    }
    if (response.status !== 422 || !String(answer.type).endsWith("idempotency-key-reused")) {
      break;
    }
  }
  refused(answer);
}

/** @param {Problem} problem */
function refused(problem) {
  draft.sent = []; // a refusal stores nothing
  writeDraft();
  setBusy(false);
  const detail = problem.detail ?? problem.title ?? text("refused");
  showErrors(problem.errors?.length ? problem.errors : [{ field: "", detail }]);
}

/**
 * @param {Accepted} answer
 * @param {boolean} earlier the letter is not the text on the screen
 */
function accepted(answer, earlier) {
  forgetDraft();
  const query = new URLSearchParams({ number: answer.number, code: answer.code, lang, new: "1" });
  const link = /** @type {HTMLAnchorElement} */ (byId("receipt_link"));
  link.href = `/track?${query}`;
  byId("receipt_number").textContent = answer.number;
  byId("receipt_code").textContent = answer.code;
  byId("receipt_earlier").hidden = !earlier;
  form.hidden = true;
  byId("receipt").hidden = false;
  byId("receipt").focus();
  if (!earlier) {
    location.assign(link.href);
  }
}

form.addEventListener("submit", async (event) => {
  const files = /** @type {HTMLInputElement} */ (byId("files")).files;
  if (busy) {
    event.preventDefault();
    return;
  }
  clearErrors();
  byId("resumed").hidden = true;
  const errors = check();
  if (errors.length > 0) {
    save();
    event.preventDefault();
    showErrors(errors);
    return;
  }
  if (files && files.length > 0) {
    return; // the browser sends them with the letter, as it would without us
  }
  event.preventDefault();
  setBusy(true);
  byId("sending").focus();
  try {
    await send();
  } finally {
    if (busy) {
      setBusy(false);
      if (!form.hidden) {
        textField.focus();
      }
    }
  }
});

// ---- typing

function count() {
  const left = TEXT_MAX - [...textField.value.trim()].length;
  const line = byId("text_count");
  line.hidden = left > TEXT_MAX / 10;
  line.classList.toggle("count-over", left < 0);
  line.textContent = line.hidden ? "" : text(left < 0 ? "over" : "left", { n: Math.abs(left) });
}

form.addEventListener("input", (event) => {
  if (event.target === textField) {
    count();
  }
  saveSoon();
});
window.addEventListener("pagehide", () => saving && save());

byId("draft_clear").addEventListener("click", () => {
  clearTimeout(saving);
  forgetDraft();
  fillForm({});
  clearErrors();
  count();
  byId("resumed").hidden = true;
  byId("locate_status").textContent = "";
  showDraft(text("draft_cleared"));
  textField.focus();
});

// Sent or cleared in another tab: what is written here from now on is another letter.
window.addEventListener("storage", (event) => {
  if (event.key === STORE && event.newValue === null && !busy) {
    draft = newDraft();
  }
});

// The way back from the tracking page shows a page out of memory: it begins a new letter.
window.addEventListener("pageshow", (event) => {
  if (event.persisted && form.hidden) {
    location.reload();
  }
});

// ---- place

const located = "geolocation" in navigator && window.isSecureContext;
byId("locate").hidden = !located;
byId("locate_button").addEventListener("click", () => {
  const status = byId("locate_status");
  status.textContent = text("locating");
  navigator.geolocation.getCurrentPosition(
    ({ coords }) => {
      control("point.lat").value = coords.latitude.toFixed(6);
      control("point.lon").value = coords.longitude.toFixed(6);
      showError("point.lat", "");
      showError("point.lon", "");
      status.textContent = text("located", { m: Math.max(1, Math.round(coords.accuracy)) });
      save();
    },
    (error) => {
      status.textContent = text(error.code === error.PERMISSION_DENIED ? "locate_denied" : "locate_failed");
    },
    { enableHighAccuracy: true, timeout: 20_000, maximumAge: 60_000 },
  );
});

restore();
document.documentElement.dataset["script"] = "ready";
