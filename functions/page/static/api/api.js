/** A client of the API that serves this page. URLs are relative to the page's base. */

import { Problem, noKey, problemOf, unreachable } from "./problems.js";

export class Api {
  constructor(apiKey) {
    this.apiKey = apiKey;
  }

  /** One page of models: up to `limit` names with the text, after the name `after` or null. */
  models(limit, after, contains, signal) {
    const query = new URLSearchParams({ limit, ...(after && { after }), ...(contains && { contains }) });
    return this.#call(`models?${query}`, { signal }).then(({ document }) => document);
  }

  /** A model with all its versions, which arrive in pages. */
  async model(name, signal) {
    let { document: model } = await this.#call(modelPath(name), { signal });
    for (let token = model.next_token; token; ) {
      const query = new URLSearchParams({ next_token: token });
      const { document: page } = await this.#call(`${modelPath(name)}?${query}`, { signal });
      model = { ...model, versions: [...model.versions, ...page.versions] };
      token = page.next_token;
    }
    return model;
  }

  /** As `model`, or null if there is none. */
  find(name, signal) {
    return orNull(this.model(name, signal));
  }

  /** The image of a version's golden sample, a Blob. */
  golden(name, version, signal) {
    const path = `${modelPath(name)}/golden?version=${encodeURIComponent(version)}`;
    return this.#call(path, { signal }, (response) => response.blob());
  }

  /** Deletes a model for good: {model, versions, uploads, heads, deleted}; `dryRun` only says what would go. */
  delete(name, dryRun, signal) {
    const path = `${modelPath(name)}${dryRun ? "?dry_run=true" : ""}`;
    return this.#call(path, { method: "DELETE", signal }).then(({ document }) => document);
  }

  /**
   * Classifies one image: {document, timing, place, milliseconds}, where `timing` is the
   * Server-Timing header, `place` where the model ran, and `milliseconds` the time from request to
   * response.
   */
  predict(name, version, image, signal) {
    const headers = { "content-type": contentType(image) };
    return this.#call(predictPath(name, version), { method: "POST", headers, body: image, signal });
  }

  /** Why a version of a model gives an image its first label: {label, heatmap}, a PNG in base64. */
  async explain(name, version, image, signal) {
    const headers = { "content-type": contentType(image) };
    const path = `${predictPath(name, version)}&explain=true`;
    const { document } = await this.#call(path, { method: "POST", headers, body: image, signal });
    return document.explanation;
  }

  /** Classifies several images in one request; as `predict`, with `results` in the document. */
  async predictMany(name, version, images, signal) {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ images: await Promise.all(images.map(base64)) });
    return this.#call(predictPath(name, version), { method: "POST", headers, body, signal });
  }

  /** The names of a data set's labels, which arrive in pages; none if there is no image. */
  async labels(dataSet, signal) {
    const labels = new Set();
    for await (const page of this.#pages(dataSetPath(dataSet), {}, signal)) page.labels.forEach(({ label }) => labels.add(label));
    return [...labels];
  }

  /** The names of all images of a label, which arrive in pages. */
  async imageNames(dataSet, label, signal) {
    const names = [];
    for await (const page of this.#pages(`${dataSetPath(dataSet)}/images`, { label }, signal)) names.push(...page.images.map(({ name }) => name));
    return names;
  }

  async *#pages(path, query, signal) {
    for (let next = {}; next; ) {
      const { document: page } = await this.#call(`${path}?${new URLSearchParams({ ...query, ...next })}`, { signal });
      yield page;
      next = page.next && { after: page.next };
    }
  }

  /** One image of a data set, a Blob. */
  image(dataSet, label, name, signal) {
    const query = new URLSearchParams({ label, name });
    return this.#call(`${dataSetPath(dataSet)}/image?${query}`, { signal }, (response) => response.blob());
  }

  /** Presigned forms for up to 100 images of {name, content_type}: [{name, url, fields}]. */
  async uploadForms(dataSet, label, images, signal) {
    const { document } = await this.#sendJson("POST", `${dataSetPath(dataSet)}/images`, { label, images }, signal);
    return document.uploads;
  }

  /** Removes images of a label, or with `names` null the label. */
  removeImages(dataSet, label, names, signal) {
    return this.#sendJson("DELETE", `${dataSetPath(dataSet)}/images`, { label, ...(names && { names }) }, signal);
  }

  renameLabel(dataSet, from, to, signal) {
    return this.#sendJson("PATCH", dataSetPath(dataSet), { rename: { from, to } }, signal);
  }

  /** Begins to teach a model; `options` are those of the API. */
  teach(name, options, signal) {
    return this.#sendJson("POST", `${modelPath(name)}/teach`, options, signal).then(({ document }) => document);
  }

  /** The model's latest teaching, or null if it was never taught. */
  teaching(name, signal) {
    return orNull(this.#call(`${modelPath(name)}/teach`, { signal }).then(({ document }) => document));
  }

  #sendJson(method, path, body, signal) {
    const headers = { "content-type": "application/json" };
    return this.#call(path, { method, headers, body: JSON.stringify(body), signal });
  }

  /** Reads the response with `read`. Throws Problem, and AbortError when `signal` is aborted. */
  async #call(path, { headers = {}, ...options }, read = readResponse) {
    for (;;) {
      const key = this.apiKey.value ?? (await this.apiKey.prompt());
      if (key === null) throw noKey();
      const start = performance.now();
      const response = await send(path, { ...options, headers: { ...headers, "x-api-key": key } });
      if (response.ok) return read(response, start);
      if (!(await refusesKey(response))) throw await problemOf(response);
      // Another request may have obtained a new key already.
      if (this.apiKey.value === key && (await this.apiKey.prompt(key)) === null) throw noKey();
    }
  }
}

/** The path for predictions, relative to the page's base. */
export function predictPath(name, version) {
  return `${modelPath(name)}/predict${version ? `?version=${encodeURIComponent(version)}` : ""}`;
}

/** The content type to send. The API looks at the bytes, but must not take them for JSON. */
export function contentType(image) {
  return image.type.startsWith("image/") ? image.type : "application/octet-stream";
}

async function base64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function modelPath(name) {
  return `models/${encodeURIComponent(name)}`;
}

function dataSetPath(name) {
  return `datasets/${encodeURIComponent(name)}`;
}

/** The call's result, or null where the API says that there is no such thing. */
async function orNull(call) {
  try {
    return await call;
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

async function send(path, options) {
  try {
    return await fetch(new URL(path, document.baseURI), { ...options, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
}

async function readResponse(response, start) {
  let body;
  try {
    body = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      title: "Invalid response",
      detail: "The response is not from Facet, or was cut short. Try again, then reload the page.",
    });
  }
  const milliseconds = performance.now() - start;
  const { headers } = response;
  return {
    document: body, timing: headers.get("server-timing") ?? "", place: headers.get("x-facet-ran-in"), milliseconds,
  };
}

async function refusesKey(response) {
  if (response.status !== 403) return false;
  const text = await response.clone().text();
  return text.includes('"Forbidden"');
}
