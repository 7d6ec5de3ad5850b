/**
 * While the resident writes: which theme it seems to be, and whether neighbours have written of it already. Shown, never demanded.
 * "Me too" makes one more voice of an open letter instead of a double; the draft stays until that is done.
 */

import { byId, lang, text } from "../page.js";
import { control } from "./fields.js";
import { letterOf, requestHeaders } from "./letter.js";
import { currentPoint } from "./place.js";
import { postPaid } from "./send.js";

const PAUSE_MS = 700;
const LEAST = 12; // characters

/** @typedef {{ code: string, name: string, group: string, score: number }} Theme */
/**
 * @typedef {object} Near
 * @property {string} number
 * @property {string} [theme] its name
 * @property {number} [distance_m]
 * @property {string} received_at
 * @property {string} status
 * @property {number} joined
 * @property {string} [text]
 */
/** @typedef {{ number: string, code: string, joined: number, track: string }} Joined */

const textField = control("text");
const addressField = control("address");
const themeField = /** @type {HTMLSelectElement} */ (/** @type {unknown} */ (control("theme")));

let timer = 0;
let asked = "";
/** @type {AbortController | null} */
let asking = null;
/** @type {{ joinKey: (number: string) => string, values: () => Record<string, string | boolean>, joined: (answer: Joined) => void }} */
let owner;

/** @param {Theme[]} themes */
function showThemes(themes) {
  const line = byId("themes_near");
  const known = themes.filter(({ code }) => themeField.querySelector(`option[value="${CSS.escape(code)}"]`));
  line.hidden = known.length === 0 || themeField.value !== "";
  byId("themes_list").replaceChildren(
    ...known.slice(0, 3).map((theme) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "chip";
      button.dataset["theme"] = theme.code;
      button.textContent = theme.name;
      button.addEventListener("click", () => {
        themeField.value = theme.code;
        themeField.dispatchEvent(new Event("input", { bubbles: true }));
        line.hidden = true;
        byId("near_status").textContent = text("theme_taken", { name: theme.name });
        themeField.focus();
      });
      return button;
    }),
  );
}

/** @param {number} metres */
function distanceOf(metres) {
  const far = metres >= 1000;
  return new Intl.NumberFormat(lang, {
    style: "unit", unit: far ? "kilometer" : "meter", unitDisplay: "short", maximumFractionDigits: far ? 1 : 0,
  }).format(far ? metres / 1000 : metres);
}

/** @param {string} at */
function ageOf(at) {
  const days = Math.floor((Date.now() - Date.parse(at)) / 86_400_000);
  return new Intl.RelativeTimeFormat(lang, { numeric: "auto" }).format(-Math.max(0, days), "day");
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} content
 */
function element(tag, className, content) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

/** @param {Near} near @param {number} i */
function card(near, i) {
  const item = document.createElement("li");
  item.className = "near-card";
  const title = element("h3", "near-title", near.theme ?? text("near_no_theme"));
  title.id = `near_title_${i}`;
  const facts = [near.distance_m === undefined ? "" : text("near_away", { d: distanceOf(near.distance_m) }), ageOf(near.received_at),
    near.joined > 0 ? text("near_joined", { n: near.joined }) : ""];
  item.append(title, element("p", "near-facts", facts.filter(Boolean).join(" · ")));
  if (near.text) {
    item.append(element("blockquote", "near-text", near.text.length > 280 ? `${near.text.slice(0, 280).trimEnd()}…` : near.text));
  }
  const button = /** @type {HTMLButtonElement} */ (element("button", "button button-quiet near-join", text("me_too")));
  button.type = "button";
  button.setAttribute("aria-describedby", title.id);
  const sure = document.createElement("div");
  sure.className = "near-sure";
  sure.hidden = true;
  const yes = /** @type {HTMLButtonElement} */ (element("button", "button", text("join")));
  const no = /** @type {HTMLButtonElement} */ (element("button", "button button-quiet", text("join_not")));
  const said = element("p", "near-said", text("join_explained"));
  said.setAttribute("role", "status");
  yes.type = no.type = "button";
  const actions = element("div", "actions", "");
  actions.append(yes, no);
  sure.append(said, actions);
  button.addEventListener("click", () => {
    button.hidden = true;
    sure.hidden = false;
    yes.focus();
  });
  no.addEventListener("click", () => {
    sure.hidden = true;
    button.hidden = false;
    button.focus();
  });
  yes.addEventListener("click", () => join(near.number, yes, no, said));
  item.append(button, sure);
  return item;
}

/**
 * @param {string} number
 * @param {HTMLButtonElement} yes
 * @param {HTMLButtonElement} no
 * @param {HTMLElement} said
 */
async function join(number, yes, no, said) {
  if (yes.disabled) {
    return;
  }
  yes.disabled = no.disabled = true;
  said.textContent = text("joining");
  const { contact, consent, notify } = letterOf(owner.values(), control("consent").value);
  const body = JSON.stringify(contact && consent ? { contact, consent, notify } : {});
  const reply = await postPaid(`/api/v1/appeals/${encodeURIComponent(number)}/join`, body, requestHeaders(owner.joinKey(number), lang, body));
  if (reply?.status === 201) {
    owner.joined(reply.answer);
    return;
  }
  yes.disabled = no.disabled = false;
  said.textContent = reply ? reply.answer.detail ?? reply.answer.title ?? text("join_failed") : text("join_offline");
  yes.focus();
}

/** @param {Near[]} near */
function showNear(near) {
  const block = byId("near");
  // What somebody is about to press does not go away under his finger.
  if (block.contains(document.activeElement) || block.querySelector(".near-sure:not([hidden])")) {
    return;
  }
  const before = byId("near_list").childElementCount;
  block.hidden = near.length === 0;
  byId("near_list").replaceChildren(...near.slice(0, 5).map(card));
  if (near.length > 0 && near.length !== before) {
    byId("near_status").textContent = text("near_found", { n: near.length });
  }
}

async function suggest() {
  const typed = textField.value.trim();
  const point = currentPoint();
  const theme = themeField.value;
  /** @type {Record<string, unknown>} */
  const body = { text: [...typed].slice(0, 10_000).join("") };
  if (theme !== "") {
    body["theme"] = theme;
  }
  if (point && Math.abs(point.lat) <= 90 && Math.abs(point.lon) <= 180) {
    body["point"] = point;
  } else if (addressField.value.trim() !== "") {
    body["address"] = addressField.value.trim().slice(0, 300);
  }
  const question = JSON.stringify(body);
  if ([...typed].length < LEAST || question === asked || !navigator.onLine) {
    return;
  }
  asking?.abort();
  asking = new AbortController();
  try {
    const response = await fetch("/api/v1/suggestions", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Accept-Language": lang },
      body: question,
      signal: asking.signal,
    });
    if (response.ok) {
      asked = question;
      const answer = await response.json();
      showThemes(answer.themes);
      showNear(answer.near);
    }
  } catch {
    // nothing depends on it
  }
}

function soon() {
  clearTimeout(timer);
  timer = window.setTimeout(suggest, PAUSE_MS);
}

/** Takes suggestions off the page. */
export function clearNear() {
  asked = "";
  clearTimeout(timer);
  asking?.abort();
  byId("near").hidden = true;
  byId("near_list").replaceChildren();
  byId("themes_near").hidden = true;
  byId("near_status").textContent = "";
}

/** @param {typeof owner} of */
export function useNear(of) {
  owner = of;
  textField.addEventListener("input", soon);
  themeField.addEventListener("input", soon);
  addressField.addEventListener("input", soon);
  document.addEventListener("otklik:point", soon);
  soon();
}
