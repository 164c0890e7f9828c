// One picture: its file, how far it is, and what was answered.

import { el } from "./dom.js";
import { shown } from "./words.js";

let count = 0;

export class Picture {
  /** `state`: waiting, sending, asked, done or failed. `changed(picture)` is called when anything of it changes. */
  constructor(file, changed) {
    this.id = `picture-${(count += 1)}`;
    this.file = file;
    this.name = shown(file.name || "pasted picture");
    this.changed = changed;
    this.state = "waiting";
    this.sent = 0; // the share of the upload
    this.thumb = undefined; // a Blob, or null if the browser cannot show it
    this.size = null; // [width, height] as it is shown
    this.answer = null;
    this.vectors = new Map(); // a model's name to the picture's embedding
    this.turn = 0; // answers of earlier requests come too late
  }

  set(facts) {
    Object.assign(this, facts);
    this.changed(this);
  }

  /** The suffix, for a picture that the browser cannot show. */
  get kind() {
    return /\.([a-z0-9]{1,5})$/i.exec(this.file.name)?.[1].toUpperCase() ?? "FILE";
  }
}

/** An image of a blob, which the browser forgets as soon as it is shown; `failed` if it cannot be shown. */
export function image(blob, alt, failed = () => {}) {
  const url = URL.createObjectURL(blob);
  const img = el("img", { alt, decoding: "async", draggable: false });
  img.addEventListener("load", () => URL.revokeObjectURL(url));
  img.addEventListener("error", () => (URL.revokeObjectURL(url), failed()));
  img.src = url;
  return img;
}

const waiting = new Map(); // pictures whose preview is not made yet, by id
let worker = null;

/** Have a small preview made, which sets `thumb` and `size`. */
export function preview(picture) {
  waiting.set(picture.id, picture);
  try {
    worker ??= started();
    worker.postMessage({ id: picture.id, file: picture.file });
  } catch {
    none();
  }
}

/** Have the worker there before there is a picture. */
export function beginPreviews() {
  worker ??= started();
}

function started() {
  const made = new Worker(new URL("thumbs.js", import.meta.url));
  made.onmessage = ({ data }) => {
    const picture = waiting.get(data.id);
    waiting.delete(data.id);
    picture?.set({ thumb: data.blob, size: data.blob ? [data.width, data.height] : null });
  };
  made.onerror = none;
  return made;
}

/** Without the worker there are no previews, and answers all the same. */
function none() {
  for (const picture of waiting.values()) picture.set({ thumb: null });
  waiting.clear();
}
