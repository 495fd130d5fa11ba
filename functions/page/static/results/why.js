/** "Why": a button at the answer of a model that can explain it, and the heat map over the image. */

import { announce, element } from "../dom.js";
import { drawHeatmap, place, readHeatmap } from "./heatmap.js";
import { Problem } from "../api/problems.js";
import { failure } from "./result-view.js";
import { decode } from "../images/shrink.js";

/** Pixels of the longer side of the picture: twice what is shown, for dense screens. */
const LONGEST = 640;

export class Why {
  #request = new AbortController();

  /**
   * `name` is the image's, `label` the first one of the answer, `content` the file that was sent;
   * `ask(signal)` requests the explanation: {label, heatmap}.
   */
  constructor({ name, label, content, ask }) {
    Object.assign(this, { name, label, content, ask });
    this.figure = element("figure", { hidden: true });
    this.button = element("button", { type: "button", "aria-expanded": "false" }, `Why ${label}?`);
    this.button.onclick = () => this.#toggle();
    this.root = element("div", { className: "why" }, this.button, this.figure);
  }

  /** Cancels the request in progress. */
  dispose() {
    this.#request.abort();
  }

  #toggle() {
    const open = this.figure.hidden;
    this.figure.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open && !this.shown) this.#show();
    if (!open) this.dispose();
  }

  async #show() {
    this.#request = new AbortController();
    const { signal } = this.#request;
    try {
      await this.#draw(signal);
      this.shown = true;
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.figure.replaceChildren(failure(problem, () => { this.button.focus(); this.#show(); }));
      announce(`${this.name}: ${problem.title}. ${problem.detail}`);
    }
  }

  async #draw(signal) {
    const caption = element("figcaption", {}, "Asking …");
    this.figure.replaceChildren(caption);
    const image = await decode(this.content);
    signal.throwIfAborted();
    // The space is taken before the answer arrives, so that nothing moves when it does.
    const canvas = image ? element("canvas", { role: "img", "aria-label": `${this.name}, before its heat map`, ...size(image) }) : null;
    if (canvas) {
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      this.figure.prepend(canvas);
    }
    const { label, heatmap: content } = await this.ask(signal);
    const heatmap = await readHeatmap(content);
    signal.throwIfAborted();
    const text = described(label, place(heatmap));
    if (canvas) drawHeatmap(canvas, image, heatmap);
    canvas?.setAttribute("aria-label", `Heat map over ${this.name}. ${text}`);
    caption.textContent = text;
    announce(`${this.name}: ${text}`);
    image?.close();
    heatmap.close();
  }
}

function size({ width, height }) {
  const scale = LONGEST / Math.max(width, height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

function described(label, where) {
  if (!where) return `No part of the image speaks for ${label}; the other labels fit it even less.`;
  return `What speaks for ${label} is red and, where most does, yellow: ${where}.`;
}
