// The list of faces: a thumbnail, a tick and a strength each. Rebuilt when other faces were found,
// else only brought up to date, so that a slider is not taken from under the user's hand.
"use strict";

const { element, slider } = require("./widgets.js");

/**
 * @typedef {import("./state.js").ShownFace} ShownFace
 * @typedef {{draw: (face: ShownFace, strength: number) => void, thumbnail: string}} Row
 */

/**
 * @param {HTMLElement} list
 * @param {import("./state.js").Model} model
 * @param {import("./messages.js").Words} words
 * @returns {(faces: ShownFace[], strength: number) => void} strength: of faces that have none of their own
 */
function drawFaces(list, model, { say }) {
  /** @type {Row[]} */
  let rows = [];
  return (faces, strength) => {
    const same = rows.length === faces.length && rows.every((row, index) => row.thumbnail === faces[index].thumbnail);
    if (!same) {
      while (list.firstChild) list.removeChild(list.firstChild);
      rows = faces.map((face, index) => addRow(list, face, index, model, say));
    }
    rows.forEach((row, index) => row.draw(faces[index], strength));
  };
}

/**
 * @param {HTMLElement} list
 * @param {ShownFace} face
 * @param {number} index
 * @param {import("./state.js").Model} model
 * @param {import("./messages.js").Words["say"]} say
 * @returns {Row}
 */
function addRow(list, face, index, model, say) {
  const grade = face.quality ? `, ${say(`face_grade_${face.quality.grade}`)}` : "";
  const label = say("face_number", { number: index + 1 }) + grade;
  const tick = /** @type {HTMLInputElement} */ (element("sp-checkbox", { class: "face-tick", id: `face-${index}` }, [label]));
  tick.addEventListener("change", () => model.setFace(index, { wanted: tick.checked }));
  const strength = slider(`face-strength-${index}`, say("strength"), (value) => model.setFace(index, { strength: value }));
  const picture = element("img", { class: "thumbnail", src: face.thumbnail, width: "56", height: "56" });
  list.appendChild(
    element("div", { class: "row face" }, [picture, element("div", { class: "grow" }, [tick, strength.node])]),
  );
  return {
    thumbnail: face.thumbnail,
    draw: (now, otherwise) => {
      tick.checked = now.wanted;
      strength.set(now.strength === undefined ? otherwise : now.strength);
    },
  };
}

module.exports = { drawFaces };
