"""Logging: one JSON line per event on standard error, UTC times. Personal values print as `***` by their type.

Every line, of libraries too, tells process, node, the `seq` that the process has come to, and the call and the agent
that it is about; null: of no one call or agent.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Mapping
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


class _Unfailing:
    """A stream whose failures are swallowed: a full disk below the log must not end who says that it is full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


class _Where:
    """What each line tells besides its own words."""

    def __init__(self) -> None:
        self.fixed: dict[str, object] = {}
        self.present: Callable[[], Mapping[str, object]] = dict

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        told = {**self.fixed, "seq": None, "call": None, "agent": None, **self.present()}
        for name, value in told.items():
            event.setdefault(name, value)
        return event


_where = _Where()


def present(told: Callable[[], Mapping[str, object]]) -> None:
    """`told` is asked at every line: `seq`, and `call` and `agent` where the process is just at one."""
    _where.present = told


def configure(level: str, process: str, node: str | None = None) -> None:
    """Set up this process's log. `level` is a name of the logging module, any case."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    out = cast(TextIO, _Unfailing(sys.stderr))
    _where.fixed = {"process": process, "node": node}
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _where,
        structlog.processors.format_exc_info,
    ]
    written = structlog.processors.JSONRenderer(ensure_ascii=False)
    of_libraries = logging.StreamHandler(out)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, written],
        )
    )
    logging.basicConfig(handlers=[of_libraries], level=max(number, logging.WARNING))
    structlog.configure(
        processors=[*common, written],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
