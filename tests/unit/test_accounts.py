"""Users as they live: invited by a link, signing in, guessing wrong, losing a password, being switched off."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pyotp
import pytest

from callcore.access import accounts as rules
from callcore.access.accounts import AccountError, Accounts, SignInFailed
from callcore.access.rights import Right, Role, Scope
from callcore.access.store import AccessDamaged, Store
from tests.support.people import PASSWORD, accounts_in, cheap_hashes, first_administrator, user

HERE = ("127.0.0.1", "a browser")


class Clock:
    def __init__(self) -> None:
        self.at = 1_795_800_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock, _quick: None) -> Accounts:
    made = accounts_in(tmp_path, clock)
    first_administrator(made)
    return made


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


def test_the_first_administrator_comes_in_by_a_link_that_opens_once(tmp_path: Path, clock: Clock) -> None:
    accounts = accounts_in(tmp_path, clock)
    first, second = accounts.first_link(), accounts.first_link()
    assert first is not None
    assert second is not None
    assert accounts.link(first) is None, "the newest link alone counts"
    with pytest.raises(AccountError, match="12 characters"):
        accounts.use_link(second, "short", name="chief")
    assert accounts.use_link(second, PASSWORD, name="chief").role is Role.ADMINISTRATOR
    with pytest.raises(AccountError, match="was used"):
        accounts.use_link(second, PASSWORD, name="other")
    assert accounts.first_link() is None
    assert accounts.sign_in("chief", PASSWORD, *HERE).user.person.may_everywhere(Right.MANAGE_USERS)


def test_a_link_is_over_after_three_days(accounts: Accounts, clock: Clock) -> None:
    link = accounts.add("sato", "佐藤", Role.SUPERVISOR, ("demo",), None, "user:chief")
    clock.at += rules.LINK_S
    with pytest.raises(AccountError, match="expired"):
        accounts.use_link(link, PASSWORD)


def test_nobody_signs_in_before_a_password_is_set(accounts: Accounts) -> None:
    accounts.add("sato", "佐藤", Role.SUPERVISOR, ("demo",), None, "user:chief")
    for password in ("", PASSWORD):
        with pytest.raises(SignInFailed):
            accounts.sign_in("sato", password, *HERE)


def test_every_wrong_sign_in_says_the_same(accounts: Accounts) -> None:
    user(accounts, "sato", Role.SUPERVISOR)
    user(accounts, "gone", Role.SUPERVISOR)
    accounts.disable("gone")
    told = set()
    for name, password in (("nobody", PASSWORD), ("sato", "wrong"), ("gone", PASSWORD), ("", "")):
        with pytest.raises(SignInFailed) as failed:
            accounts.sign_in(name, password, *HERE)
        told.add(str(failed.value))
    assert len(told) == 1


def test_who_guesses_is_locked_out_for_longer_and_longer_and_an_administrator_ends_it(
    accounts: Accounts, clock: Clock
) -> None:
    user(accounts, "sato", Role.SUPERVISOR)

    def locked_for() -> float:
        kept = accounts.user("sato")
        assert kept is not None
        return kept.locked_until - clock.at

    def guess() -> None:
        with pytest.raises(SignInFailed):
            accounts.sign_in("sato", "wrong", *HERE)

    for _ in range(rules.TRIES - 1):
        guess()
    assert accounts.sign_in("sato", PASSWORD, *HERE), "four wrong ones are a bad morning"
    for _ in range(rules.TRIES):
        guess()
    assert locked_for() == rules.LOCK_S
    with pytest.raises(SignInFailed):
        accounts.sign_in("sato", PASSWORD, *HERE)
    lengths = []
    for _ in range(8):
        clock.at += locked_for()
        guess()
        lengths.append(locked_for())
    assert lengths == [60, 120, 240, 480, 900, 900, 900, 900]
    accounts.unlock("sato")
    assert accounts.sign_in("sato", PASSWORD, *HERE)


def test_many_guesses_at_the_same_time_do_not_get_past_the_bound(accounts: Accounts) -> None:
    user(accounts, "sato", Role.SUPERVISOR)
    tried: list[str] = []

    def guess() -> None:
        try:
            accounts.sign_in("sato", "wrong", *HERE)
        except SignInFailed as error:
            tried.append(error.why)

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tried.count("wrong password") == rules.TRIES
    assert tried.count("locked out") == 20 - rules.TRIES


def test_a_second_factor_is_asked_for_after_the_password_and_a_code_counts_once(
    accounts: Accounts, clock: Clock
) -> None:
    user(accounts, "sato", Role.SUPERVISOR)
    secret = pyotp.random_base32()
    with pytest.raises(AccountError, match="wrong"):
        accounts.totp_set(
            "sato", secret, "000000" if pyotp.TOTP(secret).at(int(clock.at)) != "000000" else "1"
        )
    accounts.totp_set("sato", secret, pyotp.TOTP(secret).at(int(clock.at)))
    begun = accounts.sign_in("sato", PASSWORD, *HERE)
    assert begun.session.waits_for_code
    with pytest.raises(SignInFailed):
        accounts.second_factor(begun.session, pyotp.TOTP(secret).at(int(clock.at)), *HERE)
    clock.at += rules.CODE_S
    code = pyotp.TOTP(secret).at(int(clock.at))
    done = accounts.second_factor(begun.session, f" {code[:3]} {code[3:]}", *HERE)
    assert not done.session.waits_for_code
    assert accounts.session(begun.cookie) is None, "a session of a new name takes its place"
    again = accounts.sign_in("sato", PASSWORD, *HERE)
    with pytest.raises(SignInFailed):
        accounts.second_factor(again.session, code, *HERE)


def test_wrong_codes_lock_out_as_wrong_passwords_do(accounts: Accounts, clock: Clock) -> None:
    user(accounts, "sato", Role.SUPERVISOR)
    secret = pyotp.random_base32()
    accounts.totp_set("sato", secret, pyotp.TOTP(secret).at(int(clock.at)))
    clock.at += rules.CODE_S
    for _ in range(rules.TRIES):
        begun = accounts.sign_in("sato", PASSWORD, *HERE)  # the right password does not set the count back
        with pytest.raises(SignInFailed):
            accounts.second_factor(begun.session, "12345", *HERE)
    with pytest.raises(SignInFailed) as failed:
        accounts.second_factor(begun.session, pyotp.TOTP(secret).at(int(clock.at)), *HERE)
    assert failed.value.why == "locked out"


def test_a_session_ends_by_idleness_by_length_by_sign_out_and_with_its_user(
    accounts: Accounts, clock: Clock
) -> None:
    user(accounts, "sato", Role.SUPERVISOR)

    def begin() -> str:
        return accounts.sign_in("sato", PASSWORD, *HERE).cookie

    def good(cookie: str) -> bool:
        return accounts.session(cookie) is not None

    idle = begin()
    clock.at += accounts.lifetimes.idle_s - 1
    assert good(idle)
    clock.at += 1
    assert not good(idle)

    long = begin()
    for _ in range(accounts.lifetimes.longest_s // 600):
        assert good(long)
        found = accounts.session(long)
        assert found is not None
        accounts.seen(found[0])
        clock.at += 600
    assert not good(long)

    left = accounts.sign_in("sato", PASSWORD, *HERE)
    assert accounts.end_session(left.session.id)
    assert not good(left.cookie)
    assert not accounts.end_session(left.session.id)

    switched_off = begin()
    accounts.disable("sato")
    assert not good(switched_off)
    accounts.enable("sato")
    assert not good(switched_off), "switched on again is not signed in again"


def test_a_new_password_and_a_reset_end_the_other_browsers(accounts: Accounts) -> None:
    user(accounts, "sato", Role.SUPERVISOR)
    mine, other = (accounts.sign_in("sato", PASSWORD, *HERE) for _ in range(2))
    with pytest.raises(SignInFailed):
        accounts.change_password("sato", "wrong", "another long password", keeping=mine.session.id)
    accounts.change_password("sato", PASSWORD, "another long password", keeping=mine.session.id)
    assert accounts.session(mine.cookie)
    assert accounts.session(other.cookie) is None
    link = accounts.reset("sato", "user:chief")
    assert accounts.session(mine.cookie) is None
    with pytest.raises(SignInFailed):
        accounts.sign_in("sato", "another long password", *HERE)
    accounts.use_link(link, PASSWORD)
    assert accounts.sign_in("sato", PASSWORD, *HERE)


def test_another_role_is_in_force_at_once(accounts: Accounts) -> None:
    user(accounts, "sato", Role.SUPERVISOR, ("oita", "ageo"))
    before = accounts.person("user:sato")
    accounts.change("sato", display="佐藤", role=Role.VIEWER, centres=("oita",), agent=None)
    after = accounts.person("user:sato")
    assert before is not None
    assert after is not None
    assert before.may(Right.ACT_AGENTS)
    assert not after.may(Right.ACT_AGENTS)


def test_the_last_administrator_cannot_be_lost(accounts: Accounts) -> None:
    for loses in (
        lambda: accounts.disable("chief"),
        lambda: accounts.change("chief", display="x", role=Role.VIEWER, centres=("demo",), agent=None),
    ):
        with pytest.raises(AccountError, match="last administrator"):
            loses()
    accounts.add("second", "二人目", Role.ADMINISTRATOR, (), None, "user:chief")
    with pytest.raises(AccountError, match="last administrator"):
        accounts.disable("chief")  # the second one cannot sign in yet


@pytest.mark.parametrize(
    ("password", "why"),
    [("elevenchars", "12 characters"), ("a" * 12, "easy"), ("my name is sato", "easy"), ("x" * 201, "12")],
)
def test_a_password_that_is_easily_guessed_is_refused(accounts: Accounts, password: str, why: str) -> None:
    link = accounts.add("sato", "佐藤", Role.SUPERVISOR, ("demo",), None, "user:chief")
    with pytest.raises(AccountError, match=why):
        accounts.use_link(link, password)
    assert accounts.use_link(link, PASSWORD), "the link is still good"


@pytest.mark.parametrize("name", ["", "Sato", "1st", "a b", "../x", "a" * 33, "さとう", "a\n"])
def test_a_name_that_is_none_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(AccountError, match="can't be used"):
        accounts.add(name, "x", Role.VIEWER, ("demo",), None, "user:chief")
    with pytest.raises(AccountError, match="can't be used"):
        accounts.add_token(name, [Scope.LIVE], ["demo"], "user:chief")


def test_a_token_counts_until_its_end_or_until_it_is_revoked(accounts: Accounts, clock: Clock) -> None:
    shown = accounts.add_token("prometheus", [Scope.METRICS], ["*"], "user:chief", days=1)
    other = accounts.add_token("board", [Scope.LIVE], ["demo"], "user:chief")
    assert accounts.bearer(shown) is not None
    for wrong in ("", ".", "prometheus.", shown + "x", f"board.{shown.partition('.')[2]}"):
        assert accounts.bearer(wrong) is None
    clock.at += 86_400
    assert accounts.bearer(shown) is None
    assert accounts.person("token:prometheus") is None
    accounts.revoke_token("board")
    assert accounts.bearer(other) is None
    with pytest.raises(AccountError, match="every centre"):
        accounts.add_token("half", [Scope.METRICS], ["demo"], "user:chief")


def test_nothing_that_opens_a_door_stands_in_the_files(tmp_path: Path, clock: Clock) -> None:
    accounts = accounts_in(tmp_path, clock)
    first_administrator(accounts)
    link = accounts.add("sato", "佐藤", Role.SUPERVISOR, ("demo",), None, "user:chief")
    token = accounts.add_token("board", [Scope.LIVE], ["demo"], "user:chief")
    cookie = accounts.sign_in("chief", PASSWORD, *HERE).cookie
    for path in (tmp_path / "access").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
        text = path.read_text()
        for secret in (PASSWORD, link, token.partition(".")[2], cookie):
            assert secret not in text


def test_files_that_others_can_read_or_that_are_damaged_are_told_with_what_to_do(
    tmp_path: Path, accounts: Accounts
) -> None:
    path = tmp_path / "access" / "people.json"
    path.chmod(0o644)
    with pytest.raises(PermissionError, match=r"chmod 600.* / .*chmod 600"):
        Store(tmp_path / "access").people()
    path.chmod(0o600)
    path.write_text(json.dumps({"users": 3}))
    with pytest.raises(AccessDamaged, match="back-up"):
        Store(tmp_path / "access").people()


def test_another_process_sees_a_change_at_once(tmp_path: Path, accounts: Accounts) -> None:
    other = accounts_in(tmp_path)
    assert other.person("user:sato") is None
    user(accounts, "sato", Role.SUPERVISOR)
    assert other.person("user:sato") is not None
    accounts.disable("sato")
    assert other.person("user:sato") is None
