// The ways by which pictures come: chosen, dropped (folders too), pasted.

import { byId } from "./dom.js";

// Of a folder only what may be a picture is taken; what is dropped or chosen by itself always is, and the server says what it is.
const SUFFIX =
  /\.(jpe?g|jfif|mpo|png|gif|webp|bmp|dib|tiff?|jp2|j2k|jpx|heic|heif|hif|avif|tga|p[bgpn]m|pcx|ico|dds|sgi|qoi)$/i;

/** Set the ways up; `take(files)` gets the files, `none(words)` what there is to say where there are none. */
export function setUp(take, none) {
  if (matchMedia("(pointer: coarse)").matches) {
    byId("intake-title").textContent = "Add pictures";
    byId("ways").textContent = "from this device, or with its camera";
  }
  byId("choose").addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", (event) => (take([...event.target.files]), (event.target.value = "")));
  document.addEventListener("paste", (event) => pasted(event, take, none));
  dropZone(take, none);
}

function pasted(event, take, none) {
  if (event.target.closest?.("input, textarea")) return;
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) take(files);
  else none("What you pasted is no picture.");
}

function dropZone(take, none) {
  const sign = byId("dropping");
  let depth = 0;
  const show = (on) => (sign.hidden = !on);
  addEventListener("dragenter", (event) => {
    event.preventDefault();
    depth += 1;
    show(true);
  });
  addEventListener("dragleave", () => show((depth = Math.max(0, depth - 1)) > 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    show((depth = 0) > 0);
    const files = await dropped(event.dataTransfer);
    if (files.length) take(files);
    else none("What you dropped holds no picture. A link cannot be used: save the picture first.");
  });
}

/** Files of a drop, in order, with those of its folders. The entries must be asked for before anything is awaited. */
async function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const found = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const files = [];
  for (const one of found) {
    if (one instanceof File) files.push(one);
    else if (one?.isFile) files.push(await file(one));
    else if (one?.isDirectory) files.push(...(await folder(one)));
  }
  return files.filter(Boolean);
}

const file = (entry) => new Promise((done) => entry.file(done, () => done(null)));

async function folder(entry) {
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    const entries = await new Promise((done) => reader.readEntries(done, () => done([]))); // a hundred at a time
    if (!entries.length) return files;
    for (const one of entries) {
      if (one.isDirectory) files.push(...(await folder(one)));
      else if (SUFFIX.test(one.name) && !one.name.startsWith(".")) files.push(await file(one));
    }
  }
}
