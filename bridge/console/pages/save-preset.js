// Saving a preset under a name that another may have. Part of Try and of Presets.
import { bridge } from "../app/bridge.js";

/**
 * The preset as it was saved, or null where another one has the name and `replace` is not said.
 * own: the name that the preset had before, if it had one. Throws Problem.
 */
export async function savePreset(name, parameters, { own, replace }) {
  const called = name.normalize("NFC"); // as the bridge keeps names
  const other = (await bridge.presets()).some((one) => one.name === called && !one.built_in && one.name !== own);
  return other && !replace ? null : bridge.putPreset(name, parameters);
}
