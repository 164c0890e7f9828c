// The request that was made, to be made again elsewhere. Names are quoted by the rules of each language.

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

export function curl({ url, type, name, token }) {
  const header = token ? ` \\\n  -H "Authorization: Bearer $LCNET_TOKEN"` : "";
  return `curl ${shell(url)} \\\n  -H ${shell(`Content-Type: ${type}`)}${header} \\\n  --data-binary @${shell(safe(name))}`;
}

export function python({ url, type, name, token }) {
  const header = token ? `, "Authorization": "Bearer " + os.environ["LCNET_TOKEN"]` : "";
  return `import json${token ? "\nimport os" : ""}
from pathlib import Path
from urllib.request import Request, urlopen

request = Request(
    ${quoted(url)},
    data=Path(${quoted(name)}).read_bytes(),
    headers={"Content-Type": ${quoted(type)}${header}},
)
with urlopen(request) as response:
    print(json.load(response)["results"][0])
`;
}

export function javascript({ url, type, name, token }) {
  const header = token ? `, Authorization: \`Bearer \${process.env.LCNET_TOKEN}\`` : "";
  return `import { readFile } from "node:fs/promises";

const response = await fetch(${quoted(url)}, {
  method: "POST",
  headers: { "Content-Type": ${quoted(type)}${header} },
  body: await readFile(${quoted(name)}),
});
console.log((await response.json()).results[0]);
`;
}

/** `@-` would be curl's standard input. */
const safe = (name) => (name.startsWith("-") ? `./${name}` : name);

const LANGUAGES = [
  ["curl", curl],
  ["Python", python],
  ["JavaScript", javascript],
];
let chosen = 0; // stays from picture to picture

/** Tabs with the request in each language. */
export function snippetView(request) {
  const code = el("code", {});
  const panel = el("pre", { id: "code", role: "tabpanel", tabIndex: 0, "aria-label": "The request" }, code);
  const tabs = LANGUAGES.map(([name], place) => tab(name, place, (to) => choose(to, true)));
  const choose = (place, focus) => {
    chosen = (place + tabs.length) % tabs.length;
    tabs.forEach((one, i) => {
      one.setAttribute("aria-selected", i === chosen);
      one.tabIndex = i === chosen ? 0 : -1;
    });
    code.textContent = LANGUAGES[chosen][1](request);
    panel.setAttribute("aria-label", `The request in ${LANGUAGES[chosen][0]}`);
    if (focus) tabs[chosen].focus();
  };
  choose(chosen, false);
  const bar = el(
    "div",
    { className: "tabs" },
    el("div", { role: "tablist", "aria-label": "Language" }, tabs),
    copyButton(() => code.textContent, "the request"),
  );
  return el("section", { className: "request" }, el("h3", {}, "This very request"), bar, panel);
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
