/**
 * Sends the letter under one key until there is an answer, whatever happens to the network in between. Where the browser can, the
 * service worker does it even after the page is closed.
 */

import { byId, lang, pause, retryAfter, text } from "../page.js";
import { solveChallenge } from "./challenge.js";
import { draft, writeDraft } from "./draft.js";
import { isPassing, requestBody, requestHeaders } from "./letter.js";
import { dropState, keepState, photoOf } from "./store.js";

/** @typedef {{ type?: string, title?: string, detail?: string, errors?: { field: string, detail: string }[] }} Problem */
/** @typedef {import("./store.js").Accepted} Accepted */
/** @typedef {{ status: number, answer: any, wait: number }} Reply wait: seconds the server asks for */
/** @typedef {import("./draft.js").Sent} Sent */

const STALL_MS = 20_000; // without a sign of life

const statusLine = byId("sending_text");
const bar = /** @type {HTMLProgressElement} */ (byId("sending_bar"));

/** @param {string} sentence */
function say(sentence) {
  if (statusLine.textContent !== sentence) {
    statusLine.textContent = sentence;
  }
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
  say(why);
  bar.hidden = true;
  byId("sending_actions").hidden = false;
  const until = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    byId("sending_count").textContent = navigator.onLine ? text("retry_in", { s: Math.max(left, 0) }) : "";
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
      say(text("sending"));
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
 * One try over XMLHttpRequest, which alone tells how much has gone out. A response that says nothing about the letter counts as none.
 * @param {string} url
 * @param {string | FormData} body
 * @param {Record<string, string>} headers
 * @returns {Promise<Reply | null>}
 */
function post(url, body, headers) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    let timer = 0;
    const alive = () => {
      clearTimeout(timer);
      timer = window.setTimeout(() => request.abort(), STALL_MS);
    };
    const none = () => {
      clearTimeout(timer);
      resolve(null);
    };
    request.onerror = request.onabort = none;
    request.onload = () => {
      clearTimeout(timer);
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // no answer of ours
      }
      resolve({ status: request.status, answer, wait: retryAfter(request) });
    };
    if (typeof body !== "string") {
      request.upload.onprogress = ({ loaded, total }) => {
        alive();
        bar.hidden = false;
        bar.max = total;
        bar.value = loaded;
        say(text(loaded < total ? "uploading" : "uploaded"));
      };
    }
    request.open("POST", url);
    Object.entries(headers).forEach(([name, value]) => request.setRequestHeader(name, value));
    alive();
    request.send(body);
  });
}

/**
 * The same with a solved challenge, if one can be had; without it when the edge does not like the solution.
 * @param {string} url
 * @param {string | FormData} body
 * @param {Record<string, string>} headers
 */
export async function postPaid(url, body, headers) {
  const solution = await solveChallenge();
  const reply = await post(url, body, solution === null ? headers : { ...headers, "X-Altcha": solution });
  return reply?.status === 401 && solution !== null ? post(url, body, headers) : reply;
}

/** Asks the browser to come back to the letter when there is a network, even if this page is gone. */
async function askForSync() {
  try {
    const registration = /** @type {any} */ (await navigator.serviceWorker?.ready);
    await registration?.sync?.register("letter");
  } catch {
    // not here, or not allowed: the page itself tries again
  }
}

/**
 * Tries until there is an answer; null when the resident wants to change the text first.
 * @param {Sent} sent
 * @returns {Promise<Reply | null>}
 */
async function deliver(sent) {
  await keepState("waiting", { key: draft.key, body: sent.body, photos: sent.photos, lang });
  for (let attempt = 0; ; attempt++) {
    const photos = (await Promise.all(sent.photos.map((id) => known.get(id) ?? photoOf(id)))).filter((photo) => photo !== null);
    const body = requestBody(sent.body, photos);
    say(text("sending"));
    const reply = await postPaid("/api/v1/appeals", body, requestHeaders(draft.key, lang, body));
    if (reply && !isPassing(reply.status)) {
      await dropState("waiting");
      return reply;
    }
    if (!reply) {
      askForSync();
    }
    const seconds = Math.max(reply?.wait ?? 0, reply?.status === 409 ? 1 : pause(attempt));
    if ((await waitFor(seconds, text(reply ? "busy" : "offline"))) === "edit") {
      await dropState("waiting");
      return null;
    }
  }
}

/** Photos that are on the page, whether or not the device may keep them. @type {Map<string, import("./store.js").Photo>} */
const known = new Map();

/**
 * Sends what is written; tells what came of it.
 * @param {Sent} letter
 * @param {import("./store.js").Photo[]} photos
 * @returns {Promise<{ accepted: Accepted, earlier: boolean } | { refused: Problem } | null>} earlier: the letter that was taken is not the
 *   one on the screen; null: the resident wants to change it
 */
export async function send(letter, photos) {
  photos.forEach((photo) => known.set(photo.id, photo));
  const same = (/** @type {Sent} */ other) => other.body === letter.body && other.photos.join() === letter.photos.join();
  const others = draft.sent.filter((other) => !same(other));
  draft.sent = [...others, letter]; // from here on the server may have it, whatever we hear
  writeDraft();
  // "Key reused" means that an earlier try has arrived after all, and then the text was changed: ask for the answer to that one.
  /** @type {Problem} */
  let problem = {};
  for (const tried of [letter, ...others]) {
    const reply = await deliver(tried);
    if (!reply) {
      return null;
    }
    if (reply.status === 201) {
      return { accepted: reply.answer, earlier: tried !== letter };
    }
    problem = reply.answer;
    if (reply.status !== 422 || !String(problem.type).endsWith("idempotency-key-reused")) {
      break;
    }
  }
  draft.sent = []; // a refusal stores nothing
  writeDraft();
  return { refused: problem };
}
