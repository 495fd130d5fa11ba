/** The details of a model: the response of GET /models/{model} as elements. */

import { element, facts } from "../dom.js";
import { bytes, counted, moment, percent } from "../format.js";
import { describeInput } from "../images/preview.js";

const VISIBLE_LABELS = 24;
const ACCURACIES = [["test_accuracy", "test"], ["accuracy", ""], ["validation_accuracy", "validation"]];
const POLICIES = {
  auto: () => "new versions go live as soon as they are proven",
  manual: () => "new versions go live when they are promoted",
  canary: ({ percent: share, good_answers: good }) =>
    `new versions get ${share} % of the requests until they have given ${good} good answers`,
};
export const PLACES = { endpoint: "on the endpoint", function: "in the function" };
const RUN_IN = {
  endpoint: "the model's policy asks for the endpoint", function: "the model's policy asks for the function",
  auto: "the model's policy says: in the function if it is small and quick",
};
const PROOFS = { golden: "golden sample", smoke: "neutral image" };

/** The live version of a model's document, or undefined. */
export function liveVersion(model) {
  return model.versions.find((each) => each.version === model.live);
}

/** "83.3 % (test)", or null if the manifest has no accuracy. */
export function accuracy(version) {
  for (const [metric, dataset] of ACCURACIES) {
    const value = version?.metrics[metric];
    if (value !== undefined) return percent(value) + (dataset && ` (${dataset})`);
  }
  return null;
}

/** Badges for the model's state: live, canary, and the newest upload. */
export function badges(model) {
  const newest = model.versions[0];
  const list = [model.live ? badge("live") : badge("not live", "warn")];
  if (model.canary) list.push(badge(`canary ${model.canary.percent} %`, "warn"));
  if (newest?.status === "PENDING") list.push(badge(newest.postponed_at ? "waiting" : "validating", "warn"));
  if (newest?.status === "REJECTED") list.push(badge("newest upload rejected", "bad"));
  return list;
}

/**
 * All details as elements; `picker` chooses a version, `teach` opens the images that a model was
 * taught with, or they are null; `deletion` deletes the model.
 */
export function description(model, picker, teach, deletion) {
  const live = liveVersion(model);
  return [
    element("div", { className: "heading" },
      element("h2", { id: "model-heading" }, model.model), element("div", { className: "state" }, badges(model))),
    stateNotice(model),
    picker,
    teach,
    element("details", {}, element("summary", {}, "About this model"), ...about(model, live), deletion),
  ];
}

function about(model, live) {
  return [
    model.description ? element("p", {}, model.description) : null,
    facts("facts", [
      ["Accuracy", accuracy(live)],
      ["Live version", live ? element("code", {}, live.version) : "none"],
      ["Runs", live ? runsIn(live, model) : null],
      ["Tested with", live ? PROOFS[live.proof] ?? live.proof : null],
      ["Size", live ? bytes(live.size) : null],
      ["Input", model.input ? describeInput(model.input) : null],
      ["Policy", POLICIES[model.policy.mode](model.policy)],
    ]),
    model.labels ? labels(model.labels) : null,
    element("details", {},
      element("summary", {}, `All versions (${model.versions.length})`),
      element("ul", { className: "versions" }, model.versions.map((each) => version(each, model)))),
  ].filter(Boolean);
}

/** The violations of a rejected upload: the place, the problem and the remedy. */
export function violations(list) {
  return element("ul", { className: "violations" }, list.map(({ problem, place, remedy }) =>
    element("li", {},
      element("p", {}, element("code", {}, place), `: ${sentence(problem)}`),
      element("p", {}, element("b", {}, "What to do: "), sentence(remedy)))));
}

/** A notice about a canary, the newest upload, or a model without a live version; or null. */
function stateNotice(model) {
  const newest = model.versions[0];
  if (model.canary) {
    const { candidate, percent: share, good_answers: good, candidate_good: answered, candidate_bad: bad } = model.canary;
    return notice("warn", `Canary: version ${candidate} gets ${share} % of the requests. `
      + `It has given ${answered} of ${good} good answers, and ${bad} bad.`);
  }
  const uploaded = newest && `The upload of ${moment(newest.uploaded_at)}`;
  if (newest?.status === "PENDING") {
    if (newest.postponed_at) {
      return notice("warn", `${uploaded} waits for the endpoint: it cannot be proven in the function.`,
        violations(newest.not_proven.function ?? []));
    }
    return notice("warn", `${uploaded} is being validated. Refresh in a moment.`);
  }
  if (newest?.status === "REJECTED") {
    const kept = model.live ? " The previous version stays live." : "";
    return notice("bad", `${uploaded} was rejected.${kept}`, violations(newest.violations));
  }
  if (model.live) return null;
  if (newest?.status === "READY") {
    return notice("warn", `${uploaded} is ready but not live. Promote it, or choose its version below.`);
  }
  return notice("warn", `All versions are retired. Upload an artifact to mme/${model.model}.tar.gz to create a new one.`);
}

function notice(kind, text, more = null) {
  return element("div", { className: `notice ${kind}` }, element("p", {}, text), more);
}

/** "in the function, else on the endpoint (…)": the places in the order in which they are asked. */
function runsIn(version, model) {
  const places = version.runs_in.map((each) => PLACES[each] ?? each).join(", else ");
  return places + (model.run_in ? ` (${RUN_IN[model.run_in]})` : "");
}

function labels(all) {
  const list = (some) => element("ul", { className: "labels" }, some.map((each) => element("li", {}, each)));
  return element("div", {},
    element("h3", {}, counted(all.length, "label")),
    list(all.slice(0, VISIBLE_LABELS)),
    all.length > VISIBLE_LABELS
      ? element("details", {},
        element("summary", {}, `${all.length - VISIBLE_LABELS} more`), list(all.slice(VISIBLE_LABELS)))
      : null);
}

function version(each, model) {
  const roles = [
    [model.live, "live"], [model.previous, "previous"], [model.canary?.candidate, "canary"],
    [model.rolled_back, "rolled back"],
  ].filter(([id]) => id === each.version).map(([, role]) => ` · ${role}`);
  const places = each.runs_in.map((place) => PLACES[place] ?? place).join(" and ");
  const parts = [each.status, places, moment(each.uploaded_at), bytes(each.size), accuracy(each)];
  return element("li", {},
    element("p", {}, element("code", {}, each.version), ` · ${parts.filter(Boolean).join(" · ")}`, roles),
    each.violations.length ? violations(each.violations) : null,
    ...Object.entries(each.status === "READY" ? each.not_proven : {}).flatMap(([place, reasons]) => [
      element("p", {}, `It does not run ${PLACES[place] ?? place}:`), violations(reasons)]));
}

function badge(text, kind = "") {
  return element("span", { className: `badge ${kind}` }, text);
}

function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
