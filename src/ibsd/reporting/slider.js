document.addEventListener("input", ({ target }) => {
  const compare = target.closest(".compare");
  if (compare) compare.style.setProperty("--cut", target.value + "%");
});
for (const choices of document.querySelectorAll(".choices")) {
  const compare = choices.nextElementSibling, images = [...compare.querySelectorAll("img")];
  const sources = Object.fromEntries(images.map((image) => [image.dataset.name, image.src]));
  choices.addEventListener("change", ({ target: { value, dataset: { side } } }) => {
    const image = compare.querySelector(side === "left" ? ".before" : ".after"), label = compare.querySelector(".label." + side);
    image.src = sources[value];
    image.alt = label.textContent = value;
    const [left, right] = [...compare.querySelectorAll(".label")].map((each) => each.textContent);
    compare.querySelector("input").ariaLabel = `Divider between ${left} and ${right}`;
  });
}
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) each.open = true;
});
