// The live board. It shows what the stream says and nothing else: no figure is made here, only times tick on.

import {
  again, begin, clock, clone, day, figureLinks, language, length, margin, mark, number, part, patch, percent, put, say,
  serverNow, snapshot, texts,
} from "./live.js";

const board = document.getElementById("board");
const SHORT = 50; // callers of a long line that are shown at first
const whole = new Set(); // centres of which all are shown

function show(live) {
  document.getElementById("nothing").hidden = live.centres.length > 0;
  patch(board, live.centres, (c) => c.id, () => clone("centre"), centre);
  document.dispatchEvent(new CustomEvent("live", { detail: live })); // acts.js looks things up in it
}

function acts(row, label, ...ids) {
  // What can be done is asked for by a button; without a right to anything there is none.
  const button = part(row, "do");
  button.hidden = document.getElementById("acts").dataset.may === undefined;
  if (button.ariaLabel !== label) button.ariaLabel = label;
  [button.dataset.centre, button.dataset.id] = ids;
}

function centre(section, c) {
  const f = c.figures;
  const text = (name, value) => put(part(section, name), String(value));
  const title = language === "ja" ? c.name : c.name_en;
  text("name", title);
  acts(section, say("act.centre.of", { name: title }), c.id, c.id);
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
    if (a.caller?.help) {
      const asks = { seat: a.seat ?? "–", name: a.name, by: a.caller.help_by };
      alarms.push(say(asks.by === null ? "alarm.help" : "alarm.help_by", asks));
    }
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
  if (c.hours.open && c.agents.length > 0 && c.agents.length === c.agents_by_state.signed_out) alarms.push(say("alarm.nobody"));
  const net = c.waiting.filter((w) => w.in_net).length;
  if (net > 0) alarms.push(say("alarm.net", { n: net }));
  text("alarm", alarms.join(" / "));
  beside(section, c);
  curve(section, c);
  part(section, "wall").href = `/wall/${c.id}`;
  figureLinks(section, c.id);
  text("staffed", c.staffed);
  text("help", c.agents.filter((a) => a.caller?.help).length);
  text("due", c.messages.open + c.callbacks.length);
  text("due-overdue", c.messages.overdue === 0 ? "" : say("due.overdue", { n: c.messages.overdue }));
  mark(part(section, "due-tile"), "met", c.messages.overdue > 0 ? false : null);
  text("outgoing", c.outgoing.made);
  text("policy", c.policy_rejections === 0 ? "" : say("policy_rejections", { n: c.policy_rejections }));

  text("waiting", f.waiting);
  const many = f.waiting >= c.thresholds.waiting;
  mark(part(section, "waiting-tile"), "alert", f.waiting === 0 ? null : many ? "many" : "some");
  const since = f.longest_waiting_s === null ? null : Date.parse(f.at) - f.longest_waiting_s * 1000;
  mark(part(section, "longest"), "since", since);
  mark(part(section, "longest"), "limit", c.thresholds.wait_s);
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
  text("overflow", f.overflow);
  text("lost_otherwise", f.other_unanswered + f.failed);
  text("closed", f.closed + f.emergency_closed);
  text("wait_mean", length(f.wait_mean_s));
  text("wait_max", length(f.wait_max_s));

  mark(section, "queues", new Set(c.waiting.map((w) => w.queue)).size > 1 ? "many" : null);
  mark(section, "languages", c.waiting.some((w) => w.language !== null) ? "some" : null);
  const agents = new Map(c.agents.map((a) => [a.agent, a]));
  text("waiting-count", c.waiting.length);
  text("callbacks", c.callbacks.length === 0 ? "" : say("callbacks", { n: c.callbacks.length }));
  // Why nobody serves them stands with the first of those for whom it holds.
  const first = new Map([...c.waiting].reverse().map((w) => [w.because, w.call]));
  const why = new Map(c.reasons.map((each) => [first.get(each.id), each]));
  patch(
    part(section, "waiting-rows"), whole.has(c.id) ? c.waiting : c.waiting.slice(0, SHORT), (w) => w.call, () => clone("waiting-row"),
    (row, w) => waiter(row, w, c, agents.get(w.offered_to), why.get(w.call)),
    (w) => [w, c.id, c.thresholds.wait_s, agents.get(w.offered_to), why.get(w.call)],
  );
  part(section, "waiting-empty").hidden = c.waiting.length > 0;
  more(part(section, "waiting-more"), c);

  part(section, "messages").hidden = c.messages.open === 0;
  text("messages-count", say("messages.count", c.messages));
  patch(part(section, "message-rows"), c.messages.next, (m) => m.call, () => clone("message-row"), (row, m) => {
    message(row, m, agents);
  });

  const shown = Object.entries(states).filter(([state, n]) => n > 0 && state !== "signed_out");
  patch(part(section, "states"), shown, ([state]) => state, () => document.createElement("a"), (element, of) => {
    chip(element, of);
    link(element, `/figures/${c.id}/free`);
  });
  const inside = c.agents.filter((a) => a.state !== "signed_out").sort((a, b) => b.attention - a.attention);
  const outside = c.agents.filter((a) => a.state === "signed_out");
  patch(
    part(section, "agent-rows"), inside, (a) => a.agent, () => clone("agent-row"),
    (row, a) => agent(row, a, c.id),
    (a) => [a, c.id],
  );
  part(section, "agents-empty").hidden = inside.length > 0;
  text("agents-empty", say(c.agents.length === 0 ? "agents.empty" : "agents.none_in"));
  part(section, "out").hidden = outside.length === 0;
  text("out-count", say("agents.out", { n: outside.length }));
  patch(part(section, "out-rows"), outside, (a) => a.agent, () => document.createElement("li"), (item, a) => {
    put(item, `${a.agent} ${a.name}`);
  });
}

function more(button, c) {
  button.hidden = c.waiting.length <= SHORT;
  put(button, whole.has(c.id) ? say("waiting.less", { n: SHORT }) : say("waiting.more", { n: c.waiting.length - SHORT }));
  button.ariaExpanded = String(whole.has(c.id));
  button.onclick ??= () => {
    if (!whole.delete(c.id)) whole.add(c.id);
    again();
  };
}

// What no journal holds: the month, and how each dependency is.
function beside(section, c) {
  const text = (name, value) => put(part(section, name), String(value));
  const ill = snapshot.beside.health.filter((h) => !h.ok).map((h) => texts(`health.${h.name}`, h.name));
  text("health", snapshot.beside.health.length === 0 ? "" : ill.length === 0 ? say("health.well") : say("health.ill", { names: ill.join(say("comma")) }));
  mark(part(section, "health"), "ok", snapshot.beside.health.length === 0 ? null : ill.length === 0);
  const month = snapshot.beside.months[c.id];
  text("month", month === undefined ? "–" : percent(month.answer_ratio));
  text("month-parts", month === undefined ? say("month.unknown") : say("parts", month.answer_ratio));
  text("month-margin", month === undefined ? "" : margin(month));
  mark(part(section, "month-tile"), "met", month === undefined || month.answer_ratio.whole === 0 ? null : month.may_lose >= 0);
}

function curve(section, c) {
  const { arrivals, answers, step_s } = c.curve;
  const called = arrivals.map((n, place) => [n, place]).filter(([n]) => n > 0);
  const day = 86_400 / step_s;
  const first = Math.floor(Math.min(day / 3, called[0]?.[1] ?? day) / 4) * 4; // from 8:00, or two hours' steps earlier
  const last = Math.ceil(Math.max((day * 5) / 6, (called.at(-1)?.[1] ?? 0) + 1) / 4) * 4;
  const svg = part(section, "curve");
  const key = JSON.stringify([first, last, arrivals, answers]);
  if (svg.dataset.key === key) return;
  svg.dataset.key = key;
  const [wide, high] = [960 / (last - first), 100 / Math.max(4, ...arrivals)];
  const bars = [];
  for (let n = first; n < last; n += 1) {
    for (const [kind, count, inset] of [["arrivals", arrivals[n], 0.08], ["answers", answers[n], 0.2]]) {
      if (!count) continue;
      const bar = document.createElementNS(svg.namespaceURI, "rect");
      const at = { class: kind, x: (n - first + inset) * wide, y: 108 - count * high, width: wide * (1 - 2 * inset), height: count * high };
      for (const [name, value] of Object.entries(at)) bar.setAttribute(name, value);
      bars.push(bar);
    }
  }
  svg.replaceChildren(...bars);
  const sum = (all) => all.reduce((a, b) => a + b, 0);
  svg.setAttribute("aria-label", say("curve.about", { arrivals: sum(arrivals), answers: sum(answers) }));
  const hours = [];
  for (let n = first; n < last; n += 4) hours.push(clock(Date.parse(c.curve.first) + n * step_s * 1000, false));
  patch(part(section, "axis"), hours, (h) => h, () => document.createElement("span"), (e, h) => put(e, h));
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
  text("length", m.task ? say("message.task") : m.callback ? say("message.callback") : m.seconds === null ? "–" : length(m.seconds));
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

function waiter(row, w, c, rung, because) {
  const text = (name, value) => put(part(row, name), value);
  const limit = c.thresholds.wait_s;
  acts(row, say("act.caller.of", { number: number(w.number), queue: w.queue_name }), c.id, w.call);
  text("position", w.position === null ? "–" : String(w.position));
  text("number", number(w.number));
  mark(part(row, "number"), "absent", w.number === null ? "" : null);
  callLink(part(row, "number"), w.call);
  text("again", w.again ? say("again") : "");
  text("language", w.language === null ? "–" : tongue(w.language));
  text("queue", w.queue_name);
  text("stage", say(w.in_net ? "stage.net" : `stage.${w.stage}`));
  const about = w.offered_to === null ? [] : [say("offered_to", { agent: rung?.name ?? w.offered_to })];
  about.push(...(rung?.why ?? []).slice(0, -1).map(half)); // the last is about the caller, and stands in this row
  if (because !== undefined) about.push(because[language]);
  if (w.rung > 0 && because !== undefined) about.push(say("rung", { n: w.rung }));
  text("to", about.join(" · "));
  mark(part(row, "stage"), "state", w.in_net ? "net" : w.stage);
  const wait = part(row, "wait");
  mark(wait, "since", w.since === null ? null : Date.parse(w.since));
  mark(wait, "limit", limit);
  if (w.since === null) put(wait, "–");
  text("estimate", w.estimate_s === null ? "–" : length(w.estimate_s));
  text("priority", w.priority === null ? "–" : String(w.priority));
}

function callLink(element, call) {
  if (call === null) element.removeAttribute("href");
  else link(element, `/calls/${call}`);
}

function link(element, address) {
  if (element.getAttribute("href") !== address) element.setAttribute("href", address);
}

function tongue(code) {
  return texts(`tongue.${code}`, code);
}

function remarks(a) {
  const found = [];
  if (a.pause !== null) found.push(a.pause_overran ? say("overran", { reason: a.pause }) : a.pause);
  for (const sign of ["help", "abuse", "relay"]) if (a.caller?.[sign]) found.push(say(sign));
  if (a.recording_paused) found.push(say("recording_paused"));
  if (a.caller?.on_hold)
    found.push(say(a.caller.hold_overran ? "held_long" : "held", { time: clock(Date.parse(a.caller.held_since)) }));
  if (a.result !== null) found.push(a.result);
  if (a.misses > 0) found.push(say("misses", { n: a.misses }));
  if (a.guest) found.push(say("guest"));
  if (a.skills_by_hand) found.push(say("skills_by_hand"));
  if (a.watching !== null) found.push(say("watching", { agent: a.watching }));
  for (const w of a.caller?.watched_by ?? []) found.push(say(`watched.${w.how}`, { name: w.name }));
  return found;
}

function agent(row, a, centre) {
  const text = (name, value) => put(part(row, name), value);
  acts(row, say("act.agent.of", { name: a.name }), centre, a.agent);
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
  callLink(part(row, "with"), a.caller?.call ?? null);
  text("today", String(a.today.answered));
  link(part(row, "today"), `/figures/${centre}/answered?agent=${encodeURIComponent(a.agent)}`);
  text("mean", a.today.talk_mean_s === null ? "" : say("share", { mean: length(a.today.talk_mean_s) }));
  mark(row, "attention", a.attention === 0 ? null : a.attention);
}

begin(show);
