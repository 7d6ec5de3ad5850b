/**
 * A photo that is made smaller keeps what its camera wrote: when and where it was taken is evidence for the staff. Canvases forget
 * that, so the segment of the original is put into the new file, with the orientation set to upright, since the pixels are now.
 */

const SOI = 0xffd8;
const APP1 = 0xffe1;
const SOS = 0xffda;
const EXIF = 0x45786966; // "Exif"
const ORIENTATION = 0x0112;
const SHORT = 3;

/**
 * The EXIF segment of a JPEG with its marker, upright; null when there is none, or none that can be read.
 * @param {ArrayBuffer} jpeg
 * @returns {Uint8Array | null}
 */
export function exifOf(jpeg) {
  const view = new DataView(jpeg);
  if (view.byteLength < 4 || view.getUint16(0) !== SOI) {
    return null;
  }
  for (let at = 2; at + 4 <= view.byteLength; ) {
    const marker = view.getUint16(at);
    const size = view.getUint16(at + 2);
    if (marker === SOS || marker < 0xff00 || size < 2 || at + 2 + size > view.byteLength) {
      return null;
    }
    if (marker === APP1 && size >= 16 && view.getUint32(at + 4) === EXIF) {
      const segment = new Uint8Array(jpeg.slice(at, at + 2 + size));
      return setUpright(segment) ? segment : null;
    }
    at += 2 + size;
  }
  return null;
}

/**
 * @param {Uint8Array} segment changed in place
 * @returns {boolean} whether it could be read
 */
function setUpright(segment) {
  const tiff = 10; // behind marker, size and "Exif\0\0"
  const view = new DataView(segment.buffer);
  const little = view.getUint16(tiff) === 0x4949;
  const directory = tiff + view.getUint32(tiff + 4, little);
  if ((!little && view.getUint16(tiff) !== 0x4d4d) || directory + 2 > view.byteLength) {
    return false;
  }
  const entries = view.getUint16(directory, little);
  if (directory + 2 + entries * 12 > view.byteLength) {
    return false;
  }
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + i * 12;
    if (view.getUint16(entry, little) === ORIENTATION && view.getUint16(entry + 2, little) === SHORT) {
      view.setUint16(entry + 8, 1, little);
    }
  }
  return true;
}

/**
 * The same JPEG with SEGMENT right behind its beginning.
 * @param {Blob} jpeg as a canvas writes it
 * @param {Uint8Array} segment
 * @returns {Blob}
 */
export function withExif(jpeg, segment) {
  return new Blob([jpeg.slice(0, 2), /** @type {BlobPart} */ (segment), jpeg.slice(2)], { type: "image/jpeg" });
}
