// Keys, clicks and the first request.

const KEYS = {
  ArrowLeft: "left",
  1: "left",
  ArrowRight: "right",
  2: "right",
  ArrowDown: "tie",
  0: "tie",
  b: "both_bad",
};

const TOOL_KEYS = {
  u: undo,
  z: openZoom,
  s: () => openReport(true),
  r: () => openReport(false),
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || $("dialog[open]")) return;
  if (event.repeat && (event.key === "Enter" || event.key === " ")) event.preventDefault(); // a held key is one press
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey) {
    event.preventDefault();
    if (!event.repeat) undo();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || (key.length === 1 && !keysOn)) return;
  const choice = KEYS[key];
  if (TOOL_KEYS[key] && [".voting", ".card"].includes(root.dataset.section)) {
    event.preventDefault();
    if (!event.repeat) TOOL_KEYS[key]();
  } else if (choice && !$(".voting").hidden && !$(".rows").hidden && !$(`[data-choice=${choice}]`).hidden) {
    event.preventDefault();
    const open = openQuestion();
    if (!event.repeat && open) choose(open.key, choice);
  }
});

const CLICKS = {
  undo,
  look: openZoom,
  skip: () => openReport(true),
  flag: () => openReport(false),
  "keys-switch": () => switchKeys(!keysOn),
  how: openReading,
  "read-again": openReading,
  leave: () => $("dialog.withdraw").showModal(),
  retry: tryNow,
  agree,
  decline,
  back: () => phase("consent"),
  anew: beginAnew,
  go: afterFeedback,
  "go-on": goOn,
  copy: copyCode,
  smaller,
  larger,
};

root.addEventListener("click", (event) => {
  if (event.target.closest(".pair img")) openZoom();
  const button = event.target.closest("button");
  if (!button) return;
  const act = Object.keys(CLICKS).find((name) => button.classList.contains(name));
  if (act) CLICKS[act]();
  else if (button.dataset.choice) choose(button.closest(".row").dataset.question, button.dataset.choice);
  else if (button.dataset.view) look(button.dataset.view);
  else if (button.classList.contains("close")) button.closest("dialog").close();
});
$("dialog.report form").addEventListener("submit", sendReport);
$("dialog.withdraw form").addEventListener("submit", withdraw);
$(".check form").addEventListener("submit", sendCheck);
for (const dialog of $$("dialog")) {
  // What had the focus before may be covered by now.
  dialog.addEventListener("close", () => root.dataset.phase === "paused" && $(".go-on").focus());
}
stacked.addEventListener("change", sides);
window.addEventListener("online", tryNow);
// Rows of choices wrap as they must; the images take what is left.
new ResizeObserver(() => $(".easel").style.setProperty("--below", $(".below").offsetHeight + "px")).observe($(".below"));

async function begin() {
  speak("");
  switchKeys(keysOn);
  if (!studyName) {
    showCard("message", { title: text("unnamed.title"), words: text("unnamed.text"), home: true });
    return;
  }
  showLoading();
  await sendLeftOver();
  await join();
}

begin();
