// Showings: loading, showing, going on. The rating page's files stand before this one: state, words, server, outbox.
//
// The server hands out two showings: one is looked at while the other loads and is decoded. An answer shows the next at
// once and is posted behind it. What is shown has a token and pixels; in pair mode a name, and never a prompt.

const QUICK_MS = 3000; // how long the page says that an answer came too quickly
const CALM_MS = 8000; // how long it says what is only good to know

const stacked = matchMedia("(max-width: 40em)");

async function loadImage(address) {
  for (let attempt = 0; ; attempt++) {
    const image = new Image();
    image.decoding = "sync";
    image.draggable = false;
    image.src = address;
    try {
      await image.decode();
      image.className = image.naturalWidth <= 160 ? "pixels" : "";
      if (attempt >= 4) notice("");
      return image;
    } catch {
      if (attempt >= 3) notice(text("connection.image"), { retrying: true });
      await wait(attempt);
    }
  }
}

function prepare(showing) {
  showing.ready ??= Promise.all(showing.images.map(loadImage));
  return showing;
}

// Showings that wait their turn; of them the first is loaded, beside the one on show.
function queue(showings) {
  upcoming.push(...showings);
  if (upcoming.length) prepare(upcoming[0]);
}

// Called by `speak` as well, before there is a study.
function sides() {
  const [first, second] = stacked.matches ? ["top", "bottom"] : ["left", "right"];
  const images = $$(".pair img");
  if (images.length === 1) images[0].alt = text("label.image");
  else images.forEach((image, index) => (image.alt = text("image." + [first, second][index])));
  for (const [side, place] of [["left", first], ["right", second]]) {
    for (const name of $$(`[data-choice=${side}] .name`)) name.textContent = text("choice." + place);
  }
}

function question(showing) {
  return study.mode === "single" ? text("label.question") : text("label.resembles", { name: showing.name });
}

async function show(showing) {
  current = showing;
  const ready = prepare(showing).ready;
  let arrived = false;
  ready.then(() => (arrived = true));
  await Promise.resolve();
  if (!arrived) phase("waiting");
  const images = await ready;
  if (current !== showing) return;
  // Images and question change inside one frame; the clock of the answer starts with it.
  await new Promise((resolve) => requestAnimationFrame(resolve));
  if (current !== showing) return;
  $(".question").textContent = question(showing);
  $(".easel").style.setProperty("--ratio", Math.min(...images.map((image) => image.naturalWidth / image.naturalHeight)));
  for (const image of images) image.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
  $(".pair").replaceChildren(...images);
  closeDetails();
  sides();
  progress();
  phase("voting");
  revealedAt = performance.now();
  const place = { number: $("progress").value + 1, total };
  say(text(study.mode === "single" ? "progress.spoken" : "progress.pair_spoken", { ...place, question: question(showing) }));
}

function progress() {
  const weight = { label: 1, undo: -1, report: 0 };
  const waiting = outbox.reduce((count, item) => count + weight[item.kind], 0);
  const shown = Math.max(done + waiting, 0);
  total = Math.max(total, shown + (current === null ? 0 : 1));
  $(".count").textContent = text("progress.count", { done: shown, total });
  $("progress").max = Math.max(total, 1);
  $("progress").value = shown;
}

// Shows the next one, or the end once every answer has been acknowledged.
function advance() {
  const next = upcoming.shift();
  if (next) {
    if (upcoming.length) prepare(upcoming[0]);
    show(next);
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
  else join(); // Whether it is the end, the server says.
}

function takeNext(answer) {
  done = answer.done;
  total = answer.total;
  end = answer.end || null;
  if (answer.next) queue([answer.next]);
  progress();
  settle();
}
