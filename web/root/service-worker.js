// Keeps all files of this page in the browser, so that it works without a network.
//
// A worker has one version of the page: the one whose files.json has the sha256 in the worker's own address. A new
// version is a new worker with a cache of its own. Each file is checked before it is kept. The new worker takes over
// when no tab has the old version, or if the only one asks for it: no tab mixes two versions.

const VERSION = new URL(self.location).searchParams.get("files");
const SCOPE = self.registration.scope; // several such pages may share an origin, and its caches
const PREFIX = `mien ${SCOPE} `;
const CACHE = PREFIX + VERSION;
const LIST = "files.json";
// With these the page may use several threads, whatever its host sends.
const ISOLATION = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  if (event.data === "take over") event.waitUntil(takeOver(event.source));
});
self.addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  if (method !== "GET" || !url.startsWith(SCOPE)) return;
  const path = url.slice(SCOPE.length).replace(/[?#].*$/, "") || "index.html";
  event.respondWith(path === LIST ? newestList(event) : answer(event.request, path));
});

async function install() {
  try {
    await fill();
  } catch (error) {
    await caches.delete(CACHE);
    for (const tab of await tabs()) tab.postMessage({ failed: reasonOf(error), code: error.code ?? error.name });
    throw error;
  }
}

/** Fetch, check and keep every file; the list comes last and says that all are there. */
async function fill() {
  const list = await checked(await fetchWhole(LIST), LIST, VERSION);
  const cache = await caches.open(CACHE);
  const known = await keptFiles();
  await Promise.all(Object.entries(await list.clone().json()).map(async ([path, sha256]) => {
    const kept = await known.get(sha256)?.();
    await cache.put(SCOPE + path, kept ?? (await fetchChecked(path, sha256)));
  }));
  await cache.put(SCOPE + LIST, list);
}

/** Return the files of older versions by their sha256: what has not changed is not fetched again. */
async function keptFiles() {
  const found = new Map();
  for (const name of await cacheNames()) {
    const cache = await caches.open(name);
    const list = await cache.match(SCOPE + LIST);
    for (const [path, sha256] of Object.entries((await list?.json()) ?? {})) {
      found.set(sha256, () => cache.match(SCOPE + path));
    }
  }
  return found;
}

const cacheNames = async () => (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);

async function fetchChecked(path, sha256) {
  try {
    return await checked(await fetchWhole(path, "no-cache"), path, sha256);
  } catch (error) {
    if (error.code !== "wrong-hash") throw error;
    return checked(await fetchWhole(path, "reload"), path, sha256); // a copy on the way was old or cut short
  }
}

/** Fetch a file; a network that fails in its middle counts, too. A redirected response could not show a page: copy. */
async function fetchWhole(path, cache = "no-store") {
  const response = await fetch(SCOPE + path, { cache }).catch(() => null);
  const status = response && !response.ok ? `: the host answers ${response.status}` : "";
  const body = response?.ok && (await response.arrayBuffer().catch(() => null));
  if (!body) throw wrong("unreachable", `${path} cannot be fetched${status}`);
  const headers = new Headers(response.headers);
  for (const name of ["Content-Encoding", "Content-Length"]) headers.delete(name);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  return new Response(body, { headers });
}

/** Return a response if its body has this sha256. */
async function checked(response, path, sha256) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await response.clone().arrayBuffer()));
  const found = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found === sha256) return response;
  const should = path === LIST ? "its sha256 has changed meanwhile" : `its sha256 is not the one in ${LIST}`;
  throw wrong("wrong-hash", `${path} on the host is damaged or of another version: ${should}`);
}

const wrong = (code, message) => Object.assign(new Error(message), { code });

const reasonOf = (error) =>
  error.name === "QuotaExceededError" ? "the browser's storage is full; free some space, then load the page again" : error.message;

/** Return the tabs with this page, whichever version they have. */
async function tabs() {
  const all = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  return all.filter(({ url }) => url.startsWith(SCOPE));
}

async function activate() {
  for (const name of await cacheNames()) await caches.delete(name);
  // A tab that was opened before this worker was there keeps to what it loaded, unless it is the one that installed it.
  if ((await tabs()).length === 1) await self.clients.claim();
}

/** Replace the old version, if the tab that asks is the only one that has it. */
async function takeOver(tab) {
  const others = (await tabs()).filter(({ id }) => id !== tab.id).length;
  if (others) tab.postMessage({ others });
  else await self.skipWaiting();
}

/** Answer with a kept file; what the list does not name comes from the host. */
async function answer(request, path) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(SCOPE + path);
  if (kept) return kept;
  const list = await (await cache.match(SCOPE + LIST))?.json();
  if (list && Object.hasOwn(list, path)) return fetchChecked(path, list[path]);
  return fetch(request).catch(() => Response.error()); // the tab is told, or has gone: no error of this worker
}

/** Answer with the host's list, which may be of a newer version; without a network, with the kept one. */
async function newestList(event) {
  const kept = await (await caches.open(CACHE)).match(SCOPE + LIST);
  if (!kept) event.waitUntil(fill().catch(() => caches.delete(CACHE))); // the user has emptied the cache
  return fetchWhole(LIST).catch(() => kept ?? Response.error());
}
