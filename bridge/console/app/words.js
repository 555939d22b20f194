// The two languages: t(key, {name}) gives the sentence in the one that was chosen.
import en from "../words/en.js";
import zh from "../words/zh.js";
import errors from "../words/errors-zh.js";
import hints from "../words/hints-zh.js";
import { store } from "./store.js";

const languages = { en, zh };
export const language = store(document.documentElement.lang.startsWith("zh") ? "zh" : "en");

export function setLanguage(name) {
  localStorage.setItem("gpen.language", name);
  document.documentElement.lang = name === "zh" ? "zh-CN" : "en";
  language.set(name);
}

/** Whether the bridge runs on the computer in front of the user. */
const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);

/** The words of a key; on a studio's bridge those of its twin that ends in ".studio", where there is one. */
function word(key) {
  const words = languages[language.value];
  return (!isHere && words[`${key}.studio`]) || words[key];
}

export function t(key, values = {}) {
  return word(key).replace(/{(\w+)}/g, (_, name) => values[name]);
}

/** A preset's name for people: built-in ones have words of their own. */
export const presetName = (name) => languages[language.value][`built-in.${name}`] ?? name;

/** A name inside a sentence that is no markup: whatever direction it is written in, the sentence keeps its own. */
export const isolated = (name) => `\u2068${name}\u2069`;

/** A problem as a title and what to do about it. */
export function explain(problem) {
  const known = word(`problem.${problem.code}`);
  if (known) return { title: known, text: word(`problem.${problem.code}.hint`) ?? "" };
  const chinese = language.value === "zh";
  const title = (chinese && errors[problem.code]) || problem.title || problem.message;
  const hint = (chinese && hints[problem.code]) || problem.hint;
  return { title, text: [problem.detail, hint].filter(Boolean).join(" ") };
}

const locale = () => (language.value === "zh" ? "zh-CN" : "en-GB");
export const number = (value, digits = 0) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
export const percent = (share) => new Intl.NumberFormat(locale(), { style: "percent" }).format(share);
export const when = (text) =>
  new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));

export function duration(seconds) {
  if (seconds < 0.01) return t("time.seconds", { n: `< ${number(0.01, 2)}` });
  if (seconds < 0.1) return t("time.seconds", { n: number(seconds, 2) });
  if (seconds < 10) return t("time.seconds", { n: number(seconds, 1) });
  if (seconds < 90) return t("time.seconds", { n: number(seconds) });
  if (seconds < 5400) return t("time.minutes", { n: number(seconds / 60) });
  return t("time.hours", { n: number(seconds / 3600, 1) });
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const step = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  return `${number(count / 1000 ** step, step > 2 ? 1 : 0)} ${units[step]}`;
}
