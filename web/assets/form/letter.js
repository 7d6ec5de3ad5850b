/** How a letter is put into a request: the form and the service worker send the same. */

/**
 * @typedef {object} Letter
 * @property {string} text
 * @property {string} [theme]
 * @property {string} [address]
 * @property {Record<string, number | string>} [point] lat, lon
 * @property {Record<string, string>} [contact] name, email, phone
 * @property {string} [consent]
 * @property {boolean} [notify]
 * @property {boolean} [public]
 */

/**
 * Out of what the fields hold, by their names.
 * @param {Record<string, string | boolean>} values
 * @param {string} consent version of the text that was agreed to
 * @returns {Letter}
 */
export function letterOf(values, consent) {
  const line = (/** @type {string} */ name) => String(values[name] ?? "");
  /** @type {Letter} */
  const letter = { text: line("text") };
  if (line("theme") !== "") {
    letter.theme = line("theme");
  }
  if (line("address").trim() !== "") {
    letter.address = line("address");
  }
  for (const name of ["lat", "lon"]) {
    const typed = line(`point.${name}`).trim().replace(",", ".");
    if (typed !== "") {
      letter.point ??= {};
      letter.point[name] = Number.isFinite(Number(typed)) ? Number(typed) : typed; // the server names what is no number
    }
  }
  for (const name of ["name", "email", "phone"]) {
    if (line(`contact.${name}`).trim() !== "") {
      letter.contact ??= {};
      letter.contact[name] = line(`contact.${name}`);
    }
  }
  if (letter.contact && values["consent"] === true) {
    letter.consent = consent;
  }
  if (letter.contact?.["email"] && values["notify"] === true) {
    letter.notify = true;
  }
  if (values["public"] === true) {
    letter.public = true;
  }
  return letter;
}

/**
 * JSON alone, or the fields of a form with the files behind them: as its own form sends it without a script.
 * @param {string} body the letter as JSON
 * @param {import("./store.js").Photo[]} photos
 * @returns {string | FormData}
 */
export function requestBody(body, photos) {
  if (photos.length === 0) {
    return body;
  }
  const form = new FormData();
  /** @param {object} object @param {string} prefix */
  const add = (object, prefix) => {
    for (const [name, value] of Object.entries(object)) {
      if (typeof value === "object") {
        add(value, `${prefix}${name}.`);
      } else {
        form.append(prefix + name, String(value));
      }
    }
  };
  add(JSON.parse(body), "");
  for (const photo of photos) {
    form.append("files", photo.blob, photo.name);
  }
  return form;
}

/**
 * @param {string} key
 * @param {string} lang
 * @param {string | FormData} body FormData names its own type
 * @returns {Record<string, string>}
 */
export function requestHeaders(key, lang, body) {
  /** @type {Record<string, string>} */
  const headers = { "Accept": "application/json", "Accept-Language": lang, "Idempotency-Key": key };
  if (typeof body === "string") {
    headers["Content-Type"] = "application/json";
  }
  return headers;
}

/** Answers that say nothing about the letter itself: it is sent again. @param {number} status */
export function isPassing(status) {
  return [408, 409, 429, 500, 502, 503, 504, 507].includes(status);
}
