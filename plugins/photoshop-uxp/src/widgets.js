// Spectrum's built-in widgets as functions. Labels are text, never HTML.
"use strict";

/**
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {(HTMLElement | string)[]} [children]
 * @returns {HTMLElement}
 */
function element(tag, attributes = {}, children = []) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  for (const child of children) node.appendChild(typeof child === "string" ? document.createTextNode(child) : child);
  return node;
}

/**
 * @param {string} label
 * @param {string} id
 * @param {() => void} act
 * @param {{variant?: string, quiet?: boolean}} [look]
 */
function button(label, id, act, { variant, quiet } = {}) {
  const node = element(quiet ? "sp-action-button" : "sp-button", { id, ...(variant ? { variant } : {}), ...(quiet ? { quiet: "" } : {}) }, [label]);
  node.addEventListener("click", () => {
    if (!node.hasAttribute("disabled")) act();
  });
  return node;
}

/**
 * A slider of 0 to 100 with its label and value.
 *
 * @param {string} id
 * @param {string} label
 * @param {(value: number) => void} onChange
 */
function slider(id, label, onChange) {
  const input = element("sp-slider", { id, min: "0", max: "100", step: "1", "show-value": "false", class: "slider" });
  const value = element("div", { class: "slider-value", id: `${id}-value` });
  const told = () => onChange(Number(/** @type {HTMLInputElement} */ (input).value));
  input.addEventListener("input", told);
  input.addEventListener("change", told);
  const head = element("div", { class: "row slider-head" }, [element("div", { class: "grow" }, [label]), value]);
  const node = element("div", { class: "slider-box" }, [head, input]);
  return {
    node,
    /** @param {number} number */
    set: (number) => {
      value.textContent = String(number);
      const field = /** @type {HTMLInputElement} */ (input);
      if (Number(field.value) !== number) field.value = String(number);
    },
  };
}

/**
 * @param {string} id
 * @param {string} label
 * @param {(value: string) => void} onChange
 */
function picker(id, label, onChange) {
  const menu = element("sp-menu", { slot: "options" });
  const input = /** @type {HTMLSelectElement} */ (/** @type {unknown} */ (element("sp-picker", { id, class: "grow" }, [menu])));
  /** @type {{value: string, label: string}[]} */
  let options = [];
  input.addEventListener("change", () => {
    const chosen = options[input.selectedIndex];
    if (chosen) onChange(chosen.value);
  });
  const node = element("div", { class: "row picker-box" }, [element("div", { class: "label" }, [label]), input]);
  return {
    node,
    /** @param {{value: string, label: string}[]} wanted */
    offer: (wanted) => {
      if (JSON.stringify(wanted) === JSON.stringify(options)) return;
      options = wanted;
      while (menu.firstChild) menu.removeChild(menu.firstChild);
      for (const { value, label: text } of options) menu.appendChild(element("sp-menu-item", { value }, [text]));
    },
    /** @param {string} value */
    choose: (value) => {
      const index = options.findIndex((option) => option.value === value);
      if (input.selectedIndex !== index) input.selectedIndex = index;
    },
  };
}

/**
 * @param {HTMLElement} node
 * @param {boolean} visible
 */
function reveal(node, visible) {
  node.style.display = visible ? "" : "none";
}

module.exports = { button, element, picker, reveal, slider };
