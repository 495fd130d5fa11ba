/** A label's card: its name, its images, and the ways to add more. */

import { announce, element } from "../dom.js";
import { counted } from "../format.js";
import { droppedImages } from "../images/image-input.js";
import { Problem } from "../api/problems.js";
import { decode, fitToLimits, jpegCopy } from "../images/shrink.js";
import { TYPES } from "./data-set.js";
import { Strip } from "./strip.js";

/** Bytes of an image that are sent: a photograph becomes a copy of 2,048 pixels or fewer. */
const LIMIT = 1_000_000;
const LONGEST_SIDE = 2048;

let cards = 0;

export class LabelCard {
  #adding = Promise.resolve();

  /**
   * `label` comes from data-set.js; `load(label, image)` resolves to a saved image's Blob;
   * `takePictures(title, add)` opens the camera; `onChange` runs after each change, `onRemove` when
   * the user removes the card.
   */
  constructor(label, { load, takePictures, onChange, onRemove }) {
    Object.assign(this, { label, onChange });
    cards += 1;
    const problemId = `teach-label-problem-${cards}`;
    this.field = element("input", { value: label.name, maxLength: 200, autocomplete: "off", spellcheck: false, "aria-describedby": problemId });
    this.field.oninput = () => { label.name = this.field.value.trim().normalize(); this.#rename(); this.#changed(); };
    this.problem = element("p", { id: problemId, className: "problem", hidden: true });
    this.refused = element("div", { className: "notice bad", role: "alert", hidden: true });
    this.count = element("span", { className: "faint" });
    this.strip = new Strip(label, {
      load: (image) => load(label, image), onRemoved: (image, focused) => this.#removed(image, focused),
    });
    this.removeButton = element("button", { type: "button", className: "quiet", onclick: onRemove }, "Remove label");
    this.input = element("input", { type: "file", className: "visually-hidden", multiple: true, accept: TYPES.join(",") });
    this.camera = element("button", { type: "button", hidden: !navigator.mediaDevices }, "Use the camera");
    this.camera.onclick = () => takePictures(this.title, (image) => this.add([image]));
    this.root = element("li", { className: "teach-label" },
      element("div", { className: "heading" },
        element("label", {}, "Label ", this.field), this.count, this.removeButton),
      this.problem,
      element("div", { className: "buttons" },
        element("label", { className: "button" }, "Choose images", this.input), this.camera,
        element("p", { className: "faint" }, "or drag or paste them here")),
      this.refused, this.strip.root);
    this.#listen();
    this.#rename();
    this.#showCount();
  }

  /** What messages call the label. */
  get title() {
    return this.label.name || "the label without a name";
  }

  /** Shows why the label cannot be taught as it is, or nothing for "". */
  showProblem(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
    this.field.setAttribute("aria-invalid", String(Boolean(text)));
  }

  /** Adds images of {name, file}, after those that are still being added; returns the promise. */
  add(images) {
    this.#adding = this.#adding.then(() => this.#add(images));
    return this.#adding;
  }

  /** Resolves when all images that the user gave it are added. */
  settled() {
    return this.#adding;
  }

  async #add(images) {
    const refused = [];
    for (const { name, file } of images) {
      try {
        const content = await prepared(file);
        this.strip.append(this.label.add(content, name));
        this.#changed();
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        refused.push(`${name}: ${error.detail}`);
      }
    }
    this.refused.replaceChildren(...refused.map((text) => element("p", {}, text)));
    this.refused.hidden = refused.length === 0;
    const added = images.length - refused.length;
    if (added) announce(`${counted(added, "image")} added to ${this.title}, now ${this.count.textContent}`);
  }

  #removed({ name }, focused) {
    this.#changed();
    if (!focused) this.input.focus();
    announce(`${name} removed from ${this.title}, now ${this.count.textContent}`);
  }

  #changed() {
    this.showProblem("");
    this.#showCount();
    this.onChange();
  }

  #showCount() {
    this.count.textContent = counted(this.label.images.length, "image");
  }

  #rename() {
    this.removeButton.setAttribute("aria-label", `Remove label ${this.label.name}`.trim());
    this.input.setAttribute("aria-label", `Choose images for ${this.title}`);
    this.camera.setAttribute("aria-label", `Use the camera for ${this.title}`);
    this.strip.rename(this.title);
  }

  #listen() {
    const { root, input } = this;
    const highlight = (on) => root.classList.toggle("over", on);
    root.ondragover = () => highlight(true); // the window's listener allows dropping
    root.ondragleave = ({ relatedTarget }) => { if (!root.contains(relatedTarget)) highlight(false); };
    root.ondrop = async (event) => {
      event.preventDefault();
      event.stopPropagation();
      highlight(false);
      if (!input.matches(":disabled")) this.add(await droppedImages(event.dataTransfer));
    };
    root.onpaste = (event) => {
      const files = [...event.clipboardData.files];
      if (files.length === 0) return;
      event.preventDefault();
      event.stopPropagation();
      if (!input.matches(":disabled")) this.add(files.map((file) => ({ name: file.name, file })));
    };
    input.onchange = () => {
      this.add([...input.files].map((file) => ({ name: file.name, file })));
      input.value = ""; // so that the same file can be chosen again
    };
    input.onkeydown = (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      input.click();
    };
  }
}

/** What to send of a file: itself, or a smaller copy. Throws Problem if it is no image. */
async function prepared(file) {
  const bitmap = await decode(file);
  if (bitmap === null) {
    throw new Problem({ title: "Not an image", detail: "not an image that this browser reads; use JPEG, PNG, WebP, BMP or GIF." });
  }
  try {
    const { content } = TYPES.includes(file.type) ? await fitToLimits(file, bitmap, LIMIT) : await jpegCopy(bitmap, LONGEST_SIDE);
    return content;
  } finally {
    bitmap.close();
  }
}
