// The server: one way to ask, and patience when it does not answer.

const RETRY_MS = [500, 1000, 2000, 4000, 8000, 15000];

// What a refusal says: an English sentence, a code for which the message files have one of ours, and the study's language
// where the page cannot know it yet.
class Failure extends Error {
  constructor(answer = {}) {
    super(answer.error || "");
    this.code = answer.code || "";
    this.language = answer.language || "";
  }
}
// For now: the same request may be answered later, and not before `waitMs` where the server said so.
class Unreachable extends Failure {
  constructor(answer = {}, waitMs = 0) {
    super(answer);
    this.waitMs = waitMs;
  }
}
class Refused extends Failure {}

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
  const answer = (await response.json().catch(() => null)) || {};
  if (response.status >= 500 || response.status === 429) {
    throw new Unreachable(answer, 1000 * (Number(response.headers.get("retry-after")) || 0));
  }
  if (!response.ok) throw new Refused(answer);
  return answer;
}

// Waits longer from attempt to attempt; `tryNow` ends every wait.
const waits = new Set();

function wait(attempt, leastMs = 0) {
  return new Promise((resolve) => {
    const timer = setTimeout(over, Math.max(leastMs, RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]));
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
    if (!isWanted()) throw new Refused();
    try {
      const answer = await post(path, body);
      if (attempt > 0) notice("");
      return answer;
    } catch (error) {
      if (attempt > 0 && error instanceof Refused) notice("");
      if (!(error instanceof Unreachable)) throw error;
      notice([explained(error) || sentence, again(error.waitMs)].filter(Boolean).join(" "), { retrying: true });
      await wait(attempt, error.waitMs);
    }
  }
}

// When the page asks again, by the reader's clock, where that is long enough to be worth saying.
function again(waitMs) {
  if (waitMs < 3000) return "";
  const time = new Date(Date.now() + waitMs).toLocaleTimeString(language, { timeStyle: "medium" });
  return text("connection.again", { time });
}

// The page's own sentence for the server's code; none for a code that it does not know.
function explained(error) {
  const key = "refusal." + error.code;
  return key in MESSAGES[language] ? text(key) : "";
}

// Why a request was refused, and the language of these words: ours follow the page. A page that was loaded before the
// server learnt a new code has the server's sentence, which is English.
function reason(error) {
  if (!(error instanceof Refused)) return { words: text("problem.page"), spoken: language };
  const words = explained(error) || (error.message ? "" : text("problem.refused"));
  return words ? { words, spoken: language } : { words: error.message, spoken: "en" };
}
