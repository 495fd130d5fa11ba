/** What must be right before a model can be taught, as far as the page can tell. */

import { counted } from "../format.js";

/** As in layers/facet/facet/keys.py. */
const MODEL_NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const MAX_LABELS = 1000;
const MAX_IMAGES = 5000;
const MIN_IMAGES = 2;

/**
 * The problems: {name, labels, all}. `name` is that of the model's name or "", `labels` maps labels
 * to theirs, and `all` is {title, detail} or null.
 */
export function check(name, dataSet) {
  return { name: nameProblem(name), labels: labelProblems(dataSet), all: problemOfAll(dataSet) };
}

function nameProblem(name) {
  if (!name) return "Give the model a name.";
  if (MODEL_NAME.test(name)) return "";
  return "Use lower-case letters (a to z), digits and hyphens, at most 63; begin with a letter or a digit.";
}

function labelProblems({ labels }) {
  const found = new Map();
  const seen = new Set();
  for (const label of labels) {
    const problem = labelProblem(label, seen);
    if (problem) found.set(label, problem);
    seen.add(label.name);
  }
  return found;
}

function labelProblem({ name, images }, seen) {
  if (!name) return images.length ? "Give the label a name." : "Give the label a name and images, or remove it.";
  if (seen.has(name)) return `There is another label ${name}. Rename one of them.`;
  if (/[/\\\p{Cc}]/u.test(name) || name.startsWith(".")) return "Use a name without slashes that does not begin with a dot.";
  if (images.length >= MIN_IMAGES) return "";
  return `${images.length ? "One image is" : "No images are"} too few. Add at least ${MIN_IMAGES - images.length} more, or remove the label.`;
}

function problemOfAll({ labels, images }) {
  if (labels.length < 2) return { title: "One label is too few", detail: "A model chooses among two labels or more. Add a label." };
  if (labels.length > MAX_LABELS) {
    return { title: `${counted(labels.length, "label")} are too many`, detail: `A model that is taught has at most ${counted(MAX_LABELS, "label")}.` };
  }
  if (images <= MAX_IMAGES) return null;
  return {
    title: `${counted(images, "image")} are too many to teach`,
    detail: `Up to ${counted(MAX_IMAGES, "image")} are taught. For more, train a model: facet train image-folder FOLDER --upload.`,
  };
}
