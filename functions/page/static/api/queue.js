/** Runs at most `limit` tasks at once; the others wait and start in the order they were added. */
export class Queue {
  #free;
  #waiting = [];

  constructor(limit) {
    this.#free = limit;
  }

  /** Runs the task as soon as there is room, and resolves to its value. */
  async run(task) {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((start) => this.#waiting.push(start));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

/** Resolves after `seconds`; rejects with the signal's reason if it is aborted first. */
export async function sleep(seconds, signal) {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}
