// How alike two pictures are to the network: the cosine of their embeddings.

import { el, sized } from "./dom.js";
import { image } from "./picture.js";
import { inWords } from "./words.js";

/** The cosine of two lists of numbers of one length; 0 if one of them is all zeros. */
export function cosine(a, b) {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return aa && bb ? dot / Math.sqrt(aa * bb) : 0;
}

const small = (picture) =>
  el(
    "figure",
    {},
    el(
      "div",
      { className: "thumb" },
      picture.thumb ? image(picture.thumb, "") : el("span", { className: "kind" }, picture.kind),
    ),
    el("figcaption", {}, el("bdi", {}, picture.name)),
  );

/** Both pictures and the number, or what went wrong. `measured` is a promise of it. */
export function compareView(one, other, measured) {
  const number = el("p", { className: "cosine", role: "status" }, "Comparing");
  const view = el("div", { className: "compared" }, el("div", { className: "pair" }, small(one), small(other)), number);
  measured.then(
    (likeness) => {
      number.replaceChildren("Cosine ", el("strong", { className: "number" }, likeness.toFixed(3)));
      number.after(
        el("div", { className: "bar", "aria-hidden": "true" }, sized(el("i"), likeness)),
        el(
          "p",
          { className: "note" },
          "1 is the same to the network, 0 has nothing in common. What counts as alike depends on the model: compare pictures of which you know it.",
        ),
      );
      view.scrollIntoView({ block: "nearest" });
    },
    (error) => {
      const { title, message } = inWords(error);
      number.textContent = `${title}. ${message}`;
      number.classList.add("error");
    },
  );
  return view;
}
