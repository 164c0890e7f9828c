// Where the milliseconds of a request went.

import { el, sized } from "./dom.js";
import { milliseconds } from "./words.js";

/** Milliseconds by part: what was measured, and of the first part, `way`, what is left of the whole. */
export function split(parts, timing, total) {
  const measured = parts.filter(([part]) => part !== "way").map(([part]) => [part, timing?.[`${part}_ms`] ?? 0]);
  const rest = measured.reduce((left, [, ms]) => left - ms, total);
  return { ...Object.fromEntries(measured), way: Math.max(0, rest) };
}

/** A bar in as many parts as the back end measures, `[part, name, help]`, the numbers beneath, and which kernels it was. */
export function timeView(parts, { timing, total, kernels }) {
  const times = split(parts, timing, total);
  const strip = parts.map(([part]) => sized(el("i", { className: part }), times[part] / Math.max(total, 0.001)));
  const rows = parts.map(([part, name, help]) =>
    el(
      "div",
      { title: help },
      el("dt", {}, el("i", { className: `dot ${part}`, "aria-hidden": "true" }), name),
      el("dd", {}, milliseconds(times[part])),
    ),
  );
  return el(
    "section",
    { className: "time" },
    el("h3", {}, "Time", el("span", { className: "number" }, milliseconds(total))),
    el("div", { className: "strip", "aria-hidden": "true" }, strip),
    el("dl", {}, rows),
    kernels ? el("p", { className: "note kernels" }, kernels) : null,
  );
}
