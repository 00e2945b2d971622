// Words: every text comes from the message files, in the study's language, else in the browser's.

let language = "";

function speak(declared) {
  const wishes = [declared || "", ...(navigator.languages || [])].map((tag) => tag.toLowerCase().split("-")[0]);
  const known = Object.keys(MESSAGES);
  const chosen = wishes.find((tag) => known.includes(tag)) || known[0];
  if (chosen === language) return;
  language = chosen;
  root.lang = language;
  document.documentElement.lang = language;
  fill(root);
  sides();
}

// A text by its key. With a `count` among the values it has two plural forms.
function text(key, values = {}) {
  const known = MESSAGES[language][key];
  const form = typeof known === "string" ? known : known[values.count === 1 ? "one" : "other"];
  return form.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

function fill(part) {
  for (const place of part.querySelectorAll("[data-text]")) place.textContent = text(place.dataset.text);
  for (const place of part.querySelectorAll("[data-label]")) place.setAttribute("aria-label", text(place.dataset.label));
  for (const place of part.querySelectorAll("[data-hint]")) place.title = text(place.dataset.hint);
}

// The study's own words, which may be in a language that this page does not speak.
function quote(place, words) {
  place.textContent = words;
  if (study !== null && study.language && study.language !== language) place.lang = study.language;
  else place.removeAttribute("lang");
}

// Paragraphs are parted by empty lines, as in the study's file.
function prose(place, words) {
  const paragraphs = words.split(/\n\s*\n/).map((paragraph) => paragraph.trim());
  place.replaceChildren(
    ...paragraphs.filter(Boolean).map((paragraph) => {
      const shown = document.createElement("p");
      quote(shown, paragraph);
      return shown;
    }),
  );
}

function say(sentence) {
  $(".spoken").textContent = sentence;
}

// `retrying`: the page is between two attempts, and a button ends the wait. `calm`: nothing went wrong. Emptied by itself
// after `forMs`.
let noticeTimer = 0;

function notice(sentence, { retrying = false, calm = false, forMs = 0, spoken = language } = {}) {
  clearTimeout(noticeTimer);
  $(".notice").classList.toggle("calm", calm);
  const place = $(".notice .text");
  if (place.textContent !== sentence) place.textContent = sentence;
  place.lang = spoken;
  if (!retrying && document.activeElement === $(".retry")) focusHeading();
  $(".retry").hidden = !retrying;
  if (forMs) noticeTimer = setTimeout(() => notice(""), forMs);
}
