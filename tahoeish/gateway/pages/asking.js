// Requests to the node, and what it says when it refuses.

const ACCEPT = "application/problem+json, application/json";

/** Whole, since the page's own address may have a password in it, and browsers don't let scripts ask for such. */
export const whole = (address) => new URL(address, location.origin).href;

// What asks for little is answered soon, if at all: a line may be dead without anybody knowing.
const PATIENCE = 60_000;

/** The node, or something before it, has said no. `status` 0: nobody has answered at all. */
export class Refusal extends Error {
  constructor(status, { detail, reason } = {}, header = () => null) {
    super(detail || WORDS[status] || `the node answered with status ${status}`);
    this.status = status;
    this.header = header;
    /** The node's, in one word, where the status may mean several things. */
    this.reason = reason ?? "";
  }

  /** Another try wouldn't help. */
  get isFinal() {
    const { status } = this;
    // Who is told where the upload stands can go on from there.
    if (status === 409 && this.header("Upload-Offset") !== null) return false;
    return status === 507 || (status >= 400 && status < 500 && !PASSING.has(status));
  }

  /** What the node asks to wait, in milliseconds. */
  get wait() {
    return 1000 * (Number(this.header("Retry-After")) || 0);
  }
}

const PASSING = new Set([408, 425, 429]);
const WORDS = {
  0: "the line is lost",
  401: "you have to log in again: reload the page",
  413: "this is more than is taken here",
};

/** A request without content to speak of; gives what reads the answer's headers. */
export async function ask(method, address, headers, { signal } = {}) {
  const [header] = await read(method, address, headers, { signal });
  return header;
}

/** The same with the answer's text. */
export async function read(method, address, headers, { body, signal } = {}) {
  const patience = new AbortController();
  const stop = () => patience.abort();
  const timer = setTimeout(stop, PATIENCE);
  signal?.addEventListener("abort", stop);
  let response;
  let text;
  try {
    const asked = { method, headers: { Accept: ACCEPT, ...headers }, body, signal: patience.signal, cache: "no-store" };
    response = await fetch(whole(address), asked);
    text = await response.text();
  } catch {
    signal?.throwIfAborted();
    throw new Refusal(0);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
  const header = (name) => response.headers.get(name);
  if (!response.ok) throw new Refusal(response.status, toldIn(header, text), header);
  return [header, text];
}

/**
 * A request with a piece of a file. `begun` is called when bytes go out, `stalled` is how many milliseconds may pass
 * without any sign of life; `alive` tells of one.
 */
export function send(method, address, headers, piece, { signal, begun = () => {}, stalled = PATIENCE }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => request.abort(), stalled);
    };
    const abort = () => request.abort();
    const header = (name) => request.getResponseHeader(name);
    request.open(method, whole(address));
    request.setRequestHeader("Accept", ACCEPT);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", () => begun(alive), { once: true });
    request.upload.addEventListener("progress", alive);
    request.addEventListener("loadend", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      if (signal.aborted) reject(signal.reason);
      else if (request.status >= 200 && request.status < 300) resolve(header);
      else reject(new Refusal(request.status, toldIn(header, request.responseText), header));
    });
    signal.addEventListener("abort", abort);
    alive();
    request.send(piece);
  });
}

/** `{detail, reason}`, as far as there are any. */
function toldIn(header, text) {
  const type = header("Content-Type") ?? "";
  // What isn't ours may be a whole page.
  if (type.startsWith("text/plain") && text.length < 500) return { detail: text.trim() };
  if (!type.includes("json")) return {};
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
