"""What machines watch: the Prometheus exposition and the checks behind `/readyz`."""

from __future__ import annotations

from callcore.telemetry.health import engine_check, link_check, space_check
from callcore.telemetry.prometheus import Exposition

__all__ = ["Exposition", "engine_check", "link_check", "space_check"]
