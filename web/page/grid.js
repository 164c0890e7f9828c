// The pictures as cards. A list box for the keyboard: one stop of the tab key, arrows within.

import { inShort } from "./answers.js";
import { byId, el, sized } from "./dom.js";
import { image } from "./picture.js";
import { inWords, percent } from "./words.js";

const cards = new Map(); // a picture's id to its card and what is drawn in it
const stale = new Set(); // pictures to be drawn with the next frame, however often they changed
const grid = byId("grid");
let active = null; // the card that the tab key stops at

/** Set the grid up: `open(id, byKey)` when a card is chosen, `remove(id)` when Delete is pressed. */
export function setUp(open, remove) {
  const cardOf = (event) => event.target.closest(".card");
  grid.addEventListener(
    "click",
    (event) => cardOf(event) && (focusable(cardOf(event)), open(cardOf(event).id, event.detail === 0)),
  );
  grid.addEventListener("keydown", (event) => {
    const card = cardOf(event);
    if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") open(card.id, true);
    else if (event.key === "Delete") remove(card.id);
    else if (!moved(card, event.key)) return;
    event.preventDefault();
  });
}

/** Add cards at the end, all in one step. */
export function append(pictures) {
  const made = pictures.map((picture) => {
    const card = el("div", { id: picture.id, className: "card", role: "option", tabIndex: -1, "aria-selected": "false" });
    card.append(
      el("div", { className: "thumb" }),
      el("div", { className: "says" }),
      el("p", { className: "name" }, el("bdi", {}, picture.name)),
    );
    cards.set(picture.id, { card, thumb: undefined });
    draw(picture);
    return card;
  });
  grid.append(...made);
  if (!active) focusable(made[0]);
}

/** Draw a picture's card again with the next frame. */
export function refresh(picture) {
  if (!stale.size) requestAnimationFrame(drawStale);
  stale.add(picture);
}

function drawStale() {
  for (const picture of stale) if (cards.has(picture.id)) draw(picture);
  stale.clear();
}

/** Mark the card that is shown in full, and the one that it is compared with. */
export function mark(id, other = null) {
  for (const card of grid.querySelectorAll('[aria-selected="true"]')) card.setAttribute("aria-selected", "false");
  for (const card of grid.querySelectorAll("[data-other]")) delete card.dataset.other;
  cards.get(id)?.card.setAttribute("aria-selected", "true");
  if (cards.has(other)) cards.get(other).card.dataset.other = "";
}

/** Remove a card; the one beside it takes its place for the keyboard, at once if `follow`. Gives the id of that one. */
export function drop(id, follow) {
  const { card } = cards.get(id);
  const beside = card.nextElementSibling ?? card.previousElementSibling;
  const focused = card.contains(document.activeElement);
  cards.delete(id);
  card.remove();
  if (card === active) focusable(beside);
  if (focused || follow) beside?.focus();
  return beside?.id ?? null;
}

export function empty() {
  cards.clear();
  grid.replaceChildren();
  active = null;
}

export const focusCard = (id) => cards.get(id)?.card.focus();

function focusable(card) {
  if (active) active.tabIndex = -1;
  active = card ?? null;
  if (active) active.tabIndex = 0;
}

function moved(card, key) {
  const all = [...grid.children];
  const place = all.indexOf(card);
  const below = all.findIndex((one) => one.offsetTop > all[0].offsetTop);
  const row = below > 0 ? below : all.length; // cards of one
  const ends = { Home: -place, End: all.length - 1 - place };
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row, ...ends }[key];
  if (step === undefined) return false;
  const next = all[place + step];
  if (next) (focusable(next), next.focus());
  return true;
}

function draw(picture) {
  const drawn = cards.get(picture.id);
  const [thumb, says] = drawn.card.children;
  if (drawn.thumb !== picture.thumb) {
    drawn.thumb = picture.thumb;
    thumb.replaceChildren(
      picture.thumb ? image(picture.thumb, "") : el("span", { className: "kind" }, picture.thumb === null ? picture.kind : ""),
    );
  }
  const { className, parts } = states[picture.state](picture);
  drawn.card.className = `card ${className}`;
  says.replaceChildren(...parts);
}

const line = (className, ...children) => el("p", { className }, ...children);
const bar = (share) => el("div", { className: "bar", "aria-hidden": "true" }, sized(el("i"), share));
const busy = (words, share) => ({ className: "busy", parts: [line("what", words), bar(share)] });

const states = {
  waiting: () => busy("In line", 0),
  sending: (picture) => busy(`Sending ${Math.round(100 * picture.sent)}%`, picture.sent),
  asked: () => busy("Being looked at", 1),
  failed(picture) {
    const { title, help } = inWords(picture.error);
    return { className: "failed", parts: [line("what", title), line("rest", help)] };
  },
  done(picture) {
    const { text, known, probability, share, rest } = inShort(picture.answer);
    const number = known && probability !== null ? el("span", { className: "number" }, percent(probability)) : null;
    return {
      className: known ? "known" : "unknown",
      parts: [line("what", el("bdi", {}, text), " ", number), bar(share), line("rest", rest)],
    };
  },
};
