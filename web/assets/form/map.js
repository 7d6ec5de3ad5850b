/**
 * The map, loaded when it is opened: tiles where the region has some, else its own boundaries. Press, or move the mark by arrow keys.
 */

import { byId, lang, text } from "../page.js";
import { currentPoint, nameThePoint, setPoint } from "./place.js";

/** @typedef {import("leaflet")} Leaflet */
/** @typedef {import("geojson").Feature<import("geojson").Polygon | import("geojson").MultiPolygon, { name: string }>} Municipality */
/**
 * @typedef {object} Region answer of GET /map
 * @property {[number, number, number, number]} bounds west, south, east, north
 * @property {{ features: Municipality[] }} boundaries
 * @property {{ url: string, attribution: string, max_zoom: number } | null} tiles
 */

const STEP = 10; // pixels an arrow key moves the mark; one with Shift
const CLOSE = 15; // zoom at which a place is looked at
const OWN_ZOOM_MAX = 17; // without tiles
const TOUCH = 5; // pixels by which names may lie on each other: their boxes are larger than their letters
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
  ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0],
});

/** @type {Leaflet} */
let L;
/** @type {import("leaflet").Map | null} */
let map = null;
/** @type {import("leaflet").Marker | null} */
let mark = null;
/** @type {import("leaflet").GeoJSON | null} */
let areas = null;

async function loadLeaflet() {
  const code = "/assets/vendor/leaflet.js"; // not a path for the type checker
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = "/assets/vendor/leaflet.css";
  // Before ours, which has the last word.
  document.head.insertBefore(style, document.head.querySelector("link[rel=stylesheet]"));
  await Promise.all([import(code), new Promise((resolve) => (style.onload = style.onerror = resolve))]);
  return /** @type {any} */ (window).L;
}

/**
 * Is the point in the ring? Counts the sides that a ray to the east crosses.
 * @param {number[][]} ring lon, lat
 * @param {number} lat
 * @param {number} lon
 */
function inRing(ring, lat, lon) {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [x1 = 0, y1 = 0] = ring[i] ?? [];
    const [x2 = 0, y2 = 0] = ring[j] ?? [];
    if (y1 > lat !== y2 > lat && lon < ((x2 - x1) * (lat - y1)) / (y2 - y1) + x1) {
      inside = !inside;
    }
  }
  return inside;
}

/** @param {Municipality} area @param {{ lat: number, lon: number }} where */
function holds(area, where) {
  const polygons = area.geometry.type === "Polygon" ? [area.geometry.coordinates] : area.geometry.coordinates;
  return polygons.some(
    ([outer = [], ...holes]) => inRing(outer, where.lat, where.lon) && !holes.some((hole) => inRing(hole, where.lat, where.lon)),
  );
}

/** Marks the municipality of the point and tells its name. */
function showArea() {
  const where = currentPoint();
  let name = "";
  areas?.eachLayer((layer) => {
    const area = /** @type {Municipality} */ (/** @type {any} */ (layer).feature);
    const chosen = where !== null && holds(area, where);
    name = chosen ? area.properties.name : name;
    const path = /** @type {import("leaflet").Path} */ (layer);
    path.getElement()?.classList.toggle("area-chosen", chosen);
    /** @type {import("leaflet").Layer} */ (layer).getTooltip()?.getElement()?.classList.toggle("area-name-chosen", chosen);
  });
  thinNames();
  byId("map_status").textContent = where === null ? text("map_hint") : name === "" ? text("map_outside") : text("map_area", { name });
}

/** @param {{ lat: number, lng: number }} at */
function put(at) {
  setPoint({ lat: at.lat, lon: at.lng }, "map");
  nameThePoint();
}

/** The mark where the point is, or none. */
function showMark() {
  const where = currentPoint();
  if (!map) {
    return;
  }
  if (!where) {
    mark?.remove();
    mark = null;
  } else if (mark) {
    mark.setLatLng([where.lat, where.lon]);
  } else {
    mark = L.marker([where.lat, where.lon], {
      draggable: true,
      autoPan: true,
      alt: text("map_mark"),
      title: text("map_mark"),
      icon: L.divIcon({ className: "map-mark", iconSize: [36, 44], iconAnchor: [18, 43] }),
    }).addTo(map);
    mark.on("dragend", () => mark && put(mark.getLatLng()));
    const element = mark.getElement();
    element?.setAttribute("aria-label", text("map_mark"));
    element?.setAttribute("aria-describedby", "map_keys");
    element?.addEventListener("keydown", moveByKey);
  }
  if (where && !map.getBounds().contains([where.lat, where.lon])) {
    map.setView([where.lat, where.lon], Math.max(map.getZoom(), CLOSE), { animate: false });
  }
  showArea();
}

/** @param {KeyboardEvent} event */
function moveByKey(event) {
  const arrow = ARROWS[event.key];
  if (!arrow || !map || !mark) {
    return;
  }
  event.preventDefault();
  event.stopPropagation(); // the map stays where it is
  const size = event.shiftKey ? 1 : STEP;
  const at = map.latLngToContainerPoint(mark.getLatLng()).add([arrow[0] * size, arrow[1] * size]);
  setPoint({ lat: map.containerPointToLatLng(at).lat, lon: map.containerPointToLatLng(at).lng }, "map");
  map.panInside(mark.getLatLng(), { padding: [40, 40], animate: false });
}

/** "30 km" in the page's language. @param {string} length */
function lengthInWords(length) {
  const unit = length.endsWith(" km") ? "kilometer" : "meter";
  return new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "short" }).format(Number.parseInt(length, 10));
}

/** @param {Region} region */
function drawRegion(region) {
  const [west, south, east, north] = region.bounds;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  map = L.map("map", {
    attributionControl: region.tiles !== null,
    zoomControl: false,
    keyboardPanDelta: 60,
    zoomSnap: region.tiles ? 1 : 0.25, // without tiles the region fills its frame
    zoomAnimation: !calm,
    fadeAnimation: !calm,
    markerZoomAnimation: !calm,
    inertia: !calm,
    maxZoom: region.tiles?.max_zoom ?? OWN_ZOOM_MAX,
    scrollWheelZoom: false, // the page scrolls; two fingers, buttons and keys zoom
  });
  map.fitBounds([[south, west], [north, east]], { padding: [8, 8], animate: false });
  map.setMinZoom(map.getZoom() - 1);
  map.setMaxBounds(map.getBounds().pad(0.5));
  L.control.zoom({ zoomInTitle: text("map_in"), zoomOutTitle: text("map_out") }).addTo(map);
  const scale = /** @type {any} */ (L.control.scale({ imperial: false }));
  // Leaflet knows units in Latin letters only; what its _updateScale writes goes through here.
  const write = scale._updateScale;
  scale._updateScale = (/** @type {HTMLElement} */ line, /** @type {string} */ length, /** @type {number} */ ratio) =>
    write.call(scale, line, lengthInWords(length), ratio);
  scale.addTo(map);
  if (region.tiles) {
    map.attributionControl.setPrefix(false);
    L.tileLayer(region.tiles.url, { maxZoom: region.tiles.max_zoom, attribution: region.tiles.attribution }).addTo(map);
  }
  areas = L.geoJSON(/** @type {any} */ (region.boundaries), {
    interactive: false,
    style: { className: region.tiles ? "area area-over-tiles" : "area" },
    onEachFeature: (feature, layer) => {
      layer.bindTooltip(String(feature.properties?.name ?? ""), {
        permanent: true, direction: "center", className: "area-name", interactive: false,
      });
    },
  }).addTo(map);
  map.on("click", (event) => put(event.latlng));
  map.on("zoomend", thinNames);
  byId("map_centre").addEventListener("click", () => map && put(map.getCenter()));
}

/** Names that would lie on others are not shown; that of the chosen municipality always is. */
function thinNames() {
  /** @type {HTMLElement[]} */
  const names = [];
  areas?.eachLayer((layer) => {
    const element = /** @type {import("leaflet").Layer} */ (layer).getTooltip()?.getElement();
    if (element) {
      names.push(element);
    }
  });
  const chosenFirst = (/** @type {HTMLElement} */ name) => (name.classList.contains("area-name-chosen") ? 0 : 1);
  /** @type {DOMRect[]} */
  const taken = [];
  for (const name of names.sort((a, b) => chosenFirst(a) - chosenFirst(b))) {
    const box = name.getBoundingClientRect();
    const hidden = taken.some((t) => box.left + TOUCH < t.right && t.left + TOUCH < box.right && box.top + TOUCH < t.bottom && t.top + TOUCH < box.bottom);
    name.classList.toggle("area-name-hidden", hidden);
    if (!hidden) {
      taken.push(box);
    }
  }
}

/** Draws the map in its panel, which is shown. */
export async function showMap() {
  if (!map) {
    const [leaflet, response] = await Promise.all([loadLeaflet(), fetch("/api/v1/map", { headers: { "Accept-Language": lang } })]);
    if (!response.ok) {
      throw new Error(`map: ${response.status}`);
    }
    const region = await response.json();
    if (map) {
      return; // pressed twice
    }
    L = leaflet;
    drawRegion(region);
    byId("map_tools").hidden = false;
    document.addEventListener("otklik:point", showMark);
  }
  map?.invalidateSize();
  showMark();
  byId("map").dataset["map"] = "ready";
}
