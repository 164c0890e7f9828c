// Where the milliseconds of a request went.

import { el, sized } from "./dom.js";
import { milliseconds } from "./words.js";

const PARTS = [
  ["way", "there and back", "Upload, answer, and what the server does besides"],
  ["queue", "queue", "Waiting for a free worker"],
  ["decode", "decode", "From the file to the network's input"],
  ["network", "network", "The network itself"],
];

/** Milliseconds by part: the server's three, and what is left of the whole. */
export function split(timing, total) {
  const times = { queue: timing?.queue_ms ?? 0, decode: timing?.decode_ms ?? 0, network: timing?.network_ms ?? 0 };
  return { ...times, way: Math.max(0, total - times.queue - times.decode - times.network) };
}

/** A bar in four parts and the numbers beneath. */
export function timeView(timing, total) {
  const times = split(timing, total);
  const strip = PARTS.map(([part]) => sized(el("i", { className: part }), times[part] / Math.max(total, 0.001)));
  const rows = PARTS.map(([part, name, help]) =>
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
  );
}
