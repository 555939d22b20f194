// Stopping work that somebody no longer wants: one object travels down, whoever finds it set stops.
"use strict";

const { Problem } = require("./problem.js");

class Cancellation {
  constructor() {
    this.cancelled = false;
    /** @type {Set<() => void>} */
    this._listeners = new Set();
  }

  /** Ask for the stop; safe to call twice. */
  cancel() {
    if (this.cancelled) return;
    this.cancelled = true;
    for (const listener of [...this._listeners]) listener();
  }

  /** @throws {Problem} `cancelled` */
  check() {
    if (this.cancelled) throw new Problem("cancelled");
  }

  /**
   * Be told of the stop.
   *
   * @param {() => void} listener
   * @returns {() => void} stops listening
   */
  onCancel(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  /**
   * Wait, but not longer than until the stop.
   *
   * @param {number} milliseconds
   */
  async sleep(milliseconds) {
    this.check();
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      const off = this.onCancel(() => {
        clearTimeout(timer);
        resolve(undefined);
      });
      setTimeout(off, milliseconds);
    });
    this.check();
  }
}

module.exports = { Cancellation };
