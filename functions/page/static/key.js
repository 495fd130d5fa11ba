/** The API key: kept for the browser session, asked for once, and again when the API refuses it. */

export const SLOT = "facet-api-key";

export class Keeper {
  #asking = null;

  constructor(storage) {
    this.storage = storage;
    this.dialog = document.getElementById("key-dialog");
    this.field = document.getElementById("key");
    this.refused = document.getElementById("key-refused");
    document.getElementById("key-later").onclick = () => this.dialog.close();
  }

  /** The key, or null. */
  get key() {
    return this.storage.getItem(SLOT);
  }

  set key(value) {
    this.storage.setItem(SLOT, value);
  }

  /** Takes a key out of the address (`#key=…`), which then shows it no more. */
  takeFromAddress(address) {
    const key = new URLSearchParams(address.hash.slice(1)).get("key");
    if (key) this.key = key;
    return Boolean(key);
  }

  /**
   * The key that the reader types, or null for "not now". `refused` is a key that the API has
   * refused, or null. Whoever asks meanwhile gets the same answer.
   */
  ask(refused = null) {
    this.#asking ??= this.#open(refused).finally(() => { this.#asking = null; });
    return this.#asking;
  }

  #open(refused) {
    this.refused.hidden = refused === null;
    this.refused.textContent = refused === null ? ""
      : "The API refused this key. Check that it was copied whole, and belongs to this API.";
    this.field.value = refused ?? "";
    this.dialog.showModal();
    this.field.select();
    return new Promise((resolve) => {
      let typed = null;
      document.getElementById("key-form").onsubmit = (event) => {
        event.preventDefault();
        typed = this.field.value.trim();
        if (typed) this.key = typed;
        this.dialog.close();
      };
      this.dialog.addEventListener("close", () => resolve(typed || null), { once: true });
    });
  }
}
