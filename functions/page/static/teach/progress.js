/** The steps of a teaching: which are done, and how far the current one is. */

import { announce, element } from "../dom.js";
import { whole } from "../format.js";

const STEPS = {
  upload: "Upload the images", reading: "Read the images", features: "Compute their features",
  fitting: "Fit the model and judge it", publishing: "Publish it", proving: "Test it where it runs",
};
const NAMES = Object.keys(STEPS);

export class Progress {
  #step = null;

  constructor(root) {
    this.root = root;
    this.items = Object.fromEntries(Object.entries(STEPS).map(([name, text]) => {
      const [bar, count] = [element("progress", { "aria-label": text, hidden: true }), element("span", { className: "faint" })];
      return [name, { bar, count, root: element("li", {}, element("span", {}, text), count, bar) }];
    }));
    root.append(...NAMES.map((name) => this.items[name].root));
  }

  /** Shows that this step is under way, of which `done` of `total` is done; 0 if that is unknown. */
  show(step, done = 0, total = 0) {
    const at = NAMES.indexOf(step);
    if (at < 0) return;
    this.root.hidden = false;
    NAMES.forEach((name, index) => this.#draw(name, index < at ? "done" : index === at ? "current" : "waiting"));
    const { bar, count } = this.items[step];
    count.textContent = total ? `${whole(done)} of ${whole(total)}` : "…";
    if (total) Object.assign(bar, { max: total, value: done });
    else bar.removeAttribute("value");
    if (step !== this.#step) announce(`${STEPS[step]} …`);
    this.#step = step;
  }

  /** It ended at the current step. */
  end() {
    if (this.#step) this.#draw(this.#step, "failed");
  }

  clear() {
    this.root.hidden = true;
    this.#step = null;
  }

  #draw(name, state) {
    const { root, bar, count } = this.items[name];
    root.className = state;
    bar.hidden = state !== "current";
    if (state !== "current") count.textContent = { done: "done", failed: "stopped", waiting: "" }[state];
    if (state === "current") root.setAttribute("aria-current", "step");
    else root.removeAttribute("aria-current");
  }
}
