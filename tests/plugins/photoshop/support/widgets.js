"use strict";
// Stand-ins for UXP's built-in Spectrum widgets: the same names, properties and events, drawn much like them.

(function define() {
  class Widget extends HTMLElement {
    constructor() {
      super();
      this.attachShadow({ mode: "open" }).innerHTML = `<style>${this.constructor.style || ""}</style>${this.constructor.body || "<slot></slot>"}`;
      this.inner = this.shadowRoot.querySelector("[data-inner]");
    }
    tell(name) {
      this.dispatchEvent(new Event(name, { bubbles: true }));
    }
  }

  const define_ = (name, widget) => {
    const Class = class extends Widget {};
    Object.assign(Class, { style: widget.style, body: widget.body });
    for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(widget)))
      if (key !== "style" && key !== "body") Object.defineProperty(Class.prototype, key, descriptor);
    customElements.define(name, Class);
  };

  define_("sp-button", {
    style: `:host { display: inline-flex; box-sizing: border-box; align-items: center; justify-content: center; height: 32px; padding: 0 14px;
      border-radius: 16px; border: 2px solid var(--button-border); font-weight: 600; font-size: 13px; cursor: default; color: var(--button-text); white-space: nowrap; }
      :host([variant=cta]) { background: #1473e6; border-color: #1473e6; color: #fff; }
      :host([disabled]) { background: var(--disabled); border-color: var(--disabled); color: var(--disabled-text); }`,
  });
  define_("sp-action-button", {
    style: `:host { display: inline-flex; align-items: center; height: 26px; padding: 0 8px; border-radius: 4px; font-size: 12px; cursor: default;
      color: var(--label); white-space: nowrap; } :host(:hover) { background: var(--hover); }`,
  });
  define_("sp-body", { style: ":host { display: block; font-size: 12px; line-height: 1.45; }" });
  define_("sp-detail", { style: ":host { display: block; font-size: 11px; color: var(--label); }" });
  define_("sp-menu", { style: ":host { display: none; }" });
  define_("sp-menu-item", {});

  define_("sp-slider", {
    style: `:host { display: block; height: 18px; } input { width: 100%; margin: 0; height: 18px; background: transparent; -webkit-appearance: none; }
      input::-webkit-slider-runnable-track { height: 2px; background: var(--track); }
      input::-webkit-slider-thumb { -webkit-appearance: none; width: 14px; height: 14px; margin-top: -6px; border-radius: 7px; box-sizing: border-box;
        border: 2px solid var(--thumb); background: var(--uxp-host-background-color); }`,
    body: '<input data-inner type="range" min="0" max="100" step="1">',
    connectedCallback() {
      this.inner.oninput = () => this.tell("input");
      this.inner.onchange = () => this.tell("change");
    },
    get value() { return this.inner.value; },
    set value(value) { this.inner.value = value; },
  });
  define_("sp-picker", {
    style: `:host { display: block; } select { width: 100%; height: 30px; padding: 0 8px; border-radius: 4px; border: 1px solid var(--field-border);
      background: var(--field); color: var(--uxp-host-text-color); font: inherit; font-size: 13px; }`,
    body: "<select data-inner></select>",
    connectedCallback() {
      this.inner.onchange = () => this.tell("change");
      const menu = this.querySelector("sp-menu");
      const fill = () => {
        const chosen = this.inner.selectedIndex;
        this.inner.replaceChildren(...[...menu.children].map((item) => Object.assign(document.createElement("option"), { textContent: item.textContent })));
        this.inner.selectedIndex = this._wanted === undefined ? chosen : this._wanted;
      };
      new MutationObserver(fill).observe(menu, { childList: true });
      fill();
    },
    get selectedIndex() { return this.inner.options.length ? this.inner.selectedIndex : this._wanted === undefined ? -1 : this._wanted; },
    set selectedIndex(index) { this._wanted = index; this.inner.selectedIndex = index; },
  });
  define_("sp-textfield", {
    style: `:host { display: block; } input { width: 100%; box-sizing: border-box; height: 30px; padding: 0 8px; border-radius: 4px;
      border: 1px solid var(--field-border); background: var(--field); color: var(--uxp-host-text-color); font: inherit; font-size: 13px; }`,
    body: '<input data-inner type="text">',
    connectedCallback() { this.inner.placeholder = this.getAttribute("placeholder") || ""; },
    get value() { return this.inner.value; },
    set value(value) { this.inner.value = value; },
  });
  define_("sp-textarea", {
    style: `:host { display: block; } textarea { width: 100%; height: 100%; box-sizing: border-box; padding: 6px 8px; border-radius: 4px; resize: none;
      border: 1px solid var(--field-border); background: var(--field); color: var(--uxp-host-text-color); font: 11px/1.45 monospace; }`,
    body: "<textarea data-inner readonly></textarea>",
    get value() { return this.inner.value; },
    set value(value) { this.inner.value = value; },
  });
  define_("sp-checkbox", {
    style: ":host { display: block; font-size: 13px; } label { display: flex; align-items: center; } input { margin: 0 6px 0 0; accent-color: #1473e6; }",
    body: '<label><input data-inner type="checkbox"><slot></slot></label>',
    connectedCallback() { this.inner.onchange = () => this.tell("change"); },
    get checked() { return this.inner.checked; },
    set checked(checked) { this.inner.checked = checked; },
  });
  define_("sp-progressbar", {
    style: ":host { display: block; height: 4px; border-radius: 2px; background: var(--track); margin: 6px 0 10px; } div { height: 4px; border-radius: 2px; background: #1473e6; width: 0; }",
    body: "<div data-inner></div>",
    get value() { return this._value || 0; },
    set value(value) { this._value = value; this.inner.style.width = `${value}%`; },
  });
})();
