// What the pages about people do beyond plain forms. Without it all of them still work.

const language = document.documentElement.lang;
function words(at, element) {
  // In the reader's own zone, unless what stands around it is told in another.
  const form = {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
    hourCycle: "h23",
  };
  const zone = element.closest("[data-zone]")?.dataset.zone;
  if (zone) form.timeZone = zone;
  else form.timeZoneName = "short";
  if (element.closest("[data-seconds]")) form.second = "2-digit";
  return new Intl.DateTimeFormat(language === "ja" ? "ja-JP" : "en-GB", form).format(at);
}

for (const name of document.querySelectorAll("[data-zone-name]")) {
  name.textContent = name.closest("[data-zone]").dataset.zone;
}

for (const time of document.querySelectorAll("time[data-now]")) time.dateTime = new Date().toISOString();

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = Date.parse(time.dateTime);
  if (Number.isNaN(at)) continue;
  time.title = time.dateTime;
  time.textContent = words(at, time);
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

for (const stopped of document.querySelectorAll("[data-stopped]")) {
  const sound = stopped.closest("section").querySelector("audio");
  sound.addEventListener("error", () => { stopped.hidden = false; });
  sound.addEventListener("loadedmetadata", () => { stopped.hidden = true; });
}

if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      field.select();
      await navigator.clipboard.writeText(field.value);
      button.closest("section").querySelector("[data-said]").textContent = button.dataset.copied;
    });
  }
}

// What went wrong, or what is shown only once, is where reading goes on.
document.querySelector("[data-focus]")?.focus();
