// JSON Schema, as openapi.json has it, for a reader.

import { el } from "./dom.js";

const DEEP = 5; // levels of fields, beyond which only the name is shown

/** A type, and beneath it the fields that it has. */
export function schemaView(schema, api, depth = 0) {
  const [target] = followed(schema, api);
  const fields = fieldsOf(target, api);
  const line = el("span", { className: "type" }, typeOf(schema, api));
  if (!fields.length || depth >= DEEP) return line;
  const required = new Set(holder(target, api).required ?? []);
  const rows = fields.map(([name, one]) => {
    const said = one.description ?? followed(one, api)[0].description ?? "";
    return el("li", {}, el("code", {}, name), required.has(name) ? "" : el("span", { className: "type" }, " (may be absent)"), " ", schemaView(one, api, depth + 1), said ? ` ${said.replaceAll("`", "")}` : "");
  });
  return el("div", {}, line, el("ul", { className: "fields" }, rows));
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

const fieldsOf = (schema, api) => Object.entries(holder(schema, api).properties ?? {});

/** A type in words: `list of number`, `text or null`. */
export function typeOf(schema, api) {
  const [target, name] = followed(schema, api);
  const several = target.oneOf ?? target.anyOf;
  if (several) return several.map((one) => typeOf(one, api)).join(" or ");
  if (target.enum) return target.enum.map((one) => JSON.stringify(one)).join(" or ");
  if (target.const !== undefined) return JSON.stringify(target.const);
  if (target.items) return `list of ${typeOf(target.items, api)}`;
  const types = [target.type ?? (target.properties ? "object" : name || "any")].flat();
  return types.map((type) => (type === "string" ? { binary: "bytes", byte: "base64" }[target.format] ?? "text" : type)).join(" or ") + bounds(target);
}

function bounds({ minimum, maximum, default: usual }) {
  const range = [minimum !== undefined ? `from ${minimum}` : "", maximum !== undefined ? `to ${maximum}` : "", usual !== undefined ? `usually ${JSON.stringify(usual)}` : ""].filter(Boolean);
  return range.length ? `, ${range.join(" ")}` : "";
}
