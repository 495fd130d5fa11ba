/** The gallery: the list of models, loaded page by page, from which the user selects one. */

import { announce, element } from "../dom.js";
import { bytes, counted } from "../format.js";
import { accuracy, badges, liveVersion } from "./model-details.js";
import { Problem, explanation } from "../api/problems.js";
import { Queue } from "../api/queue.js";

const PAGE_SIZE = 12;
const CONCURRENT_REQUESTS = 4;
const SEARCH_DELAY_MILLISECONDS = 300;
const CANARY_REFRESH_MILLISECONDS = 3000;

/**
 * Fires `selected` when the user selects a model, and when its details arrive. `model` is the
 * selected model as the API describes it, only {model: name} until then, or null. `wanted` is the
 * name of the model to select first, or null.
 */
export class Gallery extends EventTarget {
  #cards = new Map();
  #next = null;
  #loading = new AbortController();

  constructor(api, wanted) {
    super();
    this.api = api;
    this.wanted = wanted;
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
    setInterval(() => this.#followCanary(), CANARY_REFRESH_MILLISECONDS);
  }

  /** Shows the first page of models, or of those whose names contain the search text. */
  async load() {
    this.#loading.abort();
    this.#loading = new AbortController();
    this.#cards.clear();
    this.list.replaceChildren(this.list.firstElementChild);
    if (/[^a-z0-9-]/.test(this.#text())) {
      this.moreButton.hidden = true;
      this.#showNotice("Model names contain only lower-case letters, digits and dashes.");
      return;
    }
    this.#next = null;
    await this.#loadPage();
  }

  /** Loads the list again, and selects this model. */
  show(name) {
    this.search.value = "";
    this.wanted = name;
    return this.load();
  }

  /** Loads the list again after a model was deleted. */
  async forget(name) {
    if (this.model?.model === name) this.#select(null);
    await this.load();
  }

  #text() {
    return this.search.value.trim().toLowerCase();
  }

  async #loadPage() {
    const { signal } = this.#loading;
    this.moreButton.hidden = true;
    this.#showNotice(this.#cards.size ? "" : "Loading models …");
    try {
      const { models, next } = await this.api.models(PAGE_SIZE, this.#next, this.#text(), signal);
      if (!signal.aborted) this.#show(models, next, signal);
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.#fail(problem);
    }
  }

  #show(models, next, signal) {
    const text = this.#text();
    this.#next = next;
    this.moreButton.hidden = next === null;
    for (const { name, live, kind } of models) {
      if (kind !== "backbone") this.#add(name, live, signal);
    }
    // A page of backbones alone shows nothing.
    if (!this.#cards.size && models.length && next !== null) {
      this.#loadPage();
      return;
    }
    if (this.#cards.size) this.#showNotice("");
    else if (text) this.#showNotice(next ? "None among the first models." : `No model name contains “${text}”.`);
    else this.notice.replaceChildren(firstSteps(models.length > 0));
    this.#selectFirst(models, signal);
    if (text) announce(`${counted(this.#cards.size, "model")} found`);
  }

  /** Selects the model in the address, else the one that was selected, else the first live one. */
  #selectFirst(models, signal) {
    const wanted = this.wanted ?? this.model?.model;
    if (this.wanted && !this.#cards.has(this.wanted) && !this.#text()) this.#add(this.wanted, null, signal, true);
    const first = models.find(({ live, kind }) => live && kind !== "backbone");
    const card = this.#cards.get(wanted ?? first?.name);
    this.wanted = null;
    if (card && !card.radio.checked) card.radio.click();
  }

  #add(name, live, signal, first = false) {
    if (this.#cards.has(name)) return;
    const [nameId, summaryId] = [`name-${name}`, `summary-${name}`];
    const radio = element("input", {
      type: "radio", name: "model", value: name, "aria-labelledby": nameId, "aria-describedby": summaryId,
    });
    const summary = element("span", { id: summaryId }, live || first ? "…" : "not live");
    const card = element("label", { className: "card" }, radio, element("b", { id: nameId }, name), summary);
    radio.onchange = () => this.#selectByName(name, signal);
    this.#cards.set(name, { radio, summary, model: null, loading: false });
    if (first) this.list.firstElementChild.after(card);
    else this.list.append(card);
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
    if (model.kind === "backbone") {
      [radio.checked, radio.disabled] = [false, true];
      summary.replaceChildren("a backbone: it has no labels to predict");
      if (this.model?.model === model.model) this.#select(null);
      return;
    }
    const live = liveVersion(model);
    const parts = [model.labels && counted(model.labels.length, "label"), accuracy(live), live && bytes(live.size)];
    summary.replaceChildren(parts.filter(Boolean).join(" · "), element("span", { className: "state" }, badges(model)));
    if (radio.checked) this.#select(model);
  }

  /** Reads the selected model again while a canary counts its answers. */
  #followCanary() {
    if (this.model?.canary && !document.hidden) this.#loadDetails(this.model.model, this.#loading.signal);
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
    this.notice.replaceChildren(element("div", { className: "notice bad", role: "alert" }, explanation(problem), retry));
  }

  #showNotice(text) {
    this.notice.replaceChildren(...(text ? [element("p", { className: "faint" }, text)] : []));
  }
}

/** What to do in a stack without models, or with `backbones` only. */
function firstSteps(backbones) {
  return element("div", { className: "notice" },
    element("p", {}, element("b", {}, backbones ? "No models with labels yet." : "No models yet.")),
    element("p", {}, "Push an artifact, then press Refresh:"),
    element("pre", {}, "facet push model.tar.gz"),
    element("p", {}, "Or make one of a Keras model, a SavedModel or a LiteRT file:"),
    element("pre", {}, "facet pack my-model.keras --out model.tar.gz"),
    element("p", {}, "Or teach one from a few images: press “Teach a model” above, or use"),
    element("pre", {}, "facet teach NAME FOLDER"),
    element("p", {}, "Or train one from a folder of images:"),
    element("pre", {}, "facet train image-folder FOLDER --upload"));
}
