"""Desk phones: their makers, what registers held against the inventory, and the files that a phone is served.

A maker is one folder: `maker.py` with its capabilities, its templates, and `tests/unit/test_phones_<maker>.py`. Pure:
values in, values out.
"""

from callcore.phones.maker import Maker, Model
from callcore.phones.makers import MAKERS

__all__ = ["MAKERS", "Maker", "Model"]
