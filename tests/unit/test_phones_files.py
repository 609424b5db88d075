"""Phones' files against the rules of their makers' formats, the keys against the dialplan, and who gets which file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.domain.centre import Configuration, Phone, Transfers
from callcore.domain.ids import Instant, PhoneId
from callcore.domain.lamps import EMERGENCY, HELP, PHONE_LAMPS
from callcore.installation import without_certificate
from callcore.phonefiles import TokenFile
from callcore.phones import MAKERS
from callcore.phones.keys import CENTRE, CODES, ESCALATION, HOLD, TALK, keys_for
from callcore.phones.maker import Unprintable
from callcore.phones.provision import Named, changed, made, phones
from callcore.phones.serving import FIRST_VALID_S, Refusal, Request, digest
from callcore.runtime.dialplan import TALK_CODES
from callcore.settings import Settings
from tests.support.desk_phones import NOW, REACH, SECRET, centre_of, desk, file

MAKERS_WITH_FILES = ("yealink", "panasonic")


def test_files_are_named_as_the_makers_want_them() -> None:
    assert MAKERS["yealink"].file_name is not None and MAKERS["panasonic"].file_name is not None
    assert MAKERS["yealink"].file_name("00005e0053ab") == "00005e0053ab.cfg"
    assert MAKERS["panasonic"].file_name("00005e0053ab") == "Config00005E0053AB.cfg"


@pytest.mark.parametrize("maker", MAKERS_WITH_FILES)
def test_a_phone_without_tls_is_sent_to_the_port_without(maker: str) -> None:
    model = next(iter(MAKERS[maker].models))
    text = file(desk(maker, model, transport="udp"), reach=replace(REACH, url="", ca_url="")).decode()
    assert "15060" in text and "15062" not in text and "https:" not in text


@pytest.mark.parametrize("maker", MAKERS_WITH_FILES)
@pytest.mark.parametrize("evil", ["窓口\naccount.2.enable = 1", "窓口\r\nSIP_PASS_1=", "窓\x00", "口\u2028"])
def test_a_seats_name_cannot_bring_a_second_line_into_the_file(maker: str, evil: str) -> None:
    with pytest.raises(Unprintable):
        file(replace(desk(maker, next(iter(MAKERS[maker].models))), seat=evil))


def test_a_simulated_phone_has_no_file() -> None:
    oita, configuration = centre_of(replace(desk("simulated", "baresip"), mac=None))
    [named] = phones(configuration)
    assert named == Named(oita, oita.phones[0], MAKERS["simulated"])
    assert named.file is None and made(named, SECRET, REACH, NOW) is None


def test_the_keys_dial_codes_that_the_dialplan_has() -> None:
    dialplan = (Path(__file__).parents[2] / "dialplans" / "callcore.conf").read_text(encoding="utf-8")
    for code in (*CODES, ESCALATION):
        assert re.search(rf"(?m)^exten => {re.escape(code.code)},1,", dialplan), code
    assert {code.code.removeprefix("*") for code in TALK} == set(TALK_CODES.values())
    own = {code.code for code in (*CODES, *TALK, *CENTRE, HOLD) if code.lamp}
    assert own <= {*PHONE_LAMPS, HELP, EMERGENCY}, "a lamp hangs on a hint of that name"
    assert all(
        code.short.isascii() and len(code.short) <= 9 for code in (*CODES, *TALK, *CENTRE, HOLD, ESCALATION)
    )


ESCALATES = {
    (
        "yealink",
        "SIP-T46U",
    ): r"linekey\.(\d+)\.type = 13\n.*\n.*\.value = \*36\nlinekey\.\1\.label = 二次対応\n",
    ("panasonic", "KX-HDV230"): (
        r'_ACT(\d+)="X_PANASONIC_IPTEL_ONETOUCH"\r\nFLEX_BUTTON_FACILITY_ARG\1="\*36"\r\n'
        r'FLEX_BUTTON_QUICK_DIAL\1="\*36"\r\nFLEX_BUTTON_LABEL\1="二次対応"\r\n'
    ),
    ("generic", "DT900"): r"<tr><th>二次対応 / Escalate<td>\*36\n",
}


@pytest.mark.parametrize(("maker", "model"), ESCALATES)
def test_one_key_asks_the_first_free_supervisor_where_the_centre_has_supervisors(
    maker: str, model: str
) -> None:
    oita, without = centre_of(desk(maker, model, 1, user_agent="NEC"), desk("yealink", "SIP-T46U", 2))
    within = Configuration("test", (replace(oita, transfers=Transfers(supervisors=(PhoneId("oita-p2"),))),))

    def text(configuration: Configuration) -> str:
        body = made(phones(configuration)[0], SECRET, REACH, NOW)
        assert body is not None
        return body.decode()

    assert len(re.findall(ESCALATES[maker, model], text(within))) == 1
    assert "*36" not in text(without), "it would ring nobody"
    assert changed(without, within) == ["oita-p1", "oita-p2"], (
        "callcore says whose files are to be fetched anew"
    )


def test_the_key_for_a_supervisor_is_named_in_the_centres_first_language_and_pushes_out_nothing_before_it() -> (
    None
):
    line = desk("yealink", "SIP-T46U")
    oita, _ = centre_of(line)
    within = replace(oita, transfers=Transfers(supervisors=(line.id,)))
    model = MAKERS["yealink"].models["SIP-T46U"]
    for language, label in (("ja", "二次対応"), ("en", "Escalate")):
        before, after = (keys_for(centre, line, model, language) for centre in (oita, within))
        [at] = [n for n, key in enumerate(after) if key.code == "*36"]
        assert (after[at].label, after[at].short, after[at].lamp, after[at].digits) == (
            label,
            "ESCAL",
            False,
            False,
        )
        assert after[:at] == before[:at] and before[at - 1].code == "hold"


def test_no_phone_rings_without_being_held_against_the_inventory() -> None:
    """Each Dial of a phone and each Queue asks on the phone's own channel, in every context that there will ever be."""
    for path in sorted((Path(__file__).parents[2] / "dialplans").glob("*.conf")):
        for line in path.read_text(encoding="utf-8").splitlines():
            rings = re.search(r",(Dial|Queue)\(", line) and not line.startswith(";")
            if rings and "PJSIP/trunk" not in line:
                assert re.search(r"b\(callcore-(ring|show)\^s\^1\)", line), f"{path.name}: {line}"
    dialplan = (Path(__file__).parents[2] / "dialplans/callcore.conf").read_text(encoding="utf-8")
    assert "[callcore-show]\nexten => s,1,Gosub(callcore-ring,s,1)\n" in dialplan, (
        "asked before anything is shown"
    )


# -- who gets which file -------------------------------------------------------------------------------------


class Shop:
    """The serving of two phones' files."""

    def __init__(self, folder: Path) -> None:
        self.centre, self.configuration = centre_of(
            desk("yealink", "SIP-T46U", 1), desk("panasonic", "KX-HDV230", 2)
        )
        self.tokens = TokenFile(folder / "phone-tokens.json")
        self.folder = folder

    def ask(
        self, token: str, name: str = "00005e005301.cfg", *, at: int = 0, **more: object
    ) -> tuple[int, Refusal | None, str]:
        fields = {"address": "192.0.2.7", "https": True, "user_agent": "Yealink"} | more
        request = Request(at=Instant(at), token=token, file=name, **fields)  # type: ignore[arg-type]

        def make(named: Named, token: str) -> bytes | None:
            return made(named, SECRET, replace(REACH, url=f"https://pbx.example/phones/{token}/"), NOW)

        answer = self.tokens.answer(request, self.configuration, make)
        assert (answer.status == 200) == bool(answer.body)
        found = re.search(rb"phones/([A-Za-z0-9_-]{20,})/", answer.body)
        return answer.status, answer.refusal, found[1].decode() if found else ""


def test_a_phone_gets_its_own_file_once_for_each_token(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    first = shop.tokens.begin(PhoneId("oita-p1"), Instant(0))
    status, _, second = shop.ask(first)
    assert status == 200 and second not in ("", first)
    status, _, again = shop.ask(first)
    assert status == 200, "it lost its power before it had kept the file"
    assert shop.ask(second)[:2] == (404, Refusal.TOKEN), "that file was never kept"
    status, _, third = shop.ask(again)
    assert status == 200
    assert shop.ask(first)[:2] == (404, Refusal.TOKEN), "used up"
    assert shop.ask(again)[0] == 200 and third
    kept = (tmp_path / "phone-tokens.json").read_text()
    assert not any(token in kept for token in (first, second, again, third))
    assert (tmp_path / "phone-tokens.json").stat().st_mode & 0o077 == 0


def test_nobody_gets_another_phones_file_and_a_guess_tells_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    token = shop.tokens.begin(PhoneId("oita-p1"), Instant(0))
    assert shop.ask(token, "Config00005E005302.cfg")[:2] == (404, Refusal.TOKEN)
    assert shop.ask(token, "00005e005377.cfg")[:2] == (404, Refusal.FILE)
    assert shop.ask(token, "../secrets.json")[:2] == (404, Refusal.FILE)
    assert shop.ask("", "00005e005301.cfg")[:2] == (404, Refusal.TOKEN)
    assert shop.ask("guess" * 5, "00005e005301.cfg")[:2] == (404, Refusal.TOKEN)
    assert shop.ask(token, address="198.51.100.7")[:2] == (404, Refusal.NETWORK)
    assert shop.ask(token, address="rubbish")[:2] == (404, Refusal.NETWORK)
    assert shop.ask(token, https=False)[:2] == (404, Refusal.CLEAR_TEXT)
    assert shop.ask(token, at=FIRST_VALID_S * 1_000_000)[:2] == (404, Refusal.TOKEN)
    assert shop.ask(token)[0] == 200, "and none of it has used the token up"


def test_a_certificate_that_names_the_mac_stands_for_the_token(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    mine, other = "00:00:5e:00:53:01", "00:00:5e:00:53:02"
    assert shop.ask("", certificate_mac=mine)[0] == 200
    assert shop.ask("", certificate_mac=other)[:2] == (404, Refusal.TOKEN)
    assert shop.ask("", certificate_mac=mine, address="198.51.100.7")[:2] == (404, Refusal.NETWORK)
    # A model without a certificate of its maker cannot have shown one.
    assert shop.ask("", "Config00005E005302.cfg", certificate_mac=other)[:2] == (404, Refusal.TOKEN)


def test_a_file_that_cannot_be_made_is_no_answer_and_uses_no_token(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    token = shop.tokens.begin(PhoneId("oita-p1"), Instant(0))
    broken = replace(shop.centre, phones=(replace(shop.centre.phones[0], seat="a\nb"),))
    good, shop.configuration = shop.configuration, Configuration("test", (broken,))
    assert shop.ask(token)[:2] == (404, Refusal.NOT_MADE)
    shop.configuration = good
    assert shop.ask(token)[0] == 200
    assert len(digest(token)) == 64


def test_a_change_of_the_centre_files_touches_the_files_of_those_phones_whose_keys_it_changes() -> None:
    first, second = desk("yealink", "SIP-T48U", 1), desk("panasonic", "KX-HDV230", 2)
    paper = desk("generic", "DT900", 3, user_agent="NEC-DT900")

    def after(*lines: Phone) -> list[str]:
        return changed(centre_of(first, second, paper)[1], centre_of(*lines)[1])  # type: ignore[return-value]

    assert after(first, second, paper) == []
    assert after(replace(first, extension="201"), second, paper) == ["oita-p1", "oita-p2"], (
        "a colleague's key too"
    )
    assert after(replace(first, networks=("198.51.100.0/24",)), second, paper) == [], "it stands in no file"
    assert after(first, second, paper, desk("yealink", "SIP-T31P", 4)) == ["oita-p1", "oita-p2"]
    assert after(first, replace(second, seat="a\nb"), paper)[-1] == "oita-p2", (
        "what cannot be made is another one"
    )


def test_check_names_the_phones_that_bear_a_certificate_and_are_not_asked_for_it(tmp_path: Path) -> None:
    _, configuration = centre_of(
        desk("yealink", "SIP-T46U", 1),
        desk("yealink", "SIP-T46U", 2, certificate=False),
        desk("panasonic", "KX-HDV230", 3),
    )
    home = Settings(home=tmp_path)
    assert without_certificate(home, configuration) == ["oita-p1"]
    asked = home.model_copy(update={"sip_tls_certificate_port": 5062})
    assert without_certificate(asked, configuration) == []
