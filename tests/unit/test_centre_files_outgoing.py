"""What desk phones may call, as an operator writes it in the centre file, and what is said of a slip."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from callcore import centres
from callcore.domain.centre import Destination
from tests.unit.test_centre_files_manual import EXAMPLE, mori


def problems(folder: Path, source: str) -> list[str]:
    with pytest.raises(centres.CentreFileErrors) as caught:
        mori(folder, source)
    return [f"{one.what_en} -> {one.instead_en}" for one in caught.value.problems]


def test_the_example_says_what_may_be_called_and_which_phone_the_city_rings(tmp_path: Path) -> None:
    found = mori(tmp_path)
    out = found.outgoing
    assert out is not None
    assert (out.number, out.emergency, out.prefix) == ("0970000001", ("110", "118", "119"), "9")
    assert Destination.PREMIUM not in out.kinds
    assert [(x.digits, x.begins) for x in out.listed] == [("0975346111", False), ("09753", True)]
    assert [(c.digits, c.phones, c.forward) for c in found.contacts] == [
        ("0970000009", ("mori-p1",), None),
        ("0970000010", (), "0970000011"),
    ]


def test_without_the_section_nothing_may_be_called(tmp_path: Path) -> None:
    source = re.sub(r"(?s)\[outgoing\].*?(?=\[\[contacts\]\])", "", EXAMPLE)
    assert mori(tmp_path, source).outgoing is None


@pytest.mark.parametrize(
    ("instead", "by", "said"),
    [
        ('emergency = ["110", "118", "119"]', 'emergency = ["911"]', '"emergency" can\'t hold "911"'),
        ('kinds = ["landline", ', 'kinds = ["lanline", ', '"kinds" can\'t hold "lanline"'),
        (
            'number = "0970000001"\nemergency',
            'number = "0312345678"\nemergency',
            "is not one of this centre's",
        ),
        ('begins = "09753"', 'begins = "0990"', "is premium or international"),
        ('begins = "09753"', 'begins = "09753"\nnumber = "0975346222"', 'both "number" and "begins"'),
        ('number = "0975346111"', 'number = "119"', "110, 118 and 119 can't stand here"),
        ('phones = ["p1"]', 'phones = ["p9"]', 'there is no phone "p9"'),
        ('phones = ["p1"]', "", 'one of "phones" and "forward" is needed'),
        ('digits = "0970000009"', 'digits = "0970000001"', "0970000001"),
    ],
)
def test_a_slip_is_named_with_what_to_write(tmp_path: Path, instead: str, by: str, said: str) -> None:
    assert instead in EXAMPLE
    assert any(said in each for each in problems(tmp_path, EXAMPLE.replace(instead, by, 1)))
