// Pairs: loading, showing, answering, undoing.

const LONG_PROMPT = 110;
const QUICK_MS = 3000; // how long the page says that a choice came too quickly
const CALM_MS = 8000; // how long it says what is only good to know

const stacked = matchMedia("(max-width: 40em)");

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
      if (attempt >= 4) notice("");
      return image;
    } catch {
      if (attempt >= 3) notice(text("connection.image"), { retrying: true });
      await wait(attempt);
    }
  }
}

function prepare(pair) {
  pair.images ??= Promise.all([loadImage(pair.left), loadImage(pair.right)]);
  return pair;
}

// Pairs that wait their turn; of them the first is loaded, beside the one on show.
function queue(pairs) {
  upcoming.push(...pairs);
  if (upcoming.length) prepare(upcoming[0]);
}

function sides() {
  const [first, second] = stacked.matches ? ["top", "bottom"] : ["left", "right"];
  for (const name of $$("[data-choice=left] .name, [data-view=left] .name")) name.textContent = text("choice." + first);
  for (const name of $$("[data-choice=right] .name, [data-view=right] .name")) name.textContent = text("choice." + second);
  for (const images of [$$(".pair img"), $$(".pane img")]) {
    images.forEach((image, index) => (image.alt = text("image." + [first, second][index])));
  }
  $$(".pane").forEach((pane, index) => pane.setAttribute("aria-label", text("image." + [first, second][index])));
}

// ---- questions: one row of choices each ------------------------------------------------------------------------

let rowsShow = "";

function layQuestions() {
  const wanted = JSON.stringify([study.questions, study.ties, study.both_bad, language]);
  if (wanted === rowsShow) return;
  rowsShow = wanted;
  const several = study.questions.length > 1;
  if (several) $(".question").textContent = text("rating.several");
  else quote($(".question"), study.questions[0].text);
  $(".rows").classList.toggle("several", several);
  $(".rows").replaceChildren(...study.questions.map((question, index) => layRow(question, index, several)));
  sides();
}

function layRow(question, index, several) {
  const row = $(".row-form").content.firstElementChild.cloneNode(true);
  const ask = row.querySelector(".ask");
  row.dataset.question = question.key;
  ask.id = "rate-ask-" + index;
  ask.hidden = !several;
  quote(ask, question.text);
  row.setAttribute("aria-labelledby", several ? ask.id : "rate-question");
  row.querySelector("[data-choice=tie]").hidden = !study.ties;
  row.querySelector("[data-choice=both_bad]").hidden = !study.both_bad;
  fill(row);
  return row;
}

const openQuestion = () => study.questions.find((question) => !(question.key in answers));

function markAnswers() {
  const open = openQuestion();
  enableUndo();
  for (const row of $$(".row")) {
    row.classList.toggle("active", open !== undefined && row.dataset.question === open.key);
    if (study.questions.length === 1) continue;
    for (const button of row.querySelectorAll("[data-choice]")) {
      button.setAttribute("aria-pressed", answers[row.dataset.question] === button.dataset.choice);
    }
  }
}

// ---- showing ---------------------------------------------------------------------------------------------------

async function show(pair) {
  current = pair;
  const ready = prepare(pair).images;
  let arrived = false;
  ready.then(() => (arrived = true));
  await Promise.resolve();
  if (!arrived) phase("waiting");
  const images = await ready;
  if (current !== pair) return;
  // Both images and the prompt change inside one frame; the clock of the judgement starts with it.
  await new Promise((resolve) => requestAnimationFrame(resolve));
  if (current !== pair) return;
  answers = {};
  $(".prompt").textContent = pair.prompt;
  $(".prompt").classList.toggle("long", pair.prompt.length > LONG_PROMPT);
  $(".easel").style.setProperty("--ratio", Math.min(...images.map((image) => image.naturalWidth / image.naturalHeight)));
  images.forEach((image) => image.classList.remove("better"));
  $(".pair").replaceChildren(...images);
  sides();
  markAnswers();
  progress();
  phase("voting");
  revealedAt = performance.now();
  sayPair(pair);
}

function sayPair(pair) {
  const practice = stage === "practice";
  const number = practice ? practised + 1 : $("progress").value + 1;
  const total = practice ? practices : study.votes_per_rater;
  say(text(practice ? "practice.spoken" : "progress.spoken", { number, total, prompt: pair.prompt }));
}

function progress() {
  $(".practising").hidden = stage !== "practice";
  if (stage === "practice") {
    const number = Math.min(practised + 1, practices);
    $(".practising").textContent = text("practice.note", { number, total: practices });
    return;
  }
  const weight = { vote: 1, undo: -1, report: 0 };
  const waiting = outbox.reduce((count, item) => count + weight[item.kind], 0);
  const shown = Math.min(Math.max(done + waiting, 0), study.votes_per_rater);
  $(".count").textContent = text("progress.count", { done: shown, total: study.votes_per_rater });
  $("progress").max = study.votes_per_rater;
  $("progress").value = shown;
}

// Shows the next pair, or the end once every vote has been acknowledged.
function advance() {
  const next = upcoming.shift();
  if (next) {
    show(next);
    if (upcoming.length) prepare(upcoming[0]);
  } else {
    current = null;
    settle();
  }
}

function settle() {
  if (stage !== "rating" || current !== null || outbox.some((item) => item.kind === "undo")) return;
  if (upcoming.length) advance();
  else if (outbox.length || sending) phase("waiting");
  else if (end !== null) showEnd("ended");
  else join(); // Whether it is the end, the server says: it may have pairs that no answer of this page has brought.
}

// ---- answering -------------------------------------------------------------------------------------------------

function choose(question, choice) {
  if (root.dataset.phase !== "voting") return;
  // So soon after a pair appears it is a double click, not a judgement.
  if (performance.now() - revealedAt < study.guard_ms) {
    notice(text("rating.quick"), { forMs: QUICK_MS });
    return;
  }
  if ($(".retry").hidden) notice(""); // what it said is read by now
  answers[question] = choice;
  markAnswers();
  flash(question, choice);
  const open = openQuestion();
  if (open === undefined) complete();
  else say(text("rating.next_question", { question: open.text }));
}

function complete() {
  if (stage === "practice") practise();
  else vote();
}

function vote() {
  const latency = Math.round(performance.now() - revealedAt);
  const body = {
    study: studyName,
    pair: current.pair,
    round: current.round,
    choices: answers,
    key: newKey(),
    latency_ms: Math.min(latency, 2 ** 31 - 1),
    session,
  };
  last = { pair: current.pair, round: current.round };
  hand("/rate/api/vote", body, "vote");
}

function report(kind, comment) {
  if (current === null || stage !== "rating") return;
  const body = { study: studyName, pair: current.pair, round: current.round, key: newKey(), kind, comment };
  hand("/rate/api/report", body, "report");
  notice(text(kind === "skip" ? "skip.done" : "report.done"), { forMs: QUICK_MS });
}

// Whatever is said about the pair on show closes it, and the next one comes at once.
function hand(path, body, kind) {
  keep({ path, body, at: Date.now(), kind });
  answers = {};
  // A second choice in the same frame finds no open pair.
  root.dataset.phase = "waiting";
  advance();
  sendOutbox();
}

function takeNext(answer) {
  done = answer.done;
  end = answer.end || null;
  if (answer.next) queue([answer.next]);
  progress();
  settle();
}

// A half answered pair loses its last answer; otherwise the last vote is taken back.
function undo() {
  const given = Object.keys(answers);
  if (root.dataset.phase === "voting" && given.length) {
    delete answers[given.at(-1)];
    markAnswers();
    say(text("undo.answer"));
    return;
  }
  if (last === null || stage !== "rating" || !["voting", "waiting", "ended"].includes(root.dataset.phase)) return;
  const body = { study: studyName, pair: last.pair, round: last.round, key: newKey() };
  last = null;
  keep({ path: "/rate/api/undo", body, at: Date.now(), kind: "undo" });
  if (current !== null) upcoming.unshift(current);
  current = null;
  phase("waiting");
  sendOutbox();
}

function showUndone(answer) {
  done = answer.done;
  end = null;
  if (current !== null) upcoming.unshift(current);
  show(prepare(answer.pair)).then(() => say(text("undo.vote")));
}

// A pair voted on in another tab is no one's fault: the page goes on with what the server has now.
const NO_FAULT = ["already_voted", "round_not_open"];

async function refused(error) {
  last = null;
  current = null;
  upcoming = [];
  const { words, spoken } = reason(error);
  await join();
  if (study === null || !["consent", "practice", "check", "rating"].includes(stage)) return; // A card says what there is.
  const calm = NO_FAULT.includes(error.code);
  notice(words, { spoken, calm, forMs: calm ? CALM_MS : 0 });
}

function flash(question, choice) {
  const button = $$(".row").find((row) => row.dataset.question === question).querySelector(`[data-choice=${choice}]`);
  button.classList.remove("chosen");
  void button.offsetWidth; // restarts the animation
  button.classList.add("chosen");
}
