// Dialogs: skip and report, withdrawal, instructions; the pause after idle time; the switch for keys.

const KEYS_OFF = "canvas-arena.keys-off";

let keysOn = memory.read(KEYS_OFF) === null;

// Single letters as shortcuts can be in the way of those who speak to their browser: they can be turned off.
function switchKeys(on) {
  keysOn = on;
  memory.write(KEYS_OFF, on ? null : "1");
  root.classList.toggle("keyless", !on);
  $(".keys-switch").setAttribute("aria-pressed", on);
}

function openReport(skipping) {
  if (root.dataset.phase !== "voting" || stage !== "rating") return;
  const dialog = $("dialog.report");
  const words = skipping ? "skip" : "report";
  dialog.dataset.skipping = skipping;
  dialog.querySelector("form").reset();
  dialog.querySelector("h2").textContent = text(words + ".title");
  dialog.querySelector(".lead").textContent = text(words + ".text");
  dialog.querySelector(".kinds").hidden = skipping;
  dialog.querySelector(".send").textContent = text(words + ".send");
  dialog.showModal();
  dialog.querySelector(skipping ? ".send" : "input").focus();
}

function sendReport(event) {
  event.preventDefault();
  const dialog = $("dialog.report");
  const form = new FormData(dialog.querySelector("form"));
  dialog.close();
  report(dialog.dataset.skipping === "true" ? "skip" : form.get("kind"), form.get("comment").trim());
}

function openReading() {
  prose($("dialog.reading .reading-matter"), instructions);
  $("dialog.reading").showModal();
}

async function withdraw(event) {
  event.preventDefault();
  $("dialog.withdraw").close();
  emptyOutbox();
  current = null;
  upcoming = [];
  last = null;
  end = null;
  stage = "withdrawn";
  showCard("loading", { title: text("loading.title") });
  try {
    await persist("/rate/api/withdraw", { study: studyName }, text("connection.waiting"));
    rememberWithdrawal();
    showEnd("withdrawn");
  } catch (error) {
    showProblem(error);
  }
}

// The server has forgotten who this was, and so has the browser's cookie: only this note keeps a page that is loaded
// anew, or that stands in another tab, from beginning again unasked.
const WITHDRAWN = "canvas-arena.withdrawn.";

function rememberWithdrawal() {
  memory.write(WITHDRAWN + studyName, JSON.stringify({ language: study.language, crowd: study.crowd || null }));
}

function withdrawalBefore() {
  try {
    return JSON.parse(memory.read(WITHDRAWN + studyName));
  } catch {
    return null;
  }
}

function beginAnew() {
  memory.write(WITHDRAWN + studyName, null);
  study = null;
  join({ anew: true });
}

// ---- the pause -------------------------------------------------------------------------------------------------

let stirredAt = Date.now();
let pausedFrom = null;

// Date.now goes on while the computer sleeps; a key pressed after that wakes the page and does nothing else.
const isIdle = () => study !== null && Date.now() - stirredAt > study.idle_s * 1000;

function stir(event) {
  if (isIdle() && pause()) {
    event.preventDefault();
    event.stopPropagation();
  }
  stirredAt = Date.now();
}

function pause() {
  if (root.dataset.phase !== "voting" && root.dataset.phase !== "feedback") return false;
  if (zoom.open) zoom.close();
  pausedFrom = { phase: root.dataset.phase, focus: document.activeElement };
  showCard("paused", { title: text("pause.title"), words: text("pause.text") });
  if (!$("dialog[open]")) $(".go-on").focus();
  return true;
}

// The images are seen anew: so the clock of the judgement starts anew.
function goOn() {
  const { phase: before, focus } = pausedFrom;
  pausedFrom = null;
  stirredAt = Date.now();
  phase(before);
  revealedAt = performance.now();
  if (root.contains(focus)) focus.focus();
}

setInterval(() => isIdle() && pause(), 1000);
for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
  document.addEventListener(kind, stir, { capture: true, passive: false });
}
