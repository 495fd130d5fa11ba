/** What GET /models/{model} says, in words. */

import { element, facts } from "./dom.js";
import { bytes, counted, moment, percent } from "./format.js";
import { inWords } from "./see.js";

const SHOWN_LABELS = 24;
const ACCURACIES = [["test_accuracy", "test"], ["accuracy", ""], ["validation_accuracy", "validation"]];
const POLICIES = {
  auto: () => "new versions go live at once, when proven",
  manual: () => "new versions wait until somebody promotes them",
  canary: ({ percent: share, good_answers: good }) =>
    `new versions first get ${share} % of the requests, until ${good} good answers`,
};
const PROOFS = { golden: "golden sample", smoke: "a neutral image" };

/** The live version of a model's document, or undefined. */
export function liveOf(model) {
  return model.versions.find((each) => each.version === model.live);
}

/** "83.3 % (test)", or null where the trainer recorded none. */
export function accuracy(version) {
  for (const [metric, of] of ACCURACIES) {
    const value = version?.metrics[metric];
    if (value !== undefined) return percent(value) + (of && ` (${of})`);
  }
  return null;
}

/** The badges that say how a model stands. */
export function badges(model) {
  const newest = model.versions[0];
  const made = [model.live ? badge("live") : badge("not live", "warn")];
  if (model.canary) made.push(badge(`canary ${model.canary.percent} %`, "warn"));
  if (newest?.status === "PENDING") made.push(badge("being checked", "warn"));
  if (newest?.status === "REJECTED") made.push(badge("newest upload rejected", "bad"));
  return made;
}

/** The whole description, as elements; `picker` is the element that chooses a version. */
export function description(model, picker) {
  const live = liveOf(model);
  return [
    element("div", { className: "heading" },
      element("h2", { id: "model-heading" }, model.model), element("div", { className: "state" }, badges(model))),
    model.description ? element("p", {}, model.description) : null,
    standing(model),
    facts("facts", [
      ["Accuracy", accuracy(live)],
      ["Live version", live ? element("code", {}, live.version) : "none"],
      ["Proven with", live ? PROOFS[live.proof] ?? live.proof : null],
      ["Size", live ? bytes(live.size) : null],
      ["Input", model.input ? inWords(model.input) : null],
      ["Policy", POLICIES[model.policy.mode](model.policy)],
    ]),
    model.labels ? labels(model.labels) : null,
    picker,
    element("details", {},
      element("summary", {}, `All versions (${model.versions.length})`),
      element("ul", { className: "versions" }, model.versions.map((each) => version(each, model)))),
  ];
}

/** The reasons why an upload was rejected: what is wrong, where, and what to do. */
export function violations(list) {
  return element("ul", { className: "violations" }, list.map(({ problem, place, remedy }) =>
    element("li", {},
      element("p", {}, element("code", {}, place), `: ${sentence(problem)}`),
      element("p", {}, element("b", {}, "What to do: "), sentence(remedy)))));
}

/** What the reader should know of the model beyond its live version. */
function standing(model) {
  const newest = model.versions[0];
  if (model.canary) {
    const { candidate, percent: share, good_answers: good, candidate_good: had, candidate_bad: bad } = model.canary;
    return notice("warn", `Version ${candidate} is tried out on ${share} % of the requests: `
      + `${had} of ${good} good answers so far, ${bad} bad.`);
  }
  const uploaded = newest && `The upload of ${moment(newest.uploaded_at)}`;
  if (newest?.status === "PENDING") {
    return notice("warn", `${uploaded} is being checked. Refresh in a moment.`);
  }
  if (newest?.status === "REJECTED") {
    const kept = model.live ? " The version before it stays live." : "";
    return notice("bad", `${uploaded} was rejected.${kept}`, violations(newest.violations));
  }
  if (model.live) return null;
  if (newest?.status === "READY") {
    return notice("warn", `${uploaded} is proven, and waits until somebody promotes it. It can be asked by its version.`);
  }
  return notice("warn", `All versions were retired. Upload an artifact to mme/${model.model}.tar.gz to bring it back.`);
}

function notice(kind, text, more = null) {
  return element("div", { className: `notice ${kind}` }, element("p", {}, text), more);
}

function labels(all) {
  const list = (some) => element("ul", { className: "labels" }, some.map((each) => element("li", {}, each)));
  return element("div", {},
    element("h3", {}, counted(all.length, "label")),
    list(all.slice(0, SHOWN_LABELS)),
    all.length > SHOWN_LABELS
      ? element("details", {},
        element("summary", {}, `${all.length - SHOWN_LABELS} more`), list(all.slice(SHOWN_LABELS)))
      : null);
}

function version(each, model) {
  const roles = [
    [model.live, "live"], [model.previous, "previous"], [model.canary?.candidate, "canary"],
    [model.rolled_back, "rolled back"],
  ].filter(([id]) => id === each.version).map(([, role]) => ` · ${role}`);
  const told = [each.status, moment(each.uploaded_at), bytes(each.size), accuracy(each)];
  return element("li", {},
    element("p", {}, element("code", {}, each.version), ` · ${told.filter(Boolean).join(" · ")}`, roles),
    each.violations.length ? violations(each.violations) : null);
}

function badge(text, kind = "") {
  return element("span", { className: `badge ${kind}` }, text);
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
