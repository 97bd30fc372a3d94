// Keeps the authenticator's shell, so that it opens without a network and says so. Calls pass. And
// shows the holder that something waits, when the keystore rings.

const VERSION = "@version@"; // of all files together, which the keystore puts here
const CACHE = `cloudcard-shell-${VERSION}`;
const SHELL = [
  "/authenticator",
  "/assets/cloudcard.css",
  "/assets/mark-white.svg",
  "/assets/vendor/jsQR.js",
  "/assets/vendor/nhsuk-frontend.css",
  ..."@scripts@".split(" ").map((path) => `/assets/${path}`), // all of the page's, which the keystore puts here
];

// All files of one version, or none: while a keystore is being renewed, some of it may be older.
async function install() {
  const responses = await Promise.all(SHELL.map((path) => fetch(path, { cache: "no-cache" })));
  if (responses.some((each) => !each.ok || each.headers.get("Cloudcard-Version") !== VERSION)) {
    throw new Error("the files are of several versions");
  }
  const cache = await caches.open(CACHE);
  await Promise.all(responses.map((each, place) => cache.put(SHELL[place], each)));
}

self.addEventListener("install", (event) => event.waitUntil(install()));

// The page says when its holder is not at anything.
self.addEventListener("message", (event) => event.data === "take over" && self.skipWaiting());

self.addEventListener("activate", (event) => {
  const old = (names) => names.filter((name) => name !== CACHE);
  event.waitUntil(caches.keys().then((names) => Promise.all(old(names).map((name) => caches.delete(name)))));
});

self.addEventListener("fetch", (event) => {
  const path = new URL(event.request.url).pathname;
  if (event.request.method !== "GET" || !SHELL.includes(path)) return;
  event.respondWith(caches.open(CACHE).then((cache) => cache.match(path)).then((found) => found ?? fetch(event.request)));
});

const PAGE = "/authenticator";

async function pages() {
  const found = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  return found.filter((each) => new URL(each.url).pathname === PAGE);
}

// What is shown names nobody and nothing: others can see the screen. Without it browsers would no
// longer let the page be rung.
self.addEventListener("push", (event) => {
  const shown = self.registration.showNotification("Something waits for you", {
    body: "Open your authenticator to see what it is.",
    icon: "/assets/icon-192.png",
    tag: "waiting",
    renotify: true,
  });
  const told = pages().then((open) => open.forEach((each) => each.postMessage("ring")));
  event.waitUntil(Promise.all([shown, told]));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(pages().then(([first]) => (first === undefined ? self.clients.openWindow(PAGE) : first.focus())));
});
