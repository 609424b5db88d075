// The wall: a few large figures for a projector. It shows what the stream says and nothing else.

import {
  begin, clone, figureLinks, language, length, margin, mark, part, patch, percent, put, say, snapshot, texts,
} from "./live.js";

const wall = document.getElementById("wall");
const only = document.body.dataset.centre;

function show(live) {
  const centres = live.centres.filter((c) => only === "" || c.id === only);
  document.getElementById("nothing").hidden = centres.length > 0;
  mark(wall, "many", centres.length > 1 ? Math.min(centres.length, 6) : null);
  const ill = live.beside.health.filter((h) => !h.ok).map((h) => texts(`health.${h.name}`, h.name));
  put(document.getElementById("ill"), ill.length === 0 ? "" : say("health.ill", { names: ill.join(say("comma")) }));
  patch(wall, centres, (c) => c.id, () => clone("centre"), centre);
}

function centre(section, c) {
  const f = c.figures;
  const text = (name, value) => put(part(section, name), String(value));
  const state = (name, value) => mark(part(section, `${name}-tile`), "alert", value);
  text("name", language === "ja" ? c.name : c.name_en);
  figureLinks(section, c.id);
  text("hours", say(c.hours.open ? "open" : "closed"));
  mark(part(section, "hours"), "open", c.hours.open);
  text("alarm", alarms(c).join(" / "));

  text("waiting", f.waiting);
  state("waiting", f.waiting > 0 ? "some" : null);
  const since = f.longest_waiting_s === null ? null : Date.parse(f.at) - f.longest_waiting_s * 1000;
  mark(part(section, "longest"), "since", since);
  mark(part(section, "longest"), "limit", f.service_level_s);
  if (since === null) {
    text("longest", "–");
    mark(part(section, "longest"), "over", null);
  }
  const free = c.agents_by_state.ready + c.agents_by_state.resting;
  text("free", free);
  text("staffed", ` / ${c.staffed}`);
  state("free", free === 0 && f.waiting > 0 ? "bad" : null);
  text("answer_ratio", percent(f.answer_ratio));
  state("today", f.answer_ratio.whole > 0 && f.answer_ratio.value < c.target_answer_ratio ? "bad" : null);
  const month = snapshot.beside.months[c.id];
  text("month", month === undefined ? "–" : percent(month.answer_ratio));
  text("margin", month === undefined ? "" : margin(month));
  state("month", month !== undefined && month.may_lose < 0 ? "bad" : null);
  text("service_level-name", say("service_level", { seconds: f.service_level_s }));
  text("service_level", percent(f.service_level));
  text("offered", f.offered);
  text("answered", f.answered);
  text("abandoned", f.abandoned + f.abandoned_short);
  text("wait_mean", length(f.wait_mean_s));
  text("help", c.agents.filter((a) => a.caller?.help).length);
  text("due", c.messages.open + c.callbacks.length);
  state("due", c.messages.overdue > 0 ? "bad" : null);
}

// Those that concern the whole room; names of agents and places in the line are for the board.
function alarms(c) {
  const found = [];
  if (c.hours.emergency_until !== null) found.push(c.hours.reason[language]);
  for (const a of c.agents) if (a.caller?.help) found.push(say("wall.help", { seat: a.seat ?? "–" }));
  for (const e of c.emergencies_not_carried) found.push(say("wall.emergency", { seat: e.seat ?? "–", digits: e.digits }));
  if (c.hours.open && c.agents.length > 0 && c.agents.length === c.agents_by_state.signed_out) found.push(say("alarm.nobody"));
  const net = c.waiting.filter((w) => w.in_net).length;
  if (net > 0) found.push(say("alarm.net", { n: net }));
  return found;
}

begin(show);
