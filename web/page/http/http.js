// The back end of `lcnet serve`: pictures go to the server that the page is from, and to no other. page.js says what a back end is.

import { start } from "../page.js";
import { Refused } from "../refused.js";
import { HELP } from "./help.js";
import * as presence from "./presence.js";
import { LANGUAGES } from "./requests.js";
import { access, get, here, post, typeOf } from "./wire.js";

const PARTS = [
  ["way", "there and back", "Upload, answer, and what the server does besides"],
  ["queue", "queue", "Waiting for a free worker"],
  ["decode", "decode", "From the file to the network's input"],
  ["network", "network", "The network itself"],
];

const models = async () => (await get("v1/models")).models;

async function classify(file, options) {
  const { body, total } = await post(pathOf("classify", options), file, options);
  return { answer: only(body), timing: body.timing, total };
}

async function embed(file, { model, signal }) {
  const { body } = await post(pathOf("embed", { model }), file, { signal, progress: () => {} });
  return only(body).embedding;
}

/** What is shown of a request, to be made elsewhere. */
function request(file, options) {
  const url = here(pathOf("classify", options));
  return { url, type: typeOf(file), name: file.name || "picture", token: access.wanted };
}

function pathOf(route, { model, top }) {
  return `v1/${route}?${new URLSearchParams({ ...(model ? { model } : {}), ...(top ? { top_k: top } : {}) })}`;
}

/** The one item of an answer. */
function only(body) {
  const item = body.results?.[0];
  if (!item || item.error)
    throw new Refused(item?.error?.code ?? "unknown", { said: item?.error?.message ?? "The answer has no result." });
  return item;
}

start({
  width: 4, // uploads at a time: as many as keep a small server busy; the browser itself allows six
  setUp: ({ goOn }) => presence.setUp({ back: goOn("away"), token: goOn("token") }),
  token: () => access.token,
  blocked: (reason) => (reason === "token" ? presence.askToken() : presence.away()),
  models,
  prepare: async () => {},
  classify,
  embed,
  request,
  parts: PARTS,
  languages: LANGUAGES,
  words: {
    help: HELP,
    said: "The server says: ",
    request: "This very request",
    privacy: "Pictures go to this server and to nobody else.",
    modelless: "The server does not say which models it has.",
  },
});
