// Keeps the page's files for use without a network, and adds the headers that threads need: few static
// hosts can be told to send them. The next line is filled in by ibsd export.
const VERSION = "none";
const NAME = `ibsd ${registration.scope} ${VERSION}`;
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'",
};

addEventListener("activate", (event) => event.waitUntil(replaceOld()));

async function replaceOld() {
  for (const name of await caches.keys()) if (name.startsWith(`ibsd ${registration.scope} `) && name !== NAME) await caches.delete(name);
  await clients.claim();
}

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(registration.scope)) event.respondWith(answer(request));
});

async function answer(request) {
  const address = request.mode === "navigate" ? request.url.replace(/(index\.html)?([?#].*)?$/, "") : request.url;
  const cache = await caches.open(NAME);
  let response = await cache.match(address);
  if (!response) {
    response = await fetch(address, { cache: "no-cache" });
    if (response.ok) await cache.put(address, response.clone());
  }
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
