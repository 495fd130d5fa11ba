/** The API key: kept for the browser session, and requested in a dialog when it is missing or refused. */

export const STORAGE_KEY = "facet-api-key";

export class ApiKey {
  #prompt = null;

  constructor(storage) {
    this.storage = storage;
    this.dialog = document.getElementById("key-dialog");
    this.field = document.getElementById("key");
    this.refused = document.getElementById("key-refused");
    document.getElementById("key-later").onclick = () => this.dialog.close();
  }

  /** The key, or null. */
  get value() {
    return this.storage.getItem(STORAGE_KEY);
  }

  set value(key) {
    this.storage.setItem(STORAGE_KEY, key);
  }

  /** Stores the key of an address that ends in `#key=…`; returns whether there was one. */
  readFromAddress(address) {
    const key = new URLSearchParams(address.hash.slice(1)).get("key");
    if (key) this.value = key;
    return Boolean(key);
  }

  /**
   * Resolves to the key that the user enters, or to null for "Not now". `refused` is the key that
   * the API refused, or null. Calls while the dialog is open share its answer.
   */
  prompt(refused = null) {
    this.#prompt ??= this.#open(refused).finally(() => { this.#prompt = null; });
    return this.#prompt;
  }

  #open(refused) {
    this.refused.hidden = refused === null;
    this.refused.textContent = refused === null ? ""
      : "The API refused this key. Check that the key is complete and belongs to this API.";
    this.field.value = refused ?? "";
    this.dialog.showModal();
    this.field.select();
    return new Promise((resolve) => {
      let entered = null;
      document.getElementById("key-form").onsubmit = (event) => {
        event.preventDefault();
        entered = this.field.value.trim();
        if (entered) this.value = entered;
        this.dialog.close();
      };
      this.dialog.addEventListener("close", () => resolve(entered || null), { once: true });
    });
  }
}
