// Where the files of a page go: to nowhere but their own links, or with their names into a folder.

import { Refusal, ask } from "./asking.js";

const encoded = (path) => path.split("/").map(encodeURIComponent).join("/");

export function placeOf(section) {
  const { uploads, folder } = section.dataset;
  return folder === undefined ? new Links(uploads) : new Folder(uploads);
}

class Place {
  #most = null;

  constructor(uploads) {
    this.uploads = uploads;
  }

  /** How large a file may be; asked once. */
  async most(signal) {
    this.#most ??= Number((await ask("OPTIONS", this.uploads, {}, { signal }))("Tus-Max-Size") ?? Infinity);
    return this.#most;
  }
}

class Links extends Place {
  holdsNames = false;

  /** The address at which an upload with this path is begun. */
  async prepare() {
    return this.uploads;
  }

  linkTo(path, cap) {
    return cap === null ? null : `/file/${encodeURIComponent(cap)}/@@named=/${encodeURIComponent(path.split("/").at(-1))}`;
  }
}

class Folder extends Place {
  holdsNames = true;
  #made = new Map();

  /** Makes the folders on the way, each once. */
  async prepare(path) {
    const parents = path.split("/").slice(0, -1);
    for (let depth = 1; depth <= parents.length; depth += 1) {
      await this.#make(parents.slice(0, depth).join("/"));
    }
    return this.#address(parents);
  }

  linkTo(path) {
    return this.uploads + encoded(path);
  }

  #address(parents) {
    return this.uploads + parents.map((name) => `${encodeURIComponent(name)}/`).join("");
  }

  #make(folder) {
    // Others wait for it, too, whatever becomes of the file that was the first to need it.
    const making = this.#made.get(folder) ?? mkcol(this.#address(folder.split("/")));
    this.#made.set(folder, making);
    making.catch(() => this.#made.delete(folder));
    return making;
  }
}

async function mkcol(address) {
  try {
    await ask("MKCOL", address, {});
  } catch (error) {
    // It is there already.
    if (!(error instanceof Refusal && error.status === 405)) throw error;
  }
}
