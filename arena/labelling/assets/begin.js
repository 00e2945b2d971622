// Keys, clicks and the first request.

const KEYS_OFF = "canvas-arena.keys-off";

let keysOn = memory.read(KEYS_OFF) === null;

// Single letters as shortcuts can be in the way of those who speak to their browser: they can be turned off.
function switchKeys(on) {
  keysOn = on;
  memory.write(KEYS_OFF, on ? null : "1");
  root.classList.toggle("keyless", !on);
  $(".keys-switch").setAttribute("aria-pressed", on);
}

const TOOL_KEYS = { u: undo, s: () => openReport(true), r: () => openReport(false) };

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || $("dialog[open]")) return;
  const typing = event.target.matches("input[type=text]");
  if (event.key === "Escape" && !$(".details").hidden) {
    undo();
    return;
  }
  if (event.repeat && (event.key === "Enter" || event.key === " ") && !typing) event.preventDefault();
  const key = ARROWS[event.key] || event.key.toLowerCase();
  if (key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !typing) {
    event.preventDefault();
    if (!event.repeat) undo();
    return;
  }
  // In the two questions behind a yes, keys type and move through the answers.
  if ($(".details").contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!(event.key in ARROWS) && !keysOn) return;
  if (TOOL_KEYS[key] && [".voting", ".card"].includes(root.dataset.section)) {
    event.preventDefault();
    if (!event.repeat) TOOL_KEYS[key]();
    return;
  }
  if (study === null || $(".voting").hidden) return;
  const answer = study.answers.find((one) => ANSWER_KEYS[one].some((sign) => sign.toLowerCase() === key));
  if (answer) {
    event.preventDefault();
    if (!event.repeat) choose(answer);
  }
});

const CLICKS = {
  undo,
  skip: () => openReport(true),
  flag: () => openReport(false),
  "keys-switch": () => switchKeys(!keysOn),
  how: openReading,
  leave: () => $("dialog.withdraw").showModal(),
  retry: tryNow,
  agree,
  decline,
  back: () => phase("consent"),
  anew: beginAnew,
  "go-on": goOn,
  copy: copyCode,
};

function openReading() {
  prose($("dialog.reading .reading-matter"), instructions);
  $("dialog.reading").showModal();
}

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const act = Object.keys(CLICKS).find((name) => button.classList.contains(name));
  if (act) CLICKS[act]();
  else if (button.dataset.choice) choose(button.dataset.choice);
  else if (button.classList.contains("shut")) button.closest("dialog").close();
});
$(".details").addEventListener("submit", sendDetails);
$("dialog.report form").addEventListener("submit", sendReport);
$("dialog.withdraw form").addEventListener("submit", withdraw);
stacked.addEventListener("change", sides);
window.addEventListener("online", tryNow);
// The questions behind a yes take what room they need; the images take what is left.
new ResizeObserver(() => $(".easel").style.setProperty("--below", $(".below").offsetHeight + "px")).observe($(".below"));

// Who comes without naming a study chooses among those that are open to anybody.
async function offerStudies() {
  showCard("loading", { title: text("loading.title"), words: text("label.finding") });
  let offered = [];
  try {
    offered = (await (await fetch("/resemblance/api/studies")).json()).studies;
  } catch {
    // Without an answer there is the first page.
  }
  showCard("message", {
    title: text("unnamed.title"),
    words: text(offered.length ? "label.choose_study" : "label.no_study"),
    home: true,
  });
  $(".offered").replaceChildren(
    ...offered.map((one) => {
      const link = document.createElement("a");
      link.className = "primary";
      link.href = "/resemblance/?study=" + encodeURIComponent(one.name);
      link.textContent = one.title;
      return link;
    }),
  );
  $(".offered").hidden = !offered.length;
}

async function begin() {
  speak("");
  switchKeys(keysOn);
  if (!studyName) {
    await offerStudies();
    return;
  }
  showCard("loading", { title: text("loading.title"), words: text("loading.text") });
  await sendLeftOver();
  await join();
}

begin();
