/** What the scripts of the pages share: texts, waiting, elements. No page needs a script to do its work. */

/**
 * The element with this id; it must be there.
 * @template {Element} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) {
    throw new Error(`no element ${id}`);
  }
  return /** @type {T} */ (/** @type {unknown} */ (element));
}

/**
 * A sentence of the page's own language out of <template id="texts">, with {name} filled in.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function text(key, values = {}) {
  const texts = /** @type {HTMLTemplateElement} */ (byId("texts"));
  const sentence = texts.content.querySelector(`[data-key="${key}"]`)?.textContent ?? "";
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** Language of the page, "ru" or "en". */
export const lang = document.documentElement.lang;
if (new URLSearchParams(location.search).has("lang")) {
  document.cookie = `lang=${lang}; Path=/; Max-Age=31536000; SameSite=Lax`; // what was chosen holds for the next visit
}

/**
 * Seconds a server asks to wait by Retry-After (a number or a date); 0 if it does not.
 * @param {Response | XMLHttpRequest} response
 * @returns {number}
 */
export function retryAfter(response) {
  const value = response instanceof Response ? response.headers.get("Retry-After") : response.getResponseHeader("Retry-After");
  if (!value) {
    return 0;
  }
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 600) : 0;
}

/**
 * A pause that doubles from try to try up to a minute, a little by chance, so that not all come back at once.
 * @param {number} attempt 0 for the first
 * @returns {number} seconds
 */
export function pause(attempt) {
  return Math.min(60, 2 ** attempt) * (0.75 + Math.random() / 2);
}
