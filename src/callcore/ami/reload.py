"""Having Asterisk read one of its files again, by the module that reads it and nothing else.

Never everything at once (`core reload`): that would take the logger, AMI and the codecs along while people talk.
`Reload` wants the class `system`, which the user has for the pushed opening hours; `QueueReload` wants none.
"""

from __future__ import annotations

from callcore.ami.link import Link

TIMEOUT_S = 10.0
"""A dialplan of ten thousand lines is read in under a second."""

ACTIONS = {
    "musiconhold.conf": {"Action": "Reload", "Module": "res_musiconhold.so"},
    "pjsip.conf": {"Action": "Reload", "Module": "res_pjsip.so"},
    # Members are mirrored over AMI and stand in no file: they are left alone, and so are the callers inside.
    "queues.conf": {"Action": "QueueReload", "Members": "no", "Rules": "no", "Parameters": "yes"},
    "extensions.conf": {"Action": "Reload", "Module": "pbx_config.so"},
}


async def reload(link: Link, file: str) -> None:
    """Read one file again. Raises `AmiError` when Asterisk did not, or cannot be asked."""
    await link.call(ACTIONS[file], timeout=TIMEOUT_S)
