/**
 * The draft: words in localStorage, as they are typed; photos in IndexedDB. Both stay until the letter is accepted or the resident
 * deletes them.
 */

import { byId } from "../page.js";
import { dropPhotos, dropState } from "./store.js";

/** A try whose end is not known. @typedef {{ body: string, photos: string[] }} Sent */

/**
 * @typedef {object} Draft
 * @property {string} key Idempotency-Key of this letter
 * @property {Record<string, string | boolean>} values by name of the field
 * @property {string[]} photos ids, in the order they are shown
 * @property {Sent[]} sent exact contents of tries, oldest first
 * @property {Record<string, string>} joins Idempotency-Key of joining, by number of the letter that is joined
 * @property {number} savedAt milliseconds since 1970
 */

const STORE = "otklik.draft";
const DRAFT_DAYS = 30;
const KEY_DAYS = 3; // the server forgets keys after that: an older one no longer protects from a second letter
const DAY_MS = 86_400_000;

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}

/** @returns {Draft} */
function newDraft() {
  return { key: newKey(), values: {}, photos: [], sent: [], joins: {}, savedAt: Date.now() };
}

/** @type {Draft} */
export let draft = newDraft();

/**
 * Takes up what is kept, if there is any that is young enough.
 * @returns {boolean}
 */
export function readDraft() {
  try {
    const found = JSON.parse(localStorage.getItem(STORE) ?? "null");
    if (!found || !(Date.now() - found.savedAt < DRAFT_DAYS * DAY_MS) || typeof found.key !== "string" || typeof found.values !== "object") {
      return false;
    }
    draft = { ...newDraft(), ...found };
    draft.sent = Array.isArray(draft.sent) ? draft.sent.filter((sent) => typeof sent?.body === "string") : [];
    if (Date.now() - draft.savedAt > KEY_DAYS * DAY_MS) {
      draft.key = newKey();
      draft.sent = [];
      draft.joins = {};
    }
    return true;
  } catch {
    return false; // storage forbidden or not ours
  }
}

/** @returns {boolean} whether it is kept */
export function writeDraft() {
  draft.savedAt = Date.now();
  try {
    localStorage.setItem(STORE, JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

/** @returns {Promise<void>} when nothing of it is left on the device */
export async function forgetDraft() {
  draft = newDraft();
  try {
    localStorage.removeItem(STORE);
  } catch {
    // nothing was kept either
  }
  await dropState("waiting");
  await dropPhotos();
}

/** @param {string} sentence "" hides the line */
export function showDraft(sentence) {
  byId("draft").hidden = sentence === "";
  const status = byId("draft_status");
  if (status.textContent !== sentence) {
    status.textContent = sentence;
  }
}

/** Sent or cleared in another tab: what is written here from now on is another letter. @param {() => boolean} busy */
export function followOtherTabs(busy) {
  window.addEventListener("storage", (event) => {
    if (event.key === STORE && event.newValue === null && !busy()) {
      draft = newDraft();
    }
  });
}
