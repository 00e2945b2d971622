// The outbox: votes, undos and reports that the server has not acknowledged, in order, sent one at a time.

const OUTBOX = "canvas-arena.outbox.";

const outbox = [];
let sending = false;

function keep(item) {
  outbox.push(item);
  memory.write(OUTBOX + item.body.key, JSON.stringify(item));
}

function forget(item) {
  memory.write(OUTBOX + item.body.key, null);
}

function leftOver() {
  const found = [];
  for (const name of memory.names().filter((name) => name.startsWith(OUTBOX))) {
    try {
      found.push(JSON.parse(memory.read(name)));
    } catch {
      memory.write(name, null);
    }
  }
  return found.sort((a, b) => a.at - b.at);
}

async function sendOutbox() {
  if (sending) return;
  sending = true;
  let refusal = null;
  while (outbox.length) {
    const item = outbox[0];
    let answer = null;
    try {
      answer = await persist(item.path, item.body, text("connection.kept"), () => outbox[0] === item);
    } catch (error) {
      refusal = error; // This one is decided; those behind it still have to be sent.
    }
    if (outbox[0] === item) outbox.shift();
    forget(item);
    if (answer !== null && refusal === null && stage === "rating") {
      if (item.kind === "undo") showUndone(answer);
      else takeNext(answer);
    }
  }
  sending = false;
  if (stage !== "rating") return; // The rater withdrew meanwhile.
  if (refusal !== null) await refused(refusal);
  else settle();
}

// Votes of an earlier visit go first. One that is refused was decided already.
async function sendLeftOver() {
  for (const item of leftOver()) {
    await persist(item.path, item.body, text("connection.joining")).catch(() => {});
    forget(item);
  }
}

// A rater who withdraws has no more to say: what was not sent never will be.
function emptyOutbox() {
  outbox.length = 0;
  leftOver().filter((item) => item.body.study === studyName).forEach(forget);
  tryNow();
}
