/** Teaching a model: labels with images, a button that teaches, and what came of it. */

import { element } from "../dom.js";
import { violations } from "../models/model-details.js";
import { Problem, explanation } from "../api/problems.js";
import { TeachCamera } from "./camera.js";
import { check } from "./check.js";
import { DataSet } from "./data-set.js";
import { Labels } from "./labels.js";
import { outcome } from "./outcome.js";
import { Progress } from "./progress.js";
import { follow, run } from "./run.js";

/** Statuses with which the API refuses to begin, for what is under "Options": images and name were checked. */
const REFUSED = [400, 404, 409];

const byId = (id) => document.getElementById(`teach-${id}`);

export class Teaching {
  #opened = new AbortController();
  #isBusy = false;
  #dataSetName = null;

  /** `onToggle` runs after it opens or closes; `onTaught(name)` after a version is ready. */
  constructor(api, { onToggle, onTaught }) {
    Object.assign(this, { api, onToggle, onTaught, isOpen: false });
    const camera = new TeachCamera();
    this.labels = new Labels({
      load: (label, name) => api.image(this.#dataSetName, label, name, this.#opened.signal),
      takePictures: (title, add) => camera.open(title, add),
    });
    this.progress = new Progress(byId("progress"));
    this.name = byId("name");
    this.name.oninput = () => this.#showNameProblem("");
    byId("close").onclick = () => this.close();
    byId("form").onsubmit = (event) => { event.preventDefault(); this.#teach(); };
    byId("form").onkeydown = (event) => { // Enter in a field would teach before the images are there
      if (event.key === "Enter" && event.target.matches("input:not([type=file])")) event.preventDefault();
    };
    addEventListener("beforeunload", (event) => { if (this.labels.dataSet.hasChanges) event.preventDefault(); });
  }

  /** The model whose data set is in the bucket, or null for a new one. */
  get model() {
    return this.name.readOnly ? this.name.value : null;
  }

  /**
   * Opens it for a new model, or for the data set of a model that was taught before. What the user
   * has not taught yet, or is being taught, is still there.
   */
  async open(model = null) {
    const isUnfinished = this.#isBusy || this.labels.dataSet.hasChanges;
    if (isUnfinished && (model === this.model || !confirm(`Discard what is not taught yet${this.model ? ` of ${this.model}` : ""}?`))) {
      this.#show();
      return;
    }
    this.#opened.abort();
    this.#opened = new AbortController();
    const { signal } = this.#opened;
    this.#dataSetName = null;
    byId("heading").textContent = model ? `Teach ${model} again` : "Teach a model";
    this.#showNameProblem("");
    Object.assign(this.name, { value: model ?? "", readOnly: Boolean(model) });
    byId("backbone").value = "";
    this.#clear();
    this.labels.show(new DataSet());
    this.#setBusy(false);
    this.#show();
    if (model) await this.#work((ended) => this.#read(model, ended), signal);
  }

  #show() {
    this.isOpen = true;
    byId("view").hidden = false;
    this.onToggle();
    byId("heading").focus();
  }

  /** Goes back to the models; a teaching goes on. */
  close() {
    this.isOpen = false;
    byId("view").hidden = true;
    this.onToggle();
  }

  /** Says what to do with images that were dropped or pasted beside the labels. */
  refuse() {
    this.#showProblem({ title: "Which label?", detail: "Drag the images onto a label, or paste them while you are in one." });
  }

  /** Reads a data set, and follows the teaching if one runs. */
  async #read(model, signal) {
    this.labels.showReading();
    const teaching = await this.api.teaching(model, signal);
    this.#dataSetName = teaching?.dataset ?? model;
    byId("backbone").value = teaching?.backbone?.model ?? "";
    this.labels.show(await DataSet.read(this.api, this.#dataSetName, signal));
    if (teaching?.status === "RUNNING") this.#end(await follow(this.api, model, teaching, this.progress, signal));
    else if (teaching) this.#showOutcome({ teaching, model: null });
  }

  async #teach() {
    if (this.#isBusy) return;
    const { signal } = this.#opened;
    await this.labels.settled();
    if (this.#check()) await this.#work(() => this.#run(this.name.value, signal), signal);
  }

  async #run(name, signal) {
    if (!this.model) await this.#requireFree(name, signal);
    this.#dataSetName ??= name;
    this.name.readOnly = true; // images are about to be there
    this.onToggle();
    byId("data").disabled = true;
    const what = {
      name, dataSetName: this.#dataSetName, dataSet: this.labels.dataSet, options: this.#options(name),
      onSaved: () => { byId("data").disabled = false; },
    };
    this.#end(await run(this.api, what, this.progress, signal));
  }

  #options(name) {
    const [backbone, minimum] = [byId("backbone").value.trim(), byId("minimum").value];
    return {
      ...(this.#dataSetName !== name && { dataset: this.#dataSetName }),
      ...(backbone && { backbone }),
      ...(minimum && { min_accuracy: Number(minimum) / 100 }),
    };
  }

  /** Shows all problems in place and focuses the first; returns whether there are none. */
  #check() {
    const found = check(this.name.value, this.labels.dataSet);
    this.#showNameProblem(found.name);
    const field = this.labels.showProblems(found.labels);
    (found.name ? this.name : field)?.focus();
    if (found.all) this.#showProblem(found.all);
    else byId("problem").replaceChildren();
    return !found.name && !found.all && !field;
  }

  /** A new name must be no model's and no data set's, whose images would be mixed with these. */
  async #requireFree(name, signal) {
    const [model, labels] = await Promise.all([this.api.find(name, signal), this.api.labels(name, signal)]);
    if (!model && labels.length === 0) return;
    const open = model && model.kind !== "head" ? null : element("button", { type: "button", onclick: () => this.open(name) }, `Open ${name}`);
    this.#showNameProblem(`${name} exists already. Choose another name${open ? ", or add images to what is there" : ""}.`, open);
    this.name.focus();
    throw new Taken();
  }

  /** Does it, unless something is being done, and shows what goes wrong. */
  async #work(task, signal) {
    this.#setBusy(true);
    this.#clear();
    try {
      await task(signal);
    } catch (problem) {
      if (!signal.aborted) this.#fail(problem);
    } finally {
      if (!signal.aborted) this.#setBusy(false);
    }
  }

  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    byId("start").setAttribute("aria-disabled", String(isBusy));
    if (!isBusy) byId("data").disabled = false;
  }

  #fail(problem) {
    this.progress.end();
    if (problem instanceof Taken) return;
    if (!(problem instanceof Problem)) throw problem;
    if (REFUSED.includes(problem.status)) byId("options").open = true;
    this.#showProblem(problem);
  }

  #end(ended) {
    const isReady = this.#showOutcome(ended);
    if (isReady) this.progress.clear();
    else this.progress.end();
    if (this.isOpen) byId("outcome").firstElementChild?.focus();
    if (isReady) this.onTaught(ended.model.model);
  }

  /** Shows the notice and the report; returns whether a version can be asked. */
  #showOutcome(ended) {
    const { isReady, elements } = outcome(ended, {
      load: (label, name) => this.labels.read(label, name), remove: (label, name) => this.labels.remove(label, name),
      onAsk: () => this.close(),
    });
    byId("outcome").replaceChildren(...elements);
    return isReady;
  }

  #clear() {
    this.progress.clear();
    for (const part of ["problem", "outcome"]) byId(part).replaceChildren();
  }

  #showNameProblem(text, action = null) {
    byId("name-problem").replaceChildren(text, ...(action ? [" ", action] : []));
    byId("name-problem").hidden = !text;
    this.name.setAttribute("aria-invalid", String(Boolean(text)));
  }

  #showProblem(problem) {
    byId("problem").replaceChildren(element("div", { className: "notice bad" }, explanation(problem),
      problem.violations?.length ? violations(problem.violations) : null));
  }
}

/** The name is taken, which is shown beside it. */
class Taken extends Error {}
