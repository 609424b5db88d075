"""Whoever opens callcore to other machines: over TLS, behind a listed proxy, or having said what that means."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from callcore.cli import addresses
from callcore.settings import PLAIN, Settings, SettingsError, read_settings

TLS = {"web_tls_certificate": "/etc/callcore/certificate.pem", "web_tls_key": "/etc/callcore/key.pem"}


def refused(**given: str) -> str:
    with pytest.raises(ValidationError) as caught:
        Settings(**given)
    (error,) = caught.value.errors()
    assert " / " in error["msg"]
    return str(error["msg"])


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "2001:db8::1"])
def test_nobody_opens_it_to_other_machines_unencrypted_without_having_said_so(host: str) -> None:
    said = refused(web_host=host, web_names="callcore.example")
    for way in ("CALLCORE_WEB_TLS_CERTIFICATE", "CALLCORE_WEB_PROXIES", f"CALLCORE_WEB_PLAIN={PLAIN}"):
        assert way in said
    assert Settings(web_host=host, web_names="callcore.example", **TLS).web_beyond
    assert Settings(web_host=host, web_names="callcore.example", web_plain=PLAIN).web_beyond


@pytest.mark.parametrize("words", ["1", "true", "yes", "Passwords-Travel-Unencrypted", f"{PLAIN} "])
def test_it_is_said_in_so_many_words_or_not_at_all(words: str) -> None:
    assert PLAIN in refused(web_plain=words)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_on_this_machine_nothing_needs_to_be_said(host: str) -> None:
    assert not Settings(web_host=host).web_beyond


@pytest.mark.parametrize("host", ["", "example.org", "127.0.0.1:8730", "http://127.0.0.1"])
def test_what_is_listened_on_is_an_address(host: str) -> None:
    assert "CALLCORE_WEB_NAMES" in refused(web_host=host)


def test_a_certificate_without_its_key_is_told() -> None:
    for name, value in TLS.items():
        assert "both be given" in refused(**{name: value})


@pytest.mark.parametrize("proxies", ["0.0.0.0/0", "::/0", "127.0.0.1,0.0.0.0/0", "*", "proxy.example"])
def test_not_everybody_can_be_believed_as_a_proxy(proxies: str) -> None:
    assert refused(web_proxies=proxies)


def test_proxies_are_addresses_and_networks() -> None:
    assert Settings(web_proxies="127.0.0.1, 192.0.2.0/28").trusted_proxies == ("127.0.0.1", "192.0.2.0/28")


@pytest.mark.parametrize(
    "names",
    ["*", "*.example", "http://callcore.example", "callcore.example:443", "a b", "例え", "a..b", "a/b"],
)
def test_a_name_is_written_as_it_stands_in_the_browser_and_no_wider(names: str) -> None:
    assert "callcore.city.example" in refused(web_names=names)


def test_names_and_the_listening_address_may_stand_in_the_host_header() -> None:
    made = Settings(web_host="192.0.2.1", web_names="Callcore.City.example, 2001:DB8::1", **TLS)
    assert made.web_hosts == {"192.0.2.1", "callcore.city.example", "[2001:db8::1]"}


def test_all_addresses_need_a_name() -> None:
    assert "CALLCORE_WEB_NAMES" in refused(web_host="0.0.0.0", **TLS)


def test_a_wrong_environment_names_the_variable_and_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLCORE_WEB_HOST", "192.0.2.1")
    with pytest.raises(SettingsError, match="CALLCORE_WEB_TLS_CERTIFICATE"):
        read_settings()


@pytest.mark.parametrize(
    ("given", "page"),
    [
        ({}, "http://127.0.0.1:8730/"),
        ({"web_names": "callcore.example"}, "http://127.0.0.1:8730/"),
        ({"web_host": "192.0.2.1", **TLS}, "https://192.0.2.1:8730/"),
        ({"web_host": "::", "web_names": "callcore.example", **TLS}, "https://callcore.example:8730/"),
        ({"web_host": "2001:db8::1", "web_plain": PLAIN}, "http://[2001:db8::1]:8730/"),
    ],
)
def test_who_starts_it_reads_where_the_page_is(given: dict[str, str], page: str) -> None:
    assert page in addresses(Settings(**given), with_pbx=False)
