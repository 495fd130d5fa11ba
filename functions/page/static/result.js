/** One image, and the result that a model returns for it: a card in the list of results. */

import { contentType, predictPath } from "./api.js";
import { command } from "./curl.js";
import { announce, element } from "./dom.js";
import { bytes, percent, whole } from "./format.js";
import { describeInput, drawModelInput, drawThumbnail } from "./preview.js";
import { Problem } from "./problems.js";
import { sleep } from "./queue.js";
import { failure, predictionBars, timingDetails, waiting } from "./result-view.js";
import { decode, fitToLimits } from "./shrink.js";
import { steps } from "./timing.js";

const MAX_ATTEMPTS = 30;
const NO_MODEL = { title: "No model selected", detail: "Select a model, then try again." };

export class Result {
  #request = new AbortController();
  #target = null;
  #latest = null;
  #removed = new AbortController();

  /**
   * `image` comes from image-input.js; `selected` returns the selected {model, version};
   * `onRemove` runs when the user removes the card.
   */
  constructor({ api, queue, warmth, image, selected, onRemove }) {
    Object.assign(this, { api, queue, warmth, image, selected });
    this.heading = element("h3", {}, image.name);
    this.again = element("button", { type: "button", onclick: () => this.classify() }, "Classify again");
    const remove = element("button", {
      type: "button", className: "quiet", "aria-label": `Remove ${image.name}`, onclick: onRemove,
    }, "Remove");
    this.notes = element("p", { className: "faint" });
    this.previews = element("div", { className: "previews" });
    this.outcome = element("div");
    this.timing = element("div");
    this.command = element("div", { className: "command" });
    this.root = element("li", { className: "result" },
      element("header", {}, this.heading, element("div", { className: "buttons" }, this.again, remove)),
      this.notes, element("div", { className: "columns" }, this.previews, this.outcome), this.timing, this.command);
    warmth.addEventListener("changed", () => this.#showTiming(), { signal: this.#removed.signal });
  }

  /** Labels the button with the model that it would use. */
  updateButton() {
    const { model } = this.selected();
    const other = model && model.model !== this.#target?.model?.model;
    this.again.textContent = other ? `Classify with ${model.model}` : "Classify again";
  }

  /** Cancels the request in progress and stops listening for events. */
  dispose() {
    this.#request.abort();
    this.#removed.abort();
  }

  /** Classifies the image with the selected model. */
  async classify() {
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#reset();
    try {
      await this.queue.run(() => this.#classify(this.#target, signal));
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.#fail(problem);
    }
  }

  #reset() {
    this.#target = this.selected();
    this.#latest = null;
    this.updateButton();
    const { model } = this.#target;
    this.heading.textContent = this.image.name + (model ? ` → ${model.model}` : "");
    this.#replaceOutcome(element("p", { className: "faint" }, "Classifying …"));
    this.timing.replaceChildren();
    this.command.replaceChildren();
  }

  async #classify(target, signal) {
    signal.throwIfAborted();
    if (this.image.problem) throw this.image.problem;
    const upload = await this.#prepare(target.model?.input);
    signal.throwIfAborted();
    if (!target.model) throw new Problem(NO_MODEL);
    this.#showCommand(target, upload);
    this.#show(await this.#send(target, upload.content, signal));
  }

  /** Shows the previews and returns what to send: {content, name, unsaved}. */
  async #prepare(spec) {
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

  async #send({ model, version }, content, signal) {
    let loaded = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return { ...(await this.api.predict(model.model, version, content, signal)), loaded };
      } catch (problem) {
        if (!(problem instanceof Problem) || problem.wait === null || attempt === MAX_ATTEMPTS) throw problem;
        loaded ||= problem.loading;
        await this.#wait(problem, attempt, signal);
      }
    }
  }

  /** Counts down to the next attempt; the user can retry at once or stop. */
  async #wait(problem, attempt, signal) {
    announce(`${this.image.name}: ${problem.title}. Retrying in ${problem.wait} seconds.`);
    const countdown = element("p");
    const skip = new AbortController();
    const stop = () => { this.#request.abort(); this.#fail(problem); };
    this.#replaceOutcome(waiting(problem, countdown, { now: () => skip.abort(), stop }));
    for (let left = problem.wait; left > 0 && !skip.signal.aborted; left -= 1) {
      countdown.textContent = `Retrying in ${left} s (attempt ${attempt + 1} of ${MAX_ATTEMPTS}).`;
      await sleep(1, AbortSignal.any([signal, skip.signal])).catch(() => signal.throwIfAborted());
    }
  }

  #show({ document: body, timing, milliseconds: total, loaded }) {
    const durations = steps(timing, total);
    const invoke = durations.find(({ name }) => name === "invoke")?.time ?? total;
    const target = `${body.model}/${body.version}`;
    this.#replaceOutcome(predictionBars(body.predictions));
    this.#latest = { target, version: body.version, durations, total, invoke, loaded };
    this.warmth.record(target, invoke);
    const [best] = body.predictions;
    announce(`${this.image.name}: ${body.model} predicts ${best.label}, ${percent(best.score)}`);
  }

  #showTiming() {
    if (!this.#latest) return;
    const { target, invoke, loaded } = this.#latest;
    this.timing.replaceChildren(...timingDetails(this.#latest, this.warmth.judge(target, invoke, loaded)));
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

  #showCommand({ model, version }, { content, name, unsaved }) {
    const url = new URL(predictPath(model.model, version), document.baseURI).href;
    const source = unsaved ? null : this.image.source;
    const line = command({ url, type: contentType(content), name, source });
    const text = element("pre", {}, line);
    const copy = element("button", { type: "button", "aria-label": "Copy the curl command" }, "Copy");
    copy.onclick = async () => {
      const copied = await navigator.clipboard.writeText(line).then(() => true, () => false);
      if (!copied) getSelection().selectAllChildren(text);
      copy.textContent = copied ? "Copied" : "Press Ctrl-C";
      announce(copy.textContent);
    };
    this.command.replaceChildren(text, copy, ...(unsaved ? [download(content, name)] : []));
  }

  #fail(problem) {
    this.#replaceOutcome(failure(problem, () => this.classify()));
    announce(`${this.image.name}: ${problem.title}. ${problem.detail}`);
  }

  /** Replaces the outcome. If it had the focus, the focus moves to the card's button. */
  #replaceOutcome(content) {
    const focused = this.outcome.contains(document.activeElement);
    this.outcome.replaceChildren(content);
    if (focused) this.again.focus();
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

function download(content, name) {
  const link = element("a", { href: "#", download: name }, `Save ${name}`);
  link.onclick = () => {
    const url = URL.createObjectURL(content);
    link.href = url;
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  };
  return link;
}
