// All about one picture: beside the grid where there is room, over it on a small screen.

import { answerView } from "./answers.js";
import { byId, el, sized } from "./dom.js";
import { image } from "./picture.js";
import { snippetView } from "./snippets.js";
import { timeView } from "./timing.js";
import { bytes, inWords } from "./words.js";

const detail = byId("detail");
const wide = matchMedia("(min-width: 62rem)");
let parts = null; // what changes while the picture is shown
let shownPicture = null;
let shownClasses = 0; // of the model that is asked
let tasks = {};
let backend = null;

/** Set the panel up. `acts`: what its buttons do, by name: again, cancel, remove, compare, top, close. */
export function setUp(asked, acts) {
  [backend, tasks] = [asked, acts];
  detail.addEventListener("close", () => wide.matches || tasks.closed());
  detail.addEventListener("click", (event) => event.target === detail && detail.matches(":modal") && detail.close());
  wide.addEventListener("change", () => detail.open && (wide.matches ? place() : detail.close()));
}

export const isWide = () => wide.matches;

/** Show a picture. On a small screen it covers the page and takes the keyboard. */
export function show(picture, { only, classes, top }) {
  if (picture !== shownPicture || classes !== shownClasses) build(picture, classes, top);
  parts.compare.disabled = only;
  update(picture);
  if (!detail.open) place();
}

export function hide() {
  shownPicture = null;
  parts = null;
  detail.close();
  detail.replaceChildren();
}

/** Put the panel aside for a while: on a small screen the grid is beneath it. */
export function aside() {
  if (!wide.matches) detail.close();
}

export function comparing(view) {
  parts.compared.replaceChildren(...(view ? [view] : []));
  if (view) parts.compared.scrollIntoView({ block: "nearest" });
}

/** Draw again what has changed of the picture, if it is the one that is shown. */
export function update(picture) {
  if (picture !== shownPicture) return;
  parts.size.textContent = [bytes(picture.file.size), picture.size?.join(" × ")].filter(Boolean).join(" · ");
  const busy = !["done", "failed"].includes(picture.state);
  parts.again.hidden = busy;
  parts.cancel.hidden = !busy;
  parts.top.hidden = picture.state !== "done";
  parts.answer.replaceChildren(...(picture.answer ? [answerView(picture.answer)] : []), ...note(picture));
  parts.time.replaceChildren(...(picture.state === "done" ? [timeView(backend.parts, picture)] : []));
  const code = JSON.stringify(picture.request ?? null);
  if (parts.code === code) return;
  parts.code = code;
  parts.request.replaceChildren(
    ...(picture.request ? [snippetView(picture.request, backend.words.request, backend.languages)] : []),
  );
}

/** What is to be said of a picture that has no answer, or not the newest. */
function note(picture) {
  if (picture.state === "failed") return [failure(picture.error)];
  const words = { waiting: "In line", sending: "Sending", asked: "Being looked at" }[picture.state];
  return words
    ? [
        el("p", { className: "note" }, words),
        el("div", { className: "bar", "aria-hidden": "true" }, sized(el("i"), picture.state === "asked" ? 1 : picture.sent)),
      ]
    : [];
}

function failure(error) {
  const { title, help, message, request } = inWords(error);
  return el(
    "div",
    { className: "failure" },
    el("p", { className: "headline" }, title),
    help ? el("p", {}, help) : null,
    message ? el("p", { className: "said" }, backend.words.said, el("bdi", {}, message)) : null,
    request ? el("p", { className: "said" }, "In its log as ", el("code", {}, request)) : null,
  );
}

function build(picture, classes, top) {
  [shownPicture, shownClasses] = [picture, classes];
  const button = (text, act, className = "") => {
    const made = el("button", { type: "button", className }, text);
    made.addEventListener("click", act);
    return made;
  };
  parts = {
    size: el("p", { className: "note" }),
    answer: el("section", { className: "answer", "aria-label": "Answer" }),
    top: topChoice(classes, top),
    time: el("div"),
    compare: button("Compare with another picture", () => tasks.compare(picture)),
    compared: el("div", { className: "comparison" }),
    request: el("div"),
    again: button("Ask again", () => tasks.again(picture)),
    cancel: button("Cancel", () => tasks.cancel(picture)),
  };
  const close = button("Close", () => detail.close(), "quiet close");
  const remove = button("Remove", () => tasks.remove(picture.id));
  detail.replaceChildren(
    el("div", { className: "sheet-head" }, el("h2", {}, el("bdi", {}, picture.name)), close),
    large(picture),
    parts.size,
    parts.answer,
    parts.top,
    parts.time,
    el("section", { className: "compare" }, el("h3", {}, "Compare"), parts.compare, parts.compared),
    parts.request,
    el("div", { className: "buttons" }, parts.again, parts.cancel, remove),
  );
  detail.scrollTop = 0;
}

function large(picture) {
  const frame = el("div", { className: "large" });
  const cannot = () =>
    frame.replaceChildren(
      el("span", { className: "kind" }, picture.kind),
      el("p", { className: "note" }, "Your browser cannot show this file."),
    );
  frame.append(image(picture.file, `The picture ${picture.name}`, cannot));
  return frame;
}

function topChoice(classes, top) {
  const counts = [1, 3, 5, 10, 20, 50, 100].filter((count) => count < classes).concat(classes);
  const select = el(
    "select",
    { id: "top" },
    counts.map((count) =>
      el("option", { value: count, selected: count === Math.min(top, classes) }, count === classes ? `all ${count}` : count),
    ),
  );
  select.addEventListener("change", () => tasks.top(Number(select.value), shownPicture));
  return el("p", { className: "top" }, el("label", { for: "top" }, "Classes shown"), select);
}

function place() {
  detail.close();
  if (wide.matches)
    detail.open = true; // show() would take the keyboard away from the grid
  else detail.showModal();
}
