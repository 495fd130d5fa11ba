/** What came of a teaching: the version that answers, or why there is none; and the report. */

import { element } from "../dom.js";
import { liveVersion, violations } from "../models/model-details.js";
import { reportView } from "./report.js";

const FAILED = {
  NOT_PUBLISHED: "The model is not published",
  FAILED: "The model could not be taught",
};

/**
 * {isReady, elements}: whether a version can be asked, and what to show; the first element takes the
 * focus. `model` is null if no version was published, or it is not known what happened to it.
 */
export function outcome({ teaching, model }, { load, remove, onAsk }) {
  const version = model?.versions.find((each) => each.version === teaching.version);
  const isReady = version?.status === "READY";
  const report = teaching.report ? reportView(teaching.report, { load, remove }) : null;
  const notice = isReady ? ready(model, version, onAsk) : notReady(teaching, version);
  return { isReady, elements: [notice, report].filter(Boolean) };
}

function ready(model, { version }, onAsk) {
  const ask = element("button", { type: "button", className: "button", onclick: onAsk }, `Ask ${model.model}`);
  return element("div", { className: "notice", tabIndex: -1, role: "status" },
    element("p", {}, element("b", {}, `${model.model} is taught.`), ` ${state(model, version)}`), ask);
}

function state(model, version) {
  if (model.live === version) return "It answers now, here and over the API.";
  if (model.canary?.candidate === version) {
    return `The new version gets ${model.canary.percent} % of the requests until it has given ${model.canary.good_answers} good answers.`;
  }
  return liveVersion(model)
    ? "The new version is ready; the previous one answers until you promote it."
    : "The new version is ready; promote it, so that it answers.";
}

function notReady(teaching, version) {
  const title = version?.status === "REJECTED" ? "The new version was rejected" : FAILED[teaching.status];
  const list = version?.status === "REJECTED" ? version.violations : teaching.problems;
  if (!title && !list.length) return null;
  return element("div", { className: "notice bad", tabIndex: -1, role: "alert" },
    element("p", {}, element("b", {}, title ?? "The last teaching"), ". What was live stays live."), list.length ? violations(list) : null);
}
