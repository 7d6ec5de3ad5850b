/**
 * Photos and documents of the draft: made smaller, shown, kept on this device until the letter is accepted.
 * Files below 2 MB go as they are: making them smaller would save little and cost what the camera wrote into them.
 */

import { byId, lang, text } from "../page.js";
import { showError } from "./fields.js";
import { newKey } from "./draft.js";
import { exifOf, withExif } from "./exif.js";
import { dropPhoto, keepPhoto, photoOf } from "./store.js";

const COUNT_MAX = 10;
const MB = 1024 * 1024;
const FILE_MAX = 20 * MB;
const TOTAL_MAX = 60 * MB; // the edge takes 64 of them in one request
const AS_IS_MAX = 2 * MB;
const SIDE_MAX = 2560; // pixels
const QUALITY = 0.85;
const THUMB = 240; // pixels, of the longer side
const KINDS = /** @type {Record<string, string>} */ ({
  jpg: "image/jpeg", jpeg: "image/jpeg", png: "image/png", webp: "image/webp", heic: "image/heic", heif: "image/heif", pdf: "application/pdf",
});

/** @typedef {import("./store.js").Photo} Photo */

const input = /** @type {HTMLInputElement} */ (byId("files"));
const list = byId("photos");
const status = byId("photos_status");

/** @type {Photo[]} */
let photos = [];
/** @type {() => void} */
let changed = () => {};
/** @type {(id: string) => boolean} */
let stillSent = () => false;

export function currentPhotos() {
  return photos;
}

/** @param {number} bytes */
function sizeOf(bytes) {
  const [value, unit] = bytes < MB / 10 ? [Math.max(1, Math.round(bytes / 1024)), "kilobyte"] : [bytes / MB, "megabyte"];
  return new Intl.NumberFormat(lang, { style: "unit", unit: String(unit), maximumFractionDigits: 1 }).format(Number(value));
}

function totalSize() {
  return photos.reduce((sum, photo) => sum + photo.blob.size, 0);
}

/** By its name where the browser does not know the type, as with HEIC. @param {File} file */
function kindOf(file) {
  const known = Object.values(KINDS).includes(file.type);
  return known ? file.type : KINDS[file.name.split(".").pop()?.toLowerCase() ?? ""] ?? "";
}

/**
 * The picture with its longer side at most SIDE pixels, upright, on white where it is transparent; null when the browser cannot read it.
 * @param {Blob} blob
 * @param {number} side
 */
async function draw(blob, side) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  if (context) {
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  }
  bitmap.close();
  return context ? canvas : null;
}

/**
 * A large picture made smaller; anything else as it is.
 * @param {File} file
 * @param {string} type
 * @returns {Promise<{ blob: Blob, name: string, type: string }>}
 */
async function prepare(file, type) {
  const asIs = { blob: /** @type {Blob} */ (file), name: file.name, type };
  if (file.size <= AS_IS_MAX || type === "application/pdf") {
    return asIs;
  }
  const canvas = await draw(file, SIDE_MAX);
  const small = canvas && (await new Promise((/** @type {(blob: Blob | null) => void} */ resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY)));
  if (!small || small.size > file.size * 0.8) {
    return asIs; // it cannot be read here, or is small already
  }
  const exif = type === "image/jpeg" ? exifOf(await file.arrayBuffer()) : null;
  return { blob: exif ? withExif(small, exif) : small, name: file.name.replace(/\.[^.]*$/, "") + ".jpg", type: "image/jpeg" };
}

/** @param {Photo} photo */
function thumbnail(photo) {
  const frame = document.createElement("div");
  frame.className = "photo-frame";
  const label = document.createElement("span");
  label.className = "photo-kind";
  label.textContent = photo.type === "application/pdf" ? "PDF" : photo.type.replace("image/", "").toUpperCase();
  frame.append(label);
  if (photo.type !== "application/pdf") {
    draw(photo.blob, THUMB).then((canvas) => {
      if (canvas) {
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", text("photo_alt", { name: photo.name }));
        frame.replaceChildren(canvas);
      }
    });
  }
  return frame;
}

function show() {
  list.replaceChildren(
    ...photos.map((photo) => {
      const item = document.createElement("li");
      item.className = "photo";
      const name = document.createElement("span");
      name.className = "photo-name";
      name.textContent = photo.name;
      const size = document.createElement("span");
      size.className = "photo-size";
      size.textContent = sizeOf(photo.blob.size);
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "photo-remove";
      remove.setAttribute("aria-label", text("photo_remove", { name: photo.name }));
      remove.textContent = "×";
      remove.addEventListener("click", () => removePhoto(photo));
      item.append(thumbnail(photo), name, size, remove);
      return item;
    }),
  );
  list.hidden = photos.length === 0;
  const total = byId("photos_total");
  total.hidden = photos.length === 0;
  total.textContent = photos.length === 0 ? "" : text("photos_total", { n: photos.length, max: COUNT_MAX, size: sizeOf(totalSize()) });
}

/** @param {Photo} photo */
function removePhoto(photo) {
  const at = photos.indexOf(photo);
  photos = photos.filter((other) => other !== photo);
  if (!stillSent(photo.id)) {
    dropPhoto(photo.id);
  }
  show();
  showError("files", "");
  status.textContent = text("photo_removed", { name: photo.name });
  const next = list.querySelectorAll("button")[Math.min(at, photos.length - 1)];
  (next instanceof HTMLElement ? next : input).focus();
  changed();
}

/** @param {File[]} files */
async function add(files) {
  const refused = [];
  showError("files", "");
  status.textContent = text("photos_working");
  for (const file of files) {
    const type = kindOf(file);
    if (type === "" || file.size === 0) {
      refused.push(text("photo_kind", { name: file.name }));
      continue;
    }
    if (photos.length >= COUNT_MAX) {
      refused.push(text("photo_count", { name: file.name, max: COUNT_MAX }));
      continue;
    }
    const ready = await prepare(file, type);
    if (ready.blob.size > FILE_MAX || totalSize() + ready.blob.size > TOTAL_MAX) {
      refused.push(text(ready.blob.size > FILE_MAX ? "photo_size" : "photo_total", { name: file.name, size: sizeOf(ready.blob.size) }));
      continue;
    }
    const photo = { id: newKey(), ...ready };
    photos = [...photos, photo];
    await keepPhoto(photo);
    show();
  }
  status.textContent = text("photos_added", { n: photos.length });
  if (refused.length > 0) {
    showError("files", refused.join(" "));
  }
  changed();
}

/** Puts photos of the draft back. @param {string[]} ids */
export async function restorePhotos(ids) {
  const found = await Promise.all(ids.map(photoOf));
  photos = /** @type {Photo[]} */ (found.filter((photo) => photo !== null));
  show();
}

/** Takes them off the page; the device has forgotten them already. */
export function clearPhotos() {
  photos = [];
  show();
  status.textContent = "";
}

/**
 * @param {() => void} onChange
 * @param {(id: string) => boolean} isSent whether a try on its way has this photo
 */
export function usePhotos(onChange, isSent) {
  changed = onChange;
  stillSent = isSent;
  if (!("createImageBitmap" in window)) {
    return false; // the browser's own field, and its own way of sending
  }
  const zone = byId("drop");
  zone.classList.add("drop-on");
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = "";
    if (files.length > 0) {
      add(files);
    }
  });
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("drop-over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("drop-over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("drop-over");
    add([...(event.dataTransfer?.files ?? [])]);
  });
  return true;
}
