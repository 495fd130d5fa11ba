/** One image, and what a model says of it. */

import { contentType, predictPath } from "./api.js";
import { command } from "./curl.js";
import { element, tell } from "./dom.js";
import { bytes, percent, whole } from "./format.js";
import { bars, cost, failure, waiting } from "./outcome.js";
import { decoded, sendable } from "./prepare.js";
import { Problem } from "./problems.js";
import { drawAsSeen, drawSmall, inWords } from "./see.js";
import { steps } from "./timing.js";
import { pause } from "./turns.js";

const TRIES = 30;
const UNCHOSEN = { title: "No model is chosen", detail: "Choose one, then ask it." };

export class Answer {
  #asking = new AbortController();
  #asked = null;
  #latest = null;
  #unheard = new AbortController();

  /**
   * `image` is as images.js gives it; `next` tells which {model, version} to ask. `removed` is
   * called when the reader has had enough of it.
   */
  constructor({ api, turns, warmth, image, next, removed }) {
    Object.assign(this, { api, turns, warmth, image, next });
    this.heading = element("h3", {}, image.name);
    this.again = element("button", { type: "button", onclick: () => this.ask() }, "Ask again");
    const remove = element("button", {
      type: "button", className: "quiet", "aria-label": `Remove ${image.name}`, onclick: removed,
    }, "Remove");
    this.notes = element("p", { className: "faint" });
    this.views = element("div", { className: "views" });
    this.outcome = element("div");
    this.cost = element("div");
    this.command = element("div", { className: "command" });
    this.root = element("li", { className: "answer" },
      element("header", {}, this.heading, element("div", { className: "buttons" }, this.again, remove)),
      this.notes, element("div", { className: "seen" }, this.views, this.outcome), this.cost, this.command);
    warmth.addEventListener("changed", () => this.#showCost(), { signal: this.#unheard.signal });
  }

  /** Names what the button would ask. */
  offer() {
    const { model } = this.next();
    const other = model && model.model !== this.#asked?.model?.model;
    this.again.textContent = other ? `Ask ${model.model}` : "Ask again";
  }

  /** Stops what is under way. */
  forget() {
    this.#asking.abort();
    this.#unheard.abort();
  }

  /** Asks what is chosen now. */
  async ask() {
    this.#asking.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    this.#begin();
    try {
      await this.turns.run(() => this.#askInTurn(this.#asked, signal));
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.#fail(problem);
    }
  }

  #begin() {
    this.#asked = this.next();
    this.#latest = null;
    this.offer();
    const { model } = this.#asked;
    this.heading.textContent = this.image.name + (model ? ` → ${model.model}` : "");
    this.#become(element("p", { className: "faint" }, "Asking …"));
    this.cost.replaceChildren();
    this.command.replaceChildren();
  }

  async #askInTurn(asked, signal) {
    signal.throwIfAborted();
    if (this.image.problem) throw this.image.problem;
    const sent = await this.#prepare(asked.model?.input);
    signal.throwIfAborted();
    if (!asked.model) throw new Problem(UNCHOSEN);
    this.#showCommand(asked, sent);
    this.#show(await this.#send(asked, sent.content, signal));
  }

  /** Shows the image. What is sent of it: {content, name}, `fresh` where it is no file yet. */
  async #prepare(spec) {
    const { file, name, unsaved } = this.image;
    const bitmap = await decoded(file);
    try {
      this.#showViews(bitmap, spec);
      this.notes.textContent = described(file, bitmap);
      const { content, smaller } = await sendable(file, bitmap);
      if (!smaller) return { content, name, fresh: Boolean(unsaved) };
      const copy = described(content, smaller);
      this.notes.append(`. That is too much for the API, so a smaller copy is sent: ${copy}.`);
      return { content, name: `${name.replace(/\.\w+$/, "")}-smaller.jpg`, fresh: true };
    } finally {
      bitmap?.close();
    }
  }

  async #send({ model, version }, content, signal) {
    let loaded = false;
    for (let tries = 1; ; tries += 1) {
      try {
        return { ...(await this.api.predict(model.model, version, content, signal)), loaded };
      } catch (problem) {
        if (!(problem instanceof Problem) || problem.wait === null || tries === TRIES) throw problem;
        loaded ||= problem.loading;
        await this.#wait(problem, tries, signal);
      }
    }
  }

  /** Counts down to the next try, which the reader may have at once, or not at all. */
  async #wait(problem, tries, signal) {
    tell(`${this.image.name}: ${problem.title}. Trying again in ${problem.wait} seconds.`);
    const until = element("p");
    const hurry = new AbortController();
    const stop = () => { this.#asking.abort(); this.#fail(problem); };
    this.#become(waiting(problem, until, { now: () => hurry.abort(), stop }));
    for (let left = problem.wait; left > 0 && !hurry.signal.aborted; left -= 1) {
      until.textContent = `Trying again in ${left} s (try ${tries + 1} of ${TRIES}).`;
      await pause(1, AbortSignal.any([signal, hurry.signal])).catch(() => signal.throwIfAborted());
    }
  }

  #show({ document: said, timing, milliseconds: total, loaded }) {
    const spent = steps(timing, total);
    const invoke = spent.find(({ name }) => name === "invoke")?.time ?? total;
    const target = `${said.model}/${said.version}`;
    this.#become(bars(said.predictions));
    this.#latest = { target, version: said.version, spent, total, invoke, loaded };
    this.warmth.remember(target, invoke);
    const [best] = said.predictions;
    tell(`${this.image.name}: ${said.model} says ${best.label}, ${percent(best.score)}`);
  }

  #showCost() {
    if (!this.#latest) return;
    const { target, invoke, loaded } = this.#latest;
    this.cost.replaceChildren(...cost(this.#latest, this.warmth.judge(target, invoke, loaded)));
  }

  #showViews(bitmap, spec) {
    if (bitmap === null) {
      this.views.replaceChildren(element("p", { className: "faint" }, "This browser cannot show it."));
      return;
    }
    const small = image(this.image.name);
    drawSmall(small, bitmap);
    this.views.replaceChildren(figure(small, "The image"));
    if (!spec) return;
    const seen = image(`${this.image.name}, about as the model sees it`);
    drawAsSeen(seen, bitmap, spec);
    this.views.append(figure(seen, `About as the model sees it: ${inWords(spec)}`));
  }

  #showCommand({ model, version }, { content, name, fresh }) {
    const url = new URL(predictPath(model.model, version), document.baseURI).href;
    const source = fresh ? null : this.image.source;
    const line = command({ url, type: contentType(content), name, source });
    const text = element("pre", {}, line);
    const copy = element("button", { type: "button", "aria-label": "Copy the curl line" }, "Copy");
    copy.onclick = async () => {
      const copied = await navigator.clipboard.writeText(line).then(() => true, () => false);
      if (!copied) getSelection().selectAllChildren(text);
      copy.textContent = copied ? "Copied" : "Press Ctrl-C";
      tell(copy.textContent);
    };
    this.command.replaceChildren(text, copy, ...(fresh ? [download(content, name)] : []));
  }

  #fail(problem) {
    this.#become(failure(problem, () => this.ask()));
    tell(`${this.image.name}: ${problem.title}. ${problem.detail}`);
  }

  /** Replaces the outcome; a focus that was in it goes to the image's button. */
  #become(content) {
    const focused = this.outcome.contains(document.activeElement);
    this.outcome.replaceChildren(content);
    if (focused) this.again.focus();
  }
}

function described(file, bitmap) {
  const size = bitmap ? `${whole(bitmap.width)} × ${whole(bitmap.height)} pixels, ` : "";
  return size + bytes(file.size);
}

function image(name) {
  return element("canvas", { role: "img", "aria-label": name });
}

function figure(canvas, caption) {
  return element("figure", {}, canvas, element("figcaption", {}, caption));
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
