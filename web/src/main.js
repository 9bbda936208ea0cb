import "./page.css";
import "../../src/ibsd/reporting/slider.js";
import { $, PULL, dropCard, focusOn, listenForFiles, megabytes, newCard, render, sentence, timeLeft, toggleViewer, trouble } from "../../src/ibsd/app/cards.js";
import { zip } from "./zip.js";

const IMAGE = /^[^.].*\.(png|jpe?g|webp|tiff?|avif|hei[cf]|bmp|gif)$/i;
const LARGE = 8e6; // bytes: the page itself does not load such a file, which would block it

let page, worker, threads, ready, running = null, number = 0;
let engine = new URLSearchParams(location.search).get("engine"); // ?engine=wasm or ?engine=webgpu, whichever is faster
const cards = [];

// -- the worker: one, started anew when a photograph is cancelled ------------------------------------------

function startWorker() {
  ready = false;
  worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.onmessage = ({ data }) => hear(data);
  worker.onerror = () => trouble("The network cannot be loaded. Reload the page, or try another browser.");
  worker.postMessage({ kind: "start", page, base: document.baseURI, threads, engine });
}

function hear({ kind, id, ...news }) {
  if (kind === "ready") {
    ready = true;
    sayReady();
    return next();
  }
  if (kind === "engine") {
    if (news.name === "wasm") engine = "wasm"; // a new worker need not try again
    return sayReady(news);
  }
  if (kind === "broken" && threads === 1) return trouble(`The network cannot be loaded: ${news.text}.`);
  if (kind === "broken") {
    worker.terminate();
    threads = 1;
    return startWorker();
  }
  const card = running;
  if (card?.key !== id) return undefined;
  if (kind === "opened") {
    Object.assign(card, { size: [news.width, news.height], moves: news.moves });
    if (news.preview) {
      if (card.before) URL.revokeObjectURL(card.before); // which moves
      card.before = URL.createObjectURL(news.preview);
      showThumb(card);
    }
    return render(card, "working", `${grows(card)}, first tile`, 0, ["cancel"]);
  }
  if (kind === "tile") return render(card, "working", `${grows(card)}, tile ${news.done} of ${news.all}${timeLeft(card, news.done, news.all)}`, news.done / news.all, ["cancel"]);
  running = null;
  if (kind === "done") finish(card, news);
  if (kind === "failed") render(card, "failed", sentence(news.text), undefined, ["remove"], `${card.name}: ${news.text}`);
  return next();
}

function sayReady({ name, text } = {}) {
  const many = threads > 1 ? `${threads} threads` : "one thread only, because this browser or its address allows no more: an https address helps";
  const graphics = text ? ` The graphics card is not used: ${sentence(text)}` : "";
  const offline = navigator.serviceWorker?.controller ? " It works without a network from now on." : "";
  $("state").textContent = `Ready: ${name === "webgpu" ? "on the graphics card (WebGPU)" : many}.${graphics}${offline}`;
}

function next() {
  if (running || !ready) return;
  running = cards.find((card) => card.kind === "waiting") ?? null;
  if (!running) return;
  running.first = null;
  render(running, "working", "being read", null, ["cancel"]);
  worker.postMessage({ kind: "upscale", id: running.key, file: running.file, large: running.large });
}

// -- cards -------------------------------------------------------------------------------------------------

function take(files) {
  trouble("");
  for (const file of files) {
    const card = Object.assign(newCard(number++, file.name || "photograph"), { file, large: file.size > LARGE });
    const { part } = card;
    if (!card.large) {
      card.before = URL.createObjectURL(file);
      showThumb(card);
    }
    part("cancel").onclick = () => cancel(card);
    part("remove").onclick = () => remove(card);
    part("again").onclick = () => wait(card);
    part("open").onclick = () => toggleViewer(card, fillViewer);
    cards.push(card);
    wait(card);
  }
}

function showThumb(card) {
  const image = card.part("thumb").querySelector("img");
  image.onerror = () => (image.hidden = true);
  image.src = card.before;
}

function wait(card) {
  render(card, "waiting", ready ? "waiting" : "waiting for the network", 0, ["cancel"]);
  focusOn(card);
  next();
}

function cancel(card) {
  render(card, "cancelled", "cancelled", undefined, ["again", "remove"], `${card.name} was cancelled`);
  if (card !== running) return;
  running = null;
  worker.terminate();
  startWorker();
}

function remove(card) {
  for (const address of new Set([card.before, card.result, card.shown])) if (address) URL.revokeObjectURL(address);
  cards.splice(cards.indexOf(card), 1);
  dropCard(card);
  offerAll();
}

function finish(card, { blob, shown }) {
  card.result = URL.createObjectURL(blob);
  card.shown = shown === blob ? card.result : URL.createObjectURL(shown);
  card.blob = blob;
  card.saved = `${card.name.replace(/\.[^.]*$/, "")}_${page.name}.png`;
  Object.assign(card.part("download"), { href: card.result, download: card.saved });
  render(card, "done", `${grows(card)}, PNG of ${megabytes(blob.size)}`, undefined, ["open", "download", "remove"], `${card.name} is done`);
  offerAll();
}

function offerAll() {
  $("all").hidden = cards.filter((card) => card.blob).length < 2;
}

$("all").firstElementChild.onclick = async ({ currentTarget: button }) => {
  button.disabled = true;
  try {
    const address = URL.createObjectURL(await zip(cards.filter((card) => card.blob).map((card) => [card.saved, card.blob])));
    Object.assign(document.createElement("a"), { href: address, download: "photographs.zip" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  } catch (error) {
    trouble(sentence(error.message));
  }
  button.disabled = false;
};

function grows({ size: [width, height], moves }) {
  const { scale } = page.network;
  return `${width} × ${height} → ${width * scale} × ${height * scale}${moves ? ", the animation's first picture" : ""}`;
}

// -- comparing ---------------------------------------------------------------------------------------------

function fillViewer(card, box) {
  const [width, height] = card.size;
  box.append($("viewer").content.cloneNode(true));
  const part = (kind) => box.querySelector("." + kind), frame = part("frame"), compare = part("compare"), button = part("size-on");
  compare.style.setProperty("--shape", `${width} / ${height}`);
  Object.assign(part("before"), { src: card.before, alt: `${card.name}, before` });
  Object.assign(part("after"), { src: card.shown, alt: `${card.name}, after` });
  button.hidden = card.shown !== card.result; // shown smaller than it is
  const follow = () => compare.style.setProperty("--cut", `${((frame.scrollLeft + Math.min(frame.clientWidth, compare.clientWidth) / 2) / compare.clientWidth) * 100}%`);
  button.onclick = () => {
    const whole = frame.classList.toggle("whole");
    button.setAttribute("aria-pressed", whole);
    compare.style.width = whole ? `${(width * page.network.scale) / devicePixelRatio}px` : "";
    part("about").textContent = whole ? "Left of the line before, right of it after; scroll with the pointer or the arrow keys." : PULL;
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

listenForFiles(IMAGE, take, (name, text) => trouble(text));

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

// The browser looks up the fonts of a card when it first lays one out, which blocks the page for up to 0.3 s. So an
// unseen card is laid out here, one part at a time, before there is a photograph.
async function lookUpFonts() {
  const card = $("job").content.firstElementChild.cloneNode(true);
  Object.assign(card.style, { position: "absolute", visibility: "hidden" });
  const parts = [...card.querySelectorAll(".what > :not(progress), .buttons > *")];
  for (const part of parts) part.hidden = true;
  card.querySelector(".name").textContent = "photograph";
  card.querySelector(".state").textContent = "1 × 1 → 2 × 2";
  document.body.append(card);
  for (const part of parts) {
    await new Promise((resolve) => setTimeout(resolve));
    part.hidden = false;
    card.getBoundingClientRect();
  }
  card.remove();
}

async function start() {
  $("state").textContent = "The network is being loaded.";
  if (!(await isolated())) return;
  const cores = navigator.hardwareConcurrency || 1;
  threads = crossOriginIsolated ? Math.min(cores > 4 ? Math.ceil(cores / 2) : cores, 8) : 1;
  await describe();
  await lookUpFonts();
  startWorker();
}

start().catch((error) => trouble(`The page cannot start: ${error.message}.`));
