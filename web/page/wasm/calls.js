// What was asked of the network in this page, to be asked elsewhere.

import { quoted, shell } from "../snippets.js";

const packageName = document.querySelector('meta[name="lcnet-package"]').content;

function javascript({ name, model, top }) {
  return `import { load } from ${quoted(packageName)};

const model = await load(${quoted(address(model))});
const picture = await (await fetch(${quoted(address(name))})).blob();
const [result] = await model.classify(picture, { topK: ${top} });
console.log(result.labels, result.top);
`;
}

function command({ name, model, top }) {
  return `lcnet classify ${shell(safe(name))} \\\n  -m ${shell(safe(model))} -k ${top}`;
}

/** A file beside the page, by its address. */
const address = (name) => `./${encodeURIComponent(name)}`;

/** What begins with a dash would be an option. */
const safe = (name) => (name.startsWith("-") ? `./${name}` : name);

export const LANGUAGES = [
  ["JavaScript", javascript],
  ["Command line", command],
];
