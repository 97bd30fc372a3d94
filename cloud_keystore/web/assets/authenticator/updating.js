// Keeps the page for when there is no network, and brings its next version: all of it at once, and
// not while its holder is at something.
import { shown } from "./screen.js";

const SCRIPT = "/assets/authenticator/worker.js";
const SCOPE = "/authenticator";

let renewed = false; // the worker has the next version, and this page not yet

function trusted() {
  const policy = window.trustedTypes?.createPolicy("worker", {
    createScriptURL: (url) => {
      if (url !== SCRIPT) throw new TypeError("another script");
      return url;
    },
  });
  return policy === undefined ? SCRIPT : policy.createScriptURL(SCRIPT);
}

const isIdle = () => shown() === "home" && document.activeElement?.matches("input, textarea") !== true;

// Take a next version that is whole, if the holder is not at anything.
export async function takeNext() {
  const registration = await navigator.serviceWorker?.getRegistration(SCOPE);
  if (!isIdle()) return;
  if (renewed) location.reload();
  else registration?.waiting?.postMessage("take over");
}

// Take the newest version now, since this one is of no use.
export async function takeNewest() {
  const registration = await navigator.serviceWorker?.getRegistration(SCOPE);
  await registration?.unregister();
  location.reload();
}

export async function keepShell() {
  if (!("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator;
  const isFirst = serviceWorker.controller === null;
  serviceWorker.addEventListener("controllerchange", () => {
    renewed = !isFirst;
    if (renewed && isIdle()) location.reload();
  });
  try {
    const registration = await serviceWorker.register(trusted(), { scope: SCOPE });
    registration.addEventListener("updatefound", () => {
      registration.installing?.addEventListener("statechange", takeNext);
    });
    await takeNext();
  } catch {
    // Without it the page works as long as the keystore is in reach.
  }
}
