"use strict";

const $ = (id) => document.getElementById(id);
const ZOOM = 2; // screen pixels for each of the result's
const TILE = 512; // as in previews.py

const session = sessionStorage.session || (sessionStorage.session = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
let offered = [], limits = null;
const cards = new Map(); // key of a job, or of an upload that has none yet -> its card

// -- what the server says ------------------------------------------------------------------------------------------------------------

$("all").firstElementChild.href = "/results?session=" + session;
const stream = new EventSource("/events?session=" + session);
stream.onmessage = ({ data }) => {
  const state = JSON.parse(data);
  trouble("");
  limits = state.limits;
  $("limits").textContent = `JPEG, PNG, WebP, TIFF, AVIF, BMP; up to ${megabytes(limits.upload_bytes)} and ${limits.pixels / 1e6} megapixels`;
  offer(state.weights);
  for (const job of state.jobs) show(job);
  $("all").hidden = state.jobs.filter((job) => job.state === "done").length < 2;
  const there = new Set(state.jobs.map((job) => job.key));
  for (const [key, card] of cards) if (!card.sending && card.job && !there.has(key)) drop(key);
};
stream.onerror = () => trouble(stream.readyState === EventSource.CLOSED ? "This server takes no more pages. Close another one, and reload." : "The server is not answering. Is ibsd serve still running?");

function offer(weights) {
  if (JSON.stringify(weights) === JSON.stringify(offered)) return;
  offered = weights;
  const scales = [...new Set(weights.map((weight) => weight.scale))].sort();
  const before = chosenScale();
  const row = document.createElement("div");
  row.className = "scales";
  for (const scale of scales) {
    const label = document.createElement("label"), input = document.createElement("input"), text = document.createElement("span");
    Object.assign(input, { type: "radio", name: "scale", value: scale, checked: scale === (scales.includes(before) ? before : scales.at(-1)) });
    text.textContent = `${scale}×`;
    label.append(input, text);
    row.append(label);
  }
  $("scales").querySelector(".scales")?.remove();
  $("scales").append(row);
  offerWeights();
}

function chosenScale() {
  return Number(document.querySelector("[name=scale]:checked")?.value);
}

function offerWeights() {
  const here = offered.filter((weight) => weight.scale === chosenScale());
  $("weights").replaceChildren(...here.map((weight) => new Option(label(weight), weight.key)));
}

function label({ name, network, aim }) {
  if (aim) return `${name}: ${aim}`;
  return network && !name.includes(network) ? `${name} (${network})` : name;
}

$("scales").addEventListener("change", offerWeights);
$("settings").addEventListener("submit", (event) => event.preventDefault());

// -- cards ---------------------------------------------------------------------------------------------------------------------------

function cardFor(key, name) {
  if (cards.has(key)) return cards.get(key);
  const element = $("job").content.firstElementChild.cloneNode(true);
  const part = (kind) => element.querySelector("." + kind);
  const card = { key, element, part, said: "" };
  part("name").textContent = part("name").title = name;
  for (const kind of ["cancel", "remove", "download", "again", "open"]) part(kind).setAttribute("aria-label", `${part(kind).textContent} ${name}`);
  part("cancel").onclick = () => (card.sending ? card.sending.abort() : ask("POST", `/jobs/${card.key}/cancel`));
  part("remove").onclick = () => {
    const next = element.nextElementSibling ?? element.previousElementSibling;
    if (card.job) ask("DELETE", `/jobs/${card.key}`);
    drop(card.key);
    (next?.querySelector("button:not([hidden]), a:not([hidden])") ?? $("files")).focus();
  };
  part("again").onclick = () => ask("POST", `/jobs/${card.key}/again?${new URLSearchParams({ weights: $("weights").value, format: $("format").value })}`);
  part("open").onclick = () => toggleViewer(card);
  cards.set(key, card);
  $("jobs").append(element);
  return card;
}

function drop(key) {
  cards.get(key)?.element.remove();
  cards.delete(key);
}

function render(card, kind, text, progress, announced = "") {
  card.element.className = "job " + kind;
  card.part("state").textContent = text;
  const bar = card.element.querySelector("progress");
  bar.hidden = progress === undefined;
  if (progress === null) bar.removeAttribute("value");
  else if (progress !== undefined) bar.value = progress;
  bar.setAttribute("aria-label", `Progress of ${card.part("name").textContent}`);
  card.part("cancel").hidden = progress === undefined;
  card.part("remove").hidden = progress !== undefined;
  card.part("download").hidden = card.part("again").hidden = card.part("open").hidden = kind !== "done";
  if (kind !== card.said) {
    if (announced) $("news").textContent = announced;
    card.said = kind;
  }
}

function show(job) {
  const card = cardFor(job.key, job.name);
  card.job = job;
  const image = card.part("thumb").querySelector("img");
  const looked = job.size && !["failed", "cancelled"].includes(job.state);
  if (looked && image.hidden) Object.assign(image, { src: `/jobs/${job.key}/before/overview`, hidden: false });
  const [width, height] = job.size ?? [0, 0];
  const grows = job.size ? `${width} × ${height} → ${width * job.scale} × ${height * job.scale}, ${job.weights}` : job.weights;
  const [done, all] = job.tiles;
  if (job.state === "reading") render(card, "reading", "being read", null);
  if (job.state === "waiting") render(card, "waiting", `${grows}, waiting${job.ahead ? `, ${job.ahead} before it` : ""}`, 0);
  if (job.state === "working") render(card, "working", all ? `${grows}, tile ${done} of ${all}${timeLeft(card, done, all)}` : `${grows}, loading the network`, all ? done / all : null);
  if (job.state === "cancelled") render(card, "cancelled", "cancelled", undefined, `${job.name} was cancelled`);
  if (job.state === "failed") render(card, "failed", sentence(job.error), undefined, `${job.name}: ${job.error}`);
  if (job.state === "done") {
    render(card, "done", `${grows}, ${megabytes(job.result.bytes)}${job.result.note ? `. ${sentence(job.result.note)}` : ""}`, undefined, `${job.name} is done`);
    Object.assign(card.part("download"), { href: `/jobs/${job.key}/result`, download: job.result.name });
  }
}

function timeLeft(card, done, all) {
  const now = performance.now();
  if (!card.first || done < card.first.done) card.first = { done, now }; // the first tile waits for the network
  if (done === card.first.done) return "";
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

async function ask(method, address) {
  try {
    const answer = await fetch(address, { method });
    if (!answer.ok && answer.status !== 404) trouble(sentence((await answer.json()).error));
  } catch {
    trouble("The server is not answering. Is ibsd serve still running?");
  }
}

// -- uploads: two at a time, so that many large ones leave room for news ----------------------------------------------------------------

const waiting = [];
let numSending = 0, number = 0;

function take(files) {
  const weights = $("weights").value, format = $("format").value;
  for (const file of files) {
    const card = cardFor(`upload-${number++}`, file.name || "photograph");
    if (!weights) render(card, "failed", "No weights are ready yet; try again in a moment.", undefined);
    else if (limits && file.size > limits.upload_bytes) {
      const text = `The file has ${megabytes(file.size)}, and this server takes ${megabytes(limits.upload_bytes)}: make it smaller.`;
      render(card, "failed", text, undefined, `${file.name}: ${text}`);
    } else {
      card.sending = { abort: () => give_up(card) };
      render(card, "sending", "waiting to be sent", 0);
      waiting.push({ card, file, weights, format });
    }
  }
  sendNext();
}

function give_up(card) {
  const place = waiting.findIndex((entry) => entry.card === card);
  if (place >= 0) waiting.splice(place, 1);
  card.sending = null;
  render(card, "cancelled", "cancelled", undefined);
}

function sendNext() {
  while (numSending < 2 && waiting.length) {
    numSending++;
    send(waiting.shift());
  }
}

function send({ card, file, weights, format }) {
  const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
  const query = new URLSearchParams({ session, name: file.name, weights, format });
  request.open("POST", `/jobs?${query}`);
  request.responseType = "json";
  request.upload.onprogress = ({ loaded, total }) => render(card, "sending", `sending, ${megabytes(loaded)} of ${megabytes(total)}`, loaded / total);
  request.onloadend = () => {
    numSending--;
    sendNext();
    if (!card.sending) return;
    card.sending = null;
    if (request.status === 201) {
      const key = request.response.key, early = cards.get(key);
      cards.delete(card.key);
      if (early) early.element.remove(); // the news of it came first
      card.key = key;
      cards.set(key, card);
      if (early?.job) show(early.job);
    } else {
      const text = request.response?.error ?? "the server did not answer; it may have been stopped, or the file changed on the disk";
      render(card, "failed", sentence(text), undefined, `${file.name}: ${text}`);
    }
  };
  card.sending = {
    abort: () => {
      give_up(card);
      request.abort();
    },
  };
  render(card, "sending", "sending", 0);
  request.setRequestHeader("Content-Type", file.type.startsWith("image/") ? file.type : "application/octet-stream");
  request.send(file);
}

$("files").addEventListener("change", () => {
  take($("files").files);
  $("files").value = "";
});
for (const kind of ["dragover", "dragenter"]) document.addEventListener(kind, (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  // What was dropped is there only while the event lasts: nothing may be awaited before.
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.some((entry) => entry.isDirectory)) entries.forEach(takeEntry);
  else take(event.dataTransfer.files);
});

async function takeEntry(entry) {
  try {
    const files = await filesOf(entry);
    if (files.length) take(files);
    else render(cardFor(`upload-${number++}`, entry.name), "failed", "The folder holds no photographs.", undefined);
  } catch {
    render(cardFor(`upload-${number++}`, entry.name), "failed", "The folder cannot be read.", undefined);
  }
}

async function filesOf(entry, inside = false) {
  if (entry.isFile) {
    if (inside && !/^[^.].*\.(png|jpe?g|webp|tiff?|avif|hei[cf]|bmp)$/i.test(entry.name)) return [];
    return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  }
  const reader = entry.createReader(), files = [];
  for (;;) { // a reader gives some at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return files;
    for (const child of some) files.push(...(await filesOf(child, true)));
  }
}
document.addEventListener("paste", (event) => event.clipboardData?.files.length && take(event.clipboardData.files));

// -- comparing -------------------------------------------------------------------------------------------------------------------------

function toggleViewer(card) {
  const box = card.part("viewer"), opening = box.hidden;
  box.hidden = !opening;
  card.part("open").setAttribute("aria-expanded", opening);
  if (opening && !box.firstChild) fillViewer(card, box);
}

function fillViewer(card, box) {
  const { key, name, size: [width, height], scale } = card.job;
  box.append($("viewer").content.cloneNode(true));
  const compare = box.querySelector(".compare"), loupe = box.querySelector(".loupe"), button = box.querySelector(".loupe-on"), about = box.querySelector(".about");
  compare.style.setProperty("--shape", `${width} / ${height}`);
  for (const side of ["before", "after"]) Object.assign(box.querySelector("img." + side), { src: `/jobs/${key}/${side}/overview`, alt: `${name}, ${side}` });
  about.textContent = "Pull the line, or move it with the arrow keys.";
  const images = new Map();
  let at = { x: 0.5, y: 0.5 };

  const tile = (side, row, column) => {
    const address = `/jobs/${key}/${side}/${row}-${column}`;
    if (!images.has(address)) {
      const image = new Image();
      image.onload = draw;
      image.src = address;
      images.set(address, image);
    }
    return images.get(address);
  };

  function draw() {
    if (loupe.hidden) return;
    const ratio = window.devicePixelRatio || 1, shown = loupe.clientWidth;
    loupe.width = loupe.height = Math.round(shown * ratio);
    const pen = loupe.getContext("2d");
    for (const [side, factor, left] of [["before", scale, 0], ["after", 1, shown / 2]]) {
      const step = (TILE * factor) * ZOOM; // step of a tile on the screen
      const originX = shown / 2 - at.x * width * scale * ZOOM, originY = shown / 2 - at.y * height * scale * ZOOM;
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      pen.save();
      pen.beginPath();
      pen.rect(left, 0, shown / 2, shown);
      pen.clip();
      pen.imageSmoothingEnabled = side === "before";
      for (let row = Math.max(0, Math.floor(-originY / step)); row * step + originY < shown && row * TILE * factor < height * scale; row++)
        for (let column = Math.max(0, Math.floor(-originX / step)); column * step + originX < shown && column * TILE * factor < width * scale; column++) {
          const image = tile(side, row, column);
          if (image.complete && image.naturalWidth) pen.drawImage(image, originX + column * step, originY + row * step, image.naturalWidth * factor * ZOOM, image.naturalHeight * factor * ZOOM);
        }
      pen.restore();
    }
    pen.fillStyle = "#fff";
    pen.fillRect(shown / 2 - 0.75, 0, 1.5, shown);
    loupe.style.left = `${at.x * 100}%`;
    loupe.style.top = `${at.y * 100}%`;
  }

  function move(x, y) {
    at = { x: Math.min(1, Math.max(0, x)), y: Math.min(1, Math.max(0, y)) };
    draw();
  }

  button.onclick = () => {
    loupe.hidden = !loupe.hidden;
    compare.classList.toggle("with-loupe", !loupe.hidden);
    button.setAttribute("aria-pressed", !loupe.hidden);
    about.textContent = loupe.hidden ? "Pull the line, or move it with the arrow keys." : "Left half before, right half after; move it with the pointer or the arrow keys.";
    draw();
    if (!loupe.hidden) loupe.focus({ preventScroll: true });
  };
  compare.addEventListener("pointermove", (event) => {
    if (loupe.hidden) return;
    const { left, top, width: across, height: down } = compare.getBoundingClientRect();
    move((event.clientX - left) / across, (event.clientY - top) / down);
  });
  loupe.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    move(at.x + step[0] * 40 / (width * scale), at.y + step[1] * 40 / (height * scale));
  });
}
