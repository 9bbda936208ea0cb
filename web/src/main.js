import "./page.css";
import "../../src/ibsd/reporting/slider.js";

const $ = (id) => document.getElementById(id);
const IMAGE = /^[^.].*\.(png|jpe?g|webp|tiff?|avif|hei[cf]|bmp|gif)$/i;

let page, worker, threads, ready, running = null, number = 0;
const cards = [];

// -- the worker: one, started anew when a photograph is cancelled ------------------------------------------

function startWorker() {
  ready = false;
  worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => hear(data);
  worker.onerror = () => trouble("The network cannot be loaded. Reload the page, or try another browser.");
  worker.postMessage({ kind: "start", page, base: document.baseURI, threads });
}

function hear({ kind, id, ...news }) {
  if (kind === "ready") {
    ready = true;
    const many = threads > 1 ? `${threads} threads` : "one thread only, because this browser or its address allows no more: an https address helps";
    const offline = navigator.serviceWorker?.controller ? " It works without a network from now on." : "";
    $("state").textContent = `Ready: ${many}.${offline}`;
    return next();
  }
  if (kind === "broken" && threads === 1) return trouble(`The network cannot be loaded: ${news.text}.`);
  if (kind === "broken") {
    worker.terminate();
    threads = 1;
    return startWorker();
  }
  const card = running;
  if (card?.id !== id) return undefined;
  if (kind === "opened") {
    card.size = [news.width, news.height];
    return render(card, "working", `${grows(card)}, first tile`, 0);
  }
  if (kind === "tile") return render(card, "working", `${grows(card)}, tile ${news.done} of ${news.all}${timeLeft(card, news)}`, news.done / news.all);
  running = null;
  if (kind === "done") finish(card, news);
  if (kind === "failed") render(card, "failed", `${sentence(news.text)}`, undefined, `${card.name}: ${news.text}`);
  return next();
}

function next() {
  if (running || !ready) return;
  running = cards.find((card) => card.kind === "waiting") ?? null;
  if (!running) return;
  running.first = null;
  render(running, "working", "being read", null);
  worker.postMessage({ kind: "upscale", id: running.id, file: running.file });
}

// -- cards -------------------------------------------------------------------------------------------------

function take(files) {
  trouble("");
  for (const file of files) {
    const element = $("job").content.firstElementChild.cloneNode(true);
    const part = (kind) => element.querySelector("." + kind);
    const card = { id: number++, file, name: file.name || "photograph", element, part, address: URL.createObjectURL(file) };
    part("name").textContent = part("name").title = card.name;
    const image = part("thumb").querySelector("img");
    image.onerror = () => (image.hidden = true);
    image.src = card.address;
    for (const kind of ["cancel", "remove", "download", "again", "open"]) part(kind).setAttribute("aria-label", `${part(kind).textContent} ${card.name}`);
    part("cancel").onclick = () => cancel(card);
    part("remove").onclick = () => remove(card);
    part("again").onclick = () => wait(card);
    part("open").onclick = () => toggleViewer(card);
    cards.push(card);
    $("jobs").append(element);
    wait(card);
  }
}

function wait(card) {
  render(card, "waiting", ready ? "waiting" : "waiting for the network", 0);
  card.part("cancel").focus({ preventScroll: true });
  next();
}

function cancel(card) {
  render(card, "cancelled", "cancelled", undefined, `${card.name} was cancelled`);
  card.part("again").focus({ preventScroll: true });
  if (card !== running) return;
  running = null;
  worker.terminate();
  startWorker();
}

function remove(card) {
  const neighbour = card.element.nextElementSibling ?? card.element.previousElementSibling;
  for (const address of new Set([card.address, card.result, card.shown])) if (address) URL.revokeObjectURL(address);
  card.element.remove();
  cards.splice(cards.indexOf(card), 1);
  (neighbour?.querySelector("button:not([hidden]), a:not([hidden])") ?? $("files")).focus();
}

function finish(card, { blob, shown }) {
  card.result = URL.createObjectURL(blob);
  card.shown = shown === blob ? card.result : URL.createObjectURL(shown);
  const name = `${card.name.replace(/\.[^.]*$/, "")}_${page.name}.png`;
  Object.assign(card.part("download"), { href: card.result, download: name });
  render(card, "done", `${grows(card)}, PNG of ${megabytes(blob.size)}`, undefined, `${card.name} is done`);
}

function render(card, kind, text, progress, announced = "") {
  card.element.className = "job " + (card.kind = kind);
  card.part("what").querySelector(".state").textContent = text;
  const bar = card.element.querySelector("progress");
  bar.hidden = progress === undefined;
  if (progress === null) bar.removeAttribute("value");
  else if (progress !== undefined) bar.value = progress;
  bar.setAttribute("aria-label", `Progress of ${card.name}`);
  card.part("cancel").hidden = progress === undefined;
  card.part("remove").hidden = progress !== undefined;
  card.part("again").hidden = kind !== "cancelled";
  card.part("download").hidden = card.part("open").hidden = kind !== "done";
  if (announced) $("news").textContent = announced;
}

function grows({ size: [width, height] }) {
  const { scale } = page.network;
  return `${width} × ${height} → ${width * scale} × ${height * scale}`;
}

function timeLeft(card, { done, all }) {
  const now = performance.now();
  if (!card.first) card.first = { done, now };
  if (done === card.first.done || done === all) return "";
  const seconds = ((now - card.first.now) / (done - card.first.done)) * (all - done) / 1000;
  return seconds < 90 ? `, about ${Math.ceil(seconds)} s left` : `, about ${Math.round(seconds / 60)} min left`;
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1).replace(/\.?$/, ".");
}

function megabytes(bytes) {
  return bytes < 1e5 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

// -- comparing ---------------------------------------------------------------------------------------------

function toggleViewer(card) {
  const box = card.part("viewer"), opening = box.hidden;
  box.hidden = !opening;
  card.part("open").setAttribute("aria-expanded", opening);
  if (opening && !box.firstChild) fillViewer(card, box);
}

function fillViewer(card, box) {
  const [width, height] = card.size;
  box.append($("viewer").content.cloneNode(true));
  const part = (kind) => box.querySelector("." + kind), frame = part("frame"), compare = part("compare"), button = part("size-on");
  compare.style.setProperty("--shape", `${width} / ${height}`);
  Object.assign(part("before"), { src: card.address, alt: `${card.name}, before` });
  Object.assign(part("after"), { src: card.shown, alt: `${card.name}, after` });
  button.hidden = card.shown !== card.result; // shown smaller than it is
  const follow = () => compare.style.setProperty("--cut", `${((frame.scrollLeft + Math.min(frame.clientWidth, compare.clientWidth) / 2) / compare.clientWidth) * 100}%`);
  button.onclick = () => {
    const whole = frame.classList.toggle("whole");
    button.setAttribute("aria-pressed", whole);
    compare.style.width = whole ? `${(width * page.network.scale) / devicePixelRatio}px` : "";
    part("about").textContent = whole ? "Left of the line before, right of it after; scroll with the pointer or the arrow keys." : "Pull the line, or move it with the arrow keys.";
    frame.onscroll = whole ? follow : null;
    if (whole) {
      Object.assign(frame, { tabIndex: 0, scrollLeft: (compare.clientWidth - frame.clientWidth) / 2, scrollTop: (compare.clientHeight - frame.clientHeight) / 2 });
      follow();
      frame.focus({ preventScroll: true });
    } else {
      frame.removeAttribute("tabindex");
      compare.style.setProperty("--cut", `${compare.querySelector("input").value}%`);
    }
  };
}

// -- files that are chosen, dropped or pasted --------------------------------------------------------------

$("files").addEventListener("change", () => {
  take($("files").files);
  $("files").value = "";
});
for (const kind of ["dragover", "dragenter"]) document.addEventListener(kind, (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || $("drop").classList.remove("over"));
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  // What was dropped is there only while the event lasts: nothing may be awaited before.
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return take(event.dataTransfer.files);
  try {
    const files = (await Promise.all(entries.map((entry) => filesOf(entry)))).flat();
    if (files.length) take(files);
    else trouble("The folder holds no photographs.");
  } catch {
    trouble("The folder cannot be read.");
  }
  return undefined;
});
document.addEventListener("paste", (event) => event.clipboardData?.files.length && take(event.clipboardData.files));

async function filesOf(entry, inside = false) {
  if (entry.isFile) return inside && !IMAGE.test(entry.name) ? [] : [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader(), files = [];
  for (;;) { // a reader gives some at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return files;
    for (const child of some) files.push(...(await filesOf(child, true)));
  }
}

// -- the start ---------------------------------------------------------------------------------------------

// A service worker sends the headers that threads need; they hold from the next load on.
async function isolated() {
  try {
    if (!navigator.serviceWorker) return true;
    await navigator.serviceWorker.register("sw.js");
    if (crossOriginIsolated || sessionStorage.reloaded) return true;
    await navigator.serviceWorker.ready;
    if (cards.length) return true;
    sessionStorage.reloaded = "yes";
    location.reload();
    return false;
  } catch {
    return true; // no offline use and no threads, which the page says
  }
}

async function describe() {
  const response = await fetch("page.json");
  if (!response.ok) throw new Error("page.json is missing on this server");
  page = await response.json();
  $("model").textContent = page.name;
  $("times").textContent = `${page.network.scale} times as wide and high. `;
  document.title = `${page.name}: photographs, larger`;
  for (const [name, text] of page.facts) {
    const entry = document.createElement("div"), term = document.createElement("dt"), value = document.createElement("dd");
    term.textContent = name;
    value.textContent = text;
    entry.append(term, value);
    $("facts").append(entry);
  }
  for (const text of page.limits) {
    const item = document.createElement("li");
    item.textContent = text;
    $("limits").append(item);
  }
}

async function start() {
  $("state").textContent = "The network is being loaded.";
  if (!(await isolated())) return;
  const cores = navigator.hardwareConcurrency || 1;
  threads = crossOriginIsolated ? Math.min(cores > 4 ? Math.ceil(cores / 2) : cores, 8) : 1;
  await describe();
  startWorker();
}

start().catch((error) => trouble(`The page cannot start: ${error.message}.`));
