// Which uploads are unfinished, over a reload of the page: one entry each, so that several windows don't disturb
// each other. A browser may refuse to remember anything; then an upload doesn't survive a reload, and nothing else.
//
// What is remembered is the upload's address, or as long as that isn't known, by which key it was asked for.

const PREFIX = "tahoeish upload ";
const KEY = "key ";

// Also, for a while, which files were stored where each that comes is another one.
const STORED = "tahoeish stored ";
const STORED_KEPT = 7 * 24 * 3600 * 1000;
const STORED_MOST = 2000;

const identity = (uploads, path, file) => JSON.stringify([uploads, path, file.size, file.lastModified]);
const keyOf = (...file) => PREFIX + identity(...file);

/** `{address, key}`, of which one may be known. */
export function recall(uploads, path, file) {
  try {
    return read(localStorage.getItem(keyOf(uploads, path, file)));
  } catch {
    return read(null);
  }
}

export function remember(uploads, path, file, { address, key }) {
  try {
    localStorage.setItem(keyOf(uploads, path, file), address ?? KEY + key);
  } catch {
    // Full, or forbidden.
  }
}

export function forget(uploads, path, file) {
  try {
    localStorage.removeItem(keyOf(uploads, path, file));
  } catch {
    // Forbidden.
  }
}

/** All that were begun here: `{path, file: {size, lastModified}, address}`; the address is null if nobody knows it. */
export function unfinished(uploads) {
  const found = [];
  try {
    for (const [key, value] of Object.entries(localStorage)) {
      if (!key.startsWith(PREFIX)) continue;
      const [place, path, size, lastModified] = JSON.parse(key.slice(PREFIX.length));
      if (place === uploads) found.push({ path, file: { size, lastModified }, address: read(value).address });
    }
  } catch {
    // Forbidden, or somebody else's entry.
  }
  return found;
}

/** From now on, `storedAt` knows of it. */
export function noteStored(uploads, path, file) {
  try {
    localStorage.setItem(STORED + identity(uploads, path, file), String(Date.now()));
  } catch {
    // Full, or forbidden.
  }
}

/** When it was stored, if it was; else null. */
export function storedAt(uploads, path, file) {
  try {
    const when = Number(localStorage.getItem(STORED + identity(uploads, path, file)));
    return when > Date.now() - STORED_KEPT ? new Date(when) : null;
  } catch {
    return null;
  }
}

/** Forgets what was stored long ago, and of very many files the first. */
export function tidy() {
  try {
    const stored = Object.entries(localStorage).filter(([key]) => key.startsWith(STORED));
    stored.sort(([, one], [, other]) => Number(other) - Number(one));
    const isOld = ([, when], number) => number >= STORED_MOST || Number(when) <= Date.now() - STORED_KEPT;
    for (const [key] of stored.filter(isOld)) localStorage.removeItem(key);
  } catch {
    // Forbidden.
  }
}

function read(value) {
  const isKey = value?.startsWith(KEY) ?? false;
  return { address: isKey ? null : value, key: isKey ? value.slice(KEY.length) : null };
}
