// Whether the server is there, and whether it wants a token.

import { announce, byId } from "../dom.js";
import * as notices from "../notices.js";
import { access, alive } from "./wire.js";

const SLOWEST = 15; // seconds between two looks for the server
let timer = 0;
let wait = 1;
let tasks = {};

/** Set up: `back()` when the server is there again, `token()` when one is given. */
export function setUp(acts) {
  tasks = acts;
  byId("token").addEventListener("submit", (event) => {
    event.preventDefault();
    give(byId("token-text").value.trim());
  });
}

/** Look for the server, at once and then less and less often, and say so meanwhile. */
export async function away() {
  clearTimeout(timer);
  if (await alive()) {
    if (notices.says(away)) notices.quiet();
    wait = 1;
    return tasks.back();
  }
  const words = "The server does not answer. Nothing is lost: what is unanswered is sent when it is back.";
  notices.tell(words, { act: "Try now", done: away });
  timer = setTimeout(away, 1000 * wait);
  wait = Math.min(SLOWEST, 2 * wait);
}

export function askToken() {
  const again = access.token !== "";
  access.wanted = true;
  access.token = "";
  byId("token").hidden = false;
  if (again) byId("token-help").textContent = "The server does not know this token. Try another.";
  byId("token-text").value = "";
  byId("token-text").focus();
  announce(again ? "The server does not know this token" : "This server wants a token");
}

function give(token) {
  if (!token) return;
  access.token = token;
  byId("token").hidden = true;
  byId("work").focus();
  tasks.token();
}
