// What a supervisor does from the board: a button of a row opens one dialog with everything that is possible there.
//
// Rules
// - Everything from outside becomes a text node. The server judges; what it refuses is shown in its own words.
// - What touches a caller is asked about once more before it is done.
// - Each press has an idempotency key of its own: a request whose answer got lost is sent again and acts once.
// - The dialog shows what was true when it was opened, or after the last thing was done; nothing moves under the hand.

const texts = JSON.parse(document.getElementById("texts").textContent);
const language = document.documentElement.lang;
const meta = (name) => document.querySelector(`meta[name="${name}"]`).content;
const may = new Set(meta("may").split(" "));
const me = meta("agent");
const dialog = document.getElementById("acts");
const title = document.getElementById("acts-title");
const about = document.getElementById("acts-about");
const told = document.getElementById("acts-told");
const body = document.getElementById("acts-body");

let live = null;
let opened = null; // what the dialog is about: { act, centre, id }
let opener = null;
let due = false; // something was done, and nothing else begun since

if (["act_agents", "supervise", "watch", "emergency"].some((right) => may.has(right))) dialog.dataset.may = "";

document.addEventListener("live", (event) => {
  live = event.detail;
  if (!due || !dialog.open || document.activeElement !== title) return;
  const parts = possible(); // what was just done shows, and nothing else is touched
  if (parts.map((part) => part.textContent).join("") !== body.textContent) body.replaceChildren(...parts);
});

function say(key, values = {}) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

let fields = 0;

function field(label, input) {
  input.id = `acts-field-${(fields += 1)}`;
  return make("p", { className: "field" }, make("label", { htmlFor: input.id, textContent: label }), input);
}

function form(words, inputs, submit) {
  const made = make("form", {}, ...inputs, make("button", { textContent: words }));
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  return made;
}

function group(words, ...children) {
  return make("section", {}, make("h3", { textContent: words }), ...children);
}

// -- what is asked of the server ------------------------------------------------------------------------------

function fresh() {
  // Not crypto.randomUUID: there is none on a page that came without TLS.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, "0")).join("");
}

async function ask(method, path, sent) {
  const headers = { "x-csrf-token": meta("csrf"), "idempotency-key": fresh() };
  if (sent !== undefined) headers["content-type"] = "application/json";
  const request = { method, headers, body: sent === undefined ? undefined : JSON.stringify(sent) };
  const address = `/api/v1/${path}`;
  const answer = await fetch(address, request).catch(() => fetch(address, request).catch(() => null));
  if (answer === null) return say("act.away");
  if (answer.ok) return null;
  const problem = await answer.json().catch(() => null);
  return problem === null ? say("act.away") : half(problem.detail ?? problem.title);
}

function half(words) {
  const [ja, en] = words.split(" / ");
  return language === "ja" ? ja : (en ?? ja);
}

async function run(words, method, path, sent) {
  for (const button of body.querySelectorAll("button")) button.disabled = true;
  told.textContent = say("act.asking");
  delete told.dataset.refused;
  const why = await ask(method, path, sent);
  due = why === null;
  if (why === null) told.textContent = say("act.done", { what: words });
  else {
    told.textContent = say("act.refused", { what: words, why });
    told.dataset.refused = "";
  }
  fill();
  title.focus();
}

function button(words, method, path, sent, confirm) {
  const made = make("button", { type: "button", textContent: words });
  made.addEventListener("click", () => {
    if (confirm === undefined) run(words, method, path, sent);
    else sure(words, confirm, () => run(words, method, path, sent));
  });
  return made;
}

function sure(words, question, yes) {
  const does = make("button", { type: "button", textContent: words });
  const not = make("button", { type: "button", className: "quiet", textContent: say("act.back") });
  does.addEventListener("click", yes);
  not.addEventListener("click", () => {
    fill();
    title.focus();
  });
  told.textContent = "";
  body.replaceChildren(make("p", { className: "question", textContent: question }), make("p", { className: "row" }, does, not));
  not.focus();
}

// -- what there is to do --------------------------------------------------------------------------------------

function fill() {
  body.replaceChildren(...possible());
}

function possible() {
  const centre = live?.centres.find((c) => c.id === opened.centre);
  if (centre === undefined) return [];
  const parts = { agent: ofAgent, caller: ofCaller, centre: ofCentre }[opened.act](centre, opened.id);
  return parts.length > 0 ? parts : [make("p", { textContent: say("act.nothing") })];
}

function ofAgent(c, id) {
  const a = c.agents.find((each) => each.agent === id);
  if (a === undefined || a.state === "signed_out") return [];
  title.textContent = `${a.name} (${a.agent})`;
  about.textContent = [a.seat, say(`state.${a.state}`)].filter((part) => part !== null).join(" · ");
  const path = `agents/${encodeURIComponent(id)}`;
  const parts = [];
  if (may.has("supervise") && a.caller?.help && a.caller.help_by === null)
    parts.push(group(say("help"), button(say("act.help"), "POST", `${path}/help`)));
  if (may.has("watch") && a.state === "talking" && id !== me) parts.push(ofTalk(a, path));
  if (may.has("act_agents")) parts.push(ofPresence(c, a, path));
  if (may.has("supervise")) parts.push(ofSkills(c, a, path));
  return parts;
}

function ofTalk(a, path) {
  const there = a.caller?.watched_by.some((w) => w.watcher === me);
  const how = (mode, confirm) => button(say(`act.${mode}`), "POST", `${path}/watch`, { how: mode }, confirm);
  const row = make(
    "p",
    { className: "row" },
    how("listen"),
    how("whisper"),
    how("barge", say("act.barge.sure")),
    how("take", say("act.take.sure", { name: a.name })),
  );
  if (there) row.append(button(say("act.stop"), "DELETE", "me/watch"));
  return group(say("act.talk"), make("p", { className: "hint", textContent: say("act.talk.hint") }), row);
}

function ofPresence(c, a, path) {
  const row = make("p", { className: "row" });
  if (["paused", "acw", "resting"].includes(a.state)) row.append(button(say("act.ready"), "POST", `${path}/ready`));
  const reason = make("input", { maxLength: 20, required: true, autocomplete: "off" });
  if (c.pauses.length > 0) {
    const list = make("datalist", { id: "acts-pauses" }, ...c.pauses.map((name) => make("option", { value: name })));
    reason.setAttribute("list", list.id);
    row.append(list);
  }
  const pause = form(say("act.pause"), [field(say("act.pause.reason"), reason)], () =>
    run(say("act.pause"), "POST", `${path}/pause`, { reason: reason.value }),
  );
  const why = make("input", { maxLength: 200, autocomplete: "off" });
  const out = form(say("act.sign_out"), [field(say("act.why"), why)], () =>
    run(say("act.sign_out"), "POST", `${path}/sign-out`, { why: why.value || null }),
  );
  return group(say("act.presence"), ...(row.childElementCount > 0 ? [row] : []), pause, out);
}

function ofSkills(c, a, path) {
  const names = [...new Set([...c.skills, ...Object.keys(a.skills)])].sort();
  const inputs = new Map(
    names.map((name) => [name, make("input", { type: "number", min: 1, max: 9, value: a.skills[name] ?? "" })]),
  );
  const set = form(
    say("act.skills"),
    [make("div", { className: "levels" }, ...names.map((name) => field(name, inputs.get(name))))],
    () => {
      const had = names.filter((name) => inputs.get(name).value !== "");
      const skills = Object.fromEntries(had.map((name) => [name, Number(inputs.get(name).value)]));
      run(say("act.skills"), "PUT", `${path}/skills`, { skills });
    },
  );
  const parts = [make("p", { className: "hint", textContent: say("act.skills.hint") }), set];
  if (a.skills_by_hand) parts.push(make("p", { className: "row" }, button(say("act.skills.file"), "DELETE", `${path}/skills`)));
  return group(say("act.skills.title"), ...parts);
}

function ofCaller(c, id) {
  const w = c.waiting.find((each) => each.call === id);
  if (w === undefined || !may.has("supervise")) return [];
  const path = `calls/${encodeURIComponent(id)}`;
  const parts = [
    make("p", { className: "row" }, button(say("act.up"), "POST", `${path}/up`, undefined, say("act.up.sure"))),
  ];
  const others = c.queues.filter((queue) => queue.id !== w.queue);
  if (others.length > 0) {
    const queue = make(
      "select",
      {},
      ...others.map((each) => make("option", { value: each.id, textContent: each.name })),
    );
    parts.push(
      form(say("act.queue"), [field(say("act.queue.to"), queue)], () => {
        const [to, name] = [queue.value, queue.selectedOptions[0].textContent];
        sure(say("act.queue"), say("act.queue.sure", { name }), () =>
          run(say("act.queue"), "POST", `${path}/queue`, { queue: to }),
        );
      }),
    );
  }
  return parts;
}

function ofCentre(c, id) {
  const parts = [];
  if (may.has("supervise")) {
    const number = (value, max) => make("input", { type: "number", min: 1, max, value, required: true });
    const waiting = number(c.thresholds.waiting, 999);
    const wait = number(c.thresholds.wait_s, 3600);
    const path = `centres/${encodeURIComponent(id)}/thresholds`;
    const set = form(
      say("act.thresholds"),
      [field(say("act.thresholds.waiting"), waiting), field(say("act.thresholds.wait"), wait)],
      () =>
        run(say("act.thresholds"), "PUT", path, { waiting: Number(waiting.value), wait_s: Number(wait.value) }),
    );
    const row = [make("p", { className: "hint", textContent: say("act.thresholds.hint") }), set];
    if (c.thresholds.by_hand)
      row.push(make("p", { className: "row" }, button(say("act.thresholds.file"), "PUT", path, {})));
    parts.push(group(say("act.thresholds.title"), ...row));
  }
  if (may.has("emergency"))
    parts.push(
      group(say("emergency.title"), make("p", {}, make("a", { href: "/emergency", textContent: say("act.emergency") }))),
    );
  return parts;
}

document.addEventListener("click", (event) => {
  const pressed = event.target.closest?.("button[data-act]");
  if (!pressed || live === null) return;
  const { act, centre, id } = pressed.dataset;
  [opened, opener, due] = [{ act, centre, id }, pressed, false];
  title.textContent = pressed.ariaLabel;
  about.textContent = told.textContent = "";
  delete told.dataset.refused;
  fill();
  dialog.showModal();
  title.focus();
});

document.getElementById("acts-close").addEventListener("click", () => dialog.close());

dialog.addEventListener("close", () => {
  body.replaceChildren();
  if (opener?.isConnected) opener.focus();
});
