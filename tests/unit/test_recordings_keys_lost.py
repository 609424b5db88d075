"""Keys of recordings are lost: nothing is made in their place, it is said what is missing, and how it goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from callcore.domain.ids import Instant
from callcore.recordings import RecordingError
from callcore.recordings.chain import Chain, Erased, signing
from callcore.recordings.errors import KeyLost, NothingLost, NotItsKey, SigningKeyLost, WrongKey
from callcore.recordings.keys import KeyRing
from callcore.recordings.lost import replace
from callcore.recordings.signing import installed, made, public_keys
from callcore.recordings.soundness import unsound
from callcore.recordings.verify import verify
from tests.support.store import DAY_US, House

CALLS = [f"node1-179514350{n}.{n}" for n in range(5)]
NEXT = "node1-1795143590.9"
DAY = "2026-11-20"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Five recordings of one day; the city has the public key, and place B yesterday's copy of the keys."""
    monkeypatch.setattr("callcore.recordings.verify.AGAIN_S", 0.0)
    one = House(tmp_path / "home")
    for name in CALLS:
        one.keep(name, name.encode())
    shutil.copy(one.keys / "signing.pub", tmp_path / "city.pub")
    shutil.copytree(one.keys, tmp_path / "B")
    return one


def by_the_city(house: House, *more: Path) -> list[str]:
    keys = public_keys([house.home.parent / "city.pub", *more])
    return [str(each) for each in verify(house.store, keys).found]


def kept(house: House, name: str) -> bool:
    return house.keeper().kept(house.record(name, name.encode()), house.whose(name))


def opens(house: House, name: str) -> bool:
    try:
        with house.recordings.open(name) as sound:
            return sound.read() == name.encode()
    except RecordingError:
        return False


def files(house: House) -> dict[Path, bytes]:
    """All keys, but for locks."""
    found = [path for path in house.keys.rglob("[!.]*") if path.is_file()]
    return {path: path.read_bytes() for path in found}


def no_signing_key(house: House) -> None:
    for name in ("signing.key", "signing.pub"):
        (house.keys / name).unlink()


def no_tables(house: House) -> None:
    shutil.rmtree(house.keys / "files")


def no_table_of_the_centre(house: House) -> None:
    shutil.rmtree(house.keys / "files" / "demo")


def no_month(house: House) -> None:
    (house.keys / "demo.2026-11.1.key").unlink()


def no_keys_but_the_signing_one(house: House) -> None:
    no_tables(house)
    no_month(house)


def no_keys(house: House) -> None:
    shutil.rmtree(house.keys)


# What is lost; what the doctor says of it, each in a text of its own; whether what was kept opens.
TABLE = f"files/demo/{DAY}.jsonl"
LOST: dict[str, tuple[Callable[[House], None], tuple[str, ...], bool]] = {
    "the signing key": (no_signing_key, ("signing.key",), True),
    "all tables": (no_tables, (TABLE,), False),
    "a centre's tables": (no_table_of_the_centre, (TABLE,), False),
    "the month's key": (no_month, ("demo.2026-11.1.key",), False),
    "all but the signing key": (no_keys_but_the_signing_one, (TABLE,), False),
    "the whole folder": (no_keys, ("signing.key", TABLE), False),
}


@pytest.mark.parametrize("what", LOST)
def test_what_is_lost_is_named_and_nothing_is_made_in_its_place(house: House, what: str) -> None:
    lose, said, still = LOST[what]
    lose(house)
    keys = files(house)
    told = list(unsound(house.store, house.keys))
    assert len(told) == len(said) and all(a in b and " / " in b for a, b in zip(said, told, strict=True)), (
        told
    )
    if not still:
        assert f"{len(CALLS)}件の録音" in told[-1] and f"{len(CALLS)} recordings" in told[-1]
        assert f"demo 2026-11: {len(CALLS)}件" in told[-1] and ", ".join(CALLS[:3]) in told[-1]
    assert not kept(house, NEXT), "it waits"
    assert (house.spool / f"{NEXT}.wav").exists() and house.recordings.find(NEXT) is None
    assert files(house) == keys, "nothing was made"
    assert list(unsound(house.store, house.keys)) == told, "the doctor goes on saying it"
    assert by_the_city(house) == [], "and the city accuses nothing"
    assert [opens(house, name) for name in CALLS] == [still] * len(CALLS)

    shutil.copytree(house.home.parent / "B", house.keys, dirs_exist_ok=True)
    assert kept(house, NEXT), "put back, it goes on"
    assert list(unsound(house.store, house.keys)) == [] and by_the_city(house) == []
    assert [opens(house, name) for name in (*CALLS, NEXT)] == [True] * 6


def test_tables_lost_on_a_former_day_stop_nothing_and_are_named(house: House) -> None:
    no_tables(house)
    house.world.at = Instant(house.world.at + DAY_US)
    assert kept(house, NEXT) and opens(house, NEXT)
    [told] = unsound(house.store, house.keys)
    assert f"{len(CALLS)} recordings" in told and TABLE in told and NEXT not in told
    shutil.copytree(house.home.parent / "B", house.keys, dirs_exist_ok=True)
    assert list(unsound(house.store, house.keys)) == [] and all(opens(house, x) for x in (*CALLS, NEXT))


def test_a_table_of_an_older_back_up_lacks_the_newest_which_are_named_until_they_are_erased(
    house: House,
) -> None:
    table = house.keys / TABLE
    table.write_bytes(b"".join(table.read_bytes().splitlines(keepends=True)[:3]))
    [told] = unsound(house.store, house.keys)
    assert "2 recordings" in told and CALLS[3] in told and CALLS[4] in told and CALLS[2] not in told
    chain = Chain(house.store, house.keys, signing(house.store, house.keys))
    for name in CALLS[3:]:
        at = {"at": "2026-11-21T10:00:00+09:00", "day": "2026-11-21"}
        chain.add(Erased(centre="demo", name=name, kept=DAY, sha256="0" * 64, why="x", by="x", **at))
    assert list(unsound(house.store, house.keys)) == []


def test_a_folder_beside_the_centres_confuses_nobody(house: House) -> None:
    shutil.copytree(house.store / "demo", house.store / "demo (copy)")
    keeper = house.keeper()
    keeper.look_at_keys()
    assert list(unsound(house.store, house.keys)) == [] and keeper.gauges()["sidecar_recordings_keyless"] == 0


def test_a_folder_of_tables_that_cannot_be_listed_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, listed = house.keys / "files", os.listdir

    def listdir(path: Path | str = ".") -> list[str]:
        if Path(path) == tables:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert any(str(tables) in each for each in unsound(house.store, house.keys))


def test_a_destroyed_key_is_no_lost_one(house: House) -> None:
    for name in CALLS:
        house.recordings.ring.destroy("demo", DAY, name, "2026-11-21T10:00:00+09:00")
    assert list(unsound(house.store, house.keys)) == []
    assert kept(house, NEXT) and opens(house, NEXT)


def test_the_gauge_counts_what_no_key_opens(house: House) -> None:
    keeper = house.keeper()
    keeper.look_at_keys()
    assert keeper.gauges()["sidecar_recordings_keyless"] == 0
    no_tables(house)
    keeper.look_at_keys()
    assert keeper.gauges()["sidecar_recordings_keyless"] == len(CALLS)
    shutil.copytree(house.home.parent / "B", house.keys, dirs_exist_ok=True)
    no_month(house)
    keeper.look_at_keys()
    assert keeper.gauges()["sidecar_recordings_keyless"] == len(CALLS)
    shutil.copytree(house.home.parent / "B", house.keys, dirs_exist_ok=True)
    keeper.look_at_keys()
    assert keeper.gauges()["sidecar_recordings_keyless"] == 0


def test_what_is_lost_while_the_keeper_runs_stops_it_and_it_goes_on_when_it_is_back(house: House) -> None:
    keeper = house.keeper()
    assert keeper.kept(house.record(NEXT), house.whose(NEXT))
    no_signing_key(house)
    plain = house.record("node1-1795143591.10")
    assert not keeper.kept(plain, house.whose(plain.stem)) and plain.exists()
    shutil.copytree(house.home.parent / "B", house.keys, dirs_exist_ok=True)
    shutil.rmtree(house.keys / "heads")  # yesterday's: where the chain ends, the store says
    assert keeper.kept(plain, house.whose(plain.stem)) and by_the_city(house) == []


def test_the_signing_key_of_another_installation_signs_nothing(house: House) -> None:
    stranger = House(house.home.parent / "stranger")
    stranger.keep(CALLS[0])
    shutil.copy(stranger.keys / "signing.key", house.keys / "signing.key")
    [told] = unsound(house.store, house.keys)
    assert "signing.key" in told and "合いません" in told
    assert not kept(house, NEXT) and by_the_city(house) == []
    shutil.copy(stranger.keys / "signing.pub", house.keys / "signing.pub")
    [told] = unsound(house.store, house.keys)
    assert "demo/root.json" in told and "--former" in told


# -- lost for good --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beside", ["the heads are there", "the heads are gone, too"])
def test_with_a_new_signing_key_the_chain_goes_on_and_the_city_checks_with_both(
    house: House, beside: str
) -> None:
    [old] = house.public()
    (house.keys / "signing.key").unlink()
    if beside != "the heads are there":
        shutil.rmtree(house.keys / "heads")
    done = replace(house.store, house.keys, {})
    assert done.signer is not None and done.made == () and done.signer.id != old
    assert set(installed(house.keys)) == {old, done.signer.id}
    assert list(unsound(house.store, house.keys)) == []
    assert kept(house, NEXT) and all(opens(house, name) for name in (*CALLS, NEXT))
    assert by_the_city(house, house.keys / "signing.pub") == []
    assert verify(house.store, installed(house.keys)).found == []
    assert by_the_city(house), "without the new key its lines cannot be checked"
    with pytest.raises(NothingLost):
        replace(house.store, house.keys, {})
    (house.keys / "signing.key").unlink()
    assert replace(house.store, house.keys, {}).signer is not None, "and once more"
    assert len(installed(house.keys)) == 3
    assert kept(house, "node1-1795143592.11") and verify(house.store, installed(house.keys)).found == []


def test_where_the_public_key_is_lost_too_it_takes_the_city_s(house: House) -> None:
    no_keys(house)
    with pytest.raises(NotItsKey, match=r"root\.json.*--former"):
        replace(house.store, house.keys, {})
    stranger = made(house.home.parent / "stranger")
    with pytest.raises(NotItsKey):
        replace(house.store, house.keys, stranger.public)
    with pytest.raises(SigningKeyLost):
        signing(house.store, house.keys)
    done = replace(house.store, house.keys, public_keys([house.home.parent / "city.pub"]))
    assert done.signer is not None and {path.name for path in done.made} == {
        "demo.2026-11.100.key",
        f"{DAY}.jsonl",
    }
    assert kept(house, NEXT) and opens(house, NEXT)
    assert verify(house.store, installed(house.keys)).found == []
    [told] = unsound(house.store, house.keys)
    assert f"{len(CALLS)} recordings" in told, "what is lost stays lost, and said"
    assert not opens(house, CALLS[0])


def test_cut_off_while_the_signing_key_is_replaced_it_is_gone_on_with(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    (house.keys / "signing.key").unlink()
    rename = os.rename

    def killed(self: Path, target: Path) -> Path:
        rename(self, target)
        if target.name == "signing.key":
            raise KeyboardInterrupt
        return target

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        replace(house.store, house.keys, {})
    monkeypatch.undo()
    monkeypatch.setattr("callcore.recordings.verify.AGAIN_S", 0.0)
    assert kept(house, NEXT) and verify(house.store, installed(house.keys)).found == []
    assert list(unsound(house.store, house.keys)) == []


def test_the_month_s_key_that_turns_up_after_all_opens_what_it_opened(house: House) -> None:
    no_month(house)
    done = replace(house.store, house.keys, {})
    assert [path.name for path in done.made] == ["demo.2026-11.101.key"] and done.signer is None
    assert kept(house, NEXT) and opens(house, NEXT) and not opens(house, CALLS[0])
    shutil.copy(house.home.parent / "B" / "demo.2026-11.1.key", house.keys)
    assert all(opens(house, name) for name in (*CALLS, NEXT))
    assert list(unsound(house.store, house.keys)) == []


# -- rotated afterwards ---------------------------------------------------------------------------------------


def keys_there(house: House) -> set[str]:
    return {path.name for path in house.keys.glob("*.2*.key")}


def test_a_rotation_passes_over_what_is_lost_for_good_and_goes_on_behind_it(house: House) -> None:
    no_month(house)
    replace(house.store, house.keys, {})
    assert kept(house, NEXT)
    house.world.at = Instant(house.world.at + 15 * DAY_US)
    december = "node1-1796439600.10"
    assert kept(house, december)
    for version in (102, 103):  # the second finds what the first left
        november, behind = KeyRing(house.keys).rotate()
        assert (november.month, november.version, november.recordings) == ("2026-11", version, 1)
        [lost] = november.left
        assert isinstance(lost, KeyLost) and lost.file.name == "demo.2026-11.1.key"
        assert (behind.month, behind.version, behind.left) == ("2026-12", version - 100, ())
        assert keys_there(house) == {f"demo.2026-11.{version}.key", f"demo.2026-12.{version - 100}.key"}
        assert opens(house, NEXT) and opens(house, december) and not opens(house, CALLS[0])
    shutil.copy(house.home.parent / "B" / "demo.2026-11.1.key", house.keys)
    assert all(opens(house, name) for name in CALLS), "one that turns up after all still fits"
    assert [each.left for each in KeyRing(house.keys).rotate()] == [(), ()]
    assert all(opens(house, name) for name in (*CALLS, NEXT, december)) and len(keys_there(house)) == 2


@pytest.mark.parametrize("hurt", ["its key is lost", "a line of its table is damaged"])
def test_a_month_that_cannot_be_rotated_is_left_as_it_is_and_holds_up_no_other(
    house: House, hurt: str
) -> None:
    house.world.at = Instant(house.world.at + 15 * DAY_US)
    assert kept(house, NEXT)
    if hurt == "its key is lost":
        no_month(house)
    else:
        with (house.keys / TABLE).open("ab") as table:
            table.write(b"no line\n")
    before = {name for name in keys_there(house) if "2026-11" in name}
    november, december = KeyRing(house.keys).rotate()
    assert november.version is None and december.version == 2 and opens(house, NEXT)
    [why] = november.left
    assert isinstance(why, KeyLost if hurt == "its key is lost" else WrongKey)
    assert {name for name in keys_there(house) if "2026-11" in name} == before, "nothing was made"
