/**
 * The tracking page: says how long it is to a moment, copies the link, and asks gently whether a letter that has only just been taken
 * has moved on. The page itself is always drawn by the server.
 */

import { byId, lang, pause, retryAfter, text } from "./page.js";

const UNITS = /** @type {[Intl.RelativeTimeFormatUnit, number][]} */ ([["day", 86_400], ["hour", 3_600], ["minute", 60]]);
const TRIES = 12; // with growing pauses, some ten minutes

/**
 * "in 3 days"; the past is told the same way.
 * @param {number} seconds from now, negative for the past
 */
function distance(seconds) {
  const format = new Intl.RelativeTimeFormat(lang, { numeric: "always" });
  const [unit, size] = UNITS.find(([, n]) => Math.abs(seconds) >= n) ?? ["minute", 60];
  return format.format(Math.trunc(seconds / size), unit);
}

function tellDistances() {
  document.querySelectorAll("time[data-relative]").forEach((time) => {
    const seconds = (Date.parse(/** @type {HTMLTimeElement} */ (time).dateTime) - Date.now()) / 1000;
    if (!Number.isFinite(seconds)) {
      return;
    }
    let line = time.nextElementSibling;
    if (!line) {
      line = document.createElement("span");
      time.after(line);
    }
    line.className = seconds < 0 ? "relative relative-over" : "relative";
    const said = distance(seconds);
    if (line.textContent !== said) {
      line.textContent = said;
    }
  });
}

/** The address of this page without what only the first look at it needs. */
function ownLink() {
  const link = new URL(location.href);
  link.searchParams.delete("new");
  link.searchParams.delete("thanks");
  link.hash = "";
  return link;
}

/** @param {string} sentence */
function say(sentence) {
  byId("live").textContent = sentence;
}

function showTools() {
  byId("tools").hidden = false;
  byId("print").addEventListener("click", () => window.print());
  byId("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(ownLink().href);
      say(text("copied"));
    } catch {
      say(text("copy_failed"));
    }
  });
}

/** Whoever was typing an address meanwhile goes on typing it. @param {HTMLElement} from @param {HTMLElement} to */
function keepTyped(from, to) {
  /** @type {NodeListOf<HTMLInputElement>} */ (from.querySelectorAll("input[id], textarea[id]")).forEach((field) => {
    const other = /** @type {HTMLInputElement | null} */ (to.querySelector(`#${field.id}`));
    if (other) {
      other.value = field.value;
      other.checked = field.checked;
    }
  });
}

/** Takes what the server draws now. The address stays, so that a reload shows the same. */
async function redraw() {
  const response = await fetch(location.href, { headers: { Accept: "text/html", "Accept-Language": lang } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = page.getElementById("appeal");
  const stale = byId("appeal");
  if (!response.ok || !fresh || (fresh.dataset["status"] === stale.dataset["status"] && fresh.dataset["counting"] === stale.dataset["counting"])) {
    return false;
  }
  const focused = document.activeElement?.id;
  keepTyped(stale, fresh);
  stale.replaceWith(document.adoptNode(fresh));
  showTools();
  tellDistances();
  if (focused) {
    document.getElementById(focused)?.focus();
  }
  say(`${text("changed")} ${byId("state_title").textContent?.trim()}`);
  return true;
}

/** @param {number} seconds */
function sleep(seconds) {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** Hidden pages ask nothing. */
function seen() {
  return new Promise((resolve) => {
    if (document.visibilityState === "visible") {
      resolve(undefined);
    } else {
      document.addEventListener("visibilitychange", () => resolve(seen()), { once: true });
    }
  });
}

async function follow() {
  const number = byId("appeal").dataset["number"] ?? "";
  const query = new URLSearchParams({ code: ownLink().searchParams.get("code") ?? "" });
  const link = `/api/v1/appeals/${encodeURIComponent(number)}?${query}`;
  const counting = "counting" in byId("appeal").dataset;
  let asked = 0;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    await sleep(Math.max(asked, pause(attempt)));
    await seen();
    try {
      const response = await fetch(link, { headers: { "Accept-Language": lang } });
      asked = retryAfter(response);
      const appeal = response.ok ? await response.json() : { status: "captured" };
      if (appeal.status !== "captured" && (appeal.due || !counting) && (await redraw())) {
        return;
      }
    } catch {
      // away: the next try will tell
    }
  }
}

/** A letter with files was sent by the browser itself, not by form.js: its draft is of no use any more. */
function forgetDraft() {
  try {
    const draft = JSON.parse(localStorage.getItem("otklik.draft") ?? "null");
    if (draft?.values?.text?.trim() === document.querySelector(".said")?.textContent) {
      localStorage.removeItem("otklik.draft");
    }
  } catch {
    // storage forbidden or not ours
  }
}

if (document.getElementById("appeal")) {
  if (new URL(location.href).searchParams.has("new")) {
    forgetDraft();
  }
  showTools();
  tellDistances();
  setInterval(tellDistances, 30_000);
  if (byId("appeal").dataset["status"] === "captured" || "counting" in byId("appeal").dataset) {
    document.querySelector(".no-script")?.replaceChildren(text("waiting"));
    follow();
  }
}
document.documentElement.dataset["script"] = "ready";
