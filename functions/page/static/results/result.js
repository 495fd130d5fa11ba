/** One image, and what models predict for it side by side: a card in the list of results. */

import { Answer } from "./answer.js";
import { element } from "../dom.js";
import { bytes, whole } from "../format.js";
import { describeInput, drawModelInput, drawThumbnail } from "../images/preview.js";
import { decode, fitToLimits } from "../images/shrink.js";

export class Result {
  #answers = [];

  /**
   * `image` comes from images/image-input.js; `selected` returns the selected {model, version};
   * `services` are the api, queue and warmth; `onRemove` runs when the user removes the card.
   */
  constructor({ services, image, selected, onRemove }) {
    Object.assign(this, { services, image, selected });
    this.again = element("button", { type: "button", onclick: () => this.classify() }, "Classify again");
    const remove = element("button", {
      type: "button", className: "quiet", "aria-label": `Remove ${image.name}`, onclick: onRemove,
    }, "Remove");
    this.notes = element("p", { className: "faint" });
    this.previews = element("div", { className: "previews" });
    this.answers = element("div", { className: "answers" });
    this.root = element("li", { className: "result" },
      element("header", {}, element("h3", {}, image.name), element("div", { className: "buttons" }, this.again, remove)),
      this.notes, element("div", { className: "columns" }, this.previews, this.answers));
  }

  get name() {
    return this.image.name;
  }

  /** Labels the button: it repeats the answer of the selected model, or adds that to compare. */
  updateButton() {
    const target = this.selected();
    const known = !target.model || this.#answers.some((answer) => answer.isOf(target));
    const name = [target.model?.model, target.version].filter(Boolean).join(" ");
    this.again.textContent = known ? "Classify again" : `Compare with ${name}`;
  }

  /** Cancels the requests in progress. */
  dispose() {
    for (const answer of this.#answers) answer.dispose();
  }

  /** Classifies the image with the selected model, beside the answers that are there. */
  classify() {
    const target = this.selected();
    let answer = this.#answers.find((each) => each.isOf(target));
    if (!answer) {
      this.#dropWithoutModel();
      answer = new Answer(this, target, this.services, () => this.again.focus());
      this.#answers.push(answer);
      this.answers.append(answer.root);
    }
    this.updateButton();
    return answer.classify();
  }

  /** Removes the answer that asked to select a model. */
  #dropWithoutModel() {
    for (const each of this.#answers.filter(({ target }) => !target.model)) {
      each.dispose();
      each.root.remove();
    }
    this.#answers = this.#answers.filter(({ target }) => target.model);
  }

  /** Shows the previews for a model's input, and returns what to send: {content, name, unsaved}. */
  async prepare(spec) {
    if (this.image.problem) throw this.image.problem;
    const { file, name, unsaved } = this.image;
    const bitmap = await decode(file);
    try {
      this.#showPreviews(bitmap, spec);
      this.notes.textContent = described(file, bitmap);
      const { content, reduced } = await fitToLimits(file, bitmap);
      if (!reduced) return { content, name, unsaved: Boolean(unsaved) };
      const copy = described(content, reduced);
      this.notes.append(`. The image exceeds the API's limits, so a smaller copy is sent: ${copy}.`);
      return { content, name: `${name.replace(/\.\w+$/, "")}-smaller.jpg`, unsaved: true };
    } finally {
      bitmap?.close();
    }
  }

  #showPreviews(bitmap, spec) {
    if (bitmap === null) {
      this.previews.replaceChildren(element("p", { className: "faint" }, "This browser cannot display the file."));
      return;
    }
    const thumbnail = canvas(this.image.name);
    drawThumbnail(thumbnail, bitmap);
    this.previews.replaceChildren(figure(thumbnail, "Original"));
    if (!spec) return;
    const input = canvas(`${this.image.name}, approximate model input`);
    drawModelInput(input, bitmap, spec);
    this.previews.append(figure(input, `Model input (approximate): ${describeInput(spec)}`));
  }
}

function described(file, bitmap) {
  const size = bitmap ? `${whole(bitmap.width)} × ${whole(bitmap.height)} pixels, ` : "";
  return size + bytes(file.size);
}

function canvas(label) {
  return element("canvas", { role: "img", "aria-label": label });
}

function figure(content, caption) {
  return element("figure", {}, content, element("figcaption", {}, caption));
}
