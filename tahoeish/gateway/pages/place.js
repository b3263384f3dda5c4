// Where the files of a page go: to nowhere but their own links, or with their names into a folder.

import { Refusal, ask, read } from "./asking.js";

const encoded = (path) => path.split("/").map(encodeURIComponent).join("/");

const ITS_TYPE = '<propfind xmlns="DAV:"><prop><resourcetype/></prop></propfind>';

export function placeOf(section) {
  const { uploads, folder } = section.dataset;
  if (folder !== undefined) return new Folder(uploads);
  return section.dataset.inbox === undefined ? new Links(uploads) : new Inbox(uploads);
}

class Place {
  #most = null;
  /** What comes twice is there twice. */
  keepsAll = false;

  constructor(uploads) {
    this.uploads = uploads;
  }

  /** What was found out of it may not hold any more. */
  doubt() {}

  /** How large a file may be; asked once. */
  async most(signal) {
    this.#most ??= Number((await ask("OPTIONS", this.uploads, {}, { signal }))("Tus-Max-Size") ?? Infinity);
    return this.#most;
  }
}

class Links extends Place {
  holdsNames = false;

  /** Whether a folder with nothing in it can be there, and is now. */
  async make() {
    return false;
  }

  /** The address at which an upload with this path is begun. */
  async prepare() {
    return this.uploads;
  }

  linkTo(path, cap) {
    return cap === null ? null : `/file/${encodeURIComponent(cap)}/@@named=/${encodeURIComponent(path.split("/").at(-1))}`;
  }
}

/** Somebody else's, who alone sees what is in it. */
class Inbox extends Links {
  keepsAll = true;
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

  async make(path) {
    await this.prepare(`${path}/`);
    return true;
  }

  linkTo(path) {
    return this.uploads + encoded(path);
  }

  doubt() {
    this.#made.clear();
  }

  #address(parents) {
    return this.uploads + parents.map((name) => `${encodeURIComponent(name)}/`).join("");
  }

  #make(folder) {
    // Others wait for it, too, whatever becomes of the file that was the first to need it.
    const making = this.#made.get(folder) ?? mkcol(this.#address(folder.split("/")), folder);
    this.#made.set(folder, making);
    making.catch(() => this.#made.delete(folder));
    return making;
  }
}

async function mkcol(address, folder) {
  try {
    await ask("MKCOL", address, {});
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 405)) throw error;
    if (await isFolder(address)) return;
    throw new Refusal(405, { detail: `there is a file called ${folder} here, so there can't be a folder of that name` });
  }
}

async function isFolder(address) {
  const [, text] = await read("PROPFIND", address, { Depth: "0", "Content-Type": "application/xml" }, { body: ITS_TYPE });
  // Our policy lets nobody parse documents, and this one is our node's.
  return /<D:collection\b/.test(text);
}
