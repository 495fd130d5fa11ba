/** The steps of a request, and whether the model was warm. */

const COLD_FACTOR = 5;
const COLD_MILLISECONDS = 100;

/**
 * The steps of a Server-Timing header as [{name, time}] in milliseconds, followed by `rest`: the
 * part of `total` outside the function, which is the network and the gateway.
 */
export function steps(header, total) {
  const measured = [...header.matchAll(/([\w-]+)\s*;\s*dur=([\d.]+)/g)]
    .map(([, name, time]) => ({ name, time: Number(time) }));
  const rest = Math.max(0, total - measured.reduce((sum, { time }) => sum + time, 0));
  return [...measured, { name: "rest", time: rest }];
}

/**
 * Estimates whether an invocation was warm. SageMaker does not report it: it loads a model on the
 * first invocation, which then takes much longer than later ones. So each invocation is compared
 * with the fastest one of the same version in this tab. Fires `changed`.
 */
export class Warmth extends EventTarget {
  #invocations = new Map();

  /** Records that an invocation of `target` (model/version and place) took `invoke` milliseconds. */
  record(target, invoke) {
    const { fastest = Infinity, count = 0 } = this.#invocations.get(target) ?? {};
    this.#invocations.set(target, { fastest: Math.min(fastest, invoke), count: count + 1 });
    this.dispatchEvent(new Event("changed"));
  }

  /**
   * {state, fastest} of an invocation that took `invoke` milliseconds. The state is `cold`, `warm`, or
   * `unknown` if there is no other to compare with. `loaded` is true if the API reported that the
   * model was loading.
   */
  judge(target, invoke, loaded) {
    const { fastest, count } = this.#invocations.get(target);
    const slow = invoke > COLD_FACTOR * fastest && invoke - fastest > COLD_MILLISECONDS;
    if (loaded || slow) return { state: "cold", fastest };
    return { state: count > 1 ? "warm" : "unknown", fastest };
  }
}
