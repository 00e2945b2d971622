// The rating page. These files run once, one after the other, as the body of a function with `element`, the component's
// root, and MESSAGES, the texts by language.
//
// The server hands out two pairs: one is looked at while the other loads and is decoded. A vote shows the next pair at
// once and is posted behind it, one request at a time. Until the server has acknowledged it a vote lies in the outbox,
// which survives a lost connection and a closed tab, and is sent again under the same key, so that it counts once.
// Whatever comes from the server or from a study's declaration is shown as text, never as markup.

const root = element.querySelector(".rate");
const $ = (selector) => root.querySelector(selector);
const $$ = (selector) => [...root.querySelectorAll(selector)];

const address = new URLSearchParams(location.search);
const studyName = address.get("study") || "";
// What a crowd site or a sign-up link added to the address; the server knows which of it counts.
const arrival = Object.fromEntries([...address].filter(([name]) => name !== "study"));
const session = newKey(); // names this load of the page

let study = null;
let stage = ""; // the server's word for where this rater stands
let done = 0; // the server's count of this rater's votes
let end = null; // what the study gives a rater who is through: a code, an address, a text; until then nothing
let mayRead = false; // whether this visitor may read results
let instructions = "";
let current = null; // the pair on show
let upcoming = []; // pairs handed out and not yet shown; the first is being decoded
let answers = {}; // question -> choice, for the pair on show
let last = null; // the vote that undo takes back
let revealedAt = 0;

function newKey() {
  // crypto.randomUUID exists on https and localhost only; an arena on a local network has neither.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// What a browser remembers of this page; a private window may refuse, and then it lasts as long as the page.
const memory = {
  read(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  },
  write(name, value) {
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, value);
    } catch {
      // Nothing is kept.
    }
  },
  names() {
    try {
      return Object.keys(localStorage);
    } catch {
      return [];
    }
  },
};
