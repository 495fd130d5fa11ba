/** The dialog that deletes a model: it shows what would be deleted, and asks for the model's name. */

import { announce, element } from "../dom.js";
import { counted } from "../format.js";
import { Problem, explanation } from "../api/problems.js";

export class Deletion {
  #asking = new AbortController();

  /** `onDeleted` runs with the name of each model that was deleted. */
  constructor(api, onDeleted) {
    Object.assign(this, { api, onDeleted, name: null });
    this.dialog = document.getElementById("delete-dialog");
    this.heading = document.getElementById("delete-heading");
    this.plan = document.getElementById("delete-plan");
    this.failed = document.getElementById("delete-failed");
    this.label = document.getElementById("delete-label");
    this.field = document.getElementById("delete-name");
    this.confirm = document.getElementById("delete-confirm");
    this.field.oninput = () => { this.confirm.disabled = this.field.value.trim() !== this.name; };
    document.getElementById("delete-form").onsubmit = (event) => {
      event.preventDefault();
      if (!this.confirm.disabled) this.#delete();
    };
    document.getElementById("delete-cancel").onclick = () => this.dialog.close();
    this.dialog.addEventListener("close", () => this.#asking.abort());
  }

  /** The button that opens the dialog for this model. */
  button(name) {
    return element("button", { type: "button", className: "quiet bad", onclick: () => this.#ask(name) }, `Delete ${name} …`);
  }

  /** Opens the dialog, and asks the API what would be deleted. */
  async #ask(name) {
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    this.name = name;
    this.heading.textContent = `Delete ${name}`;
    this.plan.textContent = "Finding out what would be deleted …";
    this.confirm.textContent = `Delete ${name}`;
    this.field.value = "";
    this.confirm.disabled = true;
    this.#offer(false);
    this.dialog.showModal();
    const planned = await this.#run(() => this.api.delete(name, true, signal), signal);
    if (!planned) return;
    this.plan.textContent = planned.heads ? refusal(planned) : consequences(planned);
    if (planned.heads) return;
    this.#offer(true);
    this.field.focus();
  }

  /** Shows the field and the button that confirm, or hides them. */
  #offer(shown) {
    this.label.hidden = !shown;
    this.confirm.hidden = !shown;
  }

  async #delete() {
    this.confirm.disabled = true;
    const { signal } = this.#asking;
    const deleted = await this.#run(() => this.api.delete(this.name, false), signal);
    if (!deleted) return;
    if (!signal.aborted) this.dialog.close();
    announce(`${deleted.model} is deleted`);
    this.onDeleted(deleted.model);
  }

  /** The call's result; or undefined, after showing the problem unless `signal` is aborted. */
  async #run(call, signal) {
    this.failed.hidden = true;
    try {
      return await call();
    } catch (problem) {
      if (signal.aborted) return undefined;
      if (!(problem instanceof Problem)) throw problem;
      this.failed.replaceChildren(...explanation(problem).filter(Boolean));
      this.failed.hidden = false;
      if (this.label.hidden) this.plan.textContent = "";
      this.confirm.disabled = this.label.hidden;
      return undefined;
    }
  }
}

/** Why a backbone cannot be deleted, in sentences. */
function refusal({ model, heads }) {
  return `Models were taught on ${model} (${counted(heads, "version")}) and would not answer without it. Delete them first.`;
}

/** What goes with the model, in sentences. */
function consequences({ versions, uploads }) {
  const waiting = uploads ? ` and ${counted(uploads, "waiting upload")}` : "";
  return `This deletes ${counted(versions.length, "version")}${waiting}, with their artifacts and reports, `
    + "for good. A new upload of this name makes a new model. Images in data sets stay.";
}
