/** One teaching: sends the images, asks the API to teach, and follows it until the version is live. */

import { Problem } from "../api/problems.js";
import { sleep } from "../api/queue.js";

const POLL_SECONDS = 0.5;
const LOST_POLLS = 8;

/**
 * Saves the data set, calls `onSaved` and teaches; `options` are those of the API. Returns as
 * `follow`. Throws Problem.
 */
export async function run(api, { name, dataSet, dataSetName, options, onSaved }, progress, signal) {
  progress.show("upload");
  await dataSet.save(api, dataSetName, (done, total) => progress.show("upload", done, total), signal);
  onSaved();
  progress.show("reading");
  return follow(api, name, await api.teach(name, options, signal), progress, signal);
}

/**
 * Follows a teaching of the model: {teaching, model}, where `model` is the model as the API
 * describes it once the new version is READY or REJECTED, or null if none was published.
 */
export async function follow(api, name, begun, progress, signal) {
  let teaching = begun;
  while (teaching.status === "RUNNING") {
    progress.show(teaching.step, teaching.done, teaching.total);
    await sleep(POLL_SECONDS, signal);
    teaching = await patiently(() => api.teaching(name, signal), signal);
    if (teaching === null) throw deleted(name);
  }
  if (teaching.status !== "PUBLISHED") return { teaching, model: null };
  progress.show("proving");
  for (;;) {
    const model = await patiently(() => api.model(name, signal), signal);
    const version = model?.versions.find((each) => each.version === teaching.version);
    if (version && isDecided(version, teaching)) return { teaching, model };
    if (model === null && (await patiently(() => api.teaching(name, signal), signal)) === null) {
      throw deleted(name);
    }
    await sleep(POLL_SECONDS, signal);
  }
}

/** Whether onboarding has accepted or rejected the version; it does so anew for one that was rejected or retired before. */
function isDecided({ status, updated_at: updated }, { started_at: started }) {
  return status === "READY" || (status !== "PENDING" && Date.parse(updated) >= Date.parse(started));
}

function deleted(name) {
  const detail = "The images are still there: press Teach to teach it anew.";
  return new Problem({ title: `${name} was deleted during its teaching`, detail });
}

/** The call's result, or null while the API does not know the model yet; retries what may pass. */
async function patiently(call, signal) {
  for (let lost = 0; ; lost += 1) {
    try {
      return await call();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status === 404) return null;
      const passes = problem.wait !== null || problem.status === null || problem.status >= 500;
      if (!passes || lost === LOST_POLLS) throw problem;
      await sleep(problem.wait ?? 1, signal);
    }
  }
}
