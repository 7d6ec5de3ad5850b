/**
 * The public form: brings its parts together. Without this file the form posts by itself and the server answers with the same page.
 */

import { byId, lang, text } from "./page.js";
import { prepareChallenge } from "./form/challenge.js";
import { draft, followOtherTabs, forgetDraft, newKey, readDraft, showDraft, writeDraft } from "./form/draft.js";
import { clearErrors, control, fillForm, form, readForm, showErrors } from "./form/fields.js";
import { letterOf } from "./form/letter.js";
import { clearNear, useNear } from "./form/near.js";
import { clearPhotos, currentPhotos, restorePhotos, usePhotos } from "./form/photos.js";
import { refreshPlace, usePlace } from "./form/place.js";
import { send } from "./form/send.js";
import { dropState, keepState, state } from "./form/store.js";

/** @typedef {import("./form/store.js").Accepted} Accepted */
/** @typedef {import("./form/store.js").Waiting} Waiting */

const TEXT_MAX = 10_000; // characters, as the server counts them

const textField = control("text");
let busy = false;

// ---- the draft is kept

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
  draft.photos = currentPhotos().map(({ id }) => id);
  if (Object.keys(draft.values).length === 0 && draft.photos.length === 0 && draft.sent.length === 0) {
    forgetDraft();
    showDraft("");
  } else if (writeDraft()) {
    showDraft(text("draft_saved"));
  }
}

async function restore() {
  const typed = readForm();
  const kept = readDraft();
  if (Object.keys(typed).length > 0) {
    draft.values = typed; // the server gave back what was typed, or the browser did
  } else if (kept) {
    fillForm(draft.values);
    showDraft(text("draft_restored"));
  }
  control("idempotency_key").value = draft.key; // should the browser have to send the form by itself
  await restorePhotos(draft.photos);
  changedText();
  showContact();
  refreshPlace();
}

// ---- what depends on what is typed

function changedText() {
  const left = TEXT_MAX - [...textField.value.trim()].length;
  const line = byId("text_count");
  line.hidden = left > TEXT_MAX / 10;
  line.classList.toggle("count-over", left < 0);
  line.textContent = line.hidden ? "" : text(left < 0 ? "over" : "left", { n: Math.abs(left) });
}

/** Consent is asked for when there is something to consent to; notices need an address. */
function showContact() {
  const { contact } = letterOf(readForm(), "");
  byId("consent_field").hidden = !contact;
  byId("notify_field").hidden = !contact?.["email"];
}

/** What can be told without asking the server. */
function check() {
  const values = readForm();
  const errors = [];
  if (!String(values["text"] ?? "").trim()) {
    errors.push({ field: "text", detail: text("text_required") });
  }
  if (letterOf(values, "").contact && values["consent"] !== true) {
    errors.push({ field: "consent", detail: text("consent_required") });
  }
  return errors;
}

form.addEventListener("input", (event) => {
  if (event.target === textField) {
    changedText();
    prepareChallenge();
  }
  showContact();
  saveSoon();
});
window.addEventListener("pagehide", () => saving && save());

byId("draft_clear").addEventListener("click", async () => {
  clearTimeout(saving);
  await forgetDraft();
  fillForm({});
  clearPhotos();
  clearErrors();
  clearNear();
  changedText();
  showContact();
  refreshPlace();
  byId("resumed").hidden = true;
  showDraft(text("draft_cleared"));
  textField.focus();
});

// ---- sending

/** @param {boolean} on */
function setBusy(on) {
  busy = on;
  byId("fields").inert = on;
  form.setAttribute("aria-busy", String(on));
  byId("actions").hidden = on;
  byId("sending").hidden = !on;
  byId("sending_actions").hidden = true;
  byId("sending_bar").hidden = true;
  byId("sending_count").textContent = "";
  byId("sending_text").textContent = on ? text("sending") : "";
}

/**
 * Number and code on this page, with the way to the tracking page.
 * @param {Accepted} answer
 * @param {"" | "earlier" | "away" | "joined"} how
 */
async function showReceipt(answer, how) {
  await forgetDraft();
  await dropState("receipt");
  const query = new URLSearchParams({ number: answer.number, code: answer.code, lang, ...(how === "joined" ? {} : { new: "1" }) });
  const link = /** @type {HTMLAnchorElement} */ (byId("receipt_link"));
  link.href = `/track?${query}`;
  byId("receipt_number").textContent = answer.number;
  byId("receipt_code").textContent = answer.code;
  for (const name of ["earlier", "away", "joined"]) {
    byId(`receipt_${name}`).hidden = how !== name;
  }
  if (how === "joined") {
    byId("receipt_title").textContent = text("joined_title");
  }
  form.hidden = true;
  document.querySelector(".page-form")?.classList.add("page-done");
  byId("receipt").hidden = false;
  byId("receipt").focus();
  if (how === "") {
    location.assign(link.href);
  }
}

/** @param {import("./form/draft.js").Sent} sent */
async function sendLetter(sent) {
  setBusy(true);
  byId("sending").focus();
  try {
    const end = await send(sent, currentPhotos());
    if (end && "accepted" in end) {
      await showReceipt(end.accepted, end.earlier ? "earlier" : "");
    } else if (end) {
      setBusy(false);
      const detail = end.refused.detail ?? end.refused.title ?? text("refused");
      showErrors(end.refused.errors?.length ? end.refused.errors : [{ field: "", detail }]);
    }
  } finally {
    if (busy) {
      setBusy(false);
      if (!form.hidden) {
        textField.focus();
      }
    }
  }
}

form.addEventListener("submit", (event) => {
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
  if (/** @type {HTMLInputElement} */ (byId("files")).files?.length) {
    return; // this browser does not give us its files: it sends them as it would without us
  }
  event.preventDefault();
  save();
  const letter = letterOf(draft.values, control("consent").value);
  sendLetter({ body: JSON.stringify(letter), photos: draft.photos });
});

/** What became of a letter that was under way when the page was left. */
async function resume() {
  const receipt = /** @type {(Accepted & { key: string }) | null} */ (await state("receipt"));
  if (receipt && (receipt.key === draft.key || Object.keys(draft.values).length === 0)) {
    await showReceipt(receipt, "away");
    return;
  }
  const waiting = /** @type {Waiting | null} */ (await state("waiting"));
  if (waiting && waiting.key === draft.key && Object.keys(draft.values).length > 0) {
    await sendLetter({ body: waiting.body, photos: waiting.photos });
    return;
  }
  byId("resumed").hidden = draft.sent.length === 0;
}

// The way back from the tracking page shows a page out of memory: it begins a new letter.
window.addEventListener("pageshow", (event) => {
  if (event.persisted && form.hidden) {
    location.reload();
  }
});

// ---- a page for times without a network

async function useWorker() {
  await keepState("lang", lang);
  if (!("serviceWorker" in navigator)) {
    return;
  }
  try {
    await navigator.serviceWorker.register("/sw.js", { type: "module", scope: "/" });
  } catch {
    // forbidden, or too old: the page works without
  }
  navigator.serviceWorker.addEventListener("message", async ({ data }) => {
    if (data === "receipt" && !busy) {
      resume();
    }
  });
}

usePlace(saveSoon);
usePhotos(saveSoon, (id) => draft.sent.some(({ photos }) => photos.includes(id)));
followOtherTabs(() => busy);
await restore();
useNear({
  values: readForm,
  joinKey: (number) => {
    draft.joins[number] ??= newKey();
    writeDraft();
    return draft.joins[number];
  },
  joined: (answer) => showReceipt(answer, "joined"),
});
document.documentElement.dataset["script"] = "ready";
useWorker();
await resume();
