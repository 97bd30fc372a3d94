// Keeps the authenticator's shell, so that it opens without a network and says so. Calls pass.

const CACHE = "cloudcard-shell-1";
const SHELL = [
  "/authenticator",
  "/assets/cloudcard.css",
  "/assets/mark-white.svg",
  "/assets/vendor/jsQR.js",
  "/assets/vendor/nhsuk-frontend.css",
  ...["bytes", "calls", "cards", "claiming", "der", "enrolling", "history", "keeping", "main", "payload", "protocol", "scanning", "screen", "words"].map(
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
