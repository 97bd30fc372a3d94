// Keeps the authenticator's shell, so that it opens without a network and says so. Calls pass. And
// shows the holder that something waits, when the keystore rings.

const CACHE = "cloudcard-shell-1";
const SHELL = [
  "/authenticator",
  "/assets/cloudcard.css",
  "/assets/mark-white.svg",
  "/assets/vendor/jsQR.js",
  "/assets/vendor/nhsuk-frontend.css",
  ...["bytes", "calls", "cards", "claiming", "der", "enrolling", "history", "keeping", "main", "payload", "protocol", "ringing", "scanning", "screen", "sessions", "words"].map(
    (name) => `/assets/authenticator/${name}.js`,
  ),
];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (names) => names.filter((name) => name !== CACHE);
  event.waitUntil(caches.keys().then((names) => Promise.all(old(names).map((name) => caches.delete(name)))));
});

// The newest shell, or without a network the last one that was seen.
self.addEventListener("fetch", (event) => {
  const path = new URL(event.request.url).pathname;
  if (event.request.method !== "GET" || !SHELL.includes(path)) return;
  event.respondWith((async () => {
    const cache = await caches.open(CACHE);
    try {
      const response = await fetch(event.request);
      if (response.ok) await cache.put(path, response.clone());
      return response;
    } catch (error) {
      const found = await cache.match(path);
      if (found === undefined) throw error;
      return found;
    }
  })());
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
