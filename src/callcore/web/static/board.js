// The live board. It shows what the stream says and nothing else: no figure is made here, only times tick on.
//
// Rules
// - Everything that comes from outside becomes a text node.
// - The page knows whether what it shows is fresh. When the stream, the engine or the link to Asterisk is gone, it says
//   so, greys what it shows, and the clocks of waits and talks stand still at the last instant that is known.
// - Rows are kept and patched by their key, so that a screen reader, a selection and the eye keep their place.

const SILENCE_MS = 12_000; // the stream speaks at least every 5 s: two missed and a little more is a dead line
const RETRY_MS = 2_000;

const language = document.documentElement.lang;
const texts = JSON.parse(document.getElementById("texts").textContent);
const board = document.getElementById("board");
const parts = new WeakMap();

let snapshot = null;
let offset = 0; // server's clock minus this machine's, in ms
let heardAt = Date.now(); // this machine's clock at the last complete event
let connected = false;
let lost = false;
let source = null;
let retry = null;

// -- words and numbers --------------------------------------------------------------------------------------

function say(key, values = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

function clock(ms, seconds = true) {
  const zone = snapshot?.centres[0]?.window.time_zone;
  const form = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (seconds) form.second = "2-digit";
  if (zone) form.timeZone = zone;
  return new Intl.DateTimeFormat("en-GB", form).format(ms);
}

function day(iso) {
  const form = { month: "short", day: "numeric", weekday: "short", timeZone: "UTC" };
  return new Intl.DateTimeFormat(language, form).format(Date.parse(`${iso}T00:00:00Z`));
}

function length(seconds) {
  if (seconds === null) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function number(masked) {
  if (document.body.dataset.personal === "hidden") return say("hidden");
  return masked === null ? say("withheld") : masked.replace(/^\*+/, "…");
}

function percent(ratio) {
  // Cut, not rounded: 89.96 % must not look like the 90 % of the contract.
  if (ratio.whole === 0) return "–";
  if (ratio.part === ratio.whole) return "100%";
  return `${(Math.floor((ratio.part * 1000) / ratio.whole) / 10).toFixed(1)}%`;
}

// -- the page -----------------------------------------------------------------------------------------------

function part(element, name) {
  let known = parts.get(element);
  if (!known) {
    known = new Map();
    for (const found of element.querySelectorAll("[data-f]")) known.set(found.dataset.f, found);
    parts.set(element, known);
  }
  return known.get(name);
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function mark(element, name, value) {
  if (value === null || value === undefined) delete element.dataset[name];
  else if (element.dataset[name] !== String(value)) element.dataset[name] = value;
}

function clone(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

function patch(parent, items, key, make, fill) {
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
    fill(child, item);
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}

function show(live) {
  document.getElementById("nothing").hidden = live.centres.length > 0;
  patch(board, live.centres, (c) => c.id, () => clone("centre"), centre);
}

function centre(section, c) {
  const f = c.figures;
  const text = (name, value) => put(part(section, name), String(value));
  text("name", language === "ja" ? c.name : c.name_en);
  text("hours", say(c.hours.open ? "open" : "closed"));
  mark(part(section, "hours"), "open", c.hours.open);
  part(section, "hours").title = c.hours.reason[language];
  const changes = c.hours.changes_at && Date.parse(c.hours.changes_at);
  const soon = changes && changes - serverNow() < 86_400_000;
  text("until", soon ? say("until", { time: clock(changes, false) }) : c.hours.reason[language]);
  text("open", f.open === 0 ? say("final") : say("open_calls", { n: f.open }));
  text("reconstructed", f.reconstructed === 0 ? "" : say("reconstructed", { n: f.reconstructed }));
  text("tests", f.tests === 0 ? "" : say("tests", { n: f.tests }));

  const alarms = c.emergencies_not_carried.map((e) =>
    say("emergency", { time: clock(Date.parse(e.at)), seat: e.seat ?? "–", digits: e.digits }),
  );
  alarms.push(...c.phones_refused.map((p) => say("phone_refused", { seat: p.seat, why: p.words[language] })));
  for (const a of c.agents) {
    if (a.caller?.help) alarms.push(say("alarm.help", { seat: a.seat ?? "–", name: a.name }));
    if (a.caller?.hold_overran)
      alarms.push(
        say("alarm.held", { seat: a.seat ?? "–", name: a.name, time: clock(Date.parse(a.caller.held_since)) }),
      );
    if (a.locked_until !== null)
      alarms.push(say("alarm.locked", { agent: a.agent, time: clock(Date.parse(a.locked_until), false) }));
  }
  if (c.hours.emergency_until !== null)
    alarms.push(
      say("alarm.emergency", { time: clock(Date.parse(c.hours.emergency_until), false), reason: c.hours.reason[language] }),
    );
  text("alarm", alarms.join(" / "));
  text("outgoing", c.outgoing.made);
  text("policy", c.policy_rejections === 0 ? "" : say("policy_rejections", { n: c.policy_rejections }));

  text("waiting", f.waiting);
  mark(part(section, "waiting-tile"), "alert", f.waiting > 0 ? "some" : null);
  const since = f.longest_waiting_s === null ? null : Date.parse(f.at) - f.longest_waiting_s * 1000;
  mark(part(section, "longest"), "since", since);
  mark(part(section, "longest"), "limit", f.service_level_s);
  if (since === null) {
    text("longest", "–");
    mark(part(section, "longest"), "over", null);
  }
  const states = c.agents_by_state;
  const signedIn = c.agents.length - states.signed_out;
  text("free", states.ready + states.resting);
  text("signed-in", ` / ${signedIn}`);

  text("today", say("today", { date: day(c.window.date) }));
  text("answer_ratio", percent(f.answer_ratio));
  text("answer_ratio-parts", say("parts", f.answer_ratio));
  const met = f.answer_ratio.whole === 0 ? null : f.answer_ratio.value >= c.target_answer_ratio;
  const target = say("target", { percent: `${Math.round(c.target_answer_ratio * 1000) / 10}%` });
  text("answer_ratio-target", met === null ? target : `${target} ${say(met ? "met" : "missed")}`);
  mark(part(section, "answer_ratio-tile"), "met", met);
  text("service_level-name", say("service_level", { seconds: f.service_level_s }));
  text("service_level", percent(f.service_level));
  text("service_level-parts", say("parts", f.service_level));
  text("arrived", f.arrived);
  text("offered", f.offered);
  text("answered", f.answered);
  text("abandoned", f.abandoned + f.abandoned_short);
  text("abandoned_short", f.abandoned_short === 0 ? "" : say("abandoned_short", { n: f.abandoned_short }));
  text("lost_otherwise", f.overflow + f.other_unanswered + f.failed);
  text("closed", f.closed + f.emergency_closed);
  text("wait_mean", length(f.wait_mean_s));
  text("wait_max", length(f.wait_max_s));

  mark(section, "queues", new Set(c.waiting.map((w) => w.queue)).size > 1 ? "many" : null);
  const agents = new Map(c.agents.map((a) => [a.agent, a]));
  text("waiting-count", c.waiting.length);
  text("callbacks", c.callbacks.length === 0 ? "" : say("callbacks", { n: c.callbacks.length }));
  patch(part(section, "waiting-rows"), c.waiting, (w) => w.call, () => clone("waiting-row"), (row, w) => {
    waiter(row, w, f.service_level_s, agents);
  });
  part(section, "waiting-empty").hidden = c.waiting.length > 0;

  part(section, "messages").hidden = c.messages.open === 0;
  text("messages-count", say("messages.count", c.messages));
  patch(part(section, "message-rows"), c.messages.next, (m) => m.call, () => clone("message-row"), (row, m) => {
    message(row, m, agents);
  });

  const shown = Object.entries(states).filter(([state, n]) => n > 0 && state !== "signed_out");
  patch(part(section, "states"), shown, ([state]) => state, () => document.createElement("span"), chip);
  const inside = c.agents.filter((a) => a.state !== "signed_out");
  const outside = c.agents.filter((a) => a.state === "signed_out");
  patch(part(section, "agent-rows"), inside, (a) => a.agent, () => clone("agent-row"), agent);
  part(section, "agents-empty").hidden = inside.length > 0;
  text("agents-empty", say(c.agents.length === 0 ? "agents.empty" : "agents.none_in"));
  part(section, "out").hidden = outside.length === 0;
  text("out-count", say("agents.out", { n: outside.length }));
  patch(part(section, "out-rows"), outside, (a) => a.agent, () => document.createElement("li"), (item, a) => {
    put(item, `${a.agent} ${a.name}`);
  });
}

function message(row, m, agents) {
  const text = (name, value) => put(part(row, name), value);
  const due = Date.parse(m.due_at);
  const near = Math.abs(due - serverNow()) < 43_200_000;
  text("due", near ? clock(due, false) : `${day(localDay(due))} ${clock(due, false)}`);
  text("over", m.overdue ? say("messages.overdue") : "");
  text("number", number(m.number));
  mark(part(row, "number"), "absent", m.number === null ? "" : null);
  text("state", say(`message.${m.state}`));
  text("agent", m.agent === null ? "" : (agents.get(m.agent)?.name ?? m.agent));
  text("length", m.callback ? say("message.callback") : m.seconds === null ? "–" : length(m.seconds));
}

function localDay(ms) {
  const zone = snapshot?.centres[0]?.window.time_zone;
  const form = { year: "numeric", month: "2-digit", day: "2-digit" };
  if (zone) form.timeZone = zone;
  return new Intl.DateTimeFormat("en-CA", form).format(ms);
}

function chip(element, [state, n]) {
  element.className = "mark";
  mark(element, "state", state);
  put(element, `${say(`state.${state}`)} ${n}`);
}

function half(words) {
  // Reasons are "Japanese / English".
  const [ja, en] = words.split(" / ");
  return language === "ja" ? ja : (en ?? ja);
}

function waiter(row, w, limit, agents) {
  const text = (name, value) => put(part(row, name), value);
  text("position", w.position === null ? "–" : String(w.position));
  text("number", number(w.number));
  mark(part(row, "number"), "absent", w.number === null ? "" : null);
  text("queue", w.queue_name);
  const rung = agents.get(w.offered_to);
  text("stage", say(w.in_net ? "stage.net" : `stage.${w.stage}`));
  const about = w.offered_to === null ? [] : [say("offered_to", { agent: rung?.name ?? w.offered_to })];
  about.push(...(rung?.why ?? []).slice(0, -1).map(half)); // the last is about the caller, and stands in this row
  if (w.because !== null) about.push(w.because[language]);
  if (w.rung > 0 && w.because !== null) about.push(say("rung", { n: w.rung }));
  text("to", about.join(" · "));
  mark(part(row, "stage"), "state", w.in_net ? "net" : w.stage);
  const wait = part(row, "wait");
  mark(wait, "since", w.since === null ? null : Date.parse(w.since));
  mark(wait, "limit", limit);
  if (w.since === null) put(wait, "–");
  text("estimate", w.estimate_s === null ? "–" : length(w.estimate_s));
  text("priority", w.priority === null ? "–" : String(w.priority));
}

function remarks(a) {
  const found = [];
  if (a.pause !== null) found.push(a.pause_overran ? say("overran", { reason: a.pause }) : a.pause);
  for (const sign of ["help", "abuse", "relay", "recording_paused"]) if (a.caller?.[sign]) found.push(say(sign));
  if (a.caller?.on_hold)
    found.push(say(a.caller.hold_overran ? "held_long" : "held", { time: clock(Date.parse(a.caller.held_since)) }));
  if (a.result !== null) found.push(a.result);
  if (a.misses > 0) found.push(say("misses", { n: a.misses }));
  if (a.guest) found.push(say("guest"));
  return found;
}

function agent(row, a) {
  const text = (name, value) => put(part(row, name), value);
  text("seat", a.seat ?? "–");
  text("name", a.name);
  text("agent", a.agent);
  text("phone", a.phone ?? "–");
  text("state", say(`state.${a.state}`));
  mark(part(row, "state"), "state", a.state);
  const extra = part(row, "extra");
  mark(extra, "until", a.until === null ? null : Date.parse(a.until));
  if (a.until === null) put(extra, remarks(a).join(" · "));
  const since = part(row, "since");
  mark(since, "since", a.since === null ? null : Date.parse(a.since));
  if (a.since === null) put(since, "–");
  text("with", a.caller === null ? "" : number(a.caller.number));
}

// -- time ---------------------------------------------------------------------------------------------------

function serverNow() {
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
  source = new EventSource("/api/v1/live/stream");
  source.addEventListener("live", (event) => {
    const live = JSON.parse(event.data);
    offset = Date.parse(live.at) - Date.now();
    snapshot = live;
    show(live);
    heardAt = Date.now(); // only now: what could not be shown does not count as heard
    connected = true;
    lost = false;
    tick();
  });
  source.addEventListener("error", () => {
    connected = false;
    lost = true;
    tick();
    if (source.readyState === EventSource.CLOSED) refused();
  });
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

connect();
everySecond();
