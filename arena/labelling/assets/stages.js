// Stages: what the server says comes next, and the sections of the page that show it.

const SECTIONS = { consent: ".consent", voting: ".voting", waiting: ".voting" };

let shown = "";
let total = 0; // how many answers there will be in the end, as far as the server can tell
let busy = false;

function phase(name) {
  root.dataset.phase = name;
  const section = SECTIONS[name] || ".card";
  const place = SECTIONS[name] || name;
  const moved = shown !== place;
  shown = place;
  root.dataset.section = section;
  for (const one of [".voting", ".consent", ".card"]) $(one).hidden = one !== section;
  const counts = study !== null && ["rating", "ended", "closed"].includes(stage);
  $(".progress").hidden = !counts || ["declined", "withdrawn"].includes(name);
  for (const button of $$("[data-choice]")) button.setAttribute("aria-disabled", name !== "voting");
  const rating = section === ".voting" && stage === "rating";
  $(".undo").hidden = !(rating || (name === "ended" && last !== null));
  enableUndo();
  $(".skip").hidden = $(".flag").hidden = $(".keys-switch").hidden = !rating;
  $(".how").hidden = !rating || !instructions;
  $(".leave").hidden = study === null || !["rating", "ended", "closed"].includes(stage) || (stage === "closed" && done === 0);
  if (moved && name !== "loading") focusHeading();
}

function focusHeading() {
  const heading = $(root.dataset.section + " .heading");
  if (heading) heading.focus({ preventScroll: true });
}

function showCard(name, { title, words = "", home = false, given = null }) {
  $(".title").textContent = title;
  $(".card .text").textContent = words;
  $(".home").hidden = !home;
  $(".go-on").hidden = name !== "paused";
  $(".back").hidden = name !== "declined";
  $(".anew").hidden = name !== "withdrawn";
  showCompletion(given);
  phase(name);
  say([title, words].filter(Boolean).join(" "));
}

function showProblem(error) {
  if (error.language) speak(error.language);
  const { words, spoken } = reason(error);
  study = null;
  current = null;
  showCard("message", { title: text("problem.title"), words, home: true });
  $(".card .text").lang = spoken;
}

// ---- consent and withdrawal ------------------------------------------------------------------------------------

function showConsent(consent) {
  prose($(".consent-text"), consent.text || "");
  prose($(".consent .instructions"), consent.instructions || "");
  $(".consent-part").hidden = !consent.text;
  $(".instructions-part").hidden = !consent.instructions;
  $(".agree").textContent = text(consent.text ? "consent.agree" : "consent.begin");
  $(".decline").hidden = !consent.text;
  phase("consent");
}

// One request at a time; a second press while it is under way is the same press.
async function agree() {
  if (busy) return;
  busy = true;
  try {
    arrive(await persist("/resemblance/api/consent", { study: studyName }, text("connection.waiting")));
  } catch (error) {
    await refused(error);
  } finally {
    busy = false;
  }
}

function decline() {
  const words = [text("declined.text"), study.crowd ? onTheSite("return", study.crowd) : text("ended.close")].join(" ");
  showCard("declined", { title: text("declined.title"), words, given: wayBack(study.crowd) });
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
    await persist("/resemblance/api/withdraw", { study: studyName }, text("connection.waiting"));
    memory.write(WITHDRAWN + studyName, "1");
    showEnd("withdrawn");
  } catch (error) {
    showProblem(error);
  }
}

// The server has forgotten who this was: only this note keeps a page that is loaded anew from beginning again unasked.
const WITHDRAWN = "canvas-arena.labels-withdrawn.";

function beginAnew() {
  memory.write(WITHDRAWN + studyName, null);
  join({ anew: true });
}

// ---- the end ---------------------------------------------------------------------------------------------------

const WITHOUT_CODE = { full: "return", withdrawn: "unless", closed: "part" };

function showEnd(how) {
  const site = (study.crowd && study.crowd.site) || "";
  const nothing = ["ended", "closed"].includes(how) && done === 0;
  const words = {
    ended: () => (nothing ? text("ended.nothing") : text("ended.counted", { count: done })),
    closed: () => (nothing ? text("closed.nothing") : text("closed.counted", { count: done })),
    preview: () => text("preview.text", { site }),
    full: () => text("full.text"),
    withdrawn: () => text("withdrawn.text"),
  }[how]();
  const code = (end && end.code) || "";
  const given = code || how === "ended" ? end || {} : wayBack(study.crowd);
  current = null;
  progress();
  showCard(how, {
    title: text(how === "ended" && nothing ? "ended.nothing_title" : how + ".title"),
    words: [words, code ? "" : afterwards(how, nothing)].filter(Boolean).join(" "),
    home: !given.code && !given.redirect && !site,
    given,
  });
}

function afterwards(how, nothing) {
  const told = WITHOUT_CODE[how];
  if (study.crowd && told) return onTheSite(told === "part" && nothing ? "return" : told, study.crowd);
  return (how === "ended" && !nothing) || how === "withdrawn" ? text("ended.close") : "";
}

function onTheSite(told, crowd) {
  return text("crowd." + told, { site: crowd.site });
}

function wayBack(crowd) {
  return { code: "", redirect: (crowd && crowd.address) || "" };
}

function showCompletion(given) {
  const code = (given && given.code) || "";
  const target = safeAddress(given && given.redirect);
  $(".completion").hidden = !code;
  $(".code").textContent = code;
  $(".copy").textContent = text("end.copy");
  $(".redirect").hidden = target === null;
  if (target === null) return;
  $(".redirect").href = target.href;
  $(".redirect").textContent = text("end.redirect", { host: target.host });
}

// A study may send its raters to another site, and nowhere else.
function safeAddress(address) {
  try {
    const target = new URL(address);
    return ["https:", "http:"].includes(target.protocol) ? target : null;
  } catch {
    return null;
  }
}

async function copyCode() {
  getSelection().selectAllChildren($(".code"));
  try {
    await navigator.clipboard.writeText($(".code").textContent);
    $(".copy").textContent = text("end.copied");
  } catch {
    // Clipboards open on https and localhost only; elsewhere the code stands selected.
    $(".copy").textContent = text(document.execCommand("copy") ? "end.copied" : "end.by_hand");
  }
  say($(".copy").textContent);
}

// ---- arriving --------------------------------------------------------------------------------------------------

function arrive(answer) {
  study = answer.study;
  stage = answer.stage;
  done = answer.done;
  total = answer.total;
  end = answer.end || null;
  current = null;
  upcoming = [];
  stirredAt = Date.now();
  instructions = study.instructions;
  speak(study.language);
  document.title = study.title + " · Canvas Arena";
  quote($(".study"), study.title);
  layChoices();
  if (stage === "consent") showConsent(answer.consent);
  else if (stage !== "rating") showEnd(stage);
  else {
    if (!answer.showings.length) throw new Refused(); // Asked again, it would say so for ever.
    queue(answer.showings);
    progress();
    settle();
  }
}

async function join(wish = {}) {
  if (memory.read(WITHDRAWN + studyName) !== null) {
    study = null;
    showCard("withdrawn", { title: text("withdrawn.title"), words: text("withdrawn.before") });
    return;
  }
  if (study === null) showCard("loading", { title: text("loading.title"), words: text("loading.text") });
  else if (stage === "rating") phase("waiting");
  const body = { study: studyName, ...(Object.keys(arrival).length && { arrival }), ...wish };
  try {
    arrive(await persist("/resemblance/api/join", body, text("connection.joining")));
  } catch (error) {
    showProblem(error);
  }
}

// An image answered in another tab is no one's fault: the page goes on with what the server has now.
const NO_FAULT = ["already_voted", "round_not_open"];

async function refused(error) {
  last = null;
  current = null;
  upcoming = [];
  const { words, spoken } = reason(error);
  await join();
  if (study === null || !["consent", "rating"].includes(stage)) return; // A card says what there is.
  const calm = NO_FAULT.includes(error.code);
  notice(words, { spoken, calm, forMs: calm ? CALM_MS : 0 });
}

// ---- the pause -------------------------------------------------------------------------------------------------

let stirredAt = Date.now();

const isIdle = () => study !== null && Date.now() - stirredAt > study.idle_s * 1000;

function stir(event) {
  if (isIdle() && pause()) {
    event.preventDefault();
    event.stopPropagation();
  }
  stirredAt = Date.now();
}

function pause() {
  if (root.dataset.phase !== "voting") return false;
  showCard("paused", { title: text("pause.title"), words: text("pause.text") });
  return true;
}

// The image is seen anew: so the clock of the answer starts anew.
function goOn() {
  stirredAt = Date.now();
  phase("voting");
  revealedAt = performance.now();
}

setInterval(() => isIdle() && pause(), 1000);
for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
  document.addEventListener(kind, stir, { capture: true, passive: false });
}
