// What is to be said of the whole page, with a button to have it away or to do something about it.

import { byId } from "./dom.js";

let act = null;

export function setUp() {
  byId("banner-act").addEventListener("click", () => act?.());
}

/** Say something until it is put away. */
export function tell(words, { act: name = "All right", done = quiet } = {}) {
  if (byId("banner-text").textContent !== words) byId("banner-text").textContent = words;
  byId("banner-act").textContent = name;
  byId("banner").hidden = false;
  act = done;
}

export function quiet() {
  byId("banner").hidden = true;
  act = null;
}

/** Whether what is said now is this. */
export const says = (done) => act === done;
