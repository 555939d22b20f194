// All open documents, one after the other: each its own step of its own history; one that fails does not
// stop the rest, and what was not done can be resumed.
"use strict";

const { enhanceLayer } = require("./enhance.js");
const { asProblem } = require("./problem.js");

/**
 * @typedef {{id: number, name: string}} Waiting
 * @typedef {import("./enhance.js").Outcome} Outcome
 *
 * @typedef {object} Report
 * @property {number} total
 * @property {Outcome[]} done
 * @property {{id: number, name: string, problem: import("./problem.js").Problem}[]} failed
 * @property {Waiting[]} left what a resume goes on with, after a cancel or the loss of the bridge
 */

/** After these no other document can succeed either, so the rest waits for a resume. */
const STOPPING = new Set(["cancelled", "bridge_unreachable", "bridge_timeout", "not_a_bridge", "unauthorized", "not_paired"]);

/**
 * @param {import("./enhance.js").Tools} tools
 * @param {Waiting[]} documents
 * @param {Omit<import("./enhance.js").Order, "documentID" | "found">} order
 * @returns {Promise<Report>} never throws: what went wrong is in the report
 */
async function enhanceDocuments(tools, documents, order) {
  /** @type {Report} */
  const report = { total: documents.length, done: [], failed: [], left: [] };
  for (const [index, { id, name }] of documents.entries()) {
    const place = { number: index + 1, count: documents.length, name };
    /** @type {import("./enhance.js").Order["onProgress"]} */
    const onProgress = (stage, done, values) =>
      order.onProgress(stage, (index + done) / documents.length, { ...values, ...prefixed(place) });
    try {
      report.done.push(await enhanceLayer(tools, { ...order, documentID: id, onProgress }));
    } catch (error) {
      const problem = asProblem(error);
      if (STOPPING.has(problem.code)) {
        report.left = documents.slice(index);
        if (problem.code !== "cancelled") report.failed.push({ id, name, problem });
        break;
      }
      report.failed.push({ id, name, problem });
    }
  }
  return report;
}

/** @param {{number: number, count: number, name: string}} place */
function prefixed({ number, count, name }) {
  return { document_number: number, document_count: count, document_name: name };
}

module.exports = { enhanceDocuments };
