// The part of a page where files are put in: what is chosen, dropped or pasted becomes transfers, a few at a time.

import * as memory from "./memory.js";
import { chosen, dropped, pasted } from "./picking.js";
import { placeOf } from "./place.js";
import { Row, element } from "./row.js";
import { Transfer, drop } from "./transfer.js";
import { isSentElsewhere, untilNobodySends, whileTold } from "./windows.js";
import { count } from "./words.js";

const AT_ONCE = 3;

/** For how many milliseconds files are listed before the page does something else. */
const SLICE = 10;

class Panel {
  #waiting = [];
  #running = new Set();
  #rows = new Map();
  #unfinished = new Map();
  #latest = new Map();
  #folders = { made: 0, left: 0 };
  #telling = null;

  constructor(section) {
    this.section = section;
    this.place = placeOf(section);
    this.list = section.querySelector(".transfers");
    this.said = section.querySelector(".said");
    this.#offer();
    memory.tidy();
    for (const left of memory.unfinished(this.place.uploads)) this.#showUnfinished(left);
  }

  /** All ways to bring files. */
  #offer() {
    this.section.querySelector(".without-script").remove();
    this.section.querySelector(".drop").hidden = false;
    for (const kind of ["files", "folders"]) {
      const input = this.section.querySelector(`input.${kind}`);
      this.section.querySelector(`button.${kind}`).addEventListener("click", () => input.click());
      input.addEventListener("change", () => {
        // A list of its own: choosing the same file again has to be a change.
        const picked = [...chosen(input)];
        input.value = "";
        this.#take(picked);
      });
    }
    addEventListener("beforeunload", (event) => {
      // What waits for its turn is known to this page only.
      if (this.#running.size + this.#waiting.length > 0) event.preventDefault();
    });
    addEventListener("paste", (event) => {
      if (event.clipboardData.files.length > 0) this.#take(pasted(event.clipboardData));
    });
    addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      this.section.classList.add("over");
    });
    addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) this.section.classList.remove("over");
    });
    addEventListener("drop", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      this.section.classList.remove("over");
      this.#take(dropped(event.dataTransfer));
    });
  }

  async #take(picked) {
    let rested = performance.now();
    try {
      for await (const { file, path } of picked) {
        if (file === null) this.#makeFolder(path);
        else this.#add(new Transfer(file, path, this.place));
        if (performance.now() - rested < SLICE) continue;
        await turn();
        rested = performance.now();
      }
    } catch (error) {
      this.#say(`Some of it can't be read: ${error.message}`);
    }
  }

  async #makeFolder(path) {
    try {
      this.#folders[(await this.place.make(path)) ? "made" : "left"] += 1;
    } catch (error) {
      this.#say(`The empty folder ${path} can't be made: ${error.message}`);
      return;
    }
    this.#tellLater();
  }

  #add(transfer) {
    const identity = identityOf(transfer);
    if (this.#isUnderWay(identity)) return;
    this.#unfinished.get(identity)?.remove();
    this.#latest.set(identity, transfer);
    const row = new Row(transfer, (verb) => this.#act(transfer, verb));
    this.#rows.set(transfer, row);
    this.#list(row.item);
    transfer.addEventListener("change", () => this.#tellSoon(transfer));
    const before = this.place.keepsAll ? memory.storedAt(this.place.uploads, transfer.path, transfer.file) : null;
    if (before !== null) {
      transfer.rest(before);
      return;
    }
    this.#waiting.push(transfer);
    this.#next();
  }

  /** The same file, chosen twice. */
  #isUnderWay(identity) {
    const other = this.#latest.get(identity);
    return other !== undefined && !["done", "failed", "cancelled"].includes(other.state);
  }

  #next() {
    while (this.#running.size < AT_ONCE) {
      // One that was paused and resumed at once may still be coming to its rest.
      const next = this.#waiting.findIndex((transfer) => !this.#running.has(transfer));
      if (next < 0) return;
      const [transfer] = this.#waiting.splice(next, 1);
      this.#running.add(transfer);
      const { uploads } = this.place;
      whileTold(uploads, identityOf(transfer), () => transfer.run(), () => transfer.yield()).finally(() => {
        this.#running.delete(transfer);
        this.#next();
      });
    }
  }

  #act(transfer, verb) {
    this.#waiting = this.#waiting.filter((other) => other !== transfer);
    switch (verb) {
      case "pause":
        transfer.pause();
        break;
      case "again":
      case "resume":
      case "retry":
        transfer.wait();
        this.#waiting.push(transfer);
        this.#next();
        break;
      case "cancel":
      case "remove":
        transfer.cancel();
        this.#rows.get(transfer).item.remove();
        this.#rows.delete(transfer);
        this.#list();
        this.#refocus();
        break;
    }
  }

  #list(...items) {
    this.list.append(...items);
    this.list.hidden = this.list.childElementCount === 0;
  }

  /** Whoever has just taken away a row shall not find themselves at the top of the page. */
  #refocus() {
    const left = this.list.hidden ? this.section.querySelector("button.files") : this.list;
    left.focus();
  }

  async #showUnfinished(left) {
    const { uploads } = this.place;
    const identity = identityOf(left);
    if (await isSentElsewhere(uploads, identity)) {
      const state = element("p", { className: "state" }, "Under way in another window.");
      const item = element("li", { className: "unfinished" }, element("p", { className: "name" }, left.path), state);
      this.#unfinished.set(identity, item);
      this.#list(item);
      await untilNobodySends(uploads, identity);
      item.remove();
      this.#list();
      const { address, key } = memory.recall(uploads, left.path, left.file);
      if (address === null && key === null) return;
      left = { ...left, address };
    }
    if (!this.#latest.has(identity)) this.#offerToGoOn(left);
  }

  /** What an earlier visit has left. Only the one who has the file can bring the rest of it. */
  #offerToGoOn(left) {
    const again = element("button", { type: "button" }, "Choose it again");
    again.setAttribute("aria-label", `Choose it again: ${left.path}`);
    const button = element("button", { type: "button" }, "Cancel");
    button.setAttribute("aria-label", `Cancel: ${left.path}`);
    const item = element(
      "li",
      { className: "unfinished" },
      element("p", { className: "name" }, left.path),
      element("p", { className: "buttons" }, again, button),
      element("p", { className: "state" }, "Not finished. Choose the same file again, and it goes on where it was."),
    );
    const kind = left.path.includes("/") ? "folders" : "files";
    again.addEventListener("click", () => this.section.querySelector(`input.${kind}`).click());
    button.addEventListener("click", () => {
      memory.forget(this.place.uploads, left.path, left.file);
      if (left.address !== null) drop(left.address);
      item.remove();
      this.#list();
      this.#refocus();
    });
    this.#unfinished.set(identityOf(left), item);
    this.#list(item);
  }

  /** Now and then, and only what is news: a screen reader reads all of it. */
  #tellSoon(transfer) {
    const { state, detail } = transfer;
    // Whoever has paused it knows that.
    const isNews = ["done", "failed", "retrying", "known"].includes(state) || (state === "paused" && detail !== "");
    if (isNews) this.#tellLater();
  }

  #tellLater() {
    if (this.#telling !== null) return;
    this.#telling = setTimeout(() => {
      this.#telling = null;
      this.#tell();
    }, 500);
  }

  #tell() {
    const transfers = [...this.#rows.keys()];
    const these = (state) => transfers.filter((transfer) => transfer.state === state);
    const { made, left } = this.#folders;
    const parts = transfers.length > 0 ? [`${these("done").length} of ${count(transfers.length, "file")} stored`] : [];
    const before = these("known");
    if (before.length > 0) parts.push(`${before.length} stored already, and not sent again`);
    if (made > 0) parts.push(`${count(made, "empty folder")} made`);
    if (left > 0) parts.push(`${count(left, "empty folder")} left out, as only files can be sent here`);
    const [failed, retrying, paused] = ["failed", "retrying", "paused"].map(these);
    const elsewhere = paused.filter(({ detail }) => detail !== "");
    if (failed.length > 0) parts.push(`${failed.length} not: ${failed[0].name}: ${failed[0].detail}`);
    if (elsewhere.length > 0) parts.push(`${elsewhere.length} paused: ${elsewhere[0].name}: ${elsewhere[0].detail}`);
    if (retrying.length > 0) parts.push(`waiting: ${retrying[0].detail}`);
    this.#say(`${parts.join("; ")}.`);
    if (this.place.holdsNames && these("done").length === transfers.length) {
      this.said.append(" ", element("a", { href: "" }, "Show them in the folder"));
    }
  }

  #say(text) {
    this.said.textContent = text;
  }
}

const identityOf = ({ path, file }) => JSON.stringify([path, file.size, file.lastModified]);

/** Lets the page do what else there is to do. Timers wait longer, in a window that nobody sees. */
const turn = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });

for (const section of document.querySelectorAll("section.upload")) new Panel(section);
