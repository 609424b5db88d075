"""Templates of the files that Asterisk and phones read: a name without a value stops them, and nothing is escaped."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import jinja2

Finish = Callable[[object], object]
"""Through which every `{{ … }}` goes: it refuses what the format cannot hold."""


@cache
def environment(folder: Path, finish: Finish) -> jinja2.Environment:
    """It keeps the compiled templates, and looks whether their files have changed."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        finalize=finish,
        autoescape=False,  # noqa: S701  not HTML; `finish` refuses what these formats cannot hold
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
