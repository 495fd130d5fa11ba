/** What became of one image, as elements. */

import { element, facts } from "./dom.js";
import { milliseconds, percent } from "./format.js";
import { violations } from "./model.js";

const STEPS = {
  registry: "registry", decode: "decode", preprocess: "preprocess", invoke: "invoke",
  rest: "network and gateway",
};
const WARMTH = {
  cold: (fastest) => ["Cold: ", `the model was loaded first. The fastest invocation of this version here took ${fastest}.`],
  warm: (fastest) => ["Warm: ", `the fastest invocation of this version here took ${fastest}.`],
  unknown: () => ["Warm or cold? ", "This is the version's first answer in this tab: ask again to compare."],
};

/** Labels and their scores, as bars. */
export function bars(predictions) {
  return element("ol", { className: "predictions", "aria-label": "Labels, best first" },
    predictions.map(({ label, score }) => {
      const bar = element("i", { "aria-hidden": "true" });
      bar.style.width = `${score * 100}%`;
      return element("li", {}, bar, element("span", {}, label), element("span", {}, percent(score)));
    }));
}

/** Where the time went, by step and drawn; `warmth` is Warmth's {state, fastest}. */
export function cost({ spent, total, version }, { state, fastest }) {
  const [word, meaning] = WARMTH[state](milliseconds(fastest));
  return [
    element("div", { className: "timeline", "aria-hidden": "true" }, spent.map(({ name, time }) => {
      const part = element("i", { className: `step-${name}` });
      part.style.flexGrow = time;
      return part;
    })),
    facts("steps", [
      ...spent.map(({ name, time }) => [STEPS[name] ?? name, milliseconds(time), `step-${name}`]),
      ["in all", milliseconds(total), "total"],
    ]),
    element("p", { className: "faint warmth" }, element("b", {}, word), meaning,
      " Answered by version ", element("code", {}, version), "."),
  ];
}

/** What went wrong, and a button that runs `again`. */
export function failure(problem, again) {
  return element("div", { className: "notice bad" }, ...said(problem),
    problem.violations.length ? violations(problem.violations) : null,
    problem.note ? element("p", {}, problem.note) : null,
    element("button", { type: "button", onclick: again }, "Try again"));
}

/** What is waited for; `until` is the line that counts down. */
export function waiting(problem, until, { now, stop }) {
  return element("div", { className: "notice warn" }, ...said(problem), until,
    element("button", { type: "button", onclick: now }, "Try now"),
    element("button", { type: "button", onclick: stop }, "Stop trying"));
}

function said({ title, detail }) {
  return [element("p", {}, element("b", {}, title)), element("p", {}, detail)];
}
