"""The page to print for a phone of another maker."""

from __future__ import annotations

from dataclasses import replace

from callcore.phones.keys import CODES, TALK
from tests.support.desk_phones import SECRET, desk, file


def test_the_page_to_print_has_all_that_must_be_typed_and_nothing_of_it_is_markup() -> None:
    line = replace(desk("generic", "DT<900>", user_agent="NEC-DT900"), seat="A&1")
    page = file(line).decode()
    assert SECRET in page and "pbx.example" in page and "DT&lt;900&gt;" in page and "A&amp;1" in page
    assert all(code.code in page and code.ja in page for code in (*CODES, *TALK))
