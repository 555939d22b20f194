// The photos of one batch, as far as they were looked at, and kept true by events. What is shown stays while
// it is asked for again, so that nothing flickers.
import { bridge } from "./bridge.js";
import { connection, onEvent } from "./events.js";
import { useEffect, useState } from "./view.js";

const PAGE = 100;
const LARGEST_PAGE = 500;

/** What both kinds of list share: what is known by number, and what went wrong. */
class Items {
  constructor(job, draw) {
    Object.assign(this, { job, draw, known: new Map(), told: new Map(), events: 0, round: 0, looked: [0, 0], problem: undefined });
  }

  /** Takes an answer to a question that was asked after so many events: what was told since is newer. */
  learn(items, events) {
    for (const item of items) if (!this.isNewer(item.item, events)) this.known.set(item.item, item);
  }

  isNewer(number, events) {
    return (this.told.get(number) ?? 0) > events;
  }

  heard(event) {
    if (event.type === "item") {
      this.known.set(event.state.item, event.state);
      this.told.set(event.state.item, ++this.events);
    } else if (event.type === "stage") {
      const old = this.known.get(event.item);
      if (old) this.known.set(event.item, { ...old, state: "leased", stage: event.stage });
    } else if (event.type === "afresh" || event.items_changed) this.afresh();
    this.changed();
  }

  /** Asks again for what is looked at; the rest is asked for again when somebody looks. */
  afresh() {
    this.round += 1;
    this.forget();
    this.again();
  }

  again() {
    this.problem = undefined;
    this.changed();
    this.look(...this.looked);
  }

  failed(problem) {
    this.problem = problem;
    this.changed();
  }

  changed() {
    this.draw();
  }
}

/** All photos: a photo's place is its number, so any page can be asked for by itself. */
class EveryItem extends Items {
  pages = new Set();

  count(total) {
    return total;
  }

  at(index) {
    return this.known.get(index);
  }

  forget() {
    this.pages = new Set();
  }

  look(first, last) {
    this.looked = [first, last];
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) {
      if (!this.pages.has(page)) this.#ask(page);
    }
  }

  async #ask(page) {
    const { round, events, pages } = this;
    pages.add(page);
    try {
      const got = await bridge.items(this.job, { limit: PAGE, ...(page > 0 && { after: page * PAGE - 1 }) });
      if (round !== this.round) return;
      this.learn(got.items, events);
      this.changed();
    } catch (problem) {
      pages.delete(page); // looked at again, asked again
      if (round === this.round) this.failed(problem);
    }
  }
}

/** The photos of one state, in order: the place of one is known only once all before it are, so one page follows the other. */
class SomeItems extends Items {
  #order = [];
  #after = -1; // up to this number the answers of this round go
  #reached = -1; // and those of all rounds
  #asking = false;

  constructor(job, draw, state) {
    super(job, draw);
    this.state = state;
  }

  count(total) {
    return this.#reached === Infinity ? this.#order.length : Math.max(total, this.#order.length);
  }

  at(index) {
    return this.known.get(this.#order[index]);
  }

  forget() {
    this.#after = -1;
  }

  changed() {
    const shown = ({ item, state }) => state === this.state && item <= this.#reached;
    this.#order = [...this.known.values()].filter(shown).map(({ item }) => item).sort((one, other) => one - other);
    this.draw();
  }

  look(first, last) {
    this.looked = [first, last];
    if (!this.#asking) this.#ask();
  }

  /** How many rows, from the top, this round's answers have brought. */
  get #sure() {
    const beyond = this.#order.findIndex((number) => number > this.#after);
    return beyond < 0 ? this.#order.length : beyond;
  }

  async #ask() {
    this.#asking = true;
    try {
      while (this.#after < Infinity && this.#sure < this.looked[1]) await this.#askOnce();
    } catch (problem) {
      this.failed(problem);
    }
    this.#asking = false;
  }

  async #askOnce() {
    const { round, events } = this;
    const after = this.#after;
    const limit = Math.min(Math.max(this.looked[1] - this.#sure, PAGE), LARGEST_PAGE);
    const got = await bridge.items(this.job, { state: this.state, limit, ...(after >= 0 && { after }) });
    if (round !== this.round) return;
    this.#after = got.next ?? Infinity;
    const found = new Set(got.items.map(({ item }) => item));
    for (const [number, { state }] of this.known) {
      const left = state === this.state && number > after && number <= this.#after && !found.has(number);
      if (left && !this.isNewer(number, events)) this.known.delete(number);
    }
    this.learn(got.items, events);
    this.#reached = Math.max(this.#reached, this.#after);
    this.changed();
  }
}

/** The photos of a batch, all or those of one state: `at(index)`, `count(total)`, `look(first, last)`, `problem`, `again()`. */
export function useItems(job, filter) {
  const [, redraw] = useState(0);
  const [items] = useState(() => {
    const draw = () => redraw((old) => old + 1);
    return filter === "all" ? new EveryItem(job, draw) : new SomeItems(job, draw, filter);
  });
  useEffect(() => onEvent((event) => (event.type === "afresh" || event.job === job) && items.heard(event)), [items]);
  useEffect(() => connection.follow((now) => now === "live" && items.problem && items.again()), [items]);
  return items;
}
