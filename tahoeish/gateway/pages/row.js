// One file in the list, as somebody sees it.

import { whole } from "./asking.js";
import { bytes, duration } from "./words.js";

export class Row {
  #shown = "";
  #due = false;

  /** `act(verb)`: what is to be done when a button is pressed, one of those of LABELS. */
  constructor(transfer, act) {
    this.transfer = transfer;
    this.act = act;
    this.bar = element("progress", { max: Math.max(transfer.file.size, 1) });
    this.bar.setAttribute("aria-label", `Stored of ${transfer.path}`);
    this.said = element("p", { className: "state" });
    this.buttons = element("p", { className: "buttons" });
    this.title = element("p", { className: "name" }, transfer.path);
    this.item = element("li", {}, this.title, this.buttons, this.bar, this.said);
    transfer.addEventListener("change", () => this.#soon());
    this.#show();
  }

  #soon() {
    if (this.#due) return;
    this.#due = true;
    // Not by requestAnimationFrame, which rests in a window that nobody sees.
    setTimeout(() => {
      this.#due = false;
      this.#show();
    }, 100);
  }

  #show() {
    const { transfer } = this;
    this.bar.value = transfer.state === "done" ? this.bar.max : transfer.confirmed;
    this.said.textContent = sentence(transfer);
    if (this.#shown === transfer.state) return;
    this.#shown = transfer.state;
    this.item.className = transfer.state;
    this.bar.hidden = ["done", "failed", "known"].includes(transfer.state);
    if (transfer.link !== null) this.title.replaceChildren(element("a", { href: transfer.link }, transfer.path));
    this.#renew(BUTTONS[transfer.state] ?? []);
  }

  /** Whoever has just pressed a button shall not find themselves at the top of the page. */
  #renew(verbs) {
    const focused = this.buttons.contains(document.activeElement);
    const buttons = verbs.map((verb) => this.#button(verb));
    if (this.transfer.state === "done" && this.transfer.link !== null) buttons.push(this.#copyButton());
    this.buttons.replaceChildren(...buttons);
    if (focused) buttons[0]?.focus();
  }

  #button(verb) {
    const button = element("button", { type: "button" }, LABELS[verb]);
    button.setAttribute("aria-label", `${LABELS[verb]}: ${this.transfer.path}`);
    button.addEventListener("click", () => this.act(verb));
    return button;
  }

  #copyButton() {
    const button = element("button", { type: "button", className: "copy" }, "Copy link");
    button.setAttribute("aria-label", `Copy link: ${this.transfer.path}`);
    button.addEventListener("click", async () => {
      await copy(whole(this.transfer.link));
      button.textContent = "Copied";
      button.setAttribute("aria-label", `Copied: ${this.transfer.path}`);
    });
    return button;
  }
}

export function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const LABELS = { again: "Send it again", pause: "Pause", resume: "Resume", cancel: "Cancel", retry: "Try again", remove: "Remove" };
const BUTTONS = {
  known: ["again", "remove"],
  waiting: ["pause", "cancel"],
  sending: ["pause", "cancel"],
  retrying: ["pause", "cancel"],
  paused: ["resume", "cancel"],
  failed: ["retry", "remove"],
};

function sentence({ state, detail, file, confirmed, meter }) {
  const far = `${bytes(confirmed)} of ${bytes(file.size)}`;
  switch (state) {
    case "waiting":
      return `${bytes(file.size)}, waiting for its turn`;
    case "sending":
      return far + pace(file.size - confirmed, meter.rate());
    case "retrying":
      return `${far}; ${detail}. It goes on by itself.`;
    case "paused":
      return `${far}, paused${detail && `: ${detail}`}`;
    case "failed":
      return `Not stored: ${detail}`;
    case "known":
      return `${bytes(file.size)}, stored already on ${detail}`;
    case "done":
      return `${bytes(file.size)}, stored`;
    default:
      return "";
  }
}

function pace(missing, rate) {
  if (missing === 0) return ", being finished";
  return rate > 0 ? `, ${bytes(rate)}/s, ${duration(missing / rate)} left` : "";
}

async function copy(text) {
  if (navigator.clipboard !== undefined) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Without TLS, browsers have only the old way.
  const area = element("textarea", { value: text, readOnly: true });
  const focused = document.activeElement;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  focused?.focus();
}
