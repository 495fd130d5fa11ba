/** The elements of a result: predictions, timing, a failure, a wait before the next attempt. */

import { element, facts } from "../dom.js";
import { milliseconds, percent } from "../format.js";
import { PLACES, violations } from "../models/model-details.js";

const STEPS = {
  registry: "registry", decode: "decode", preprocess: "preprocess", invoke: "invoke",
  rest: "network and gateway",
};
const WARMTH = {
  cold: (fastest) => ["Cold: ", `the model was loaded first. The fastest invocation of this version in this tab took ${fastest}.`],
  warm: (fastest) => ["Warm: ", `the fastest invocation of this version in this tab took ${fastest}.`],
  unknown: () => ["Warm or cold? ", "This is the version's first result in this tab. Classify again to compare."],
};

/** Labels and their scores as bars. */
function predictionBars(predictions) {
  return element("ol", { className: "predictions", "aria-label": "Labels, best first" },
    predictions.map(({ label, score }) => {
      const bar = element("i", { "aria-hidden": "true" });
      bar.style.width = `${score * 100}%`;
      return element("li", {}, bar, element("span", {}, label), element("span", {}, percent(score)));
    }));
}

/** The labels of an answer; a note says if the image is unlike those that the model was taught with. */
export function prediction({ predictions, unsure }) {
  if (!unsure) return predictionBars(predictions);
  const note = "This image is unlike those that the model was taught with: the labels may mean nothing.";
  return element("div", {}, element("p", { className: "notice warn" }, note), predictionBars(predictions));
}

/** The duration of each step, as a bar and as numbers; {state, fastest} comes from `Warmth.judge`. */
export function timingDetails({ durations, total, version, place }, { state, fastest }) {
  const [word, explanation] = WARMTH[state](milliseconds(fastest));
  return [
    element("div", { className: "timeline", "aria-hidden": "true" }, durations.map(({ name, time }) => {
      const segment = element("i", { className: `step-${name}` });
      segment.style.flexGrow = time;
      return segment;
    })),
    facts("steps", [
      ...durations.map(({ name, time }) => [STEPS[name] ?? name, milliseconds(time), `step-${name}`]),
      ["total", milliseconds(total), "total"],
    ]),
    element("p", { className: "faint warmth" }, element("b", {}, word), explanation,
      " Answered by version ", element("code", {}, version), place ? ` ${PLACES[place] ?? place}.` : "."),
  ];
}

/** A problem, and a button that calls `retry`. */
export function failure(problem, retry) {
  return element("div", { className: "notice bad" }, ...text(problem),
    problem.violations.length ? violations(problem.violations) : null,
    problem.note ? element("p", {}, problem.note) : null,
    element("button", { type: "button", onclick: retry }, "Try again"));
}

/** A temporary problem with the element `countdown`, and buttons to retry `now` or to `stop`. */
export function waiting(problem, countdown, { now, stop }) {
  return element("div", { className: "notice warn" }, ...text(problem), countdown,
    element("button", { type: "button", onclick: now }, "Retry now"),
    element("button", { type: "button", onclick: stop }, "Stop retrying"));
}

function text({ title, detail }) {
  return [element("p", {}, element("b", {}, title)), element("p", {}, detail)];
}
