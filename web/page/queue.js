// Who is sent when: a few at a time, later if the server says so, again when it is back.

import { Refused } from "./refused.js";

const TRIES = 12; // refusals for want of a place, each with a wait, before it is given up
const CUTS = 2; // broken connections, with the server alive, before it is given up
const LONGEST = 30; // seconds that a Retry-After is believed

export class Queue {
  #waiting = [];
  #running = new Map(); // job to its AbortController
  #held = 0; // a timer, while the server has no place
  #blocks = new Set(); // reasons why nothing is sent: "token", "away", "loading"

  /** `width` at a time. `blocked(reason)` is called when nothing can be sent any more without a token, or because the server is
   * away; `token()` is the one that requests have now. */
  constructor({ width, blocked = () => {}, token = () => "" }) {
    Object.assign(this, { width, blocked, token });
  }

  get held() {
    return this.#held !== 0;
  }

  /** Have `run(signal)` done when its turn comes. The promise is of what it gives, or of the `Refused` that is final. */
  add(item, run) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, run, resolve, reject, tries: 0, cuts: 0 });
      this.#next();
    });
  }

  /** Drop the jobs of one item, or all. */
  cancel(item = null) {
    const chosen = (job) => item === null || job.item === item;
    const dropped = this.#waiting.filter(chosen);
    this.#waiting = this.#waiting.filter((job) => !chosen(job));
    for (const job of dropped) job.reject(new Refused("cancelled"));
    for (const [job, control] of this.#running) if (chosen(job)) control.abort();
    if (!this.#waiting.length) this.#hold(0);
  }

  block(reason) {
    const fresh = !this.#blocks.has(reason);
    this.#blocks.add(reason);
    if (fresh) this.blocked(reason);
  }

  unblock(reason) {
    this.#blocks.delete(reason);
    this.#next();
  }

  #next() {
    while (this.#waiting.length && this.#running.size < this.width && !this.#held && !this.#blocks.size)
      this.#start(this.#waiting.shift());
  }

  async #start(job) {
    const control = new AbortController();
    this.#running.set(job, control);
    job.token = this.token();
    try {
      job.resolve(await job.run(control.signal));
    } catch (error) {
      if (control.signal.aborted || !this.#later(job, error)) job.reject(error);
    }
    this.#running.delete(job);
    this.#next();
  }

  /** Whether the job waits for another try. */
  #later(job, error) {
    if (error.status === 401) {
      if (job.token === this.token()) this.block("token"); // else one was given meanwhile
    } else if (error.status === 429 || error.status === 503) {
      if ((job.tries += 1) >= TRIES) return false;
      this.#hold(Math.min(LONGEST, error.after ?? 2 ** Math.min(job.tries, 4) / 2));
    } else if (error.code === "unreachable") {
      if ((job.cuts += 1) > CUTS) {
        error.code = "cut";
        return false;
      }
      this.block("away");
    } else return false;
    this.#waiting.unshift(job);
    return true;
  }

  #hold(seconds) {
    clearTimeout(this.#held);
    this.#held = seconds ? setTimeout(() => ((this.#held = 0), this.#next()), 1000 * seconds) : 0;
  }
}
