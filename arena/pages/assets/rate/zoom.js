// The closer look: both images large, side by side or one in the place of the other, moving together.

const SIZES = [1, 2, 4];

const zoom = $("dialog.zoom");
const panes = $$(".pane");
let view = "both";
let size = 1;
let dragged = false;

function openZoom() {
  if (current === null || $(".voting").hidden || root.dataset.phase === "waiting" || zoom.open) return;
  const images = $$(".pair img");
  panes.forEach((pane, index) => pane.replaceChildren(images[index].cloneNode()));
  sides();
  // Two images on a narrow screen are as small as on the page: there, one after the other.
  look(stacked.matches ? "left" : "both");
  resize(1);
  zoom.showModal();
  zoom.querySelector("[data-view][aria-pressed=true]").focus();
}

function look(wanted) {
  view = wanted;
  zoom.dataset.view = view;
  for (const button of zoom.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", button.dataset.view === view);
    if (button.dataset.view === view && document.activeElement.dataset.view) button.focus();
  }
  panes.forEach((pane, index) => (pane.tabIndex = view === "both" || view === ["left", "right"][index] ? 0 : -1));
}

const toggled = () => (view === "left" ? "right" : "left");

// The point in the middle of the panes stays there.
function resize(wanted) {
  const [x, y] = middle(panes[0]);
  size = wanted;
  zoom.style.setProperty("--size", size);
  zoom.querySelector(".smaller").setAttribute("aria-disabled", size === SIZES[0]);
  zoom.querySelector(".larger").setAttribute("aria-disabled", size === SIZES.at(-1));
  for (const pane of panes) {
    pane.scrollLeft = x * pane.scrollWidth - pane.clientWidth / 2;
    pane.scrollTop = y * pane.scrollHeight - pane.clientHeight / 2;
  }
}

function middle(pane) {
  return [
    (pane.scrollLeft + pane.clientWidth / 2) / (pane.scrollWidth || 1),
    (pane.scrollTop + pane.clientHeight / 2) / (pane.scrollHeight || 1),
  ];
}

const larger = () => resize(SIZES[Math.min(SIZES.indexOf(size) + 1, SIZES.length - 1)]);
const smaller = () => resize(SIZES[Math.max(SIZES.indexOf(size) - 1, 0)]);

function follow(pane) {
  const other = panes[1 - panes.indexOf(pane)];
  if (Math.abs(other.scrollLeft - pane.scrollLeft) > 1) other.scrollLeft = pane.scrollLeft;
  if (Math.abs(other.scrollTop - pane.scrollTop) > 1) other.scrollTop = pane.scrollTop;
}

// Fingers scroll a pane by themselves; a mouse drags it.
function drag(event) {
  if (event.pointerType !== "mouse" || event.buttons !== 1) return;
  if (Math.abs(event.movementX) + Math.abs(event.movementY) > 2) dragged = true;
  event.currentTarget.scrollBy(-event.movementX, -event.movementY);
}

function zoomKey(event) {
  const act = {
    z: () => zoom.close(),
    1: () => look("left"),
    2: () => look("right"),
    0: () => look("both"),
    "+": larger,
    "=": larger,
    "-": smaller,
    // In an enlarged image the arrows scroll.
    ...(size === 1 && {
      arrowleft: () => look("left"),
      arrowright: () => look("right"),
      arrowdown: () => look("both"),
      arrowup: () => look("both"),
    }),
  }[event.key.toLowerCase()];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key.length === 1 && !keysOn) return;
  event.preventDefault();
  act();
}

zoom.addEventListener("keydown", zoomKey);
for (const pane of panes) {
  pane.addEventListener("scroll", () => follow(pane), { passive: true });
  pane.addEventListener("pointerdown", () => (dragged = false));
  pane.addEventListener("pointermove", drag);
  pane.addEventListener("click", () => {
    if (!dragged) look(view === "both" ? ["left", "right"][panes.indexOf(pane)] : toggled());
  });
}
