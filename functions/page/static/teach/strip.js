/** A label's images as a strip of thumbnails, each with a button that removes it. */

import { element } from "../dom.js";
import { drawThumbnail } from "../images/preview.js";
import { Problem } from "../api/problems.js";
import { decode } from "../images/shrink.js";

const THUMBNAIL_SIDE = 144;
const SHOWN = 60;

export class Strip {
  #shown = SHOWN;
  #lazy = new IntersectionObserver((entries) => this.#drawVisible(entries), { rootMargin: "300px" });

  /**
   * `label` comes from data-set.js; `load(image)` resolves to a saved image's Blob; `onRemoved`
   * runs with each image that the user removes, and with whether the strip kept the focus.
   */
  constructor(label, { load, onRemoved }) {
    Object.assign(this, { label, load, onRemoved });
    this.list = element("ul", { className: "strip" });
    this.more = element("button", { type: "button", className: "quiet", onclick: () => this.#showMore() });
    this.root = element("div", {}, this.list, this.more);
    this.list.onkeydown = (event) => this.#moveFocus(event);
    this.list.append(...label.images.slice(0, SHOWN).map((image) => this.#item(image)));
    this.#update();
  }

  rename(name) {
    this.list.setAttribute("aria-label", `Images of ${name}`);
  }

  /** Shows an image that was added to the label's end. */
  append(image) {
    if (this.label.images.length <= this.#shown) this.list.append(this.#item(image));
    this.#update();
  }

  #item(image) {
    const canvas = element("canvas", { role: "img", "aria-label": image.name, width: 1, height: 1 });
    const remove = element("button", { type: "button", "aria-label": `Remove ${image.name}`, title: `Remove ${image.name}`, tabIndex: -1 }, "×");
    const item = element("li", { image }, canvas, remove);
    remove.onclick = () => this.#remove(item);
    this.#lazy.observe(item);
    return item;
  }

  /** The user removes an item; the focus goes to the next one. */
  #remove(item) {
    const next = item.nextElementSibling ?? item.previousElementSibling;
    this.#takeOut(item.image, item);
    if (next) this.#focus(next);
    this.onRemoved(item.image, Boolean(next));
  }

  /** Removes an image; the focus stays where it is. */
  remove(image) {
    this.#takeOut(image, [...this.list.children].find((each) => each.image === image));
    this.onRemoved(image, true);
  }

  #takeOut(image, item) {
    this.label.remove(image);
    item?.remove();
    const hidden = this.label.images[this.list.children.length];
    if (hidden && item) this.list.append(this.#item(hidden));
    this.#update();
  }

  #showMore() {
    const first = this.#shown;
    this.#shown += SHOWN;
    this.list.append(...this.label.images.slice(first, this.#shown).map((image) => this.#item(image)));
    this.#update();
    this.#focus(this.list.children[first]);
  }

  #drawVisible(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      this.#lazy.unobserve(target);
      thumbnail(target.querySelector("canvas"), async () => target.image.content ?? this.load(target.image));
    }
  }

  #update() {
    const left = this.label.images.length - this.#shown;
    this.more.hidden = left <= 0;
    this.more.textContent = `Show ${Math.min(SHOWN, left)} more`;
    const buttons = [...this.list.querySelectorAll("button")];
    if (buttons.length && !buttons.some((each) => each.tabIndex === 0)) buttons[0].tabIndex = 0;
  }

  /** The strip is one stop for Tab; the arrow keys move within it. */
  #moveFocus(event) {
    const items = [...this.list.children];
    const at = items.indexOf(event.target.closest("li"));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (!items[to]) return;
    event.preventDefault();
    this.#focus(items[to]);
  }

  #focus(item) {
    for (const each of this.list.querySelectorAll("button")) each.tabIndex = -1;
    const button = item.querySelector("button");
    button.tabIndex = 0;
    button.focus();
  }
}

/** Draws an image as a thumbnail, as soon as `read` has it; one that cannot be read stays empty. */
export async function thumbnail(canvas, read) {
  try {
    const bitmap = await decode(await read());
    if (bitmap) drawThumbnail(canvas, bitmap, THUMBNAIL_SIDE);
    bitmap?.close();
  } catch (error) {
    if (!(error instanceof Problem) && error.name !== "AbortError") throw error;
  }
}
