// The page: pictures in, answers out. Everything else is in a module of its own.
//
// It asks a back end: http.js, a server, or wasm.js, the network in the page itself. Each calls `start` with
//   width                            pictures that are under way at a time
//   setUp({ goOn, take })            called once: goOn(reason) gives what to call when it is over, take(files) is as a drop
//   models()                         [{ name, default, ...GET /v1/models/NAME }]; raises Refused
//   prepare(model)                   before one of these is asked; adds what was not known of it
//   classify(file, { model, top, signal, progress })   { answer: Result.to_dict(), timing: { PART_ms }, total }; raises Refused
//   embed(file, { model, signal })   its numbers
//   request(file, { model, top })    what is shown of it in `languages`, [[name, code of a request]]
//   parts                            [[part, name, help]] of the time
//   words                            what only it can say
// and, where it has such, token() and blocked(reason) of the queue, `waits` for a model to be loaded, isModel(file) and
// add(file), which gives one more model.

import * as camera from "./camera.js";
import { compareView, cosine } from "./compare.js";
import * as detail from "./detail.js";
import { announce, byId, el } from "./dom.js";
import * as grid from "./grid.js";
import { headline } from "./answers.js";
import * as intake from "./intake.js";
import * as model from "./model.js";
import * as notices from "./notices.js";
import { Picture, preview } from "./picture.js";
import { count } from "./progress.js";
import { Queue } from "./queue.js";
import { helpWith, percent, plural, shown } from "./words.js";

const MOST = 2000; // pictures on the page at a time

const pictures = new Map(); // by id, in order
let backend = null;
let queue = null;
let chosen = null; // the picture that is shown in full
let first = null; // of two that are to be compared
let top = 5;

function changed(picture) {
  grid.refresh(picture);
  detail.update(picture);
  count(pictures.values(), queue.held);
}

function take(given) {
  const files = given.filter((file) => !backend.isModel?.(file));
  for (const file of given) if (!files.includes(file)) use(file);
  const room = files.slice(0, MOST - pictures.size);
  const left = files.length - room.length;
  if (left)
    notices.tell(`The page holds ${MOST} pictures, ${left} more were left out. For whole folders there is lcnet classify.`);
  if (!room.length) return;
  const added = room.map((file) => new Picture(file, changed));
  for (const picture of added) pictures.set(picture.id, picture);
  arrange();
  grid.append(added);
  for (const picture of added) (preview(picture), ask(picture));
  if (detail.isWide() && !chosen) open(added[0].id, false);
  announce(`${plural(added.length, "picture")} added`);
}

/** Have the chosen model look at a picture. */
async function ask(picture) {
  queue.cancel(picture);
  const turn = picture.turn + 1;
  picture.set({ turn, state: "waiting", sent: 0, error: null });
  const mine = (facts) => picture.turn === turn && picture.set(facts);
  try {
    const { answer, timing, total } = await queue.add(picture, (signal) => {
      const options = { model: model.current()?.name, top: Math.min(top, model.current()?.num_classes || top) };
      mine({ state: "sending", sent: 0, request: backend.request(picture.file, options), kernels: model.kernels() });
      const progress = (sent) => mine({ sent, state: sent < 1 ? "sending" : "asked" });
      return backend.classify(picture.file, { ...options, signal, progress }).catch((error) => {
        mine({ state: "waiting", sent: 0 }); // for another try, if it is not the end
        throw error;
      });
    });
    mine({ state: "done", answer, timing, total });
    tellAnswer(picture);
  } catch (error) {
    mine({ state: "failed", answer: null, error });
  }
}

/** Who has one picture hears its answer; who has many, how many are answered. */
function tellAnswer(picture) {
  if (pictures.size > 1) return;
  const { text, known, probability } = headline(picture.answer);
  announce(`${picture.name}: ${text}${known && probability !== null ? `, ${percent(probability)}` : ""}`);
}

async function embedding(picture) {
  const { name, sha256 } = model.current();
  const key = `${name} ${sha256}`;
  if (!picture.vectors.has(key))
    picture.vectors.set(key, await queue.add(picture, (signal) => backend.embed(picture.file, { model: name, signal })));
  return picture.vectors.get(key);
}

async function likeness(one, other) {
  const [a, b] = await Promise.all([embedding(one), embedding(other)]);
  return cosine(a, b);
}

function open(id, byKey) {
  const picture = pictures.get(id);
  if (first && first !== picture) return compare(first, picture);
  chosen = picture;
  grid.mark(id);
  detail.show(picture, { only: pictures.size < 2, classes: model.current()?.num_classes ?? top, top });
  if (byKey && detail.isWide()) announce("Shown beside the pictures");
}

function beginCompare(picture) {
  first = picture;
  detail.aside();
  byId("grid").classList.add("choosing");
  const leave = el("button", { type: "button", className: "quiet" }, "Leave it");
  leave.addEventListener("click", endCompare);
  detail.comparing(el("p", { className: "note", role: "status" }, "Choose the other picture. ", leave));
  if (!detail.isWide()) notices.tell("Choose the picture to compare with.", { act: "Leave it", done: endCompare });
  grid.focusCard(picture.id);
}

function compare(one, other) {
  endCompare();
  open(one.id, false);
  grid.mark(one.id, other.id);
  detail.comparing(compareView(one, other, likeness(one, other)));
}

function endCompare() {
  if (!first) return;
  first = null;
  byId("grid").classList.remove("choosing");
  if (!detail.isWide()) notices.quiet();
  if (chosen) detail.comparing(null);
}

function remove(id) {
  const picture = pictures.get(id);
  queue.cancel(picture);
  pictures.delete(id);
  if (picture === first) endCompare();
  const wasShown = picture === chosen;
  if (wasShown) {
    chosen = null;
    detail.hide();
  }
  const beside = grid.drop(id, wasShown);
  arrange();
  if (!pictures.size) byId("choose").focus();
  else if (wasShown && detail.isWide()) open(beside, false);
}

function clear() {
  endCompare();
  queue.cancel();
  pictures.clear();
  chosen = null;
  detail.hide();
  grid.empty();
  arrange();
  byId("choose").focus();
}

/** The page with and without pictures. */
function arrange() {
  const empty = !pictures.size;
  byId("work").classList.toggle("empty", empty);
  byId("work").classList.toggle("single", pictures.size === 1);
  byId("grid").hidden = byId("many").hidden = empty;
  if (chosen) detail.show(chosen, { only: pictures.size < 2, classes: model.current()?.num_classes ?? top, top });
  count(pictures.values(), queue.held);
}

/** Ask again for every picture, or for those that have no answer. */
function askAll(wanted = () => true) {
  for (const picture of [...pictures.values()].filter(wanted)) ask(picture);
}

function save() {
  const answerOf = ({ answer, error }) => answer ?? { error: { code: error.code, message: error.said } };
  const rows = [...pictures.values()].map((picture) => ({ name: picture.file.name, ...answerOf(picture) }));
  const url = URL.createObjectURL(new Blob([JSON.stringify(rows, null, 1)], { type: "application/json" }));
  el("a", { href: url, download: "answers.json" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

let changes = Promise.resolve(); // of the model, one after the other
let left = 0;

/** Change what is asked, and ask nothing meanwhile. */
function changing(work) {
  left += 1;
  if (backend.waits) queue.block("loading");
  changes = changes.then(work).then(() => (left -= 1) || !model.current()?.architecture || queue.unblock("loading"));
  return changes;
}

const loadModels = () =>
  changing(async () => {
    try {
      model.offer(await backend.models());
      if (model.current()) await backend.prepare(model.current());
      model.known(backend.words.privacy);
    } catch (error) {
      if (error.status === 401) queue.block("token");
      else if (error.code === "unreachable") queue.block("away");
      else notices.tell(`${backend.words.modelless} ${error.said}`);
    }
  });

/** Ask another model about all pictures: the one that `find` gives, if it can be used. */
const change = (find, name) =>
  changing(async () => {
    try {
      const found = await find();
      await backend.prepare(found);
      model.put(found);
    } catch (error) {
      model.back();
      return notices.tell(`${shown(name)} cannot be used. ${error.said}`);
    }
    model.known(backend.words.privacy);
    if (chosen) detail.comparing(null);
    arrange();
    askAll();
  });

const use = (file) => change(() => backend.add(file), file.name);

/** Start the page with a back end, whose words its errors are. */
export function start(given) {
  backend = given;
  queue = new Queue(backend);
  helpWith(backend.words.help);
  detail.setUp(backend, {
    again: ask,
    remove,
    compare: beginCompare,
    cancel: (picture) => queue.cancel(picture),
    top: (count, picture) => ((top = count), ask(picture)),
    closed: () => !first && chosen && (grid.focusCard(chosen.id), grid.mark(null), (chosen = null), detail.hide()),
  });
  grid.setUp(open, remove);
  intake.setUp(take, notices.tell);
  camera.setUp(take);
  notices.setUp();
  backend.setUp({ goOn: (reason) => async () => (await loadModels(), queue.unblock(reason)), take });
  listen();
  loadModels();
}

function listen() {
  const on = (id, act) => byId(id).addEventListener("click", act);
  on("cancel", () => queue.cancel());
  on("again", () => askAll((picture) => picture.state === "failed"));
  on("clear", clear);
  on("save", save);
  on("about", model.about);
  byId("model").addEventListener("change", () => change(async () => model.current(), model.current().name));
  for (const dialog of document.querySelectorAll("dialog.sheet")) {
    dialog.querySelector(".close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
  addEventListener("keydown", (event) => event.key === "Escape" && endCompare());
}
