// JSON Schema, as openapi.json has it, for a reader.

import { el } from "../dom.js";

const DEEP = 5; // levels of fields, beyond which only the name is shown

/** Type and fields of a body. */
export function schemaView(schema, api) {
  const list = fieldList(schema, api, 0);
  return list && followed(schema, api)[0].properties ? [list] : [typeView(schema, api), list];
}

export const typeView = (schema, api) => el("span", { className: "type" }, typeOf(schema, api));

/** The fields that an object has, or the objects of a list; null if it has none. */
function fieldList(schema, api, depth) {
  const target = holder(followed(schema, api)[0], api);
  const fields = Object.entries(target.properties ?? {});
  if (!fields.length || depth >= DEEP) return null;
  const required = new Set(target.required ?? []);
  return el(
    "ul",
    { className: "fields" },
    fields.map(([name, one]) => field(name, one, required.has(name), api, depth)),
  );
}

function field(name, schema, must, api, depth) {
  const said = schema.description ?? followed(schema, api)[0].description ?? "";
  const absent = must ? null : el("span", { className: "type" }, " (may be absent)");
  return el(
    "li",
    {},
    el("code", {}, name),
    absent,
    " ",
    typeView(schema, api),
    said ? ` ${said.replaceAll("`", "")}` : null,
    fieldList(schema, api, depth + 1),
  );
}

function followed(schema, api) {
  if (!schema?.$ref) return [schema ?? {}, ""];
  const name = schema.$ref.split("/").at(-1);
  return [api.components?.schemas?.[name] ?? {}, name];
}

/** The object whose fields are shown: the schema's own, or that of its items. */
function holder(schema, api) {
  return schema.items ? holder(followed(schema.items, api)[0], api) : schema;
}

/** A type in words: `list of number`, `text or null`. */
export function typeOf(schema, api) {
  const [target, name] = followed(schema, api);
  const several = target.oneOf ?? target.anyOf;
  if (several) return several.map((one) => typeOf(one, api)).join(" or ");
  if (target.enum) return target.enum.map((one) => JSON.stringify(one)).join(" or ");
  if (target.const !== undefined) return JSON.stringify(target.const);
  if (target.items) return `list of ${typeOf(target.items, api)}`;
  const types = [target.type ?? (target.properties ? "object" : name || "any")].flat();
  return (
    types
      .map((type) => (type === "string" ? ({ binary: "bytes", byte: "base64" }[target.format] ?? "text") : type))
      .join(" or ") + bounds(target)
  );
}

const VAST = 1e8; // a bound that is none to a reader

function bounds({ minimum, maximum, default: usual }) {
  const least = minimum === undefined ? "" : ` from ${minimum}`;
  const most = maximum === undefined || maximum > VAST ? "" : ` to ${maximum}`;
  return least + most + (usual === undefined ? "" : `, usually ${JSON.stringify(usual)}`);
}
