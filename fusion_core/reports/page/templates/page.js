"use strict";
// The page is whole without this. It lays a pair's three pictures over each other below a slider,
// takes the larger pictures where the page lies beside them, and shows a pair again where it stands
// in a second list.
const WORDS = ["infrared", "visible", "fused"];

function told(value) {
  const [from, to, share] =
    value <= 100 ? [0, 1, value] : [1, 2, value - 100];
  if (share === 0) return WORDS[from];
  if (share === 100) return WORDS[to];
  return `${WORDS[to]} left of ${share} percent, ${WORDS[from]} right of it`;
}

function larger(viewer) {
  for (const image of viewer.querySelectorAll("img[data-larger]")) {
    const loaded = new Image();
    const path = image.dataset.larger;
    delete image.dataset.larger;
    loaded.src = path;
    loaded.decode().then(() => {
      image.decoding = "sync";  // else it is blank for a moment
      image.src = loaded.src;
    }, () => {});
  }
}

function layer(viewer) {
  const [, visible, fused] = viewer.querySelectorAll("img");
  const slider = document.createElement("input");
  slider.type = "range";
  slider.min = 0;
  slider.max = 200;
  slider.value = 200;
  slider.setAttribute("aria-label",
    `Infrared, visible, fused image of pair ${viewer.dataset.pair}`);
  const show = () => {
    const value = Number(slider.value);
    const cut = (share) => `inset(0 ${100 - Math.min(Math.max(share, 0), 100)}% 0 0)`;
    visible.style.clipPath = cut(value);
    fused.style.clipPath = cut(value - 100);
    slider.setAttribute("aria-valuetext", told(value));
  };
  slider.addEventListener("input", show);
  for (const kind of ["pointerdown", "focus"]) {
    slider.addEventListener(kind, () => larger(viewer), { once: true });
  }
  viewer.classList.add("layered");
  viewer.append(slider);
  show();
}

function again(entry) {
  const card = document.getElementById(entry.dataset.again);
  if (!card) return;
  const copy = card.cloneNode(true);
  copy.removeAttribute("id");
  const name = entry.closest("details").id.replace("worst-", "");
  for (const score of copy.querySelectorAll(".scores div")) {
    score.classList.toggle("this", score.firstElementChild.textContent.toLowerCase() === name);
  }
  entry.replaceChildren(copy);
  entry.classList.remove("again");
  const viewer = copy.querySelector(".viewer");
  if (viewer) {
    viewer.classList.remove("layered");
    viewer.querySelector("input")?.remove();
    layer(viewer);
  }
}

function begin(gallery) {
  if (!gallery.open || gallery.dataset.begun) return;
  gallery.dataset.begun = "1";
  for (const entry of gallery.querySelectorAll("[data-again]")) again(entry);
  for (const viewer of gallery.querySelectorAll(".viewer:not(.layered)")) layer(viewer);
}

function reveal() {
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  const folded = wanted && wanted.closest("details:not([open])");
  if (folded) {
    folded.open = true;
    wanted.scrollIntoView();
  }
}

for (const gallery of document.querySelectorAll("details.gallery")) {
  gallery.addEventListener("toggle", () => begin(gallery));
  begin(gallery);
}
addEventListener("hashchange", reveal);
reveal();
