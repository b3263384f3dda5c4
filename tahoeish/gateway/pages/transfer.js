// One file on its way to the node, by tus 1.0.0. It may take many requests, and survives the loss of any of them.

import { Refusal, ask, send, whole } from "./asking.js";
import * as memory from "./memory.js";
import { Meter } from "./meter.js";
import { bytes } from "./words.js";

const MIB = 1024 * 1024;
const TUS = { "Tus-Resumable": "1.0.0" };
const PIECE = { ...TUS, "Content-Type": "application/offset+octet-stream" };

// A piece is what goes through in some seconds: small enough to lose little with it where nobody tells how far it has
// come, and large enough for the pauses in between to be nothing.
const PIECE_SECONDS = 8;
const PIECE_MOST = 32 * MIB;
const PIECE_FIRST = 4 * MIB;
const PIECE_LEAST = MIB / 4;

const STALLED = 120_000;
const ELSEWHERE = "it goes on in another window";
const GONE = "it was cancelled somewhere else, or given up by the node";
const PAUSES = [1, 2, 4, 8, 15, 30].map((seconds) => seconds * 1000);

/**
 * Its `state` is "known" (stored before), "waiting", "sending", "retrying", "paused", "done", "failed" or "cancelled";
 * `confirmed` is how many bytes the grid has, `detail` what there is to say about the state. A "change" is told of in
 * any of that.
 */
export class Transfer extends EventTarget {
  #stopping = new AbortController();
  #pieceSize = PIECE_FIRST;
  #address;
  /** By which the node knows a creation that is asked for again, because its answer was lost. */
  #key;
  #creation = null;
  /** The node has told of the upload while this page was open. */
  #wasThere = false;

  /** `place`: where it goes, one of those of place.js. */
  constructor(file, path, place) {
    super();
    this.file = file;
    this.path = path;
    this.place = place;
    this.state = "waiting";
    this.confirmed = 0;
    this.detail = "";
    this.link = null;
    this.meter = new Meter();
    ({ address: this.#address, key: this.#key } = memory.recall(place.uploads, path, file));
  }

  get name() {
    return this.path.split("/").at(-1);
  }

  /** Until it is done, or there is nothing to do for it at the moment. */
  async run() {
    const { signal } = (this.#stopping = new AbortController());
    let attempt = 0;
    this.#become("sending");
    this.meter.reset();
    while (!signal.aborted) {
      const before = this.confirmed;
      try {
        await this.#bring(signal);
        this.#forget();
        if (this.place.keepsAll) memory.noteStored(this.place.uploads, this.path, this.file);
        this.#become("done");
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Refusal)) {
          this.#become("failed", `the page is at fault: ${error.message}`);
          throw error;
        }
        if (this.#ends(error) || !(await this.#isReadable())) return;
        attempt = this.confirmed > before ? 0 : attempt + 1;
        await this.#wait(attempt, error, signal);
      }
    }
  }

  /** Nothing is to be done about it, unless somebody wants it. */
  rest(since) {
    this.#become("known", since.toLocaleString());
  }

  pause() {
    this.#stopping.abort();
    this.#become("paused");
  }

  /** Another window has begun to send it. */
  yield() {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    this.#become("paused", ELSEWHERE);
  }

  wait() {
    this.#become("waiting");
  }

  /** Nothing of it is left behind, here or there. */
  async cancel() {
    this.#stopping.abort();
    this.#become("cancelled");
    const address = this.#address ?? (await this.#begunAt());
    this.#forget();
    if (address !== null) await drop(address);
  }

  #remember() {
    memory.remember(this.place.uploads, this.path, this.file, { address: this.#address, key: this.#key });
  }

  #forget() {
    this.#address = this.#key = null;
    this.#wasThere = false;
    memory.forget(this.place.uploads, this.path, this.file);
  }

  #become(state, detail = "") {
    this.state = state;
    this.detail = detail;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #stands(confirmed) {
    this.confirmed = confirmed;
    this.meter.mark(confirmed);
    this.#changed();
  }

  /** Whether there is no point in going on after this. */
  #ends(refusal) {
    if (refusal.reason === "preempted") {
      this.#become("paused", ELSEWHERE);
      return true;
    }
    if (!refusal.isFinal) return false;
    const isGone = refusal.reason === "gone";
    // Another try is another upload, and what was known of its place may be what is wrong.
    if (isGone || this.#address === null) this.#forget();
    if (isGone) this.#stands(0);
    this.place.doubt();
    this.#become("failed", isGone ? GONE : refusal.message);
    return true;
  }

  /** A file that was changed or removed looks as if the line was lost. */
  async #isReadable() {
    try {
      await this.file.slice(0, 1).arrayBuffer();
      return true;
    } catch {
      this.#become("failed", "the file can't be read any more; it was changed, moved or removed");
      return false;
    }
  }

  async #wait(attempt, refusal, signal) {
    const pause = PAUSES[Math.min(attempt, PAUSES.length) - 1] ?? PAUSES[0];
    const until = Math.max(pause * (0.75 + Math.random() / 2), refusal.wait);
    this.#become("retrying", refusal.message);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, until);
      const now = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener("abort", now, { once: true });
      addEventListener("online", now, { once: true, signal });
    });
    if (!signal.aborted) this.#become("sending");
    this.meter.reset();
  }

  /** All that is missing. Returns when the file is stored. */
  async #bring(signal) {
    let answer = this.#address === null ? null : await this.#standing(signal);
    answer ??= await this.#create(signal);
    while (!this.#isStored(answer)) answer = await this.#sendPiece(signal);
  }

  /** Only whoever has stored all of it says what became of the file. */
  #isStored(answer) {
    const cap = answer("Tahoeish-Cap");
    const complete = this.confirmed === this.file.size && (cap !== null || answer("Upload-Length") === null);
    if (complete) this.link = this.place.linkTo(this.path, cap);
    return complete;
  }

  /** What the node knows of it; null if it knows nothing any more. */
  async #standing(signal) {
    try {
      const answer = await ask("HEAD", this.#address, TUS, { signal });
      this.#wasThere = true;
      this.#stands(Number(answer("Upload-Offset")));
      return answer;
    } catch (error) {
      if (!(error instanceof Refusal && [403, 404, 410].includes(error.status))) throw error;
      if (this.#wasThere) throw new Refusal(410, { reason: "gone" });
      // It is too long ago.
      this.#forget();
      this.#stands(0);
      return null;
    }
  }

  async #create(signal) {
    const { file, path, place } = this;
    const most = await place.most(signal);
    if (file.size > most) throw new Refusal(413, { detail: `it is larger than the ${bytes(most)} that are taken here` });
    const address = await place.prepare(path);
    this.#key ??= newKey();
    this.#remember();
    const headers = {
      ...TUS,
      "Idempotency-Key": `"${this.#key}"`,
      "Upload-Length": String(file.size),
      "Upload-Metadata": metadata({
        filename: this.name,
        filetype: file.type,
        mtime: String(Math.floor(file.lastModified / 1000)),
        relativePath: path.includes("/") ? path : "",
      }),
    };
    this.#creation = { address, headers };
    const small = file.size <= MIB;
    // What is small enough comes along at once.
    const answer = small
      ? await send("POST", address, { ...headers, ...PIECE }, file, { signal })
      : await ask("POST", address, headers, { signal });
    this.#address = whole(answer("Location"));
    this.#wasThere = true;
    this.#remember();
    this.#stands(Number(answer("Upload-Offset") ?? 0));
    // An answer to this says nothing of a length, either.
    return (name) => (name === "Upload-Length" && this.confirmed < file.size ? String(file.size) : answer(name));
  }

  /** Where an upload is that was asked for, and whose answer hasn't come. */
  async #begunAt() {
    if (this.#creation === null) return null;
    try {
      const answer = await ask("POST", this.#creation.address, this.#creation.headers);
      return whole(answer("Location"));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return null;
    }
  }

  async #sendPiece(signal) {
    const size = this.#pieceSize;
    const piece = this.file.slice(this.confirmed, this.confirmed + size);
    const headers = { ...PIECE, "Upload-Offset": String(this.confirmed) };
    const started = performance.now();
    let events = null;
    try {
      const answer = await send("PATCH", this.#address, headers, piece, {
        signal,
        stalled: STALLED,
        // Not before this request has a connection: a browser has only a few, and none would be left for pieces if
        // all of them were for news.
        begun: (alive) => (events = this.#watch(alive)),
      });
      this.#stands(Number(answer("Upload-Offset")));
      const seconds = Math.max((performance.now() - started) / 1000, 0.001);
      const fitting = (piece.size / seconds) * PIECE_SECONDS;
      if (piece.size === size) this.#pieceSize = Math.min(Math.max(fitting, PIECE_LEAST), 2 * size, PIECE_MOST);
      return answer;
    } catch (error) {
      if (!this.#isTooLargeForProxy(error)) throw error;
      this.#pieceSize = Math.max(PIECE_LEAST, size / 4);
      return this.#standing(signal);
    } finally {
      events?.close();
    }
  }

  /** Something before the node that takes no large requests; the node itself would have given its name. */
  #isTooLargeForProxy(error) {
    const status = error instanceof Refusal ? error.status : 0;
    return status === 413 && error.header("Tus-Resumable") === null && this.#pieceSize > PIECE_LEAST;
  }

  #watch(alive) {
    const events = new EventSource(`${this.#address}/events`);
    events.addEventListener("progress", ({ data }) => {
      alive();
      const { confirmed } = JSON.parse(data);
      if (confirmed > this.confirmed && confirmed < this.file.size) this.#stands(confirmed);
    });
    // It would ask again and again. The next piece does so soon enough.
    for (const ending of ["end", "error"]) events.addEventListener(ending, () => events.close());
    return events;
  }
}

/** End an upload that there is, or was. */
export async function drop(address) {
  try {
    await ask("DELETE", address, TUS);
  } catch (error) {
    // Whoever never comes back is forgotten there, too.
    if (!(error instanceof Refusal)) throw error;
  }
}

/** Not by randomUUID, which there is with TLS only. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function metadata(values) {
  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return Object.entries(values)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name} ${base64(value)}`)
    .join(",");
}
