// Keeps an agent's own state fresh; what is being typed stays as it is. Without scripts one loads the page anew.

const EVERY_MS = 5_000;
const now = document.getElementById("now");
const old = document.getElementById("old");

async function look() {
  try {
    const answer = await fetch("/desk", { headers: { accept: "text/html" } });
    if (answer.redirected || answer.status === 401 || answer.status === 403) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("now");
    if (fresh === null) throw new Error("another page");
    if (fresh.textContent !== now.textContent) now.replaceChildren(...fresh.childNodes);
    old.hidden = true;
  } catch {
    old.textContent = old.dataset.text.replace("{time}", document.getElementById("at").dataset.at);
    old.hidden = false;
  }
  setTimeout(look, EVERY_MS);
}

setTimeout(look, EVERY_MS);
