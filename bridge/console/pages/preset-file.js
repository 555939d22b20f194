// Presets as a file: all of one's own out, and those of a file in, one by one. Part of Presets.
import { bridge, Problem, save } from "../app/bridge.js";

const NAME = "gpen-presets.json";

export function exportPresets(presets) {
  const own = presets.filter((one) => !one.built_in);
  save(new Blob([JSON.stringify({ presets: own }, null, 1)], { type: "application/json" }), NAME);
}

/** Takes every preset of a file that the bridge accepts: {taken: [name], skipped: [{name, problem}]}. Throws Problem. */
export async function importPresets(file) {
  const told = { taken: [], skipped: [] };
  for (const { name, parameters } of await presetsOf(file)) {
    try {
      await bridge.putPreset(name, parameters);
      told.taken.push(name);
    } catch (problem) {
      if (problem.code === "unreachable" || problem.status === 401) throw problem;
      told.skipped.push({ name, problem });
    }
  }
  return told;
}

async function presetsOf(file) {
  try {
    const { presets } = JSON.parse(await file.text());
    if (presets.every((one) => typeof one.name === "string" && typeof one.parameters === "object")) return presets;
  } catch {
    // said below
  }
  throw new Problem({ code: "no-presets" });
}
