// Reads a QR code: as the camera sees it, or from a photo.
import { at, say, show } from "./screen.js";

const LOOK_MS = 150; // between two looks at what the camera sees
const MOST_PIXELS = 1000; // of a side; a larger picture takes longer, and shows no more of a code
const CAMERA = { audio: false, video: { facingMode: "environment", width: { ideal: 1280 } } };
const NO_CAMERA = {
  NotAllowedError: "This page may not use the camera: allow it in the browser's settings, or take a photo of the code.",
  NotFoundError: "This device has no camera that this page can use: choose a photo of the code, or go back and type it.",
};
const ANY_CAMERA = "The camera cannot be used now: take a photo of the code, or go back and type it.";

export class Scanner {
  #take = null; // what is done with a text: it says what is wrong with it; null while closed
  #leave = null;
  #turn = 0; // of the camera: what another turn has begun is over
  #stream = null;

  constructor() {
    at("scan-back").addEventListener("click", () => this.#close()());
    at("photo").addEventListener("change", () => this.#photo());
    // A camera that was in the background shows nothing any more.
    document.addEventListener("visibilitychange", () => {
      if (this.#take === null) return;
      this.#stop();
      if (document.visibilityState === "visible") this.#look();
    });
  }

  open(take, leave) {
    this.#take = take;
    this.#leave = leave;
    at("photo").value = "";
    say("");
    show("scan");
    at("scan-title").focus();
    this.#look();
  }

  #close() {
    const leave = this.#leave;
    this.#stop();
    this.#take = this.#leave = null;
    say("");
    return leave;
  }

  #stop() {
    this.#turn += 1;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = at("camera").srcObject = null;
  }

  async #look() {
    const turn = this.#turn;
    const camera = at("camera");
    try {
      const stream = await navigator.mediaDevices.getUserMedia(CAMERA);
      if (turn !== this.#turn) {
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      this.#stream = camera.srcObject = stream;
      this.#offer("");
      await camera.play();
      while (turn === this.#turn) {
        const text = await read(camera, camera.videoWidth, camera.videoHeight);
        if (turn === this.#turn && text !== "") this.#found(text);
        await new Promise((resolve) => { setTimeout(resolve, LOOK_MS); });
      }
    } catch (error) {
      if (turn === this.#turn) this.#offer(NO_CAMERA[error.name] ?? ANY_CAMERA);
    }
  }

  // Show the camera, or say why there is none.
  #offer(problem) {
    at("camera").hidden = problem !== "";
    at("camera-problem").hidden = problem === "";
    at("camera-problem").textContent = problem;
  }

  async #photo() {
    const [file] = at("photo").files;
    if (file === undefined) return;
    try {
      const picture = await createImageBitmap(file);
      const text = await read(picture, picture.width, picture.height);
      picture.close();
      if (this.#take === null) return;
      if (text === "") say("There is no QR code in this picture, or it is not sharp: take it from nearer.");
      else this.#found(text);
    } catch {
      if (this.#take !== null) say("This file is no picture that the browser can read.");
    }
  }

  #found(text) {
    const problem = this.#take(text);
    if (problem !== "") {
      if (at("problem-text").textContent !== problem) say(problem);
      return;
    }
    this.#close();
  }
}

// The text of the QR code in a picture, or of a moment of a film; empty if there is none.
async function read(source, width, height) {
  if (width === 0 || height === 0) return "";
  await import("../vendor/jsQR.js");
  const scale = Math.min(1, MOST_PIXELS / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * width));
  canvas.height = Math.max(1, Math.round(scale * height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return window.jsQR(data, canvas.width, canvas.height)?.data ?? "";
}
