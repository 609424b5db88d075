"""`changed` is `dataclasses.replace` for every value of the core, only quicker."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from typing import Any

import pytest

import callcore.domain
from callcore.domain.values import changed


def values() -> list[type]:
    """Every frozen dataclass of the core that stands in one of its modules."""
    found: dict[type, None] = {}
    for module in pkgutil.iter_modules(callcore.domain.__path__):
        named = vars(importlib.import_module(f"callcore.domain.{module.name}")).values()
        found |= {
            each: None
            for each in named
            if isinstance(each, type)
            and dataclasses.is_dataclass(each)
            and each.__module__.startswith("callcore.domain.")
            and each.__dataclass_params__.frozen  # type: ignore[attr-defined]
            and dataclasses.fields(each)
        }
    return list(found)


@pytest.mark.parametrize("kind", values(), ids=lambda kind: kind.__qualname__)
def test_a_changed_value_is_the_replaced_one(kind: type[Any]) -> None:
    names = [each.name for each in dataclasses.fields(kind)]
    value = kind(**{name: f"{name} before" for name in names})
    before = dataclasses.astuple(value)
    for some in ([], names[:1], names[-1:], names[::2], names):
        changes = {name: f"{name} after" for name in some}
        made, wanted = changed(value, **changes), dataclasses.replace(value, **changes)
        assert type(made) is kind
        assert dataclasses.astuple(made) == dataclasses.astuple(wanted)
    assert dataclasses.astuple(value) == before
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(changed(value), names[0], None)
    with pytest.raises(TypeError, match="no_such_field"):
        changed(value, no_such_field=1)


@dataclasses.dataclass
class Loose:
    name: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    name: str

    def __post_init__(self) -> None:
        assert self.name


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    name: str
    count: int = dataclasses.field(default=0, init=False)


@pytest.mark.parametrize("value", [Loose(), Checked("a"), Counted("a"), "a word", 7, None])
def test_what_it_cannot_copy_rightly_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        changed(value, name="b")
