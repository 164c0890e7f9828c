// Which models there are to ask, and what is known of one.

import { byId, copyButton, el } from "./dom.js";
import { plural } from "./words.js";

let models = [];
let used = null; // the name of the last one of which all was known

export const current = () => models.find((one) => one.name === byId("model").value) ?? models[0] ?? null;

/** Fill the choice. `wanted`: which is chosen; left out, the one that was, or the usual one. */
export function offer(given, wanted = current()?.name) {
  models = given;
  const chosen = models.find((one) => one.name === wanted) ?? models.find((one) => one.default) ?? models[0];
  const select = byId("model");
  select.replaceChildren(...models.map((one) => el("option", { value: one.name, selected: one === chosen }, one.name)));
  select.hidden = models.length < 2;
  byId("model-name").textContent = models.length === 1 ? chosen.name : models.length ? "" : "no model";
}

/** Choose a model, in the place of the one of its name if there is one. */
export function put(model) {
  const place = models.findIndex((one) => one.name === model.name);
  offer(place < 0 ? [...models, model] : models.map((one, i) => (i === place ? model : one)), model.name);
}

/** Choose again the one that was in use. */
export const back = () => offer(models, used ?? undefined);

/** All is known of the chosen model: say beneath the drop area what it tells apart, and where pictures go. */
export function known(privacy) {
  const model = current();
  used = model?.name ?? null;
  byId("about").hidden = !model;
  document.title = model ? `lcnet · ${model.name}` : "lcnet";
  if (!model) return;
  const some = model.labels?.slice(0, 8) ?? [];
  const rest = model.num_classes - some.length;
  const named = some.length ? `: ${some.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}` : "";
  byId("knows").textContent = `${model.name} knows ${plural(model.num_classes, "class", "classes")}${named}. ${privacy}`;
}

/** What it computes with. */
export const kernels = () => (current()?.isa ? `${current().precision}, kernels ${current().isa}` : "");

/** Open the sheet with all facts of the chosen model. */
export function about() {
  const model = current();
  const dialog = byId("model-dialog");
  byId("model-title").textContent = model.name;
  byId("model-facts").replaceChildren(
    facts([
      ["Architecture", model.architecture],
      ["Input", model.input_size?.join(" × ")],
      ["Classes", `${model.num_classes}, ${model.multi_label ? "any number of them" : "one of them"} for a picture`],
      ["Precision", model.precision],
      ["Kernels", model.isa],
      ["Embedding", model.embedding_size && `${model.embedding_size} numbers`],
      ["Loaded", model.loaded && new Date(1000 * model.loaded).toLocaleString()],
      [
        "sha256",
        model.sha256 &&
          el(
            "span",
            { className: "hash" },
            el("code", {}, model.sha256),
            copyButton(() => model.sha256, "sha256"),
          ),
      ],
    ]),
    group("Preprocessing", model.preprocessing),
    group("Decision", model.decision),
    labels(model),
  );
  dialog.showModal();
}

function facts(rows) {
  const known = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el(
    "dl",
    { className: "facts" },
    known.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

function group(title, values) {
  const rows = Object.entries(values ?? {}).map(([name, value]) => [name.replaceAll("_", " "), told(value)]);
  return rows.length ? el("section", {}, el("h3", {}, title), facts(rows)) : "";
}

/** Any JSON value as a reader wants it. */
function told(value) {
  if (value === null) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return String(Number(value.toFixed(6)));
  if (Array.isArray(value)) return value.map(told).join(", ") || "none";
  if (typeof value === "object")
    return (
      Object.entries(value)
        .map(([name, one]) => `${name.replaceAll("_", " ")}: ${told(one)}`)
        .join("; ") || "none"
    );
  return String(value);
}

function labels(model) {
  if (!model.labels?.length) return "";
  const list = el(
    "ol",
    { className: "labels", start: 0, tabIndex: 0, "aria-label": "Labels" },
    model.labels.map((label) => el("li", {}, el("bdi", {}, label))),
  );
  const find = el("input", { type: "search", id: "find", placeholder: "cat", autocomplete: "off" });
  find.addEventListener("input", () => {
    const wanted = find.value.toLocaleLowerCase();
    for (const row of list.children) row.hidden = !row.textContent.toLocaleLowerCase().includes(wanted);
  });
  const search =
    model.labels.length > 20 ? el("p", { className: "find" }, el("label", { for: "find" }, "Find a label"), find) : "";
  const more =
    model.num_classes > model.labels.length
      ? el("p", { className: "note" }, `The first ${model.labels.length} of ${model.num_classes}.`)
      : "";
  return el("section", {}, el("h3", {}, "Labels"), search, list, more);
}
