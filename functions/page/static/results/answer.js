/** What one version of a model predicts for one image: a column of the image's card. */

import { contentType, predictPath } from "../api/api.js";
import { command } from "./curl.js";
import { announce, copyButton, element } from "../dom.js";
import { percent } from "../format.js";
import { Problem } from "../api/problems.js";
import { sleep } from "../api/queue.js";
import { failure, prediction, timingDetails, waiting } from "./result-view.js";
import { steps } from "./timing.js";
import { Why } from "./why.js";

const MAX_ATTEMPTS = 30;
const NO_MODEL = { title: "No model selected", detail: "Select a model, then try again." };

export class Answer {
  #request = new AbortController();
  #removed = new AbortController();
  #latest = null;
  #why = null;

  /**
   * `card` is the image's Result, `target` the {model, version} to ask; a version of null is the
   * live one. `onReplaced` gets the focus that a replaced element had.
   */
  constructor(card, target, { api, queue, warmth }, onReplaced) {
    Object.assign(this, { card, target, api, queue, warmth, onReplaced });
    this.version = element("code", {}, target.version ?? "");
    this.outcome = element("div");
    this.timing = element("div");
    this.command = element("div");
    const name = target.model?.model ?? "no model";
    this.root = element("section", { className: "answer", "aria-label": `Answer of ${name} ${target.version ?? ""}`.trim() },
      element("h4", {}, name, this.version), this.outcome, this.timing, this.command);
    warmth.addEventListener("changed", () => this.#showTiming(), { signal: this.#removed.signal });
  }

  /** Whether it is the answer of this model and version. */
  isOf({ model, version }) {
    return model?.model === this.target.model?.model && version === this.target.version;
  }

  /** Cancels the request in progress and stops listening for events. */
  dispose() {
    this.#request.abort();
    this.#why?.dispose();
    this.#removed.abort();
  }

  /** Classifies the image. */
  async classify() {
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#latest = null;
    this.#why?.dispose();
    this.#replaceOutcome(element("p", { className: "faint" }, "Classifying …"));
    this.timing.replaceChildren();
    try {
      await this.queue.run(() => this.#classify(signal));
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.#fail(problem);
    }
  }

  async #classify(signal) {
    signal.throwIfAborted();
    const upload = await this.card.prepare(this.target.model?.input);
    signal.throwIfAborted();
    if (!this.target.model) throw new Problem(NO_MODEL);
    this.#showCommand(upload);
    const answer = await this.#send(upload.content, signal);
    this.#show(answer);
    await this.#offerWhy(answer.document, upload.content, signal);
  }

  async #send(content, signal) {
    const { model, version } = this.target;
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
    announce(`${this.card.name}: ${problem.title}. Retrying in ${problem.wait} seconds.`);
    const countdown = element("p");
    const skip = new AbortController();
    const stop = () => { this.#request.abort(); this.#fail(problem); };
    this.#replaceOutcome(waiting(problem, countdown, { now: () => skip.abort(), stop }));
    for (let left = problem.wait; left > 0 && !skip.signal.aborted; left -= 1) {
      countdown.textContent = `Retrying in ${left} s (attempt ${attempt + 1} of ${MAX_ATTEMPTS}).`;
      await sleep(1, AbortSignal.any([signal, skip.signal])).catch(() => signal.throwIfAborted());
    }
  }

  #show({ document: body, timing, place, milliseconds: total, loaded }) {
    const durations = steps(timing, total);
    const invoke = durations.find(({ name }) => name === "invoke")?.time ?? total;
    const target = `${body.model}/${body.version} ${place}`;
    this.version.textContent = body.version;
    this.#replaceOutcome(prediction(body));
    this.#latest = { target, version: body.version, place, durations, total, invoke, loaded };
    this.warmth.record(target, invoke);
    const [best] = body.predictions;
    const unsure = body.unsure ? ", but the image is unlike those of the teaching" : "";
    announce(`${this.card.name}: ${body.model} predicts ${best.label}, ${percent(best.score)}${unsure}`);
  }

  /**
   * Adds the button "Why" if the model can explain its answers. It asks the version that answered,
   * also if another one is live by then.
   */
  async #offerWhy({ model, version, predictions: [{ label }], familiarity }, content, signal) {
    let { explains } = this.target.model;
    // the answer of a head may come before the description of its model
    if (familiarity !== undefined) explains ??= await this.api.model(model, signal).then((known) => known.explains, () => false);
    if (!explains || signal.aborted) return;
    const ask = (signal) => this.queue.run(() => this.api.explain(model, version, content, signal));
    this.#why = new Why({ name: this.card.name, label, content, ask });
    this.outcome.append(this.#why.root);
  }

  #showTiming() {
    if (!this.#latest) return;
    const { target, invoke, loaded } = this.#latest;
    this.timing.replaceChildren(...timingDetails(this.#latest, this.warmth.judge(target, invoke, loaded)));
  }

  #showCommand({ content, name, unsaved }) {
    const { model, version } = this.target;
    const url = new URL(predictPath(model.model, version), document.baseURI).href;
    const source = unsaved ? null : this.card.image.source;
    const line = command({ url, type: contentType(content), name, source });
    const text = element("pre", {}, line);
    const copy = copyButton("Copy", "Copy the curl command", () => line, text);
    this.command.replaceChildren(element("details", {}, element("summary", {}, "Request with curl"),
      element("div", { className: "command" }, text, copy, ...(unsaved ? [download(content, name)] : []))));
  }

  #fail(problem) {
    this.#replaceOutcome(failure(problem, () => this.classify()));
    announce(`${this.card.name}: ${problem.title}. ${problem.detail}`);
  }

  /** Replaces the outcome. If it had the focus, the card decides where the focus goes. */
  #replaceOutcome(content) {
    const focused = this.outcome.contains(document.activeElement);
    this.outcome.replaceChildren(content);
    if (focused) this.onReplaced();
  }
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
