/** Where an answer's time went, and whether the model was warm. */

const COLD_TIMES = 5;
const COLD_MILLISECONDS = 100;

/**
 * The steps of a Server-Timing header, [{name, time}] in milliseconds, and `rest`: what of
 * `total` the function does not know of, which is the network and the gateway.
 */
export function steps(header, total) {
  const told = [...header.matchAll(/([\w-]+)\s*;\s*dur=([\d.]+)/g)]
    .map(([, name, time]) => ({ name, time: Number(time) }));
  const rest = Math.max(0, total - told.reduce((sum, { time }) => sum + time, 0));
  return [...told, { name: "rest", time: rest }];
}

/**
 * What is known of models being warm. Nobody tells: SageMaker loads a model with its first
 * invocation, which then takes much longer than the later ones. So answers are compared with the
 * fastest of the same version in this tab. Fires `changed`.
 */
export class Warmth extends EventTarget {
  #seen = new Map();

  /** Notes that `target` (a version of a model) took `invoke` milliseconds to answer. */
  remember(target, invoke) {
    const { fastest = Infinity, count = 0 } = this.#seen.get(target) ?? {};
    this.#seen.set(target, { fastest: Math.min(fastest, invoke), count: count + 1 });
    this.dispatchEvent(new Event("changed"));
  }

  /**
   * {state, fastest} of an answer that took `invoke` milliseconds: `cold`, `warm`, or `unknown` where
   * there is nothing to compare with. `loaded` says that the API told of the model being loaded.
   */
  judge(target, invoke, loaded) {
    const { fastest, count } = this.#seen.get(target);
    const slow = invoke > COLD_TIMES * fastest && invoke - fastest > COLD_MILLISECONDS;
    if (loaded || slow) return { state: "cold", fastest };
    return { state: count > 1 ? "warm" : "unknown", fastest };
  }
}
