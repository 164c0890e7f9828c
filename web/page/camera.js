// A picture from the camera. Browsers give it to pages over HTTPS or of this machine only; a phone has its own way besides.

import { byId } from "./dom.js";

const dialog = byId("camera-dialog");
const video = byId("video");
let stream = null;
let facing = "environment";
let taken = 0;

/** Set the button up; `take(files)` gets each picture. */
export function setUp(take) {
  const live = Boolean(navigator.mediaDevices?.getUserMedia);
  byId("camera").hidden = !live && !matchMedia("(pointer: coarse)").matches;
  byId("camera").addEventListener("click", () => (live ? open() : byId("capture").click()));
  byId("capture").addEventListener("change", (event) => (take([...event.target.files]), (event.target.value = "")));
  byId("shoot").addEventListener("click", async () => take([await shot()]));
  byId("turn").addEventListener("click", () => ((facing = facing === "user" ? "environment" : "user"), start()));
  dialog.addEventListener("close", stop);
}

async function open() {
  dialog.showModal();
  await start();
}

const REASONS = {
  NotAllowedError: "The browser did not allow the camera. Allow it for this page and try again.",
  NotFoundError: "There is no camera on this machine.",
  NotReadableError: "The camera is in use by another program.",
};

async function start() {
  stop();
  say("Starting the camera");
  byId("shoot").disabled = true;
  try {
    const got = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: { ideal: 1280 } } });
    if (!dialog.open) return got.getTracks().forEach((track) => track.stop());
    stream = got;
    video.srcObject = stream;
    await video.play();
    const devices = await navigator.mediaDevices.enumerateDevices();
    byId("turn").hidden = devices.filter((device) => device.kind === "videoinput").length < 2;
    byId("shoot").disabled = false;
    byId("shoot").focus();
    say("");
  } catch (error) {
    say(REASONS[error.name] ?? "The camera could not be started.");
  }
}

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  video.srcObject = null;
}

async function shot() {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  taken += 1;
  dialog.close();
  return new File([blob], `camera-${taken}.jpg`, { type: "image/jpeg" });
}

const say = (words) => (byId("camera-words").textContent = words);
