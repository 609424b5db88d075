"""axe-core on a page as the browser shows it: what a keyboard, a screen reader or weak eyes would stumble over."""

from __future__ import annotations

from dataclasses import dataclass

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""WCAG 2.2 to level AA, which JIS X 8341-3 asks of public bodies at 2.0, and axe's own habits."""


@dataclass(frozen=True, slots=True)
class Violation:
    rule: str
    impact: str
    """`minor`, `moderate`, `serious` or `critical`."""
    help: str
    places: tuple[str, ...]
    """The elements, as selectors."""

    def __str__(self) -> str:
        return f"{self.rule} ({self.impact}): {self.help}: {', '.join(self.places)}"


async def violations(page: Page, *, only: str | None = None) -> list[Violation]:
    """What axe finds on the page as it is now. `only`: a selector, for a part of it.

    The page's content policy stands: the script comes through the debugger, as a person's own tools would.
    """
    found = await Axe().run(page, context=only, options={"runOnly": {"type": "tag", "values": RULES}})
    return [
        Violation(
            one["id"],
            one["impact"],
            one["help"],
            tuple(" ".join(map(str, node["target"])) for node in one["nodes"]),
        )
        for one in found.response["violations"]
    ]
