// Which uploads are unfinished, over a reload of the page: one entry each, so that several windows don't disturb
// each other. A browser may refuse to remember anything; then an upload doesn't survive a reload, and nothing else.

const PREFIX = "tahoeish upload ";

const keyOf = (uploads, path, file) => PREFIX + JSON.stringify([uploads, path, file.size, file.lastModified]);

export function recall(uploads, path, file) {
  try {
    return localStorage.getItem(keyOf(uploads, path, file));
  } catch {
    return null;
  }
}

export function remember(uploads, path, file, address) {
  try {
    localStorage.setItem(keyOf(uploads, path, file), address);
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

/** All that were begun here: `{path, file: {size, lastModified}, address}`. */
export function unfinished(uploads) {
  const found = [];
  try {
    for (const [key, address] of Object.entries(localStorage)) {
      if (!key.startsWith(PREFIX)) continue;
      const [place, path, size, lastModified] = JSON.parse(key.slice(PREFIX.length));
      if (place === uploads) found.push({ path, file: { size, lastModified }, address });
    }
  } catch {
    // Forbidden, or somebody else's entry.
  }
  return found;
}
