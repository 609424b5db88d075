"""Whether what a container runs answers: `python -m callcore.healthy asterisk` or `page` (deploy/compose.yaml).

Status 0: it does. A look every half minute must cost little, so this reads the settings and nothing else.
"""

from __future__ import annotations

import socket
import ssl
import sys
import urllib.request
from typing import Final

from callcore.settings import Settings, read_settings

ANSWER_S: Final = 5.0
LOOPBACK: Final = "127.0.0.1"
GREETING: Final = b"Asterisk Call Manager"


def asterisk_answers(settings: Settings) -> bool:
    """Whether an Asterisk greets at the AMI port."""
    try:
        with socket.create_connection((LOOPBACK, settings.ami_port), ANSWER_S) as link:
            return link.recv(100).startswith(GREETING)
    except OSError:
        return False


def page_answers(settings: Settings) -> bool:
    """Whether this installation's page answers; whose certificate it shows is looked at elsewhere."""
    host = LOOPBACK if settings.web_host in ("0.0.0.0", "localhost") else settings.web_host  # noqa: S104
    scheme = "http" if settings.web_tls_certificate is None else "https"
    unproven = ssl.create_default_context()
    unproven.check_hostname, unproven.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(  # noqa: S310
            f"{scheme}://{host}:{settings.web_port}/healthz", timeout=ANSWER_S, context=unproven
        ) as answer:
            return b"alive" in answer.read(1000)
    except (OSError, ValueError):
        return False


LOOKS: Final = {"asterisk": asterisk_answers, "page": page_answers}

if __name__ == "__main__":
    sys.exit(not LOOKS[sys.argv[1]](read_settings()))
