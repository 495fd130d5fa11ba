/** So many tasks at once; the others wait for their turn, the first come first. */
export class Turns {
  #free;
  #waiting = [];

  constructor(count) {
    this.#free = count;
  }

  /** What `task` gives, once it had its turn. */
  async run(task) {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((turn) => this.#waiting.push(turn));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

/** Resolves after `seconds`, or rejects with AbortError when `signal` says so. */
export async function pause(seconds, signal) {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}
