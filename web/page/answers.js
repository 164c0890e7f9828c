// An answer of the server, `Result.to_dict()` in docs/python.md, as it is shown.

import { el, sized } from "./dom.js";
import { percent } from "./words.js";

/** What a picture is said to be, `{text, known, probability}`, the last of a single class only. Unknown is what `Result.known` says. */
export function headline(answer) {
  const best = answer.top[0];
  if (answer.labels.length) {
    const first = answer.top.find((one) => one.label === answer.labels[0]);
    return {
      text: answer.labels.join(", "),
      known: true,
      probability: answer.labels.length === 1 ? (first?.probability ?? null) : null,
    };
  }
  const said = Object.values(answer.answers ?? {})
    .flat()
    .filter((text) => text);
  if (answer.known && said.length) return { text: said.join(", "), known: true, probability: null };
  return { text: "unknown", known: false, probability: best?.probability ?? null };
}

/** The headline and the rest, for a card and for who listens. */
export function inShort(answer) {
  const { text, known, probability } = headline(answer);
  const others = answer.top.filter((one) => !answer.labels.includes(one.label)).slice(0, 2);
  const rest = others.map((one) => `${one.label} ${percent(one.probability)}`).join(" · ");
  return {
    text,
    known,
    probability,
    share: known ? (probability ?? answer.top[0].probability) : 0,
    rest: known ? rest : `perhaps ${rest}`,
  };
}

/** Headline, groups and the most probable classes as bars. */
export function answerView(answer) {
  const { text, known, probability } = headline(answer);
  const number = known && probability !== null ? el("span", { className: "number" }, percent(probability)) : null;
  const title = el("p", { className: known ? "headline" : "headline unknown" }, el("bdi", {}, text), number);
  const note = known ? null : el("p", { className: "note" }, "No class reaches the probability that this model asks for.");
  return el("div", {}, title, note, groups(answer), bars(answer));
}

function groups(answer) {
  if (!answer.answers) return null;
  const rows = Object.entries(answer.answers).flatMap(([name, said]) => {
    const texts = [said ?? []].flat();
    return [el("dt", {}, name), el("dd", {}, texts.length ? texts.join(", ") : el("em", {}, "no answer"))];
  });
  return el("dl", { className: "groups", "aria-label": "Answers of the groups" }, rows);
}

function bars(answer) {
  return el(
    "ol",
    { className: "bars", "aria-label": "Most probable classes" },
    answer.top.map((one) => bar(one, answer.labels)),
  );
}

function bar(one, accepted) {
  const label = el("bdi", { className: "label", title: one.id ?? "" }, one.label);
  const yes = accepted.includes(one.label);
  const fill = el("span", { className: "bar", "aria-hidden": "true" }, sized(el("i"), one.probability));
  const number = el("span", { className: "number" }, percent(one.probability));
  return el(
    "li",
    { className: yes ? "accepted" : "" },
    label,
    yes ? el("span", { className: "hidden" }, "(accepted)") : null,
    number,
    fill,
  );
}
