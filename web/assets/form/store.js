/**
 * What is kept on this device beyond a line of text: photos of the draft, the letter that waits for a network, its receipt.
 * The form and the service worker both write here. Where IndexedDB is forbidden every call says so by null, and nothing is kept.
 */

/**
 * A letter on its way: from the press of the button to the answer.
 * @typedef {object} Waiting
 * @property {string} key Idempotency-Key
 * @property {string} body the letter as JSON
 * @property {string[]} photos ids
 * @property {string} lang
 */

/** @typedef {{ id: string, name: string, type: string, blob: Blob }} Photo */
/** @typedef {{ number: string, code: string, track: string }} Accepted */

const NAME = "otklik";
const VERSION = 1;

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("photos", { keyPath: "id" });
      request.result.createObjectStore("state");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked"));
  });
}

/**
 * One transaction; resolves when it is kept, with what ASK's request found.
 * @template T
 * @param {"photos" | "state"} store
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest} ask
 * @returns {Promise<T | null>}
 */
async function within(store, mode, ask) {
  /** @type {IDBDatabase | undefined} */
  let database;
  try {
    database = await open();
    const transaction = database.transaction(store, mode);
    const request = ask(transaction.objectStore(store));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
    return request.result ?? null;
  } catch {
    return null;
  } finally {
    database?.close();
  }
}

/** @param {Photo} photo @returns {Promise<boolean>} whether it is kept */
export async function keepPhoto(photo) {
  return (await within("photos", "readwrite", (store) => store.put(photo))) !== null;
}

/** @param {string} id @returns {Promise<Photo | null>} */
export function photoOf(id) {
  return within("photos", "readonly", (store) => store.get(id));
}

/** @param {string} id */
export function dropPhoto(id) {
  return within("photos", "readwrite", (store) => store.delete(id));
}

export function dropPhotos() {
  return within("photos", "readwrite", (store) => store.clear());
}

/**
 * @template T
 * @param {"waiting" | "receipt" | "lang"} name
 * @returns {Promise<T | null>}
 */
export function state(name) {
  return within("state", "readonly", (store) => store.get(name));
}

/**
 * @param {"waiting" | "receipt" | "lang"} name
 * @param {unknown} value
 */
export function keepState(name, value) {
  return within("state", "readwrite", (store) => store.put(value, name));
}

/** @param {"waiting" | "receipt"} name */
export function dropState(name) {
  return within("state", "readwrite", (store) => store.delete(name));
}
