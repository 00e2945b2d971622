// Stages: what the server says comes next, and the sections of the page that show it.

const SECTIONS = { consent: ".consent", check: ".check", voting: ".voting", waiting: ".voting", feedback: ".voting" };

// Where consent can be withdrawn: it was given, and something was said since.
const LEAVABLE = ["practice", "check", "rating", "ended", "closed"];

let practices = 0; // how many practice pairs there are, and how many are through
let practised = 0;
let busy = false;
let shown = "";
let triesLeft = 0;

// ---- which section is on show ----------------------------------------------------------------------------------

function phase(name) {
  root.dataset.phase = name;
  const section = SECTIONS[name] || ".card";
  // From card to card, too, the reader is somewhere else.
  const place = SECTIONS[name] || name;
  const moved = shown !== place;
  shown = place;
  root.dataset.section = section;
  for (const one of [".voting", ".consent", ".check", ".card"]) $(one).hidden = one !== section;
  $(".progress").hidden = study === null || !["rating", "ended", "closed"].includes(stage);
  $(".practising").hidden = stage !== "practice";
  $(".rows").hidden = name === "feedback";
  $(".feedback").hidden = name !== "feedback";
  for (const button of $$("[data-choice]")) button.setAttribute("aria-disabled", name !== "voting");
  tools(name, section === ".voting");
  if (moved && name !== "loading") focusHeading();
}

function tools(name, pairs) {
  const rating = pairs && stage === "rating";
  $(".undo").hidden = !(rating || (name === "ended" && last !== null));
  enableUndo();
  $(".look").hidden = !pairs;
  $(".skip").hidden = $(".flag").hidden = !rating;
  $(".keys-switch").hidden = !pairs;
  $(".how").hidden = !pairs || !instructions;
  $(".leave").hidden = study === null || !LEAVABLE.includes(stage) || (stage === "closed" && done === 0);
}

function enableUndo() {
  $(".undo").setAttribute("aria-disabled", last === null && Object.keys(answers).length === 0);
}

function focusHeading() {
  $(root.dataset.section + " .heading").focus({ preventScroll: true });
}

function showCard(name, { title, words = "", more = "", results = false, home = false, given = null }) {
  $(".title").textContent = title;
  $(".card .text").textContent = words;
  prose($(".card .more"), more);
  $(".card .more").hidden = !more;
  $(".results").hidden = !results;
  $(".results").href = "/dashboard/?study=" + encodeURIComponent(studyName);
  $(".home").hidden = !home;
  $(".go-on").hidden = name !== "paused";
  $(".back").hidden = name !== "declined";
  $(".anew").hidden = name !== "withdrawn";
  showCompletion(given);
  phase(name);
  say([title, words, more].filter(Boolean).join(" "));
}

function showProblem(error) {
  if (error.language) speak(error.language);
  const { words, spoken } = reason(error);
  study = null;
  current = null;
  showCard("message", { title: text("problem.title"), words, home: true });
  $(".card .text").lang = spoken;
}

// ---- consent ---------------------------------------------------------------------------------------------------

function showConsent(consent) {
  instructions = consent.instructions || "";
  prose($(".consent-text"), consent.text || "");
  prose($(".consent .instructions"), instructions);
  $(".consent-part").hidden = !consent.text;
  $(".instructions-part").hidden = !instructions;
  $(".agree").textContent = text(consent.text ? "consent.agree" : "consent.begin");
  $(".decline").hidden = !consent.text;
  phase("consent");
}

// One request at a time; a second press while it is under way is the same press.
async function step(path, body) {
  if (busy) return null;
  busy = true;
  try {
    return await persist(path, { study: studyName, ...body }, text("connection.waiting"));
  } catch (error) {
    await refused(error);
    return null;
  } finally {
    busy = false;
  }
}

async function agree() {
  const answer = await step("/rate/api/consent", {});
  if (answer !== null) arrive(answer);
}

// Said at once, whatever the connection does: a crowd site's slot is given back behind it.
function decline() {
  const words = [text("declined.text"), study.crowd ? onTheSite("return", study.crowd) : text("ended.close")].join(" ");
  showCard("declined", { title: text("declined.title"), words, given: wayBack(study.crowd) });
  post("/rate/api/decline", { study: studyName }).catch(() => {}); // Unheard, the slot runs out of time by itself.
}

// ---- practice --------------------------------------------------------------------------------------------------

function startPractice(pairs) {
  practices = pairs.length;
  practised = 0;
  upcoming = [...pairs];
  advance();
}

let afterPractice = null;

async function practise() {
  root.dataset.phase = "waiting";
  const answer = await step("/rate/api/practice", { pair: current.pair, choices: answers });
  if (answer === null) return;
  afterPractice = answer.join;
  // The first real pairs load while the rater reads.
  if (afterPractice !== null) (afterPractice.pairs || []).slice(0, 2).forEach(prepare);
  const verdict = text(answer.good ? "practice.good" : "practice.poor");
  $(".feedback").classList.toggle("good", answer.good);
  $(".judged").textContent = verdict;
  const better = showBetter(answer);
  quote($(".why"), answer.feedback);
  $(".go").textContent = text(afterPractice === null ? "practice.next" : "practice.finish");
  phase("feedback");
  $(".go").focus();
  say([verdict + ".", better, answer.feedback].filter(Boolean).join(" "));
}

// Which image was right is shown, and said, to whom it was not clear.
function showBetter({ good, right }) {
  const known = !good && ["left", "right"].includes(right);
  const place = stacked.matches ? { left: "top", right: "bottom" } : { left: "left", right: "right" };
  const sentence = known ? text("practice." + place[right]) : "";
  $(".better").textContent = sentence;
  $(".better").hidden = !known;
  if (known) $$(".pair img")[right === "left" ? 0 : 1].classList.add("better");
  return sentence;
}

function afterFeedback() {
  practised += 1;
  const answer = afterPractice;
  afterPractice = null;
  if (answer !== null) arrive(answer);
  else if (upcoming.length) advance();
  else join();
}

// ---- the comprehension check -----------------------------------------------------------------------------------

function showCheck(check, failed = false) {
  $(".check .items").replaceChildren(...check.questions.map(layCheck));
  triesLeft = check.tries_left;
  $(".read-again").hidden = !instructions;
  fault(failed ? text("check.failed", { count: check.tries_left }) : "");
  phase("check");
  if (failed) $(".fault").focus();
}

function layCheck(question, number) {
  const set = document.createElement("fieldset");
  const legend = document.createElement("legend");
  quote(legend, question.text);
  const labels = question.answers.map((answer, index) => {
    const label = document.createElement("label");
    const button = document.createElement("input");
    const words = document.createElement("span");
    Object.assign(button, { type: "radio", name: "question-" + number, value: index });
    quote(words, answer);
    label.append(button, words);
    return label;
  });
  set.append(legend, ...labels);
  return set;
}

function fault(sentence) {
  $(".fault").textContent = sentence;
  $(".fault").hidden = !sentence;
  if (sentence) say(sentence);
}

async function sendCheck(event) {
  event.preventDefault();
  const sets = $$(".check fieldset");
  const given = sets.map((set) => set.querySelector("input:checked"));
  if (given.includes(null)) {
    fault(text("check.missing"));
    sets[given.indexOf(null)].querySelector("input").focus();
    return;
  }
  const answer = await step("/rate/api/check", {
    answers: given.map((input) => Number(input.value)),
    tries_left: triesLeft, // An answer that was lost on its way back is sent again, and must not cost the next try.
  });
  if (answer === null) return;
  if (!answer.passed && answer.join.stage === "check") showCheck(answer.join.check, true);
  else arrive(answer.join);
}

// ---- the end ---------------------------------------------------------------------------------------------------

// What whoever goes back to the crowd site without a code is told to do there.
// Who ends without one had returned the slot, and judged on in a page that was still open.
const WITHOUT_CODE = { ended: "return", screened_out: "return", full: "return", withdrawn: "unless", closed: "part" };

function showEnd(how) {
  const site = (study.crowd && study.crowd.site) || "";
  const nothing = ["ended", "closed"].includes(how) && done === 0;
  const words = {
    ended: () => (nothing ? text("ended.nothing") : text("ended.counted", { count: done })),
    closed: () => (nothing ? text("closed.nothing") : text("closed.counted", { count: done })),
    preview: () => text("preview.text", { site }),
    screened_out: () => text("screened_out.text"),
    full: () => text("full.text"),
    withdrawn: () => text("withdrawn.text"),
  }[how]();
  const code = (end && end.code) || "";
  const given = code || !study.crowd ? end || {} : wayBack(study.crowd);
  const bare = !given.code && !given.redirect;
  current = null;
  progress();
  showCard(how, {
    title: text(how === "ended" && nothing ? "ended.nothing_title" : how + ".title"),
    words: [words, code ? "" : afterwards(how, nothing)].filter(Boolean).join(" "),
    more: how === "preview" ? instructions : given.text || "",
    results: how === "ended" && bare && mayRead,
    home: bare && !site,
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

// The crowd site itself, for whom no code takes back.
function wayBack(crowd) {
  return { code: "", redirect: (crowd && crowd.address) || "" };
}

// A browser that took consent back is told so, and begins again only when it is told to.
function showWithdrawn({ language: declared, crowd }) {
  speak(declared);
  study = null;
  const words = [text("withdrawn.before"), crowd ? onTheSite("unless", crowd) : ""].filter(Boolean).join(" ");
  showCard("withdrawn", { title: text("withdrawn.title"), words, home: !crowd, given: wayBack(crowd) });
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
  end = answer.end || null;
  mayRead = answer.may_read === true;
  current = null;
  upcoming = [];
  answers = {};
  stirredAt = Date.now();
  instructions = study.instructions || instructions;
  speak(study.language);
  document.title = study.title + " · Canvas Arena";
  quote($(".study"), study.title);
  layQuestions();
  if (stage === "consent") showConsent(answer.consent);
  else if (stage === "practice") startPractice(answer.practice);
  else if (stage === "check") showCheck(answer.check);
  else if (stage !== "rating") showEnd(stage);
  // Neither pairs nor an end: asked again, the server would say so for ever.
  else if (!answer.pairs.length) showProblem(new Refused());
  else {
    queue(answer.pairs);
    progress();
    settle();
  }
}

function showLoading() {
  showCard("loading", { title: text("loading.title"), words: text("loading.text") });
}

async function join(wish = {}) {
  const withdrawn = withdrawalBefore();
  if (withdrawn !== null) {
    showWithdrawn(withdrawn);
    return;
  }
  if (study === null) showLoading();
  else if (stage === "rating") phase("waiting");
  const body = { study: studyName, ...(Object.keys(arrival).length && { arrival }), ...wish };
  try {
    arrive(await persist("/rate/api/join", body, text("connection.joining")));
  } catch (error) {
    showProblem(error);
  }
}
