import { $, PULL, dropCard, duration, listenForFiles, megabytes, newCard, render, sentence, timeLeft, toggleViewer, trouble } from "/cards.js";

const ZOOM = 2; // screen pixels for each of the result's
const TILE = 512; // as in previews.py
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const IMAGE = /^[^.].*\.(png|jpe?g|webp|tiff?|avif|hei[cf]|bmp)$/i;

const session = sessionStorage.session || (sessionStorage.session = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
let offered = [], limits = null, lost = false;
const cards = new Map(); // key of a job, or of an upload that has none yet -> its card

// -- what the server says ------------------------------------------------------------------------------------------------------------

$("all").firstElementChild.href = "/results?session=" + session;
const stream = new EventSource("/events?session=" + session);
stream.onmessage = ({ data }) => {
  const state = JSON.parse(data);
  if (lost) trouble("");
  lost = false;
  limits = state.limits;
  $("limits").textContent = `JPEG, PNG, WebP, TIFF, AVIF, BMP; up to ${megabytes(limits.upload_bytes)} and ${limits.pixels / 1e6} megapixels`;
  offer(state.weights);
  for (const job of state.jobs) show(job);
  $("all").hidden = state.jobs.filter((job) => job.state === "done").length < 2;
  $("asked").hidden = state.jobs.filter((job) => job.state === "asking").length < 2;
  const there = new Set(state.jobs.map((job) => job.key));
  for (const [key, card] of cards) if (!card.sending && card.job && !there.has(key)) remove(card);
};
stream.onerror = () => {
  lost = true;
  trouble(stream.readyState === EventSource.CLOSED ? "This server takes no more pages. Close another one, and reload." : "The server is not answering. Is ibsd serve still running?");
};

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
  offerLook();
}

function offerLook() {
  $("looks").hidden = !offered.find((weight) => weight.key === $("weights").value)?.has_crisp;
  $("look").setAttribute("aria-valuetext", percent($("look").value, 1) + " crisp");
}

function label({ name, network, aim }) {
  if (aim) return `${name}: ${aim}`;
  return network && !name.includes(network) ? `${name} (${network})` : name;
}

$("scales").addEventListener("change", offerWeights);
for (const kind of ["weights", "look"]) $(kind).addEventListener("input", offerLook);
$("settings").addEventListener("submit", (event) => event.preventDefault());

// -- cards ---------------------------------------------------------------------------------------------------------------------------

function cardFor(key, name) {
  if (cards.has(key)) return cards.get(key);
  const card = newCard(key, name), { part } = card;
  part("cancel").onclick = () => (card.sending ? card.sending.abort() : ask("POST", `/jobs/${card.key}/cancel`));
  part("remove").onclick = () => {
    if (card.job) ask("DELETE", `/jobs/${card.key}`);
    remove(card);
  };
  part("again").onclick = () => ask("POST", `/jobs/${card.key}/again?${choices()}`);
  part("whole").onclick = () => ask("POST", `/jobs/${card.key}/whole`);
  part("open").onclick = () => toggleViewer(card, fillViewer);
  cards.set(key, card);
  return card;
}

function remove(card) {
  cards.delete(card.key);
  dropCard(card);
}

function fail(card, text) {
  render(card, "failed", sentence(text), undefined, card.job?.size ? ["again", "remove"] : ["remove"], `${card.name}: ${text}`);
}

function show(job) {
  const card = cardFor(job.key, job.name);
  card.job = job;
  const image = card.part("thumb").querySelector("img");
  if (job.size && image.hidden) Object.assign(image, { src: `/jobs/${job.key}/before/overview`, hidden: false });
  const [width, height] = job.size ?? [0, 0];
  const made = job.look ? `${job.weights}, ${percent(job.look, 1)} crisp` : job.weights;
  const grows = job.size ? `${width} × ${height} → ${width * job.scale} × ${height * job.scale}, ${made}` : made;
  const [done, all] = job.tiles;
  if (job.state === "reading") render(card, "reading", "being read", null, ["cancel"]);
  if (job.state === "waiting") render(card, "waiting", `${grows}, waiting${job.ahead ? `, ${job.ahead} before it` : ""}`, 0, ["cancel"]);
  if (job.state === "trying") render(card, "trying", `${grows}, a part of it first`, null, ["cancel"]);
  if (job.state === "asking") render(card, "asking", `${grows}. This is a part; all of it takes ${duration(job.part.seconds)}.`, undefined, ["whole", "again", "remove"], `A part of ${job.name} is done`);
  if (job.state === "working") render(card, "working", all ? `${grows}, tile ${done} of ${all}${timeLeft(card, done, all)}` : `${grows}, loading the network`, all ? done / all : null, ["cancel"]);
  if (job.state === "cancelled") render(card, "cancelled", "cancelled", undefined, job.size ? ["again", "remove"] : ["remove"], `${job.name} was cancelled`);
  if (job.state === "failed") fail(card, job.error);
  if (job.state === "done") {
    Object.assign(card.part("download"), { href: `/jobs/${job.key}/result`, download: job.result.name });
    render(card, "done", `${grows}, ${megabytes(job.result.bytes)}${job.result.note ? `. ${sentence(job.result.note)}` : ""}`, undefined, ["open", "download", "again", "remove"], `${job.name} is done`);
  }
  showTrial(card);
}

async function ask(method, address) {
  trouble("");
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

// What the next photographs are upscaled with.
function choices() {
  const look = $("looks").hidden ? "0" : $("look").value;
  return new URLSearchParams({ weights: $("weights").value, look, format: $("format").value, part: $("part").checked ? "1" : "" });
}

function take(files) {
  const chosen = choices();
  for (const file of files) {
    const card = cardFor(`upload-${number++}`, file.name || "photograph");
    if (!chosen.get("weights")) fail(card, "No weights are ready yet; try again in a moment.");
    else if (limits && file.size > limits.upload_bytes) fail(card, `The file has ${megabytes(file.size)}, and this server takes ${megabytes(limits.upload_bytes)}: make it smaller.`);
    else {
      card.sending = { abort: () => give_up(card) };
      render(card, "sending", "waiting to be sent", 0, ["cancel"]);
      waiting.push({ card, file, chosen });
    }
  }
  sendNext();
}

function give_up(card) {
  const place = waiting.findIndex((entry) => entry.card === card);
  if (place >= 0) waiting.splice(place, 1);
  card.sending = null;
  render(card, "cancelled", "cancelled", undefined, ["remove"]);
}

function sendNext() {
  while (numSending < 2 && waiting.length) {
    numSending++;
    send(waiting.shift());
  }
}

function send({ card, file, chosen }) {
  const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
  request.open("POST", `/jobs?${new URLSearchParams([...chosen, ["session", session], ["name", file.name]])}`);
  request.responseType = "json";
  request.upload.onprogress = ({ loaded, total }) => render(card, "sending", `sending, ${megabytes(loaded)} of ${megabytes(total)}`, loaded / total, ["cancel"]);
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
      fail(card, request.response?.error ?? "the server did not answer; it may have been stopped, or the file changed on the disk");
    }
  };
  card.sending = {
    abort: () => {
      give_up(card);
      request.abort();
    },
  };
  render(card, "sending", "sending", 0, ["cancel"]);
  request.setRequestHeader("Content-Type", file.type.startsWith("image/") ? file.type : "application/octet-stream");
  request.send(file);
}

listenForFiles(IMAGE, take, (name, text) => fail(cardFor(`upload-${number++}`, name), text));

// -- a part before the whole -----------------------------------------------------------------------------------------------------------

$("asked").firstElementChild.onclick = () => {
  for (const card of cards.values()) if (card.kind === "asking") card.part("whole").click();
};

function showTrial(card) {
  const { key, name, size, part, asked, state } = card.job, box = card.part("trial");
  box.hidden = !(part && asked && ["waiting", "trying", "asking"].includes(state));
  if (box.hidden || card.trial === part.name) return;
  card.trial = part.name;
  if (!box.firstChild) fillTrial(card, box);
  const [left, top, width, height] = part.box, compare = box.querySelector(".compare");
  compare.style.setProperty("--shape", `${width} / ${height}`);
  for (const side of ["before", "after"]) box.querySelector("." + side).src = `/jobs/${key}/part/${part.name}-${side}`;
  Object.assign(box.querySelector(".box").style, { left: percent(left, size[0]), top: percent(top, size[1]), width: percent(width, size[0]), height: percent(height, size[1]) });
  box.querySelector(".map").setAttribute("aria-label", `${name}, with the part marked. Arrow keys move the mark, Enter upscales that part.`);
}

function percent(part, whole) {
  return `${(part / whole) * 100}%`;
}

function fillTrial(card, box) {
  box.append($("trial").content.cloneNode(true));
  const { key, size: [width, height] } = card.job, map = box.querySelector(".map"), mark = box.querySelector(".box");
  map.style.setProperty("--shape", `${width} / ${height}`);
  map.querySelector("img").src = `/jobs/${key}/before/overview`;
  let at = { x: 0.5, y: 0.5 };
  const move = (x, y) => {
    at = { x: Math.min(1, Math.max(0, x)), y: Math.min(1, Math.max(0, y)) };
    const { box: [, , wide, high] } = card.job.part, within = (centre, length) => Math.min(Math.max(centre - length / 2, 0), 1 - length);
    Object.assign(mark.style, { left: percent(within(at.x, wide / width), 1), top: percent(within(at.y, high / height), 1) });
  };
  const choose = () => card.job.state === "asking" && ask("POST", `/jobs/${card.key}/part?${new URLSearchParams(at)}`);
  map.onclick = (event) => {
    const { left, top, width: across, height: down } = map.getBoundingClientRect();
    move((event.clientX - left) / across, (event.clientY - top) / down);
    choose();
  };
  map.onkeydown = (event) => {
    if (event.key === "Enter") choose();
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    move(at.x + step[0] * 0.04, at.y + step[1] * 0.04);
  };
}

// -- comparing -------------------------------------------------------------------------------------------------------------------------

function fillViewer(card, box) {
  const { key, name, size: [width, height], scale } = card.job;
  box.append($("viewer").content.cloneNode(true));
  const compare = box.querySelector(".compare"), loupe = box.querySelector(".loupe"), button = box.querySelector(".loupe-on"), about = box.querySelector(".about");
  compare.style.setProperty("--shape", `${width} / ${height}`);
  for (const side of ["before", "after"]) Object.assign(box.querySelector("img." + side), { src: `/jobs/${key}/${side}/overview`, alt: `${name}, ${side}` });
  about.textContent = PULL;
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
    about.textContent = loupe.hidden ? PULL : "Left half before, right half after; move it with the pointer or the arrow keys.";
    draw();
    if (!loupe.hidden) loupe.focus({ preventScroll: true });
  };
  compare.addEventListener("pointermove", (event) => {
    if (loupe.hidden) return;
    const { left, top, width: across, height: down } = compare.getBoundingClientRect();
    move((event.clientX - left) / across, (event.clientY - top) / down);
  });
  loupe.addEventListener("keydown", (event) => {
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    move(at.x + step[0] * 40 / (width * scale), at.y + step[1] * 40 / (height * scale));
  });
}
