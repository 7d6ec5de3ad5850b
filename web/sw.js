/**
 * Keeps the form for times without a network, and sends a letter that waits when the network is back, even if its page is closed.
 *
 * The network always comes first: what is kept is shown only when there is none, so nobody sees the form of yesterday. All files of
 * what is kept are of one version (scripts/install-tree writes it): another version is another worker with a cache of its own.
 */

import { isPassing, requestBody, requestHeaders } from "./assets/form/letter.js";
import { dropState, keepState, photoOf, state } from "./assets/form/store.js";

const worker = /** @type {any} */ (self); // the type checker knows pages only
const CACHE = "otklik-@VERSION@";
const FILES = [
  "otklik.css", "logo.svg", "favicon.svg", "page.js", "form.js", "form/challenge.js", "form/draft.js", "form/exif.js", "form/fields.js",
  "form/letter.js", "form/near.js", "form/photos.js", "form/place.js", "form/send.js", "form/store.js",
].map((name) => `/assets/${name}`);
const PAGES = ["/?lang=ru", "/?lang=en"];

worker.addEventListener("install", (/** @type {any} */ event) => {
  const keep = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll([...FILES, ...PAGES].map((path) => new Request(path, { cache: "reload" })));
    await worker.skipWaiting();
  };
  event.waitUntil(keep());
});

worker.addEventListener("activate", (/** @type {any} */ event) => {
  const clean = async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name.startsWith("otklik-") && name !== CACHE).map((name) => caches.delete(name)));
  };
  event.waitUntil(clean());
});

/** @param {Request} request @param {URL} url */
async function networkFirst(request, url) {
  try {
    return await fetch(request);
  } catch (error) {
    const cache = await caches.open(CACHE);
    const lang = url.searchParams.get("lang") ?? (await state("lang")) ?? "ru";
    const kept = await cache.match(url.pathname === "/" ? `/?lang=${lang === "en" ? "en" : "ru"}` : url.pathname);
    if (!kept) {
      throw error;
    }
    return kept;
  }
}

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const url = new URL(event.request.url);
  const ours = url.origin === location.origin && event.request.method === "GET";
  if (ours && (FILES.includes(url.pathname) || (url.pathname === "/" && event.request.mode === "navigate"))) {
    event.respondWith(networkFirst(event.request, url));
  }
});

/** Sends the letter that waits. An error makes the browser come again later. */
async function sendWaiting() {
  const pages = await worker.clients.matchAll({ type: "window" });
  if (pages.some((/** @type {any} */ page) => page.visibilityState === "visible" && new URL(page.url).pathname === "/")) {
    return; // the page itself does it
  }
  const waiting = /** @type {import("./assets/form/store.js").Waiting | null} */ (await state("waiting"));
  if (!waiting) {
    return;
  }
  const photos = (await Promise.all(waiting.photos.map(photoOf))).filter((photo) => photo !== null);
  if (photos.length < waiting.photos.length) {
    return; // not the whole letter: for the page to tell
  }
  const body = requestBody(waiting.body, photos);
  const response = await fetch("/api/v1/appeals", { method: "POST", headers: requestHeaders(waiting.key, waiting.lang, body), body });
  if (isPassing(response.status)) {
    throw new Error(`not now: ${response.status}`);
  }
  const still = /** @type {import("./assets/form/store.js").Waiting | null} */ (await state("waiting"));
  if (still?.key !== waiting.key) {
    return; // a page in another tab was as quick, and has told already
  }
  if (response.status === 201) {
    await keepState("receipt", { ...(await response.json()), key: waiting.key });
  }
  await dropState("waiting"); // a refusal is for the page to show, when it is sent from there
  pages.forEach((/** @type {any} */ page) => page.postMessage("receipt"));
}

worker.addEventListener("sync", (/** @type {any} */ event) => {
  if (event.tag === "letter") {
    event.waitUntil(sendWaiting());
  }
});
