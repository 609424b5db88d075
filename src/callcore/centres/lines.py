"""On which line of a TOML source each key, table and array entry stands.

`tomllib` gives values without their places, and a person who mends a file needs the place. This walks the
source by TOML 1.0's own grammar (toml.io/en/v1.0.0). It is run only on a source that `tomllib` has accepted,
so it checks nothing; its art is not to be fooled by brackets, signs and quotes inside strings and comments.
"""

from __future__ import annotations

from functools import cached_property

Path = tuple[str | int, ...]
"""The way to a value: keys, and places (from 0) in arrays, e.g. `("phones", 2, "seat")`."""

_BARE_END = " \t=.]\n\r#"


class Lines:
    """The lines (from 1) of everything in one source."""

    def __init__(self, source: str) -> None:
        self._source = source

    @cached_property
    def _at(self) -> dict[Path, int]:
        """Walked only when somebody asks: most files have nothing wrong."""
        found: dict[Path, int] = {}
        _Walk(self._source.replace("\r\n", "\n"), found)
        return found

    def of(self, path: Path) -> int:
        """The line of a value, or of the nearest thing around it that stands in the source; else 1."""
        while path:
            if path in self._at:
                return self._at[path]
            path = path[:-1]
        return 1


class _Walk:
    def __init__(self, text: str, at: dict[Path, int]) -> None:
        self.text = text
        self.place = 0
        self.line = 1
        self.at = at
        self.entries: dict[Path, int] = {}
        """How many `[[…]]` headers each array of tables has had so far."""
        table: Path = ()
        while self._blank():
            if self._here("[["):
                table = self._header(2)
            elif self._here("["):
                table = self._header(1)
            else:
                self._pair(table)

    def _here(self, sign: str) -> bool:
        return self.text.startswith(sign, self.place)

    def _step(self, count: int = 1) -> None:
        self.line += self.text.count("\n", self.place, self.place + count)
        self.place += count

    def _blank(self) -> bool:
        """Goes over blanks, line ends and comments; False at the end of the source."""
        while self.place < len(self.text):
            if self.text[self.place] in " \t\n\r":
                self._step()
            elif self._here("#"):
                end = self.text.find("\n", self.place)
                self.place = len(self.text) if end < 0 else end
            else:
                return True
        return False

    def _note(self, path: Path, line: int) -> None:
        self.at.setdefault(path, line)

    def _header(self, brackets: int) -> Path:
        line = self.line
        self._step(brackets)
        keys = self._dotted()
        self._step(brackets)
        path: Path = ()
        for key in keys[:-1]:
            path = (*path, key)
            self._note(path, line)
            if path in self.entries:
                path = (*path, self.entries[path] - 1)
        path = (*path, keys[-1])
        self._note(path, line)
        if brackets == 2:
            self.entries[path] = self.entries.get(path, 0) + 1
            path = (*path, self.entries[path] - 1)
            self._note(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self.line
        path = table
        for key in self._dotted():
            path = (*path, key)
            self._note(path, line)
        self._step()  # the "="
        self._value(path)

    def _dotted(self) -> list[str]:
        """A key of one or more parts; stops at what follows it ("=" or "]")."""
        keys = []
        while self._blank():
            if self._here('"') or self._here("'"):
                keys.append(self._string())
            else:
                start = self.place
                while self.text[self.place] not in _BARE_END:
                    self.place += 1
                keys.append(self.text[start : self.place])
            self._blank()
            if not self._here("."):
                break
            self._step()
        return keys

    def _value(self, path: Path) -> None:
        self._blank()
        if self._here("["):
            self._step()
            n = 0
            while self._blank() and not self._here("]"):
                if self._here(","):
                    self._step()
                    continue
                self._note((*path, n), self.line)
                self._value((*path, n))
                n += 1
            self._step()
        elif self._here("{"):
            self._step()
            while self._blank() and not self._here("}"):
                if self._here(","):
                    self._step()
                    continue
                self._pair(path)
            self._step()
        elif self._here('"') or self._here("'"):
            self._string()
        else:
            while self.place < len(self.text) and self.text[self.place] not in ",]}#\n":
                self.place += 1

    def _string(self) -> str:
        """Goes over a string of any of the four kinds; what it holds, escapes left as they are."""
        quote = self.text[self.place]
        multi = self._here(quote * 3)
        fence = quote * 3 if multi else quote
        self._step(len(fence))
        start = self.place
        while not self._here(fence):
            self._step(2 if quote == '"' and self._here("\\") else 1)
        held = self.text[start : self.place]
        self._step(len(fence))
        while multi and self._here(quote):  # up to two quotes may stand right before the closing three
            self._step()
        return held
