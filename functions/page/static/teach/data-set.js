/** A data set as the user edits it; `save` makes the bucket's copy equal to it. */

import { contentType } from "../api/api.js";
import { Problem } from "../api/problems.js";
import { Queue } from "../api/queue.js";

const FORMS = 100;
const CONCURRENT_UPLOADS = 4;
const ENDINGS = { "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/bmp": "bmp", "image/gif": "gif" };
/** The content types that the API takes. */
export const TYPES = Object.keys(ENDINGS);
const LONGEST_NAME = 80;
/** Of the characters of a label, which has up to 200 bytes. */
const LONGEST_STEM = 40;

/**
 * A label: `name` is what the user calls it, `saved` what the bucket does, or null. Each image has a
 * `name`; `content` is its Blob unless it is saved, and `saved` whether the bucket has it.
 */
export class Label {
  constructor(name = "", images = [], saved = null) {
    Object.assign(this, { name, images, saved, removed: [] });
  }

  /** Adds a Blob, under a name that no other image of the label has. */
  add(content, name) {
    const taken = new Set([...this.images.map((image) => image.name), ...this.removed]);
    const image = { name: freeName(name, content, taken), content, saved: false };
    this.images.push(image);
    return image;
  }

  remove(image) {
    this.images = this.images.filter((each) => each !== image);
    if (image.saved) this.removed.push(image.name);
  }

  get hasChanges() {
    return this.removed.length > 0 || this.images.some(({ saved }) => !saved) || (this.saved !== null && this.saved !== this.name);
  }
}

export class DataSet {
  /** `removed` are labels that the bucket still has. */
  constructor(labels = []) {
    Object.assign(this, { labels, removed: [] });
  }

  /** Reads a data set, which is empty if there is none. */
  static async read(api, name, signal) {
    const labels = await api.labels(name, signal);
    const queue = new Queue(CONCURRENT_UPLOADS);
    return new DataSet(await Promise.all(labels.map((label) => queue.run(async () => {
      const names = await api.imageNames(name, label, signal);
      return new Label(label, names.map((each) => ({ name: each, content: null, saved: true })), label);
    }))));
  }

  get hasChanges() {
    return this.removed.length > 0 || this.labels.some((label) => label.hasChanges);
  }

  get images() {
    return this.labels.reduce((sum, { images }) => sum + images.length, 0);
  }

  remove(label) {
    this.labels = this.labels.filter((each) => each !== label);
    if (label.saved !== null) this.removed.push(label);
  }

  restore(label, at) {
    this.labels.splice(at, 0, label);
    this.removed = this.removed.filter((each) => each !== label);
  }

  /**
   * Removes, renames and uploads what the bucket's copy lacks; calls `progress(done, total)` for the
   * uploads. What is done is remembered: after a failure the next call does the rest.
   */
  async save(api, name, progress, signal) {
    for (const label of [...this.removed]) {
      await api.removeImages(name, label.saved, null, signal);
      this.removed = this.removed.filter((each) => each !== label);
    }
    for (const label of this.labels) {
      while (label.removed.length) {
        await api.removeImages(name, label.saved, label.removed.slice(0, FORMS), signal);
        label.removed.splice(0, FORMS);
      }
    }
    await this.#rename(api, name, signal);
    await this.#upload(api, name, progress, signal);
  }

  /** Renames labels; one whose new name is still another's old one waits, or gets a name for a moment. */
  async #rename(api, name, signal) {
    for (;;) {
      const waiting = this.labels.filter((label) => label.saved !== null && label.saved !== label.name);
      if (waiting.length === 0) return;
      const used = new Set(this.labels.map(({ saved }) => saved));
      const next = waiting.find((label) => !used.has(label.name));
      const label = next ?? waiting[0];
      const to = next ? next.name : freeLabel(label.saved, this.labels);
      await api.renameLabel(name, label.saved, to, signal);
      label.saved = to;
    }
  }

  async #upload(api, name, progress, signal) {
    const groups = this.labels.flatMap((label) => {
      const images = label.images.filter(({ saved }) => !saved);
      return chunks(images).map((some) => ({ label, images: some }));
    });
    const total = groups.reduce((sum, { images }) => sum + images.length, 0);
    const queue = new Queue(CONCURRENT_UPLOADS);
    let done = 0;
    progress(0, total);
    for (const { label, images } of groups) {
      const described = images.map((image) => ({ name: image.name, content_type: contentType(image.content) }));
      const forms = await api.uploadForms(name, label.name, described, signal);
      const byName = new Map(forms.map((form) => [form.name, form]));
      const sent = await Promise.allSettled(images.map((image) => queue.run(async () => {
        await send(byName.get(image.name), image, signal);
        image.saved = true;
        label.saved = label.name;
        done += 1;
        progress(done, total);
      })));
      const failed = sent.find(({ status }) => status === "rejected");
      if (failed) throw failed.reason;
    }
  }
}

/** Sends an image with its presigned form. */
async function send({ url, fields }, { name, content }, signal) {
  signal.throwIfAborted();
  const form = new FormData();
  for (const [field, value] of Object.entries(fields)) form.append(field, value);
  form.append("file", content);
  const detail = "Check the connection, then press Teach again: images that have arrived are not sent again.";
  let response;
  try {
    response = await fetch(url, { method: "POST", body: form, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: `${name} could not be uploaded`, detail });
  }
  if (!response.ok) {
    const message = (await response.text()).match(/<Message>(.*?)<\/Message>/)?.[1];
    throw new Problem({ title: `S3 refused ${name}`, detail: `${message ?? `Status ${response.status}.`} Press Teach to try again.` });
  }
}

function chunks(list) {
  return Array.from({ length: Math.ceil(list.length / FORMS) }, (_, at) => list.slice(at * FORMS, (at + 1) * FORMS));
}

/** A name that no label has or had, for one whose new name is not free yet. */
function freeLabel(saved, labels) {
  const taken = new Set(labels.flatMap((label) => [label.saved, label.name]));
  const stem = `${[...saved].slice(0, LONGEST_STEM).join("")}-renamed`;
  for (let count = 1; ; count += 1) {
    const free = count > 1 ? `${stem}-${count}` : stem;
    if (!taken.has(free)) return free;
  }
}

/** A file name of letters, digits, dots and dashes, with the ending of its type. */
function freeName(name, content, taken) {
  const plain = name.replace(/\.\w+$/, "").normalize("NFKD").replace(/[^\w.-]+/g, "-").replace(/^[-.]+|-+$/g, "");
  const [stem, ending] = [plain.slice(0, LONGEST_NAME) || "image", ENDINGS[content.type]];
  for (let count = 1; ; count += 1) {
    const free = `${stem}${count > 1 ? `-${count}` : ""}.${ending}`;
    if (!taken.has(free)) return free;
  }
}
