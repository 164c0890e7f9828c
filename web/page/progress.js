// How far all pictures are, for the eye at once and for the ear now and then.

import { announce, byId } from "./dom.js";
import { milliseconds, plural } from "./words.js";

const OFTEN = 5000; // milliseconds between two announcements
let begun = 0; // when the pictures that are under way were begun, 0 if none is
let took = 0; // milliseconds of the last ones
let most = 0; // how many these were
let told = 0;
let frame = 0;

/** Count with the next frame, however often anything changed. */
export function count(pictures, held) {
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(() => draw([...pictures], held));
}

function draw(pictures, held) {
  const failed = pictures.filter((one) => one.state === "failed").length;
  const done = pictures.filter((one) => one.state === "done").length;
  const left = pictures.length - failed - done;
  if (left && !begun) [begun, most] = [performance.now(), 0];
  if (begun) [took, most] = [performance.now() - begun, Math.max(most, left)];
  const words = inWords({ all: pictures.length, done, failed, left, held });
  byId("count").textContent = words;
  Object.assign(byId("progress"), { max: Math.max(1, pictures.length), value: done + failed, hidden: !left });
  byId("cancel").hidden = !left;
  byId("again").hidden = !failed || left > 0;
  byId("again").textContent = `Retry ${failed} failed`;
  byId("save").hidden = !done || left > 0;
  tell(words, pictures.length, left);
  if (!left) begun = 0;
}

function inWords({ all, done, failed, left, held }) {
  const answered = left ? `${done} of ${plural(all, "picture")} answered` : `${plural(done, "picture")} answered`;
  const time =
    left || !done || most < all ? "" : ` in ${took < 1000 ? milliseconds(Math.round(took)) : `${(took / 1000).toFixed(1)} s`}`;
  return [answered + time, failed ? `${failed} failed` : "", held ? "the server is busy, waiting for a place" : ""]
    .filter(Boolean)
    .join(" · ");
}

function tell(words, all, left) {
  if (all < 2 || !begun || (left && performance.now() - told < OFTEN)) return;
  told = performance.now();
  announce(words);
}
