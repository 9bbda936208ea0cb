// What the page of `ibsd serve` and the page of `ibsd export --format web` share: a card for each photograph,
// and the files that are chosen, dropped or pasted.

export const $ = (id) => document.getElementById(id);
export const PULL = "Pull the line, or move it with the arrow keys.";

// -- words -----------------------------------------------------------------------------------------------------------

export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1).replace(/\.?$/, ".");
}

export function megabytes(bytes) {
  return bytes < 1e5 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

export function duration(seconds) {
  if (seconds < 90) return `about ${Math.max(1, Math.ceil(seconds))} s`;
  return seconds < 5400 ? `about ${Math.round(seconds / 60)} min` : `about ${(seconds / 3600).toFixed(1)} hours`;
}

// The first tile waits for the network, so the time is taken from the second one on.
export function timeLeft(card, done, all) {
  const now = performance.now();
  if (!card.first || done < card.first.done) card.first = { done, now };
  if (done === card.first.done || done === all) return "";
  return `, ${duration((((now - card.first.now) / (done - card.first.done)) * (all - done)) / 1000)} left`;
}

export function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

// -- cards -----------------------------------------------------------------------------------------------------------

export function newCard(key, name) {
  const element = $("job").content.firstElementChild.cloneNode(true);
  const part = (kind) => element.querySelector("." + kind);
  part("name").textContent = part("name").title = name;
  for (const button of element.querySelectorAll(".buttons > *")) button.setAttribute("aria-label", `${button.textContent} ${name}`);
  element.querySelector("progress").setAttribute("aria-label", `Progress of ${name}`);
  $("jobs").append(element);
  return { key, name, element, part, kind: "" };
}

// `progress`: in [0, 1]; null where it is not known; undefined where nothing is being done.
// `shown`: the buttons that the card has now.
export function render(card, kind, text, progress, shown, announced = "") {
  const focused = card.element.contains(document.activeElement) && document.activeElement;
  card.element.className = "job " + kind;
  card.element.querySelector(".what .state").textContent = text;
  const bar = card.element.querySelector("progress");
  bar.hidden = progress === undefined;
  if (progress === null) bar.removeAttribute("value");
  else if (progress !== undefined) bar.value = progress;
  for (const button of card.element.querySelectorAll(".buttons > *")) button.hidden = !shown.includes(button.classList[0]);
  if (focused && !focused.checkVisibility()) focusOn(card);
  if (announced && kind !== card.kind) $("news").textContent = announced;
  card.kind = kind;
}

export function focusOn(card) {
  card.element.querySelector(".buttons > :not([hidden])")?.focus({ preventScroll: true });
}

// Takes the card from the page. Its neighbour gets the focus if the card had it.
export function dropCard({ element }) {
  const focused = element.contains(document.activeElement), next = element.nextElementSibling ?? element.previousElementSibling;
  element.remove();
  if (focused) (next?.querySelector(".buttons > :not([hidden])") ?? $("files")).focus();
}

export function toggleViewer(card, fill) {
  const box = card.part("viewer"), opening = box.hidden;
  box.hidden = !opening;
  card.part("open").setAttribute("aria-expanded", opening);
  if (opening && !box.firstChild) fill(card, box);
}

// -- files -----------------------------------------------------------------------------------------------------------

// `take(files)`; `refuse(name, text)` for a folder that gives none. `image`: names that are taken from folders.
export function listenForFiles(image, take, refuse) {
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
  document.addEventListener("paste", (event) => event.clipboardData?.files.length && take(event.clipboardData.files));

  async function takeEntry(entry) {
    try {
      const files = await filesOf(entry, image);
      if (files.length) take(files);
      else refuse(entry.name, "The folder holds no photographs.");
    } catch {
      refuse(entry.name, "The folder cannot be read.");
    }
  }
}

async function filesOf(entry, image, inside = false) {
  if (entry.isFile) return inside && !image.test(entry.name) ? [] : [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader(), files = [];
  for (;;) { // a reader gives some at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return files;
    for (const child of some) files.push(...(await filesOf(child, image, true)));
  }
}
