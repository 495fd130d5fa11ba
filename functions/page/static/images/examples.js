/** Examples that fit the selected model: its golden image, and the samples that show one of its labels. */

import { element } from "../dom.js";
import { drawThumbnail } from "./preview.js";
import { Problem, unreachable } from "../api/problems.js";

/** Free images, and which labels name what they show; README.md has their sources. */
const SAMPLES = [
  ["cat-chelsea.jpg", "A tabby cat", /\b(cat|tabby)s?\b/i],
  ["airplane-on-sky.jpg", "An aeroplane in a blue sky", /\b(airplane|aeroplane|airliner|plane)s?\b/i],
  ["horse-silhouette.png", "The silhouette of a horse", /\bhorses?\b/i],
  ["1-index-finger.jpg", "A hand showing one finger", /^(1|one)$/i],
  ["2-victory.jpg", "A hand showing two fingers", /^(2|two)$/i],
  ["5-open-hand.jpg", "An open hand", /^(5|five)$/i],
];

/**
 * The row of examples. Clicking one calls `add` with an image: {name, file}, with `source`, its URL,
 * for a sample; `unsaved` for a golden image, which is no file of the user; and `problem` instead of
 * `file` if it cannot be read.
 */
export class Examples {
  #api;
  #add;
  #shown;
  #request = null;
  #list = document.getElementById("samples");

  constructor(api, add) {
    this.#api = api;
    this.#add = add;
  }

  /**
   * Shows the examples of a model, and of `version` or its live version. `model` may be null; none
   * are shown until its details are known.
   */
  async show(model, version) {
    const wanted = version ?? model?.live ?? null;
    const isKnown = !model || Boolean(model.versions);
    const key = isKnown ? `${model?.model}/${wanted}` : null;
    if (key === this.#shown) return;
    this.#shown = key;
    this.#request?.abort();
    this.#list.replaceChildren(...(isKnown ? fitting(model) : []).map((sample) => this.#sample(...sample)));
    const { proof } = model?.versions?.find(({ version: id }) => id === wanted) ?? {};
    if (proof === "golden") await this.#showGolden(model.model, wanted);
  }

  async #showGolden(name, version) {
    const request = new AbortController();
    this.#request = request;
    const file = await this.#api.golden(name, version, request.signal).catch(ignore);
    if (!file || request.signal.aborted) return;
    const bitmap = await createImageBitmap(file).catch(() => null);
    if (!bitmap || request.signal.aborted) return;
    const canvas = element("canvas");
    drawThumbnail(canvas, bitmap);
    bitmap.close();
    const image = { name: `golden-${name}`, file, unsaved: true };
    this.#list.prepend(this.#button(`The golden sample of ${name}`, canvas, () => image));
  }

  #sample(name, alt) {
    const source = new URL(`page/samples/${name}`, document.baseURI).href;
    const image = element("img", { src: source, alt: "", width: 72, height: 72, loading: "lazy" });
    return this.#button(alt, image, () => fetchSample(name, source));
  }

  #button(label, picture, read) {
    const button = element("button", { type: "button", title: label, "aria-label": label }, picture);
    button.onclick = async () => this.#add([await read()]);
    return element("li", {}, button);
  }
}

/** The samples that show one of the model's labels; without a model, or its labels, all. */
function fitting(model) {
  if (!model?.labels) return SAMPLES;
  return SAMPLES.filter(([, , names]) => model.labels.some((label) => names.test(label)));
}

/** A model without a golden image has fewer examples; a request that was aborted is not missed. */
function ignore(error) {
  if (error instanceof Problem || error.name === "AbortError") return null;
  throw error;
}

async function fetchSample(name, source) {
  try {
    const response = await fetch(source);
    if (response.ok) return { name, file: await response.blob(), source };
  } catch {
    // reported below, as an error status is
  }
  return { name, problem: unreachable() };
}
