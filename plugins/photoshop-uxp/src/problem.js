// A failure by name: what the bridge answers, what the plug-in refuses, what the network did.
"use strict";

/**
 * @typedef {object} ProblemFacts
 * @property {string} [detail] what happened, in English; messages.js has the user's words for the code
 * @property {string} [hint]
 * @property {number} [status] of HTTP; 0: none was received
 * @property {boolean} [retryable] the same request may succeed later
 * @property {Record<string, string | number>} [values] what the message's placeholders stand for
 */

class Problem extends Error {
  /**
   * @param {string} code stable, snake_case: the bridge's codes, and the plug-in's own (messages.js has all)
   * @param {ProblemFacts} [facts]
   */
  constructor(code, facts = {}) {
    super(facts.detail || code);
    this.name = "Problem";
    this.code = code;
    this.detail = facts.detail || "";
    this.hint = facts.hint || "";
    this.status = facts.status || 0;
    this.retryable = facts.retryable || false;
    this.values = facts.values || {};
  }
}

/**
 * Whatever was thrown, as a Problem.
 *
 * @param {unknown} thrown
 * @returns {Problem}
 */
function asProblem(thrown) {
  if (thrown instanceof Problem) return thrown;
  const error = /** @type {{message?: unknown, number?: unknown} | null | undefined} */ (thrown);
  const detail = String((error && error.message) || thrown);
  return new Problem("host_failed", { detail, values: { detail } });
}

module.exports = { Problem, asProblem };
