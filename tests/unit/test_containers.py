"""Whoever runs callcore by the example of containers: it names what there is, and holds no secret."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from callcore.cli import app
from callcore.healthy import LOOKS
from callcore.pbx.process import STOP_DEADLINE_S
from callcore.settings import OTHER_NAMES, PROJECT, Settings
from callcore.supervisor import STOP_S
from tests.support.containers import COMPOSE, Mounted, services

FOLDER = PROJECT / "deploy"
OURS = ("asterisk", "callcore")
NEEDED = (
    *("src", "asterisk", "dialplans", "migrations", "centres", "ivr_prompts", "docs/operations.ja.md"),
    *("scripts/prepare", "scripts/lib/common.sh", "scripts/lib/toolchain.py", "scripts/lib/archives.py"),
    *("requirements.lock", "pyproject.toml", "README.md", "alembic.ini", "CHANGELOG.md"),
)
"""What set-up and callcore read of the project."""
KEPT_OUT = (".git", ".venv", "var", "tests", ".mypy_cache", ".ruff_cache", "src/callcore/__pycache__")


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text(COMPOSE))
    return found


def left_out(path: str) -> bool:
    """By .dockerignore: a pattern stands for what it names and all below it."""
    parts = path.split("/")
    for pattern in text(PROJECT / ".dockerignore").split():
        for n in range(1, len(parts) + 1):
            head, last = "/".join(parts[:n]), parts[n - 1]
            if fnmatch(last, pattern.removeprefix("**/")) if pattern.startswith("**/") else head == pattern:
                return True
    return False


def test_asterisk_callcore_database_prometheus_and_alertmanager_are_there() -> None:
    assert set(services()) == {*OURS, "postgres", "prometheus", "alertmanager"}
    for service in services().values():
        assert service["image"] == "callcore" or re.fullmatch(r"[a-z/]+:v?\d[\w.-]+", service["image"]), (
            "a version is named"
        )
    asterisk, callcore = (services()[name] for name in OURS)
    assert asterisk["image"] == callcore["image"] == "callcore"
    assert asterisk["volumes"] == callcore["volumes"], "they share the state"
    commands = getattr(get_command(app), "commands")  # noqa: B009  of a group
    assert {asterisk["command"][0], callcore["command"][0]} <= set(commands)
    assert callcore["depends_on"]["asterisk"]["condition"] == "service_healthy", (
        "one of them makes the secrets"
    )


@pytest.mark.parametrize("name", OURS)
def test_each_asks_itself_whether_it_is_well(name: str) -> None:
    *argv, look = services()[name]["healthcheck"]["test"]
    assert argv == ["CMD", "python", "-m", "callcore.healthy"]
    assert look in LOOKS


@pytest.mark.parametrize("file", [COMPOSE, PROJECT / "Dockerfile"])
def test_every_setting_that_is_named_exists(file: Path) -> None:
    known = {name.upper() for name in Settings.model_fields} | OTHER_NAMES
    named = set(re.findall(r"\bCALLCORE_([A-Z0-9_]+)\b", text(file)))
    assert named and named <= known
    Settings(database_url=services()["callcore"]["environment"]["CALLCORE_DATABASE_URL"])


def test_every_file_that_is_mounted_is_there_and_every_volume_declared() -> None:
    mounted = [Mounted.of(line) for service in services().values() for line in service["volumes"]]
    assert {each.source for each in mounted if each.named} == set(compose()["volumes"])
    for each in mounted:
        if each.source.startswith("."):
            assert (FOLDER / each.source).exists(), each
            assert each.read_only
    unit = text(FOLDER / "callcore.service")
    assert {services()[name]["env_file"] for name in OURS} == set(re.findall(r"EnvironmentFile=-(\S+)", unit))


def test_prometheus_finds_what_its_configuration_names() -> None:
    told = yaml.safe_load(text(FOLDER / "prometheus" / "prometheus.yml"))
    targets = {Mounted.of(line).target for line in services()["prometheus"]["volumes"]}
    assert {f"/etc/prometheus/{name}" for name in (*told["rule_files"], "prometheus.yml")} <= targets
    assert {each["authorization"]["credentials_file"] for each in told["scrape_configs"]} <= targets


def test_alertmanager_finds_what_its_configuration_names_and_prometheus_finds_it() -> None:
    service = services()["alertmanager"]
    told = text(FOLDER / "prometheus" / "alertmanager.yml")
    targets = {Mounted.of(line).target for line in service["volumes"]}
    assert {"/etc/alertmanager/alertmanager.yml", *re.findall(r"_file: (\S+)", told)} <= targets
    [listens] = [each.partition("=")[2] for each in service["command"] if "--web.listen-address" in each]
    prometheus = yaml.safe_load(text(FOLDER / "prometheus" / "prometheus.yml"))
    [asked] = prometheus["alerting"]["alertmanagers"]
    assert asked["static_configs"] == [{"targets": [listens]}]


def test_no_secret_stands_in_it_and_the_database_is_reached_by_its_socket_alone() -> None:
    for word in ("password:", "secret:", "token:", "_PASSWORD"):
        for file in (COMPOSE, PROJECT / "Dockerfile"):
            lines = [line for line in text(file).splitlines() if not line.lstrip().startswith("#")]
            assert not [line for line in lines if word in line and "/etc/callcore/" not in line], word
    postgres = services()["postgres"]
    assert postgres["network_mode"] == "none" and "ports" not in postgres


@pytest.mark.parametrize("name", OURS)
def test_it_may_do_little_and_has_the_time_to_stop(name: str) -> None:
    service = services()[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["stop_grace_period"].removesuffix("s")) > 2 * STOP_S + 3 * STOP_DEADLINE_S
    dockerfile = text(PROJECT / "Dockerfile")
    assert "STOPSIGNAL SIGINT" in dockerfile and "USER callcore" in dockerfile


def test_the_image_has_what_is_needed_and_not_what_is_private() -> None:
    assert re.search(r"^COPY \. \.$", text(PROJECT / "Dockerfile"), re.MULTILINE)
    assert [name for name in NEEDED if not (PROJECT / name).exists() or left_out(name)] == []
    assert [name for name in KEPT_OUT if not left_out(name)] == []
