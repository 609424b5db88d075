// What every live page shares: the stream, the clock, the words, and rows that are patched by their key.
//
// Rules
// - Everything that comes from outside becomes a text node.
// - The page knows whether what it shows is fresh. When the stream, the engine or the link to Asterisk is gone, it says
//   so, greys what it shows, and the clocks of waits and talks stand still at the last instant that is known.
// - A machine that is too slow to draw every event shows what is, not what was: events that came while it was drawing
//   are one picture, the newest; and as long as events reach it late fewer and fewer are drawn, at last one a second.
// - Rows are kept and patched by their key, so that a screen reader, a selection and the eye keep their place.

const SILENCE_MS = 12_000; // the stream speaks at least every 5 s: two missed and a little more is a dead line
const RETRY_MS = 2_000;
const LATE_MS = 300; // behind what is usual on this connection: some pictures wait on their way
const WHILE_LATE_MS = 1_000;
const LATE_EASES_MS = 100; // a machine whose clock was set ahead is not late for ever

export const language = document.documentElement.lang;
const table = JSON.parse(document.getElementById("texts").textContent);
const parts = new WeakMap();
const filled = new WeakMap();

let shown = () => {}; // draws the floor; the page's own
export let snapshot = null;
let offset = 0; // server's clock minus this machine's, in ms
let heardAt = Date.now(); // this machine's clock at the last complete event
let connected = false;
let lost = false;
let source = null;
let newest = null; // what the last event made of the floor, and when it came
let timer = null; // it is going to be drawn
let usual = Infinity; // ms from rendering to arrival, the clocks' difference included: the shortest so far
let drawnAt = -Infinity; // by the page's own clock, which is never set
let drawing = 0; // ms that the last picture took to the screen
let pause = 0; // ms that were left before it
let next = 0; // ms that are left before the next one
let judged = null; // the event by which that was found
let retry = null;

// -- words and numbers --------------------------------------------------------------------------------------

export function say(key, values = {}) {
  return table[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

export function texts(key, otherwise) {
  return table[key] ?? otherwise;
}

export function margin(month) {
  // "n more may be lost", or how far it is to the target.
  if (month.answer_ratio.whole === 0) return "";
  if (month.may_lose >= 0) return say("month.may_lose", { n: month.may_lose });
  return month.must_answer === null ? say("month.lost") : say("month.must_answer", { n: month.must_answer });
}

export function clock(ms, seconds = true) {
  const zone = snapshot?.centres[0]?.window.time_zone;
  const form = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (seconds) form.second = "2-digit";
  if (zone) form.timeZone = zone;
  return new Intl.DateTimeFormat("en-GB", form).format(ms);
}

export function day(iso) {
  const form = { month: "short", day: "numeric", weekday: "short", timeZone: "UTC" };
  return new Intl.DateTimeFormat(language, form).format(Date.parse(`${iso}T00:00:00Z`));
}

export function length(seconds) {
  if (seconds === null) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function number(masked) {
  if (document.body.dataset.personal === "hidden") return say("hidden");
  return masked === null ? say("withheld") : masked.replace(/^\*+/, "…");
}

export function percent(ratio) {
  // Cut, not rounded: 89.96 % must not look like the 90 % of the contract.
  if (ratio.whole === 0) return "–";
  if (ratio.part === ratio.whole) return "100%";
  return `${(Math.floor((ratio.part * 1000) / ratio.whole) / 10).toFixed(1)}%`;
}

// -- the page -----------------------------------------------------------------------------------------------

export function part(element, name) {
  let known = parts.get(element);
  if (!known) {
    known = new Map();
    for (const found of element.querySelectorAll("[data-f]")) known.set(found.dataset.f, found);
    parts.set(element, known);
  }
  return known.get(name);
}

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function mark(element, name, value) {
  if (value === null || value === undefined) delete element.dataset[name];
  else if (element.dataset[name] !== String(value)) element.dataset[name] = value;
}

export function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

export function figureLinks(section, centre) {
  // From a number to its formula, filter, seq and calls.
  for (const link of section.querySelectorAll("a[data-figure]"))
    link.href = `/figures/${centre}${link.dataset.figure && `/${link.dataset.figure}`}`;
}

export function patch(parent, items, key, make, fill, rests = null) {
  // `rests`: all that filling an item looks at; what is the same as last time need not be filled again.
  const wanted = new Set(items.map(key));
  const have = new Map();
  for (const child of [...parent.children]) {
    if (wanted.has(child.dataset.key)) have.set(child.dataset.key, child);
    else child.remove();
  }
  let next = parent.firstElementChild;
  for (const item of items) {
    let child = have.get(key(item));
    if (!child) {
      child = make();
      child.dataset.key = key(item);
    }
    if (rests === null || !same(filled.get(child), rests(item))) {
      fill(child, item);
      if (rests !== null) filled.set(child, rests(item));
    }
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}

function same(before, now) {
  return before !== undefined && before.length === now.length && before.every((each, n) => each === now[n]);
}

// -- time ---------------------------------------------------------------------------------------------------

export function serverNow() {
  return Date.now() + offset;
}

function known() {
  // The latest instant of which what is shown is true.
  if (snapshot === null) return null;
  const at = Date.parse(snapshot.at);
  if (snapshot.stale_s !== null) return at - snapshot.stale_s * 1000;
  return lost || !connected ? Math.min(serverNow(), heardAt + offset) : serverNow();
}

function tick() {
  if (!lost && connected && Date.now() - heardAt > SILENCE_MS) reconnect();
  const now = known();
  if (now !== null) {
    for (const element of document.querySelectorAll("[data-since]")) {
      const seconds = (now - Number(element.dataset.since)) / 1000;
      put(element, length(seconds));
      if (element.dataset.limit !== undefined) {
        const over = seconds > Number(element.dataset.limit);
        mark(element, "over", over ? "" : null);
        const word = element.previousElementSibling;
        if (word?.dataset.f === "over") put(word, over ? say("over") : "");
      }
    }
    for (const element of document.querySelectorAll("[data-until]")) {
      const left = (Number(element.dataset.until) - now) / 1000;
      put(element, left > 0 ? say("rest", { time: length(left) }) : "");
    }
  }
  freshness();
  put(document.getElementById("clock"), snapshot === null ? "--:--:--" : clock(serverNow()));
}

function freshness() {
  let state = "live";
  let notice = "";
  if (lost) {
    state = "lost";
    notice = say("conn.lost", { time: clock(heardAt + offset) });
  } else if (snapshot === null) {
    state = "connecting";
  } else if (snapshot.stale_s !== null) {
    state = "engine";
    const silent = snapshot.stale_s + (serverNow() - Date.parse(snapshot.at)) / 1000;
    notice = say("conn.engine", { seconds: Math.max(0, Math.floor(silent)), time: clock(known()) });
  } else if (!snapshot.linked) {
    state = "unlinked";
    notice = say("conn.unlinked");
  }
  document.body.dataset.state = state;
  const short = { live: "conn.live", connecting: "conn.connecting" }[state] ?? `conn.${state}.short`;
  put(document.getElementById("state"), say(short));
  put(document.getElementById("notice"), notice);
}

function everySecond() {
  tick();
  setTimeout(everySecond, 1000 - (serverNow() % 1000) + 5);
}

// -- the stream ---------------------------------------------------------------------------------------------

function connect() {
  retry = null;
  usual = Infinity;
  // The browser's own new try tells what was seen last in `Last-Event-ID`; a new source has to say it itself.
  source = new EventSource(`/api/v1/live/stream?changes=true${snapshot === null ? "" : `&after=${snapshot.seq}`}`);
  source.addEventListener("live", (event) => told(JSON.parse(event.data)));
  source.addEventListener("change", (event) => {
    const { from, change } = JSON.parse(event.data);
    if (newest.live.seq === from.seq && newest.live.at === from.at) told(applied(newest.live, change));
    else reconnect(); // of another picture than this page has
  });
  source.addEventListener("error", () => {
    connected = false;
    lost = true;
    tick();
    if (source.readyState === EventSource.CLOSED) refused();
  });
}

function told(live) {
  newest = { live, at: Date.now() };
  timer ??= setTimeout(draw);
}

export function applied(old, change) {
  // What `web/changes.py` says. What did not change stays the same object.
  if ("to" in change) return change.to;
  if ("rows" in change) {
    const rows = new Map(old.map((row) => [row[change.by], row]));
    const names = change.order ?? [...rows.keys()];
    for (const [name, each] of Object.entries(change.rows)) rows.set(name, applied(rows.get(name), each));
    return names.map((name) => rows.get(name));
  }
  const now = { ...old };
  for (const key of change.gone ?? []) delete now[key];
  for (const [key, each] of Object.entries(change.in)) now[key] = applied(old[key], each);
  return now;
}

function draw() {
  const { live, at } = newest;
  const began = performance.now();
  // While pictures are late, half of the time is left for reading, then, with each one that still is, more.
  if (judged !== newest) next = late(at - Date.parse(live.at)) ? Math.min(Math.max(2 * pause, drawing), WHILE_LATE_MS) : 0;
  judged = newest;
  const rest = drawnAt + next - began;
  timer = rest > 0 ? setTimeout(draw, rest) : null; // meanwhile what comes is only read, and the newest drawn then
  if (timer !== null) return;
  pause = next;
  offset = Date.parse(live.at) - at;
  snapshot = live;
  shown(live);
  heardAt = Date.now(); // only now: what could not be shown does not count as heard
  connected = true;
  lost = false;
  tick();
  drawnAt = performance.now();
  if (document.hidden) return; // no frame comes there
  requestAnimationFrame(() =>
    setTimeout(() => {
      drawnAt = performance.now();
      drawing = Math.min(drawnAt - began, WHILE_LATE_MS);
    }),
  );
}

function late(way) {
  // Whether events wait on their way to this page: `way` is the time from rendering to arrival.
  usual = Math.min(usual, way);
  const found = way - usual > LATE_MS;
  if (found) usual += LATE_EASES_MS;
  return found;
}

async function refused() {
  // Who may look no longer must not keep what is shown: the page is asked for again, and says where to go.
  later();
  const answer = await fetch("/api/v1/me").catch(() => null);
  if (answer === null || answer.status >= 500 || answer.status === 429) return;
  if (!answer.ok || !("read_live" in (await answer.json()).rights)) location.reload();
}

function later() {
  source.close();
  retry ??= setTimeout(connect, RETRY_MS);
}

function reconnect() {
  connected = false;
  lost = true;
  later();
}

export function again() {
  // What is shown, drawn in another way.
  shown(snapshot);
  tick();
}

export function begin(show) {
  shown = show;
  connect();
  everySecond();
}
