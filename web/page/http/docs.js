// A readable page of openapi.json: of this server, by this server.

import { byId, el } from "../dom.js";
import { schemaView, typeView } from "./schema.js";
import { access, get, here } from "./wire.js";
import { helpWith, inWords } from "../words.js";
import { HELP } from "./help.js";

const METHODS = ["get", "post", "put", "patch", "delete", "head"];

async function load() {
  try {
    draw(await get("openapi.json"));
    byId("token").hidden = true;
  } catch (error) {
    if (error.status === 401) byId("token").hidden = false;
    const { title, help } = inWords(error);
    byId("api").replaceChildren(
      el("p", { className: "note", role: "alert" }, error.code ? `${title}. ${help}` : "openapi.json could not be shown."),
    );
  }
}

function draw(api) {
  const routes = Object.entries(api.paths ?? {}).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({
      path,
      method,
      shared: methods.parameters ?? [],
      ...methods[method],
    })),
  );
  const order = [...grouped(routes)].sort(([a], [b]) => place(api, a) - place(api, b));
  document.title = `API · ${api.info?.title ?? "lcnet"}`;
  byId("contents").replaceChildren(
    ...order.flatMap(([name, some]) => [
      el("p", {}, name),
      el(
        "ul",
        {},
        some.map((route) => el("li", {}, link(route))),
      ),
    ]),
  );
  byId("api").replaceChildren(
    el("h1", {}, `${api.info?.title ?? "API"} ${api.info?.version ?? ""}`),
    ...texts(api.info?.description),
    ...order.flatMap(([name, some]) => [
      el("h2", {}, name),
      ...texts(api.tags?.find((tag) => tag.name === name)?.description),
      ...some.map((route) => routeView(route, api)),
    ]),
  );
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

const groupOf = (route) => route.tags?.[0] ?? `/${route.path.split("/")[1]}`;
const place = (api, name) => (api.tags ?? []).findIndex((tag) => tag.name === name) >>> 0; // what is not listed comes last

function grouped(routes) {
  const groups = new Map();
  for (const route of routes) groups.set(groupOf(route), [...(groups.get(groupOf(route)) ?? []), route]);
  return groups;
}

const idOf = ({ method, path }) => `${method}${path.replace(/[^A-Za-z0-9]+/g, "-")}`;
const badge = (method) => el("span", { className: `method ${method}` }, method.toUpperCase());
const link = (route) => el("a", { href: `#${idOf(route)}` }, badge(route.method), route.path);

function routeView(route, api) {
  return el(
    "section",
    { className: "route", id: idOf(route), "aria-label": `${route.method.toUpperCase()} ${route.path}` },
    el("h3", {}, badge(route.method), el("code", {}, route.path)),
    route.summary ? el("p", {}, marked(route.summary)) : null,
    texts(route.description),
    request(route),
    parameters(
      [...route.shared, ...(route.parameters ?? [])].map((one) => resolved(one, api)),
      api,
    ),
    bodies("Body", resolved(route.requestBody, api)?.content, api),
    responses(route.responses, api),
  );
}

/** How to ask from a command line, where nothing but a picture is to be filled in. */
function request({ method, path, requestBody }) {
  const url = here(path.slice(1)).replaceAll("%7B", "{").replaceAll("%7D", "}");
  const picture = requestBody?.content?.["image/*"] ? " \\\n  -H 'Content-Type: image/jpeg' --data-binary @picture.jpg" : "";
  if (path.includes("{") || (requestBody && !picture)) return null;
  return code(`curl ${method === "get" || picture ? "" : `-X ${method.toUpperCase()} `}${url}${picture}`);
}

function parameters(list, api) {
  if (!list.length) return null;
  const rows = list.map((one) =>
    el(
      "tr",
      {},
      el(
        "td",
        {},
        el("code", {}, one.name),
        el("span", { className: "type" }, ` ${one.in}${one.required ? ", required" : ""}`),
      ),
      el("td", {}, typeView(one.schema ?? {}, api)),
      el("td", {}, marked(one.description ?? "")),
    ),
  );
  return [el("h4", {}, "Parameters"), table(["Name", "Type", "Meaning"], rows)];
}

function bodies(title, content, api) {
  return Object.entries(content ?? {}).flatMap(([type, { schema, example, examples }]) => {
    const shown = example ?? Object.values(examples ?? {})[0]?.value ?? schema?.example;
    return [
      el("h4", {}, `${title}, `, el("code", {}, type)),
      schema ? el("div", { className: "schema" }, schemaView(schema, api)) : null,
      shown === undefined ? null : code(shown),
    ];
  });
}

function responses(all, api) {
  const list = Object.entries(all ?? {}).map(([status, one]) => [status, resolved(one, api)]);
  if (!list.length) return null;
  const rows = list.map(([status, one]) =>
    el("tr", {}, el("td", {}, el("code", {}, status)), el("td", {}, marked(one.description ?? ""))),
  );
  const good = list.filter(([status]) => status.startsWith("2"));
  return [
    el("h4", {}, "Answers"),
    table(["Status", "Meaning"], rows),
    ...good.map(([status, one]) => bodies(`Answer ${status}`, one.content, api)),
  ].flat();
}

const table = (heads, rows) =>
  el(
    "div",
    { className: "scroll" },
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heads.map((head) => el("th", { scope: "col" }, head)),
        ),
      ),
      el("tbody", {}, rows),
    ),
  );
const code = (value) =>
  el("pre", { tabIndex: 0 }, el("code", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2)));

/** What a `$ref` stands for. */
function resolved(value, api) {
  if (!value?.$ref) return value;
  return (
    value.$ref
      .replace(/^#\//, "")
      .split("/")
      .reduce((node, key) => node?.[key], api) ?? {}
  );
}

/** Paragraphs of a description. */
const texts = (text) =>
  (text ?? "")
    .split(/\n\s*\n/)
    .filter((part) => part.trim())
    .map((part) => el("p", {}, marked(part)));

/** A text in which what stands between backticks is code. */
export function marked(text) {
  return text
    .split(/(`[^`]+`)/)
    .filter(Boolean)
    .map((part) => (part.startsWith("`") && part.length > 2 ? el("code", {}, part.slice(1, -1)) : part));
}

byId("token").addEventListener("submit", (event) => {
  event.preventDefault();
  access.token = byId("token-text").value.trim();
  load();
});
helpWith(HELP);
load();
