"""What an operator lives through on a fresh machine: locks, packages unpacked without installing, Asterisk found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "scripts/lib"))

import archives  # noqa: E402
import toolchain  # noqa: E402


def build_package(
    folder: Path, name: str, files: dict[str, bytes], links: dict[str, str]
) -> archives.Archive:
    """A real Debian package made by dpkg-deb, as the cache would hold it."""
    source = folder / f"source-{name}"
    (source / "DEBIAN").mkdir(parents=True)
    (source / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: none <none@example.invalid>\n"
        "Description: made by a test\n"
    )
    for path, content in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(content)
    for path, target in links.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).symlink_to(target)
    for path in files:
        if "setuid" in path:
            (source / path).chmod(0o4755)
    store = folder / "cache/archives"
    store.mkdir(parents=True, exist_ok=True)
    file = store / f"{name}_2.0-1_all.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", str(source), str(file)], check=True, capture_output=True
    )
    return archives.Archive(name, "1:2.0-1", file.name, file.stat().st_size, archives.sha256_of(file))


def taken(*packages: archives.Archive) -> archives.Taken:
    return archives.Taken("forky", 1_795_000_000, tuple(one.package for one in packages), packages)


def test_what_the_packages_left_to_their_installation_scripts_is_done_in_the_tree(tmp_path: Path) -> None:
    package = build_package(
        tmp_path,
        "voices",
        {
            "usr/share/asterisk/sounds/en_US_f_Allison/hello.wav": b"RIFF",
            "usr/bin/setuid-thing": b"#!/bin/sh\n",
            "lib/x86/old-place.so": b"library",
            "usr/share/doc/voices/changelog.gz": b"long",
            "usr/share/doc/voices/copyright": b"licence",
        },
        {"usr/share/asterisk/inside": "/usr/bin/setuid-thing", "usr/share/asterisk/outside": "/etc/hostname"},
    )
    tree = tmp_path / "a place with spaces/tree"
    tree.parent.mkdir()
    archives.unpack(taken(package), tmp_path / "cache", tree)
    assert (tree / "usr/share/asterisk/sounds/en/hello.wav").read_bytes() == b"RIFF"
    assert (tree / "usr/lib/x86/old-place.so").read_bytes() == b"library"
    assert (tree / "usr/bin/setuid-thing").stat().st_mode & 0o7777 == 0o755
    inside = (tree / "usr/share/asterisk/inside").readlink()
    assert not inside.is_absolute()
    assert (tree / "usr/share/asterisk/inside").resolve() == (tree / "usr/bin/setuid-thing").resolve()
    assert (tree / "usr/share/asterisk/outside").readlink() == Path("/etc/hostname")
    assert (tree / "usr/share/doc/voices/copyright").exists()
    assert not (tree / "usr/share/doc/voices/changelog.gz").exists()
    assert archives.read_taken(tree / "taken.json") == taken(package)


def test_a_damaged_package_leaves_the_tree_that_was_there_and_nothing_else(tmp_path: Path) -> None:
    good = build_package(tmp_path, "good", {"usr/share/good": b"good"}, {})
    tree = tmp_path / "place/tree"
    tree.parent.mkdir()
    archives.unpack(taken(good), tmp_path / "cache", tree)
    bad = build_package(tmp_path, "bad", {"usr/share/bad": os.urandom(5000)}, {})
    file = tmp_path / "cache/archives" / bad.file
    file.write_bytes(file.read_bytes()[:-2000])
    assert not archives.is_sound(file, bad)
    with pytest.raises(archives.SetupError, match=r"bad_2\.0-1_all\.deb"):
        archives.unpack(taken(good, bad), tmp_path / "cache", tree)
    assert (tree / "usr/share/good").read_bytes() == b"good"
    assert [one.name for one in tree.parent.iterdir()] == ["tree"]


def test_the_rest_of_an_interrupted_setup_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    good = build_package(tmp_path, "good", {"usr/share/good": b"good"}, {})
    tree = tmp_path / "place/tree"
    (tree.parent / ".tree.4711/usr").mkdir(parents=True)
    archives.unpack(taken(good), tmp_path / "cache", tree)
    assert [one.name for one in tree.parent.iterdir()] == ["tree"]


def test_a_package_in_the_cache_with_one_byte_changed_is_not_taken(tmp_path: Path) -> None:
    package = build_package(tmp_path, "one", {"usr/share/one": b"one"}, {})
    file = tmp_path / "cache/archives" / package.file
    assert archives.is_sound(file, package)
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    assert not archives.is_sound(file, package)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Asterisk 22.10.1+dfsg+~cs6.17.60671434-1\n", (22, "22.10.1")),
        ("Asterisk 20.6.0~dfsg+~cs6.13.40431414-2build5\n", (20, "20.6.0")),
        ("Asterisk certified-20.7-cert3\n", (20, "20.7-cert3")),
        ("Asterisk certified/18.9-cert10\n", (18, "18.9-cert10")),
        ("Asterisk GIT-master-7f5a0c2\n", None),
    ],
)
def test_versions_of_asterisk_are_read_as_it_says_them(said: str, expected: tuple[int, str] | None) -> None:
    assert toolchain.parse_version(said) == expected


def test_an_asterisk_of_the_machine_that_is_too_old_is_named_and_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "asterisk"
    program.write_text("#!/bin/sh\necho Asterisk 18.26.4\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert toolchain.find_host_asterisk(None) is None
    said = capsys.readouterr().err
    assert f"{program}, 18.26.4" in said
    assert "20 以上" in said


def test_a_description_whose_tree_was_removed_is_not_believed(tmp_path: Path) -> None:
    tree = tmp_path / "asterisk-tree"
    tree.mkdir()
    program = tree / "asterisk"
    program.write_text("#!/bin/sh\necho Asterisk 22.10.1\n")
    program.chmod(0o755)
    place = str(tree)
    asterisk = {"source": "forky", "version": "22.10.1", "package": None, "argv": [str(program)]}
    folders = ("modules_dir", "data_dir", "agi_dir", "sounds_dir", "moh_dir")
    asterisk |= dict.fromkeys(folders, place)
    baresip = {"source": "forky", "version": "1", "package": None, "argv": [str(program)]}
    baresip |= {"modules_dir": place, "share_dir": place}
    path = tmp_path / "toolchain.json"
    path.write_text(json.dumps({"format": toolchain.FORMAT, "asterisk": asterisk, "baresip": baresip}))
    assert toolchain.still_good(path, "auto") is not None
    assert toolchain.still_good(path, "host") is None
    program.write_text("#!/bin/sh\necho Asterisk 22.11.0\n")
    assert toolchain.still_good(path, "auto") is None
    program.unlink()
    assert toolchain.still_good(path, "auto") is None


def pins_of(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE))


def test_the_locks_name_no_host_and_hash_everything() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (PROJECT / name).read_text("utf-8")
        assert "://" not in text
        assert "--index" not in text
        for entry in re.split(r"\n(?=\S)", text.strip()):
            assert entry.startswith("#") or "--hash=sha256:" in entry, entry.splitlines()[0]


def test_tests_run_against_the_versions_that_operators_get() -> None:
    runtime = pins_of(PROJECT / "requirements.lock")
    tools = pins_of(PROJECT / "requirements-dev.lock")
    assert len(runtime) > 30
    assert {name: tools[name] for name in runtime.keys() & tools.keys()} == {
        name: runtime[name] for name in runtime.keys() & tools.keys()
    }


def test_only_the_line_that_is_missing_is_typed_where_nothing_may_be_installed(tmp_path: Path) -> None:
    """An ordinary user without sudo: the script says one line and stops, and nothing is left behind."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "id").write_text("#!/bin/sh\necho 1000\n")
    (programs / "apt-get").write_text("#!/bin/sh\nexit 99\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    for name in ("bash", "dirname"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    common = PROJECT / "scripts/lib/common.sh"
    done = subprocess.run(
        [
            "/usr/bin/bash",
            "-c",
            f"set -euo pipefail; . '{common}'; install_packages python3-venv; echo went on",
        ],
        env={"PATH": str(programs), "HOME": str(tmp_path), "CALLCORE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "    su -c 'apt-get update && apt-get install -y python3-venv'\n" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "home").exists()
