/**
 * Where it is: typed and found in the list of places, taken from the device, or pressed on the map. Each fills the same two things, the
 * address and the point; none is needed for the others, and a blind resident never meets the map.
 */

import { byId, lang, text } from "../page.js";
import { control, showError } from "./fields.js";

const PAUSE_MS = 250;
const LEAST = 2; // characters
const SETTLEMENT_KM = 2;

/** @typedef {{ name: string, kind: string, municipality?: string, lat: number, lon: number }} Place */

const input = control("address");
const list = byId("places");
const status = byId("place_status");
const point = byId("point");

/** @typedef {"" | "place" | "map" | "device" | "typed"} Origin */
/** Where the point comes from: one that came with a chosen address goes with it. @type {Origin} */
let origin = "";
/** @type {() => void} */
let changed = () => {};
/** @type {Place[]} */
let places = [];
let active = -1;
let timer = 0;
/** @type {AbortController | null} */
let asking = null;

/** @returns {{ lat: number, lon: number } | null} */
export function currentPoint() {
  const [lat, lon] = ["point.lat", "point.lon"].map((name) => control(name).value.trim().replace(",", "."));
  return lat && lon && Number.isFinite(Number(lat)) && Number.isFinite(Number(lon)) ? { lat: Number(lat), lon: Number(lon) } : null;
}

function showPoint() {
  const where = currentPoint();
  point.hidden = !where;
  byId("point_text").textContent = where
    ? text("point_set", { lat: where.lat.toFixed(5), lon: where.lon.toFixed(5) })
    : "";
}

/**
 * @param {{ lat: number, lon: number } | null} where
 * @param {Origin} from
 */
export function setPoint(where, from) {
  origin = where ? from : "";
  control("point.lat").value = where ? where.lat.toFixed(6) : "";
  control("point.lon").value = where ? where.lon.toFixed(6) : "";
  showError("point.lat", "");
  showError("point.lon", "");
  showPoint();
  document.dispatchEvent(new CustomEvent("otklik:point"));
  changed();
}

/** @param {URLSearchParams} query @param {AbortSignal} [signal] @returns {Promise<Place[]>} */
async function ask(query, signal) {
  const response = await fetch(`/api/v1/places?${query}`, { headers: { "Accept-Language": lang }, signal });
  return response.ok ? (await response.json()).places : [];
}

/** @param {Place} place */
function wholeName(place) {
  return place.municipality && !place.name.includes(place.municipality) ? `${place.name}, ${place.municipality}` : place.name;
}

/**
 * The name of a chosen place; a street is chosen for a house that the list does not know: its number stays.
 * @param {Place} place
 * @param {string} typed
 */
function chosenName(place, typed) {
  const house = /[\s,](\d+(?:\s?[А-Яа-яЁёA-Za-z](?![А-Яа-яЁёA-Za-z]))?(?:[/-]\d+)?)\s*$/.exec(typed)?.[1];
  if (place.kind !== "street" || !house || place.name.endsWith(` ${house}`)) {
    return wholeName(place);
  }
  return wholeName({ ...place, name: `${place.name}, ${house}` });
}

/** Kilometres between two points that are not far from each other. @param {Place} a @param {{ lat: number, lon: number }} b */
function distance(a, b) {
  const degree = 111.2;
  return Math.hypot((a.lat - b.lat) * degree, (a.lon - b.lon) * degree * Math.cos((b.lat * Math.PI) / 180));
}

/** Writes what is at the point into the address, unless something stands there. */
export async function nameThePoint() {
  const where = currentPoint();
  if (!where || input.value.trim() !== "") {
    return;
  }
  try {
    const found = await ask(new URLSearchParams({ lat: String(where.lat), lon: String(where.lon) }));
    // A settlement that is only the nearest one in the fields is no address.
    const nearest = found.find((place) => place.kind !== "settlement" || distance(place, where) < SETTLEMENT_KM);
    const still = currentPoint();
    if (nearest && input.value.trim() === "" && still?.lat === where.lat && still.lon === where.lon) {
      input.value = wholeName(nearest);
      changed();
    }
  } catch {
    // the point says enough
  }
}

// ---- the list: WAI-ARIA's combobox with a listbox, the focus stays in the field

function close() {
  asking?.abort();
  clearTimeout(timer);
  places = [];
  active = -1;
  list.hidden = true;
  list.replaceChildren();
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

/** @param {number} next */
function activate(next) {
  active = next;
  [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === active)));
  const option = list.children[active];
  if (option) {
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else {
    input.removeAttribute("aria-activedescendant");
  }
}

function open() {
  list.replaceChildren(
    ...places.map((place, i) => {
      const option = document.createElement("li");
      option.id = `place_${i}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      const name = document.createElement("span");
      name.className = "place-name";
      name.textContent = place.name;
      option.append(name);
      if (place.municipality && place.municipality !== place.name) {
        const where = document.createElement("span");
        where.className = "place-where";
        where.textContent = place.municipality;
        option.append(" ", where);
      }
      // Before the field loses the focus.
      option.addEventListener("mousedown", (event) => {
        event.preventDefault();
        choose(i);
      });
      return option;
    }),
  );
  list.hidden = places.length === 0;
  input.setAttribute("aria-expanded", String(places.length > 0));
  input.removeAttribute("aria-activedescendant");
  active = -1;
  status.textContent = text(places.length > 0 ? "places_found" : "places_none", { n: places.length });
}

/** @param {number} i */
function choose(i) {
  const place = places[i];
  if (!place) {
    return;
  }
  close();
  input.value = chosenName(place, input.value);
  status.textContent = text("place_chosen", { name: input.value });
  showError("address", "");
  setPoint(place, "place");
}

async function look() {
  const typed = input.value.trim();
  asking?.abort();
  if (typed.length < LEAST) {
    close();
    return;
  }
  asking = new AbortController();
  const query = new URLSearchParams({ q: typed.slice(0, 200) });
  const where = currentPoint();
  if (where && origin !== "place") {
    query.set("lat", String(where.lat));
    query.set("lon", String(where.lon));
  }
  try {
    const found = await ask(query, asking.signal);
    if (document.activeElement === input && input.value.trim() === typed) {
      places = found;
      open();
    }
  } catch {
    // no list without a network: what is typed counts as it is
  }
}

input.addEventListener("input", () => {
  if (origin === "place") {
    setPoint(null, ""); // another address is another place
  }
  clearTimeout(timer);
  timer = window.setTimeout(look, PAUSE_MS);
});

input.addEventListener("keydown", (event) => {
  const count = places.length;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (count === 0) {
      look();
    } else {
      activate(event.key === "ArrowDown" ? (active + 1) % count : (active <= 0 ? count : active) - 1);
    }
  } else if (event.key === "Enter") {
    event.preventDefault(); // an address is no reason to send the letter
    choose(active);
  } else if (event.key === "Escape" && count > 0) {
    event.preventDefault();
    close();
  } else if (event.key === "Tab") {
    choose(active);
  }
});
input.addEventListener("blur", close);

// ---- the device

function useDevice() {
  const located = "geolocation" in navigator && window.isSecureContext;
  byId("locate_button").hidden = !located;
  byId("locate_button").addEventListener("click", () => {
    status.textContent = text("locating");
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        setPoint({ lat: coords.latitude, lon: coords.longitude }, "device");
        status.textContent = text("located", { m: Math.max(1, Math.round(coords.accuracy)) });
        nameThePoint();
      },
      (error) => {
        status.textContent = text(error.code === error.PERMISSION_DENIED ? "locate_denied" : "locate_failed");
      },
      { enableHighAccuracy: true, timeout: 20_000, maximumAge: 60_000 },
    );
  });
}

// ---- the map

function useMap() {
  const button = byId("map_button");
  const panel = byId("map_panel");
  /** @type {Promise<typeof import("./map.js")> | null} */
  let loading = null;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const opened = panel.hidden;
    panel.hidden = !opened;
    button.setAttribute("aria-expanded", String(opened));
    byId("map_button_text").textContent = text(opened ? "map_hide" : "map_show");
    if (!opened) {
      return;
    }
    const line = byId("map_status");
    try {
      if (!loading) {
        line.textContent = text("map_loading");
      }
      loading ??= import("./map.js");
      await (await loading).showMap();
    } catch {
      loading = null;
      line.textContent = text("map_failed");
    }
  });
}

/** @param {() => void} onChange */
export function usePlace(onChange) {
  changed = onChange;
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-expanded", "false");
  input.setAttribute("aria-controls", "places");
  input.autocomplete = "off";
  byId("place_tools").hidden = false;
  useDevice();
  useMap();
  for (const name of ["point.lat", "point.lon"]) {
    control(name).addEventListener("input", () => {
      origin = "typed";
      showPoint();
      document.dispatchEvent(new CustomEvent("otklik:point"));
    });
  }
  byId("point_clear").addEventListener("click", () => {
    setPoint(null, "");
    status.textContent = text("point_cleared");
    input.focus();
  });
}

/** After a draft is put back or taken away. */
export function refreshPlace() {
  origin = currentPoint() ? "typed" : "";
  status.textContent = "";
  showPoint();
  document.dispatchEvent(new CustomEvent("otklik:point"));
}
