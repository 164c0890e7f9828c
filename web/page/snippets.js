// What was asked here, to be asked elsewhere: code to copy, in the languages that the back end knows.

import { copyButton, el } from "./dom.js";
import { shown } from "./words.js";

const PLAIN = /^[\x20-\x7e]*$/;

/** A word for bash: in quotes, what is not plain text by number. */
export function shell(text) {
  if (PLAIN.test(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  const escaped = [...text].map((c) => {
    if (c === "'" || c === "\\") return `\\${c}`;
    if (/[\p{L}\p{N}\p{S}\p{P}\p{M} ]/u.test(c)) return c;
    return `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`;
  });
  return `$'${escaped.join("")}'`;
}

/** A text for Python and JavaScript, whose strings agree on JSON's escapes. */
export function quoted(text) {
  return shown(JSON.stringify(text));
}

let chosen = 0; // stays from picture to picture

/** Tabs with the request in each language, `[name, codeOf(request)]`. */
export function snippetView(request, title, languages) {
  const code = el("code", {});
  const panel = el("pre", { id: "code", role: "tabpanel", tabIndex: 0, "aria-label": "The request" }, code);
  const tabs = languages.map(([name], place) => tab(name, place, (to) => choose(to, true)));
  const choose = (place, focus) => {
    chosen = (place + tabs.length) % tabs.length;
    tabs.forEach((one, i) => {
      one.setAttribute("aria-selected", i === chosen);
      one.tabIndex = i === chosen ? 0 : -1;
    });
    code.textContent = languages[chosen][1](request);
    panel.setAttribute("aria-label", `The request in ${languages[chosen][0]}`);
    if (focus) tabs[chosen].focus();
  };
  choose(chosen, false);
  const bar = el(
    "div",
    { className: "tabs" },
    el("div", { role: "tablist", "aria-label": "Language" }, tabs),
    copyButton(() => code.textContent, "the request"),
  );
  return el("section", { className: "request" }, el("h3", {}, title), bar, panel);
}

function tab(name, place, choose) {
  const button = el("button", { type: "button", role: "tab", "aria-controls": "code" }, name);
  button.addEventListener("click", () => choose(place));
  button.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) choose(place + step);
  });
  return button;
}
