// The rating page. Runs once as the body of a function with `element`, the component's root.
//
// The server hands out two pairs: one is looked at while the other loads and is decoded. A vote shows the next pair at
// once and is posted behind it, one request at a time. Until the server has acknowledged it a vote lies in the outbox,
// which survives a lost connection and a closed tab, and is sent again under the same key, so that it counts once.
// Whatever comes from the server is shown as text, never as markup.

const SETTLE_MS = 300; // A choice sooner than this after a pair appears is a double click, not a judgement.
const RETRY_MS = [500, 1000, 2000, 4000, 8000, 15000];
const OUTBOX = "canvas-arena.outbox.";
const LONG_PROMPT = 110;

const root = element.querySelector(".rate");
const $ = (selector) => root.querySelector(selector);
const studyName = new URLSearchParams(location.search).get("study") || "";
const stacked = matchMedia("(max-width: 640px)");

const session = newKey(); // names this load of the page

let study = null;
let done = 0; // the server's count of this rater's votes
let current = null; // the pair on show
let upcoming = []; // pairs handed out and not yet shown; the first is being decoded
let last = null; // the vote that undo takes back
let revealedAt = 0;
let sending = false;

// ---- talking to the server -------------------------------------------------------------------------------------

class Unreachable extends Error {}
class Refused extends Error {}

async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      keepalive: true,
      cache: "no-store",
    });
  } catch {
    throw new Unreachable();
  }
  if (response.status >= 500 || response.status === 429) throw new Unreachable();
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(answer.error || "The arena refused this request.");
  return answer;
}

// Waits longer from attempt to attempt; `tryNow` ends every wait.
const waits = new Set();

function pause(attempt) {
  return new Promise((resolve) => {
    const timer = setTimeout(over, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
    waits.add(over);
    function over() {
      clearTimeout(timer);
      waits.delete(over);
      resolve();
    }
  });
}

function tryNow() {
  for (const over of waits) over();
}

async function persist(path, body, sentence) {
  for (let attempt = 0; ; attempt++) {
    try {
      const answer = await post(path, body);
      notice("");
      return answer;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      notice(sentence, true);
      await pause(attempt);
    }
  }
}

function newKey() {
  // crypto.randomUUID exists on https and localhost only; an arena on a local network has neither.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// ---- the outbox ------------------------------------------------------------------------------------------------

const outbox = [];

function keep(item) {
  outbox.push(item);
  try {
    localStorage.setItem(OUTBOX + item.body.key, JSON.stringify(item));
  } catch {
    // Without storage the outbox lives as long as the page.
  }
}

function forget(item) {
  try {
    localStorage.removeItem(OUTBOX + item.body.key);
  } catch {
    // Nothing was stored.
  }
}

function leftOver() {
  try {
    return Object.keys(localStorage)
      .filter((name) => name.startsWith(OUTBOX))
      .map((name) => JSON.parse(localStorage.getItem(name)))
      .sort((a, b) => a.at - b.at);
  } catch {
    return [];
  }
}

async function sendOutbox() {
  if (sending) return;
  sending = true;
  let refusal = null;
  while (outbox.length) {
    const item = outbox[0];
    let answer = null;
    try {
      answer = await persist(
        item.path,
        item.body,
        "No connection. Your vote is kept here and will be sent by itself.",
      );
    } catch (error) {
      refusal = error; // This one is decided; those behind it still have to be sent.
    }
    outbox.shift();
    forget(item);
    if (answer !== null && refusal === null) item.undo ? showUndone(answer) : takeNext(answer);
  }
  sending = false;
  if (refusal !== null) await refused(refusal);
  else settle();
}

// ---- images ----------------------------------------------------------------------------------------------------

async function loadImage(address) {
  for (let attempt = 0; ; attempt++) {
    const image = new Image();
    image.decoding = "sync";
    image.draggable = false;
    image.src = address;
    try {
      await image.decode();
      image.className = image.naturalWidth <= 160 ? "pixels" : "";
      image.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
      if (attempt > 0) notice("");
      return image;
    } catch {
      if (attempt >= 3) notice("An image is slow to arrive. Trying again.", true);
      await pause(attempt);
    }
  }
}

function prepare(pair) {
  pair.images = Promise.all([loadImage(pair.left), loadImage(pair.right)]);
  return pair;
}

// ---- showing ---------------------------------------------------------------------------------------------------

function phase(name) {
  root.dataset.phase = name;
  $(".voting").hidden = !(name === "voting" || name === "waiting");
  $(".card").hidden = !$(".voting").hidden;
  $(".progress").hidden = study === null;
  for (const button of root.querySelectorAll("[data-choice]")) button.setAttribute("aria-disabled", name !== "voting");
  $(".undo").hidden = last === null || !(name === "voting" || name === "waiting" || name === "ended");
}

// `retrying`: the page is between two attempts, and "Try now" ends the wait.
function notice(sentence, retrying = false) {
  if ($(".notice .text").textContent !== sentence) $(".notice .text").textContent = sentence;
  $(".retry").hidden = !retrying;
}

function say(sentence) {
  $(".spoken").textContent = sentence;
}

function card(name, { title, text, results = false, home = true }) {
  current = null;
  $(".title").textContent = title;
  $(".card .text").textContent = text;
  $(".results").hidden = !results;
  $(".results").href = "/dashboard/?study=" + encodeURIComponent(studyName);
  $(".home").hidden = !home;
  phase(name);
  say(title + " " + text);
}

function sides() {
  const names = stacked.matches ? ["Top", "Bottom"] : ["Left", "Right"];
  const buttons = [$("[data-choice=left] .name"), $("[data-choice=right] .name")];
  buttons.forEach((button, index) => (button.textContent = names[index]));
  root.querySelectorAll(".pair img").forEach((image, index) => (image.alt = names[index].toLowerCase() + " image"));
}

function progress() {
  const waiting = outbox.reduce((count, item) => count + (item.undo ? -1 : 1), 0);
  const shown = Math.min(Math.max(done + waiting, 0), study.votes_per_rater);
  $(".count").textContent = shown + " of " + study.votes_per_rater;
  $("progress").max = study.votes_per_rater;
  $("progress").value = shown;
}

async function show(pair) {
  current = pair;
  const ready = pair.images;
  let arrived = false;
  ready.then(() => (arrived = true));
  await Promise.resolve();
  if (!arrived) phase("waiting");
  const images = await ready;
  if (current !== pair) return;
  // Both images and the prompt change inside one frame; the clock of the judgement starts with it.
  await new Promise((resolve) => requestAnimationFrame(resolve));
  if (current !== pair) return;
  $(".prompt").textContent = pair.prompt;
  $(".prompt").classList.toggle("long", pair.prompt.length > LONG_PROMPT);
  $(".stage").style.setProperty("--ratio", Math.min(...images.map((image) => image.naturalWidth / image.naturalHeight)));
  $(".pair").replaceChildren(...images);
  sides();
  progress();
  phase("voting");
  revealedAt = performance.now();
  say("Pair " + ($("progress").value + 1) + " of " + study.votes_per_rater + ". " + pair.prompt);
}

// Shows the next pair, or the end once every vote has been acknowledged.
function advance() {
  const next = upcoming.shift();
  if (next) {
    show(next);
  } else {
    current = null;
    settle();
  }
}

function settle() {
  if (study === null || current !== null || outbox.some((item) => item.undo)) return;
  if (upcoming.length) advance();
  else if (outbox.length || sending) phase("waiting");
  else ended();
}

function ended() {
  progress();
  const text =
    done === 0
      ? "There is no pair to show in this study at the moment."
      : "Your " + (done === 1 ? "vote is" : done + " votes are") + " counted. You may close this page.";
  card("ended", { title: done === 0 ? "Nothing to rate yet" : "Thank you", text, results: true });
}

// ---- voting ----------------------------------------------------------------------------------------------------

function vote(choice) {
  if (root.dataset.phase !== "voting" || performance.now() - revealedAt < SETTLE_MS) return;
  const latency = Math.round(performance.now() - revealedAt);
  const body = {
    study: studyName,
    pair: current.pair,
    round: current.round,
    choice,
    key: newKey(),
    latency_ms: Math.min(latency, 2 ** 31 - 1),
    session,
  };
  last = { pair: current.pair, round: current.round };
  keep({ path: "/rate/api/vote", body, at: Date.now(), undo: false });
  flash(choice);
  // A second choice in the same frame finds no open pair.
  root.dataset.phase = "waiting";
  advance();
  sendOutbox();
}

function takeNext(answer) {
  done = answer.done;
  if (answer.next) upcoming.push(prepare(answer.next));
  progress();
  settle();
}

function undo() {
  if (last === null || $(".undo").hidden) return;
  const body = { study: studyName, pair: last.pair, round: last.round, key: newKey() };
  last = null;
  keep({ path: "/rate/api/undo", body, at: Date.now(), undo: true });
  if (current !== null) upcoming.unshift(current);
  current = null;
  phase("waiting");
  sendOutbox();
}

function showUndone(answer) {
  done = answer.done;
  if (current !== null) upcoming.unshift(current);
  show(prepare(answer.pair)).then(() => say("Your last vote is taken back."));
}

async function refused(error) {
  last = null;
  current = null;
  upcoming = [];
  const reason = error instanceof Refused ? error.message : "Something went wrong on this page.";
  await join();
  // A pair voted on in another tab is no one's fault: the page goes on with what the server has now.
  if (root.dataset.phase === "voting" || root.dataset.phase === "waiting") notice(reason);
}

function flash(choice) {
  const button = $("[data-choice=" + choice + "]");
  button.classList.remove("chosen");
  void button.offsetWidth; // restarts the animation
  button.classList.add("chosen");
}

// ---- arriving --------------------------------------------------------------------------------------------------

async function join() {
  if (study === null) card("loading", { title: "One moment", text: "The first pair is on its way.", home: false });
  else phase("waiting");
  try {
    const answer = await persist(
      "/rate/api/join",
      { study: studyName },
      "No connection. This page keeps trying.",
    );
    study = answer.study;
    done = answer.done;
    document.title = study.title + " · Canvas Arena";
    $(".study").textContent = study.title;
    $(".question").textContent = study.question;
    $("[data-choice=tie]").hidden = !study.ties;
    $("[data-choice=both_bad]").hidden = !study.both_bad;
    upcoming = answer.pairs.map(prepare);
    current = null;
    progress();
    settle();
  } catch (error) {
    study = null;
    const text = error instanceof Refused ? error.message : "Something went wrong on this page.";
    card("message", { title: "No pairs here", text });
  }
}

async function begin() {
  if (!studyName) {
    card("message", { title: "Which study?", text: "Choose a study on the first page." });
    return;
  }
  card("loading", { title: "One moment", text: "The first pair is on its way.", home: false });
  for (const item of leftOver()) {
    // Votes of an earlier visit go first. One that is refused was decided already.
    await persist(item.path, item.body, "No connection. This page keeps trying.").catch(() => {});
    forget(item);
  }
  await join();
}

const KEYS = {
  ArrowLeft: "left",
  1: "left",
  ArrowRight: "right",
  2: "right",
  ArrowDown: "tie",
  0: "tie",
  b: "both_bad",
  B: "both_bad",
};

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented) return;
  const back = event.key.toLowerCase();
  if ((back === "u" && !event.ctrlKey && !event.metaKey && !event.altKey) || (back === "z" && (event.ctrlKey || event.metaKey))) {
    if (!event.repeat) undo();
    event.preventDefault();
    return;
  }
  if (event.repeat && (event.key === "Enter" || event.key === " ")) event.preventDefault(); // a held key is one press
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const choice = KEYS[event.key];
  if (!choice || $(".voting").hidden || $("[data-choice=" + choice + "]").hidden) return;
  event.preventDefault();
  if (!event.repeat) vote(choice);
});

root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.choice) vote(button.dataset.choice);
  else if (button.classList.contains("undo")) undo();
  else if (button.classList.contains("retry")) tryNow();
});
stacked.addEventListener("change", sides);
window.addEventListener("online", tryNow);

sides();
begin();
