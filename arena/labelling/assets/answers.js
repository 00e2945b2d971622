// Answers: choosing, the two questions behind a yes, undo, skip and report.

// Each answer's keys, as they are shown; what is pressed is compared in lower case.
const ANSWER_KEYS = {
  yes: ["Y", "1"],
  not_sure: ["2"],
  no: ["N", "3"],
  left: ["←", "1"],
  equally: ["↓", "0"],
  neither: ["N"],
  right: ["→", "2"],
};
const ARROWS = { ArrowLeft: "←", ArrowDown: "↓", ArrowRight: "→" };

function layChoices() {
  root.dataset.mode = study.mode;
  $(".choices").replaceChildren(...study.answers.map(layChoice));
  $("#label-names").replaceChildren(
    ...study.names.map((name) => {
      const option = document.createElement("option");
      option.value = name;
      return option;
    }),
  );
  // A list without names would still draw an arrow in some browsers.
  $("#label-which").toggleAttribute("list", false);
  if (study.names.length) $("#label-which").setAttribute("list", "label-names");
  sides();
}

function layChoice(answer) {
  const button = $(".choice-form").content.firstElementChild.cloneNode(true);
  button.dataset.choice = answer;
  button.classList.add(["not_sure", "equally", "neither"].includes(answer) ? "neither" : "side");
  button.querySelector(".name").textContent = ["left", "right"].includes(answer) ? "" : text("label." + answer);
  button.querySelector(".keys").replaceChildren(
    ...ANSWER_KEYS[answer].map((key) => {
      const shown = document.createElement("kbd");
      shown.textContent = key;
      if (!Object.values(ARROWS).includes(key)) shown.className = "sign";
      return shown;
    }),
  );
  if (answer === "yes") button.setAttribute("aria-expanded", "false");
  return button;
}

function choose(answer) {
  if (root.dataset.phase !== "voting") return;
  // So soon after an image appears it is a double click, not a judgement.
  if (performance.now() - revealedAt < study.guard_ms) {
    notice(text("label.quick"), { forMs: QUICK_MS });
    return;
  }
  if ($(".retry").hidden) notice("");
  if (answer === "yes") openDetails();
  else label({ answer });
}

function label(said) {
  const body = {
    study: studyName,
    showing: current.showing,
    round: current.round,
    ...said,
    key: newKey(),
    latency_ms: Math.min(Math.round(performance.now() - revealedAt), 2 ** 31 - 1),
    session,
  };
  last = { showing: current.showing, round: current.round };
  hand("/resemblance/api/label", body, "label");
}

// Whatever is said about what is on show closes it, and the next comes at once.
function hand(path, body, kind) {
  keep({ path, body, at: Date.now(), kind });
  root.dataset.phase = "waiting"; // a second answer in the same frame finds nothing open
  closeDetails();
  advance();
  sendOutbox();
}

// ---- whom, and how close ---------------------------------------------------------------------------------------

function openDetails() {
  $(".details").hidden = false;
  $("[data-choice=yes]").setAttribute("aria-expanded", "true");
  $("[data-choice=yes]").setAttribute("aria-pressed", "true");
  enableUndo();
  $("#label-which").focus();
}

function closeDetails() {
  const form = $(".details");
  const inside = form.contains(document.activeElement);
  form.reset();
  form.hidden = true;
  fault("");
  const yes = $("[data-choice=yes]");
  if (yes) {
    yes.setAttribute("aria-expanded", "false");
    yes.removeAttribute("aria-pressed");
  }
  enableUndo();
  if (inside) focusHeading();
}

function sendDetails(event) {
  event.preventDefault();
  if (root.dataset.phase !== "voting") return;
  const form = new FormData($(".details"));
  const which = form.get("which").trim();
  const closeness = form.get("closeness");
  if (!which || closeness === null) {
    fault(text(which ? "label.missing_close" : "label.missing_which"));
    (which ? $(".close input") : $("#label-which")).focus();
    return;
  }
  label({ answer: "yes", which, closeness: Number(closeness) });
}

function fault(sentence) {
  $(".details .fault").textContent = sentence;
}

// ---- undo ------------------------------------------------------------------------------------------------------

function enableUndo() {
  $(".undo").setAttribute("aria-disabled", last === null && $(".details").hidden);
}

// A yes that is half answered is taken back first; otherwise the last answer is.
function undo() {
  if (root.dataset.phase === "voting" && !$(".details").hidden) {
    closeDetails();
    say(text("undo.answer"));
    return;
  }
  if (last === null || stage !== "rating" || !["voting", "waiting", "ended"].includes(root.dataset.phase)) return;
  const body = { study: studyName, showing: last.showing, round: last.round, key: newKey() };
  last = null;
  keep({ path: "/resemblance/api/undo", body, at: Date.now(), kind: "undo" });
  if (current !== null) upcoming.unshift(current);
  current = null;
  phase("waiting");
  sendOutbox();
}

function showUndone(answer) {
  done = answer.done;
  end = null;
  if (current !== null) upcoming.unshift(current);
  show(prepare(answer.showing)).then(() => say(text("undo.vote")));
}

// ---- skip and report -------------------------------------------------------------------------------------------

function openReport(skipping) {
  if (root.dataset.phase !== "voting") return;
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
  if (current === null || stage !== "rating") return;
  const kind = dialog.dataset.skipping === "true" ? "skip" : form.get("kind");
  const body = { study: studyName, showing: current.showing, round: current.round, key: newKey(), kind };
  hand("/resemblance/api/report", body, "report");
  notice(text(kind === "skip" ? "skip.done" : "report.done"), { forMs: QUICK_MS });
}
