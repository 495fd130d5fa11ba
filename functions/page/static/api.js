/** The API that served this page. Every URL is relative to the page's base. */

import { Problem, keyless, problemOf, unreachable } from "./problems.js";

export class Api {
  constructor(keeper) {
    this.keeper = keeper;
  }

  /** One page of models: `limit` names after the name `after`, which may be null. */
  models(limit, after, signal) {
    const query = new URLSearchParams({ limit, ...(after && { after }) });
    return this.#call(`models?${query}`, { signal }).then(({ document }) => document);
  }

  /** A model with all its versions. */
  model(name, signal) {
    return this.#call(address(name), { signal }).then(({ document }) => document);
  }

  /**
   * The answer to one image: {document, timing, milliseconds}, of which `timing` is the
   * Server-Timing header and `milliseconds` the time from request to answer.
   */
  predict(name, version, image, signal) {
    const headers = { "content-type": contentType(image) };
    return this.#call(predictPath(name, version), { method: "POST", headers, body: image, signal });
  }

  /** Throws Problem, and AbortError where `signal` says so. */
  async #call(path, { headers = {}, ...options }) {
    for (;;) {
      const key = this.keeper.key ?? (await this.keeper.ask());
      if (key === null) throw keyless();
      const begun = performance.now();
      const response = await reach(path, { ...options, headers: { ...headers, "x-api-key": key } });
      if (response.ok) return answered(response, begun);
      if (!(await refusesKey(response))) throw await problemOf(response);
      // Another request may have asked for a new key already.
      if (this.keeper.key === key && (await this.keeper.ask(key)) === null) throw keyless();
    }
  }
}

/** Where images for a model are posted, relative to the page's base. */
export function predictPath(name, version) {
  return `${address(name)}/predict${version ? `?version=${encodeURIComponent(version)}` : ""}`;
}

/** What an image is sent as. The API looks at the bytes; it must only not take them for JSON. */
export function contentType(image) {
  return image.type.startsWith("image/") ? image.type : "application/octet-stream";
}

function address(name) {
  return `models/${encodeURIComponent(name)}`;
}

async function reach(path, options) {
  try {
    return await fetch(new URL(path, document.baseURI), { ...options, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
}

async function answered(response, begun) {
  let read;
  try {
    read = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      title: "The answer cannot be understood",
      detail: "It did not come from Facet, or was cut short. Try again, then reload the page.",
    });
  }
  const milliseconds = performance.now() - begun;
  return { document: read, timing: response.headers.get("server-timing") ?? "", milliseconds };
}

async function refusesKey(response) {
  if (response.status !== 403) return false;
  const text = await response.clone().text();
  return text.includes('"Forbidden"');
}
