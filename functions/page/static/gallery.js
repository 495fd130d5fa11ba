/** The gallery: models by name, a page at a time, one of them chosen. */

import { element, tell } from "./dom.js";
import { bytes, counted } from "./format.js";
import { accuracy, badges, liveOf } from "./model.js";
import { Problem } from "./problems.js";
import { Turns } from "./turns.js";

const PAGE = 12;
const AT_ONCE = 4;
const TYPING_MILLISECONDS = 300;
const CHARACTERS = "-0123456789abcdefghijklmnopqrstuvwxyz";
const LONGEST = 63;

/**
 * The greatest name that sorts before every name which begins with `prefix`, or null: the API
 * lists models after a name.
 */
export function justBefore(prefix) {
  const last = CHARACTERS.indexOf(prefix.at(-1));
  const head = prefix.slice(0, -1);
  if (last === 0) return head || null;
  if (head === "" && last === 1) return null;
  return (head + CHARACTERS[last - 1]).padEnd(LONGEST, CHARACTERS.at(-1));
}

/**
 * Fires `chosen` when another model is chosen, or the chosen one is known better. `model` is what
 * the API says of it, only {model: name} until it has answered, and null before the first choice.
 */
export class Gallery extends EventTarget {
  #cards = new Map();
  #next = null;
  #loading = new AbortController();

  constructor(api) {
    super();
    this.api = api;
    this.model = null;
    this.turns = new Turns(AT_ONCE);
    this.list = document.getElementById("gallery");
    this.notice = document.getElementById("gallery-notice");
    this.find = document.getElementById("find");
    this.button = document.getElementById("more");
    this.button.onclick = () => this.#more();
    document.getElementById("refresh").onclick = () => this.load();
    let typing;
    this.find.oninput = () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.load(), TYPING_MILLISECONDS);
    };
  }

  /** Shows the models from the first on, or those whose names begin with what was typed. */
  async load() {
    this.#loading.abort();
    this.#loading = new AbortController();
    this.#cards.clear();
    this.list.replaceChildren(this.list.firstElementChild);
    const prefix = this.#prefix();
    if (/[^a-z0-9-]/.test(prefix)) {
      this.button.hidden = true;
      this.#say("Names of models have lower-case letters, digits and dashes only.");
      return;
    }
    this.#next = prefix ? justBefore(prefix) : null;
    await this.#more();
  }

  #prefix() {
    return this.find.value.trim().toLowerCase();
  }

  async #more() {
    const { signal } = this.#loading;
    this.button.hidden = true;
    this.#say(this.#cards.size ? "" : "Loading the models …");
    try {
      const { models, next } = await this.api.models(PAGE, this.#next, signal);
      if (!signal.aborted) this.#show(models, next, signal);
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.#fail(problem);
    }
  }

  #show(models, next, signal) {
    const prefix = this.#prefix();
    const found = models.filter(({ name }) => name.startsWith(prefix));
    this.#next = next;
    this.button.hidden = next === null || found.length < models.length;
    for (const { name, live } of found) this.#add(name, live, signal);
    const none = prefix ? `No model's name begins with “${prefix}”.`
      : "There is no model yet. Upload an artifact to mme/NAME.tar.gz in the bucket to make one.";
    this.#say(this.#cards.size ? "" : none);
    const name = this.model ? this.model.model : found.find(({ live }) => live)?.name;
    const chosen = this.#cards.get(name);
    if (chosen && !chosen.radio.checked) chosen.radio.click();
    if (prefix) tell(`${counted(this.#cards.size, "model")} found`);
  }

  #add(name, live, signal) {
    const [nameId, aboutId] = [`name-${name}`, `about-${name}`];
    const radio = element("input", {
      type: "radio", name: "model", value: name, "aria-labelledby": nameId, "aria-describedby": aboutId,
    });
    const about = element("span", { id: aboutId }, live ? "…" : "not live");
    const card = element("label", { className: "card" }, radio, element("b", { id: nameId }, name), about);
    radio.onchange = () => this.#choose(name, signal);
    this.#cards.set(name, { radio, about, model: null, loading: false });
    this.list.append(card);
    this.#describe(name, signal);
  }

  async #describe(name, signal) {
    const card = this.#cards.get(name);
    if (card.loading) return;
    card.loading = true;
    try {
      card.model = await this.turns.run(() => this.api.model(name, signal));
      this.#fill(card);
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      card.about.replaceChildren(problem.detail);
    } finally {
      card.loading = false;
    }
  }

  #fill({ about, radio, model }) {
    const live = liveOf(model);
    const told = [model.labels && counted(model.labels.length, "label"), accuracy(live), live && bytes(live.size)];
    about.replaceChildren(told.filter(Boolean).join(" · "), element("span", { className: "state" }, badges(model)));
    if (radio.checked) this.#become(model);
  }

  #choose(name, signal) {
    this.#become(this.#cards.get(name).model ?? { model: name });
    this.#describe(name, signal);
  }

  #become(model) {
    this.model = model;
    this.dispatchEvent(new Event("chosen"));
  }

  #fail(problem) {
    const again = element("button", { type: "button", onclick: () => this.#more() }, "Try again");
    const { title, detail, note } = problem;
    this.notice.replaceChildren(element("div", { className: "notice bad", role: "alert" },
      element("p", {}, element("b", {}, title)), element("p", {}, detail), note ? element("p", {}, note) : null, again));
  }

  #say(text) {
    this.notice.replaceChildren(...(text ? [element("p", { className: "faint" }, text)] : []));
  }
}
