document.addEventListener("input", ({ target }) => {
  const compare = target.closest(".compare");
  if (compare) compare.style.setProperty("--cut", target.value + "%");
});
