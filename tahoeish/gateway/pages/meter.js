// How fast something gets on, as far as the last seconds tell.

const WINDOW = 15_000;

export class Meter {
  #marks = [];

  /** Forget what was before a pause. */
  reset() {
    this.#marks = [];
  }

  mark(position, now = performance.now()) {
    const last = this.#marks.at(-1);
    // After a lost line, less may be safe than had been told.
    if (last !== undefined && position < last.position) this.reset();
    if (last === undefined || position !== last.position) this.#marks.push({ position, now });
    while (this.#marks.length > 2 && now - this.#marks[0].now > WINDOW) this.#marks.shift();
  }

  /** In bytes a second; 0 as long as nobody knows. */
  rate(now = performance.now()) {
    const [first, last] = [this.#marks[0], this.#marks.at(-1)];
    if (first === undefined || first === last) return 0;
    return ((last.position - first.position) * 1000) / Math.max(now - first.now, 1);
  }
}
