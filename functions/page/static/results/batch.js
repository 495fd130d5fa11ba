/** Several images that were added together: a table of predictions, one request per 32 images. */

import { announce, copyButton, element } from "../dom.js";
import { counted, percent } from "../format.js";
import { drawThumbnail } from "../images/preview.js";
import { Problem } from "../api/problems.js";
import { sleep } from "../api/queue.js";
import { decode, fitToLimits } from "../images/shrink.js";

/** The API's default limits (docs/api.md): images of a request, and bytes of its body. */
const MAX_IMAGES = 32;
const MAX_BODY = 4_400_000;
const MAX_ATTEMPTS = 30;
const CSV_HEADER = ["image", "version", "rank", "label", "score", "error"];
const NO_MODEL = { title: "No model selected", detail: "Select a model, then try again." };

export class Batch {
  #request = new AbortController();
  #rows;

  /**
   * `images` come from images/image-input.js; `services` are the api and queue; `selected` returns the
   * selected {model, version}; `open` shows one of the images by itself; `onRemove` removes the card.
   */
  constructor({ services, images, selected, open, onRemove }) {
    Object.assign(this, { services, selected });
    this.name = counted(images.length, "image");
    this.#rows = images.map((image) => new Row(image, () => open(image)));
    this.again = element("button", { type: "button", onclick: () => this.classify() }, "Classify again");
    const remove = element("button", {
      type: "button", className: "quiet", "aria-label": `Remove ${this.name}`, onclick: onRemove,
    }, "Remove");
    this.heading = element("h3", {}, this.name);
    this.status = element("p", { className: "faint" });
    this.root = element("li", { className: "result" },
      element("header", {}, this.heading, element("div", { className: "buttons" },
        copyButton("Copy CSV", "Copy CSV of the table", () => this.#csv()),
        copyButton("Copy JSON", "Copy JSON of the table", () => this.#json()), this.again, remove)),
      this.status,
      element("div", { className: "table" }, element("table", {},
        element("thead", {}, element("tr", {}, ["", "image", "label", "score", ""].map((text) =>
          (text ? element("th", { scope: "col" }, text) : element("td"))))),
        element("tbody", {}, this.#rows.map(({ root }) => root)))));
  }

  /** Labels the button with the model that it would use. */
  updateButton() {
    const { model } = this.selected();
    const other = model && model.model !== this.model?.model;
    this.again.textContent = other ? `Classify with ${model.model}` : "Classify again";
  }

  /** Cancels the requests in progress. */
  dispose() {
    this.#request.abort();
  }

  /** Classifies all images with the selected model. */
  async classify() {
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    const { model, version } = this.selected();
    this.model = model;
    this.updateButton();
    this.heading.textContent = this.name + (model ? ` → ${model.model}` : "");
    for (const row of this.#rows) row.wait();
    this.#count();
    try {
      if (!model) throw new Problem(NO_MODEL);
      await this.#prepare(signal);
      const rows = this.#rows.filter((row) => row.content);
      await Promise.all(requests(rows).map((some) => this.services.queue.run(() => this.#send(model, version, some, signal))));
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      for (const row of this.#rows.filter((each) => each.waiting)) row.fail(problem);
    }
    if (signal.aborted) return;
    this.#count();
    announce(this.status.textContent);
  }

  async #prepare(signal) {
    for (const row of this.#rows) {
      await row.prepare();
      signal.throwIfAborted();
    }
  }

  /** Sends one request. Its failure is that of its images; others go on. */
  async #send(model, version, rows, signal) {
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      try {
        const { document } = await this.services.api.predictMany(model.model, version, rows.map(({ content }) => content), signal);
        document.results.forEach((result, at) => rows[at].show(document, result));
        return this.#count();
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        if (problem.wait === null || attempt === MAX_ATTEMPTS) {
          for (const row of rows) row.fail(problem);
          return this.#count();
        }
        this.status.textContent = `${problem.title}. Retrying in ${problem.wait} s.`;
        await sleep(problem.wait, signal);
      }
    }
  }

  #count() {
    const left = this.#rows.filter(({ waiting }) => waiting).length;
    const failed = this.#rows.filter(({ error }) => error).length;
    const parts = [left ? `${counted(left, "image")} to go` : `${counted(this.#rows.length - failed, "image")} classified`];
    if (failed) parts.push(`${failed} failed`);
    this.status.textContent = `${parts.join(", ")}.`;
  }

  /** As `facet predict --csv`: a line for each label. */
  #csv() {
    const lines = this.#rows.flatMap(({ image, version, predictions, error }) => (error
      ? [[image.name, "", "", "", "", error]]
      : predictions.map(({ label, score }, at) => [image.name, version, at + 1, label, score, ""])));
    return `${[CSV_HEADER, ...lines].map((line) => line.map(quoted).join(",")).join("\n")}\n`;
  }

  #json() {
    return JSON.stringify(this.#rows.map(({ image, version, predictions, unsure, error }) =>
      (error ? { image: image.name, error } : { image: image.name, version, predictions, unsure })), null, 2);
  }
}

/** One image of the table. */
class Row {
  constructor(image, open) {
    this.image = image;
    this.thumbnail = element("canvas", { role: "img", "aria-label": image.name, width: 1, height: 1 });
    this.label = element("td");
    this.score = element("td", { className: "number" });
    const details = element("button", { type: "button", className: "quiet", "aria-label": `Open ${image.name}`, onclick: open }, "Open");
    this.root = element("tr", {}, element("td", {}, this.thumbnail),
      element("th", { scope: "row" }, image.name), this.label, this.score, element("td", {}, details));
    this.wait();
  }

  wait() {
    Object.assign(this, { waiting: true, version: "", predictions: [], unsure: undefined, error: "", content: null });
    this.#write("…", "");
  }

  /** Sets `content`, what to send, or fails. */
  async prepare() {
    try {
      if (this.image.problem) throw this.image.problem;
      const bitmap = await decode(this.image.file);
      if (bitmap) drawThumbnail(this.thumbnail, bitmap);
      this.content = (await fitToLimits(this.image.file, bitmap, (MAX_BODY * 3) / 4)).content;
      bitmap?.close();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.fail(problem);
    }
  }

  /** Shows its result in the API's response. */
  show({ version }, { predictions = [], unsure, error = null }) {
    if (error) return this.fail(error);
    Object.assign(this, { waiting: false, version, predictions, unsure });
    this.#write(predictions[0].label, percent(predictions[0].score));
    if (unsure) this.label.append(" ", element("span", { className: "badge warn" }, "unsure"));
  }

  /** Shows a Problem, or the error of one image in a response. */
  fail({ detail }) {
    Object.assign(this, { waiting: false, error: detail });
    this.#write(detail, null, "bad");
  }

  #write(label, score, className = "") {
    this.label.replaceChildren(label);
    this.label.className = className;
    this.label.colSpan = score === null ? 2 : 1;
    this.score.hidden = score === null;
    this.score.textContent = score ?? "";
  }
}

/** The rows of each request: at most 32 images, and a body within the limit. */
function requests(rows) {
  const groups = [];
  let bytes = Infinity;
  for (const row of rows) {
    const size = Math.ceil(row.content.size / 3) * 4 + 4;
    if (bytes + size > MAX_BODY || groups.at(-1).length === MAX_IMAGES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1).push(row);
    bytes += size;
  }
  return groups;
}

function quoted(value) {
  const text = String(value ?? "");
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
