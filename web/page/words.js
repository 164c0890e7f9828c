// Numbers, names and errors in words.

/** 0.3784 as 37.8%; never 100% or 0% of what is neither. */
export function percent(probability) {
  if (probability > 0 && probability < 0.0005) return "<0.1%";
  if (probability < 1 && probability >= 0.9995) return ">99.9%";
  return `${(100 * probability).toFixed(1)}%`;
}

export const milliseconds = (ms) => `${ms < 100 && ms % 1 ? ms.toFixed(1) : Math.round(ms)} ms`;

export function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  return count < 1e6 ? `${Math.round(count / 1000)} KB` : `${(count / 1e6).toFixed(1)} MB`;
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

// Control characters, and those that turn the direction of writing or cannot be seen: shown by number.
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** A name as it may be shown: one line, nothing in it that hides or turns what stands beside it. */
export function shown(name) {
  return name.replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const TITLES = {
  not_a_picture: "Not a picture",
  damaged: "Damaged picture",
  too_large: "Too large",
  overloaded: "Server too busy",
  deadline: "Took too long",
  unauthorized: "Token not accepted",
  not_found: "No such model",
  argument: "Request refused",
  slow: "Upload too slow",
  not_ready: "Server not ready",
  forbidden: "Not allowed",
  unreachable: "Server out of reach",
  cut: "Upload broken off",
  cancelled: "Cancelled",
};

let help = {};

/** Errors mean something else to each back end: what it says to a code, to be done about it. */
export function helpWith(texts) {
  help = texts;
}

/** What went wrong, as `{title, help, message, request}`: our words, then those of who refused it, and the id that a log has. */
export function inWords(error) {
  const code = error.code ?? "unknown";
  const title = TITLES[code] ?? help.otherwise?.(error) ?? "Request refused";
  return { title, help: help[code] ?? "", message: error.said ?? "", request: error.request ?? "" };
}
