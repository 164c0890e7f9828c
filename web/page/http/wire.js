// Requests to this server and to no other, and what it answers.

import { Refused } from "../refused.js";

const PATIENCE = 60000; // milliseconds without a sign of life

export const access = { wanted: false, token: "" }; // the token lives here only: it is gone with the page

export const here = (path) => new URL(path, document.baseURI).href;

/** The type that a picture is sent as: what the browser thinks, if it is a picture's, else just bytes. */
export const typeOf = (file) => (/^image\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream");

/** GET a JSON document. */
export async function get(path) {
  const headers = access.token ? { Authorization: `Bearer ${access.token}` } : {};
  let response;
  try {
    response = await fetch(here(path), { headers, credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new Refused("unreachable");
  }
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) throw refusal(response.status, body, (name) => response.headers.get(name));
  return body;
}

/** Whether the server lives: it, and not a proxy before it, answers. */
export async function alive() {
  try {
    const response = await fetch(here("health/live"), { cache: "no-store", signal: AbortSignal.timeout(5000) });
    return response.status < 500;
  } catch {
    return false;
  }
}

/** POST a file as it is; `progress` is told the share that has been sent. Gives `{body, total}`, milliseconds there and back. */
export function post(path, file, { signal, progress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const begun = performance.now();
    let timer = 0;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => (reject(new Refused("deadline")), request.abort()), PATIENCE);
    };
    const stop = () => request.abort();
    request.open("POST", here(path));
    request.setRequestHeader("Content-Type", typeOf(file));
    if (access.token) request.setRequestHeader("Authorization", `Bearer ${access.token}`);
    request.upload.onprogress = (event) => (wait(), progress(event.loaded / Math.max(1, event.total)));
    request.upload.onload = () => progress(1);
    request.onload = () => {
      const total = took(here(path), begun);
      const body = parsed(request.responseText);
      if (request.status === 200 && body !== null) resolve({ body, total });
      else reject(refusal(request.status, body, (name) => request.getResponseHeader(name)));
    };
    request.onerror = () => reject(new Refused("unreachable"));
    request.onabort = () => reject(new Refused("cancelled"));
    request.onloadend = () => (clearTimeout(timer), signal.removeEventListener("abort", stop));
    signal.addEventListener("abort", stop);
    wait();
    request.send(file);
    if (signal.aborted) stop();
  });
}

const KEPT = 200; // entries of the browser's record of requests, which takes no more than 250

/** Milliseconds of a request that was begun then: by the browser's record, in which a busy page does not count, or by our clock. */
function took(url, begun) {
  const entries = performance.getEntriesByName(url, "resource").filter((entry) => entry.startTime >= begun);
  if (performance.getEntriesByType("resource").length > KEPT) performance.clearResourceTimings();
  const entry = entries.reduce((a, b) => (a && a.startTime < b.startTime ? a : b), null);
  return entry ? entry.responseEnd - entry.startTime : performance.now() - begun;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// What a proxy between may answer, which knows nothing of our form of errors.
const OF_STATUS = {
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  413: "too_large",
  415: "not_a_picture",
  429: "overloaded",
  502: "unreachable",
  503: "overloaded",
  504: "deadline",
};

function refusal(status, body, header) {
  const error = body?.error && typeof body.error === "object" ? body.error : {};
  return new Refused(String(error.code ?? OF_STATUS[status] ?? "unknown"), {
    status,
    said: typeof error.message === "string" ? error.message : `The server answered with status ${status}.`,
    request: error.request_id ?? header("X-Request-ID") ?? "",
    after: seconds(header("Retry-After")),
  });
}

/** Retry-After, which is a number of seconds or a date. */
export function seconds(text, now = Date.now()) {
  if (!text) return null;
  if (/^\s*\d+\s*$/.test(text)) return Number(text);
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, (date - now) / 1000);
}
