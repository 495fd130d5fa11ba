/** What the report of a teaching says: accuracy, confusions, and the images that went wrong. */

import { element, facts } from "../dom.js";
import { counted, percent } from "../format.js";
import { thumbnail } from "./strip.js";

const LISTED = 20;

/**
 * The report as elements. `load(label, name)` resolves to an image's Blob, and `remove(label, name)`
 * takes it out of the data set.
 */
export function reportView(report, { load, remove }) {
  if (report.accuracy === undefined) { // there was nothing to fit: only what was left out is known
    return element("div", { className: "teach-report" }, unused(report));
  }
  return element("div", { className: "teach-report" },
    element("h3", {}, "How good it is"),
    element("p", {}, element("b", {}, percent(report.accuracy)), ` of ${counted(report.images, "image")} get the right label `
      + "from a model that was taught without that image. For new images of this kind, expect "
      + `${percent(report.accuracy_low)} to ${percent(report.accuracy_high)} (95 % interval).`),
    advice(report), mistakes(report.mistakes, load, remove), labels(report), unused(report), details(report));
}

/** Which labels are confused with each other, and which need more images. */
function advice({ confused, more_images: more }) {
  if (!confused.length && !more.length) return null;
  return element("div", { className: "notice warn" },
    more.length ? element("p", {}, "Add images of ", ...joined(more), ".") : null,
    confused.length ? element("p", {}, "These labels are confused:") : null,
    element("ul", {}, confused.slice(0, LISTED).map(({ label, as, images }) =>
      element("li", {}, element("b", {}, label), " taken for ", element("b", {}, as), `: ${counted(images, "image")}`))));
}

function joined(names) {
  return names.flatMap((name, at) => [
    at === 0 ? "" : at === names.length - 1 ? " and " : ", ", element("b", {}, name)]);
}

function mistakes(all, load, remove) {
  if (!all.length) return null;
  const list = element("ul", { className: "mistakes" }, all.map(({ label, name, answered, score }) => {
    const canvas = element("canvas", { role: "img", "aria-label": name, width: 1, height: 1 });
    const button = element("button", { type: "button", className: "quiet", "aria-label": `Remove ${name} from ${label}` }, "Remove");
    button.onclick = () => { remove(label, name); button.disabled = true; button.textContent = "Removed"; };
    thumbnail(canvas, () => load(label, name));
    return element("li", {}, element("figure", {}, canvas,
      element("figcaption", {}, element("b", {}, label), ` taken for ${answered} (${percent(score)})`)), button);
  }));
  return element("div", {},
    element("h3", {}, "What it gets wrong"),
    element("p", {}, "If an image is under the wrong label, or is a bad picture, remove it and teach again. If not, add images like it."),
    list);
}

function labels({ labels: all, more_images: more }) {
  const numbers = (each) => [each.images, each.correct, percent(each.correct / each.images)];
  return element("details", {}, element("summary", {}, `All labels (${all.length})`),
    element("div", { className: "table", tabIndex: 0, role: "region", "aria-label": "All labels" }, element("table", {},
      element("thead", {}, element("tr", {}, ["label", "images", "right", ""].map((text) =>
        (text ? element("th", { scope: "col" }, text) : element("td"))))),
      element("tbody", {}, all.map((each) => element("tr", {},
        element("th", { scope: "row" }, each.label, more.includes(each.label) ? " (needs more images)" : ""),
        numbers(each).map((value) => element("td", { className: "number" }, String(value)))))))));
}

/** Images that were left out, and those that are there twice. */
function unused({ skipped = [], duplicates = [] }) {
  if (!skipped.length && !duplicates.length) return null;
  return element("details", {},
    element("summary", {}, `Images not used (${skipped.length + duplicates.length})`),
    element("ul", {},
      skipped.map(({ image, problem }) => element("li", {}, element("code", {}, image), `: ${problem}`)),
      duplicates.map(([first, ...others]) => element("li", {}, element("code", {}, others.join(", ")), " is the same image as ", element("code", {}, first)))));
}

function details({ calibration_error: error, temperature }) {
  const number = (value) => (value === null || value === undefined ? null : value.toFixed(3));
  return element("details", {}, element("summary", {}, "Calibration"),
    element("p", {}, "How far the scores are from the share of right answers, on the same images:"),
    facts("facts", [["Error before", number(error?.before)], ["Error after", number(error?.after)], ["Temperature", number(temperature)]]));
}
