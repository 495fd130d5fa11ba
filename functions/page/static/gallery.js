/** The gallery: the list of models, loaded page by page, from which the user selects one. */

import { announce, element } from "./dom.js";
import { bytes, counted } from "./format.js";
import { accuracy, badges, liveVersion } from "./model-details.js";
import { Problem } from "./problems.js";
import { Queue } from "./queue.js";

const PAGE_SIZE = 12;
const CONCURRENT_REQUESTS = 4;
const SEARCH_DELAY_MILLISECONDS = 300;
const CHARACTERS = "-0123456789abcdefghijklmnopqrstuvwxyz";
const MAX_NAME_LENGTH = 63;

/**
 * The last name that sorts before all names with the prefix, or null if there is none. The API
 * lists the models after a given name.
 */
export function justBefore(prefix) {
  const last = CHARACTERS.indexOf(prefix.at(-1));
  const head = prefix.slice(0, -1);
  if (last === 0) return head || null;
  if (head === "" && last === 1) return null;
  return (head + CHARACTERS[last - 1]).padEnd(MAX_NAME_LENGTH, CHARACTERS.at(-1));
}

/**
 * Fires `selected` when the user selects a model, and when its details arrive. `model` is the
 * selected model as the API describes it, only {model: name} until then, or null.
 */
export class Gallery extends EventTarget {
  #cards = new Map();
  #next = null;
  #loading = new AbortController();

  constructor(api) {
    super();
    this.api = api;
    this.model = null;
    this.queue = new Queue(CONCURRENT_REQUESTS);
    this.list = document.getElementById("gallery");
    this.notice = document.getElementById("gallery-notice");
    this.search = document.getElementById("search");
    this.moreButton = document.getElementById("more");
    this.moreButton.onclick = () => this.#loadPage();
    document.getElementById("refresh").onclick = () => this.load();
    let timer;
    this.search.oninput = () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.load(), SEARCH_DELAY_MILLISECONDS);
    };
  }

  /** Shows the first page of models, or of those whose names begin with the search text. */
  async load() {
    this.#loading.abort();
    this.#loading = new AbortController();
    this.#cards.clear();
    this.list.replaceChildren(this.list.firstElementChild);
    const prefix = this.#prefix();
    if (/[^a-z0-9-]/.test(prefix)) {
      this.moreButton.hidden = true;
      this.#showNotice("Model names contain only lower-case letters, digits and dashes.");
      return;
    }
    this.#next = prefix ? justBefore(prefix) : null;
    await this.#loadPage();
  }

  #prefix() {
    return this.search.value.trim().toLowerCase();
  }

  async #loadPage() {
    const { signal } = this.#loading;
    this.moreButton.hidden = true;
    this.#showNotice(this.#cards.size ? "" : "Loading models …");
    try {
      const { models, next } = await this.api.models(PAGE_SIZE, this.#next, signal);
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
    this.moreButton.hidden = next === null || found.length < models.length;
    for (const { name, live } of found) this.#add(name, live, signal);
    const none = prefix ? `No model name begins with “${prefix}”.`
      : "No models yet. Upload an artifact to mme/NAME.tar.gz in the bucket to create one.";
    this.#showNotice(this.#cards.size ? "" : none);
    const name = this.model ? this.model.model : found.find(({ live }) => live)?.name;
    const card = this.#cards.get(name);
    if (card && !card.radio.checked) card.radio.click();
    if (prefix) announce(`${counted(this.#cards.size, "model")} found`);
  }

  #add(name, live, signal) {
    const [nameId, summaryId] = [`name-${name}`, `summary-${name}`];
    const radio = element("input", {
      type: "radio", name: "model", value: name, "aria-labelledby": nameId, "aria-describedby": summaryId,
    });
    const summary = element("span", { id: summaryId }, live ? "…" : "not live");
    const card = element("label", { className: "card" }, radio, element("b", { id: nameId }, name), summary);
    radio.onchange = () => this.#selectByName(name, signal);
    this.#cards.set(name, { radio, summary, model: null, loading: false });
    this.list.append(card);
    this.#loadDetails(name, signal);
  }

  async #loadDetails(name, signal) {
    const card = this.#cards.get(name);
    if (card.loading) return;
    card.loading = true;
    try {
      card.model = await this.queue.run(() => this.api.model(name, signal));
      this.#showSummary(card);
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      card.summary.replaceChildren(problem.detail);
    } finally {
      card.loading = false;
    }
  }

  #showSummary({ summary, radio, model }) {
    const live = liveVersion(model);
    const parts = [model.labels && counted(model.labels.length, "label"), accuracy(live), live && bytes(live.size)];
    summary.replaceChildren(parts.filter(Boolean).join(" · "), element("span", { className: "state" }, badges(model)));
    if (radio.checked) this.#select(model);
  }

  #selectByName(name, signal) {
    this.#select(this.#cards.get(name).model ?? { model: name });
    this.#loadDetails(name, signal);
  }

  #select(model) {
    this.model = model;
    this.dispatchEvent(new Event("selected"));
  }

  #fail(problem) {
    const retry = element("button", { type: "button", onclick: () => this.#loadPage() }, "Try again");
    const { title, detail, note } = problem;
    this.notice.replaceChildren(element("div", { className: "notice bad", role: "alert" },
      element("p", {}, element("b", {}, title)), element("p", {}, detail), note ? element("p", {}, note) : null, retry));
  }

  #showNotice(text) {
    this.notice.replaceChildren(...(text ? [element("p", { className: "faint" }, text)] : []));
  }
}
