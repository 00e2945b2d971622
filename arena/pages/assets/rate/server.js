// The server: one way to ask, and patience when it does not answer.

const RETRY_MS = [500, 1000, 2000, 4000, 8000, 15000];

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
  if (!response.ok) throw new Refused(answer.error || "");
  return answer;
}

// Waits longer from attempt to attempt; `tryNow` ends every wait.
const waits = new Set();

function wait(attempt) {
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

// Asks until there is an answer, or until no one wants it any more.
async function persist(path, body, sentence, isWanted = () => true) {
  for (let attempt = 0; ; attempt++) {
    if (!isWanted()) throw new Refused("");
    try {
      const answer = await post(path, body);
      if (attempt > 0) notice("");
      return answer;
    } catch (error) {
      if (attempt > 0 && error instanceof Refused) notice("");
      if (!(error instanceof Unreachable)) throw error;
      notice(sentence, { retrying: true });
      await wait(attempt);
    }
  }
}

// Why a request was refused, in the server's words, and the language that they are in: the arena's sentences are
// English, our own follow the page.
function reason(error) {
  if (!(error instanceof Refused)) return { words: text("problem.page"), spoken: language };
  return error.message ? { words: error.message, spoken: "en" } : { words: text("problem.refused"), spoken: language };
}
