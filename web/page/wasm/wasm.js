// The back end without a server: the network runs in the page, and pictures go nowhere. page.js says what a back end is.
//
// Beside the page lie the npm package, in lcnet/, and models/models.json, a list of model files there; the first is loaded at
// once.

import { announce, byId, el } from "../dom.js";
import { start } from "../page.js";
import { beginPreviews } from "../picture.js";
import { Refused } from "../refused.js";
import { bytes, shown } from "../words.js";
import { LANGUAGES } from "./calls.js";
import { samples } from "./samples.js";
import { ask } from "./thread.js";

const PARTS = [
  ["way", "besides", "The picture's way to the network's thread, and the answer's way back"],
  ["decode", "decode", "From the file to the network's input"],
  ["network", "network", "The network itself"],
];
const MOST = 4; // models at a time, each with a memory of its own
const live = new Map(); // names of the models that are loaded to what they were loaded from; the one used last is the last
const files = new Map(); // names of models to those of their files
let whole = false; // whether all is here, or on its way

const HELP = {
  not_a_picture: "Your browser knows no such format. The lcnet command reads more of them: TIFF, HEIC, JPEG 2000.",
  damaged: "Your browser could not read it: it is damaged, or of a format that only the lcnet command reads (TIFF, HEIC, JPEG 2000).",
  too_large: "There is no room for a picture of this size here. Make it smaller and try again.",
  unsupported: "Your browser cannot run the network.",
  cancelled: "It was not classified, because it was cancelled.",
  otherwise: () => "It could not be done",
};

/** The models beside the page, by name. */
async function models() {
  const response = await fetch(new URL("models/models.json", document.baseURI)).catch(() => null);
  const names = response?.ok ? await response.json().catch(() => null) : [];
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string" && /^[\w.-]+$/.test(name)))
    throw new Refused("damaged", { said: "models/models.json is no list of names of files." });
  if (!names.length) byId("knows").textContent = "There is no model here yet: open a model file, or drop one.";
  return names.map((file, place) => ({ name: nameOf(file), file, source: address(file), default: place === 0 }));
}

const address = (file) => new URL(`models/${file}`, document.baseURI).href;
const nameOf = (file) => shown(file).replace(/\.safetensors$/i, "");

/** A model file of one's own. */
const add = async (file) => ({ name: nameOf(file.name), file: file.name, source: file });

/** Load a model, if it is not loaded, and forget the one that was not used for longest. */
async function prepare(model) {
  const { name, source } = model;
  if (live.get(name) !== source) {
    Object.assign(model, await loaded(name, source));
    announce(`${name} is ready`);
  }
  live.delete(name);
  live.set(name, source);
  for (const old of [...live.keys()].slice(0, -MOST)) {
    live.delete(old);
    ask("drop", { key: old });
  }
  files.set(name, model.file);
  if (!whole) complete(model);
}

async function loaded(name, source) {
  const sign = loading(name);
  try {
    const info = await ask("load", { key: name, source }, { progress: sign.progress });
    return { ...info, loaded: Date.now() / 1000 };
  } finally {
    sign.end();
  }
}

/** How far a model is on its way. */
function loading(name) {
  const words = el("p", {}, `Loading ${name}`);
  const bar = el("progress", { "aria-label": `Loading ${name}` });
  const section = el("section", { className: "loading", "aria-label": "Model" }, words, bar);
  byId("work").querySelector(".left").prepend(section);
  announce(words.textContent);
  const progress = (done, total) => {
    words.textContent = `Loading ${name}: ${bytes(done)}${total ? ` of ${bytes(total)}` : ""}`;
    if (total) Object.assign(bar, { max: total, value: done });
  };
  return { progress, end: () => section.remove() };
}

/** Fetch what may be needed later, and say that nothing is asked of the network any more. */
async function complete({ isa }) {
  whole = true;
  try {
    await ask("complete", { isa });
    byId("whole").textContent = "All that it needs is here: it goes on without a network.";
  } catch {
    whole = false; // of no matter, unless a model of one's own needs it
  }
}

async function classify(file, { model, top, signal, progress }) {
  progress(1);
  const begun = performance.now();
  const { answer, timing } = await ask("classify", { key: model, file, top }, { signal });
  return { answer, timing, total: performance.now() - begun };
}

const embed = (file, { model, signal }) => ask("embed", { key: model, file }, { signal });
const request = (file, { model, top }) => ({ name: file.name || "picture", model: files.get(model), top });

function setUp({ take }) {
  byId("stuck").remove();
  byId("knows").after(el("p", { id: "whole", className: "knows" }));
  const button = el("button", { id: "samples", type: "button" }, "Samples");
  button.addEventListener("click", async () => {
    byId("choose").focus(); // which stays
    take(await samples());
  });
  byId("camera").after(button);
  byId("own").addEventListener("click", () => byId("model-file").click());
  byId("model-file").addEventListener("change", (event) => (take([...event.target.files]), (event.target.value = "")));
  beginPreviews();
}

start({
  width: 1, // there is one thread, and so each picture's time is its own
  waits: true,
  setUp,
  models,
  prepare,
  add,
  isModel: (file) => /\.safetensors$/i.test(file.name),
  classify,
  embed,
  request,
  parts: PARTS,
  languages: LANGUAGES,
  words: {
    help: HELP,
    said: "It says: ",
    request: "The same elsewhere",
    privacy: "Pictures stay on this machine.",
    modelless: "The model cannot be used.",
  },
});
