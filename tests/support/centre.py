"""A small centre by hand, and its sounds: tones, each of another pitch, so that a test hears which is played."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from callcore.domain.centre import (
    Agent,
    Announcement,
    Centre,
    Configuration,
    Contact,
    Department,
    Number,
    Outgoing,
    Phone,
    Queue,
)
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import AgentId, CentreId, PhoneId, QueueId

NUMBER = "0975105151"
NOTICE_HZ, GREETING_HZ, CLOSED_HZ, APOLOGY_HZ, MUSIC_HZ, OVERFLOW_HZ = 500, 700, 900, 1100, 1300, 2900
EMERGENCY_HZ = 3100
COMMON_HZ = {
    "ask-agent-number": 1500,
    "ask-pin": 1700,
    "signed-in": 1900,
    "signed-out": 2100,
    "refused": 2300,
    "not-possible": 2500,
    "no-such-code": 2700,
    "ready": 1600,
    "paused": 1800,
    "extended": 2000,
    "call-refused": 2200,
    "call-failed": 2400,
    "emergency-elsewhere": 2600,
    "key-refused": 2200,
    "help-asked": 2400,
    "ask-emergency": 2600,
    "ask-result": 2700,
    "emergency-on": 2800,
    "no-such-department": 3700,
    "department-closed": 1400,
    "department-substitute": 1200,
    "department-busy": 3300,
    "department-no-answer": 3500,
    "no-supervisor": 3900,
}
SECONDS = {"music": 60.0, "closed": 1.0, "apology": 1.0, "overflow": 1.0, "emergency": 1.0}


def simulated(phone: str, seat: str) -> Phone:
    """A line of the inventory for the simulated phones of the tests."""
    return Phone(PhoneId(phone), seat, "sip", maker="simulated", networks=("127.0.0.0/8",), transport="udp")


def small_centre(
    weekly: tuple[tuple[Window, ...], ...] = ((Window(0, 86_400),),) * 7,
    *,
    phones: int = 3,
    longest_wait_s: int = 1800,
    ring_s: int = 15,
    outgoing: Outgoing | None = None,
    contacts: tuple[Contact, ...] = (),
    departments: tuple[Department, ...] = (),
) -> Configuration:
    """One centre `oita`, open round the clock unless told otherwise, and a second one with one phone."""

    def announcements(centre: str) -> tuple[Announcement, ...]:
        kinds = ("recording_notice", "greeting", "closed", "apology")
        return tuple(Announcement(kind, "ja", kind, f"{centre}/ja/{kind}") for kind in kinds)

    queue = Queue(QueueId("oita-general"), "総合", ring_s=ring_s, acw_s=1, longest_wait_s=longest_wait_s)
    oita = Centre(
        id=CentreId("oita"),
        name="大分市マイナンバーカードコールセンター",
        name_en="Oita",
        calendar=Calendar("Asia/Tokyo", weekly),
        numbers=(Number(NUMBER, queue.id),),
        queues=(queue,),
        agents=tuple(Agent(AgentId(f"10{n}"), f"担当{n}", (queue.id,)) for n in range(1, phones + 1)),
        phones=tuple(simulated(f"oita-p{n}", f"席{n}") for n in range(1, phones + 1)),
        announcements=announcements("oita"),
        outgoing=outgoing,
        contacts=contacts,
        departments=departments,
    )
    beppu = Centre(
        id=CentreId("beppu"),
        name="別府",
        name_en="Beppu",
        calendar=Calendar("Asia/Tokyo", weekly),
        numbers=(Number("0977211111", QueueId("beppu-general")),),
        queues=(Queue(QueueId("beppu-general"), "総合"),),
        agents=(),
        phones=(simulated("beppu-p1", "席1"),),
        announcements=announcements("beppu"),
    )
    return Configuration("test", (oita, beppu))


def make_sounds(folder: Path) -> tuple[Path, Path]:
    """(prompts folder, music folder) with one tone for each prompt of `small_centre`, half a second long."""
    prompts, music = folder / "prompts", folder / "music"
    for centre in ("oita", "beppu"):
        for kind, hertz in (
            ("recording_notice", NOTICE_HZ),
            ("greeting", GREETING_HZ),
            ("closed", CLOSED_HZ),
            ("apology", APOLOGY_HZ),
            ("overflow", OVERFLOW_HZ),
            ("emergency", EMERGENCY_HZ),
        ):
            _tone(prompts / centre / "ja" / f"{kind}.wav", hertz, SECONDS.get(kind, 0.5))
    for kind, hertz in COMMON_HZ.items():
        _tone(prompts / "common" / "ja" / f"{kind}.wav", hertz, 0.5)
    _tone(music / "music.wav", MUSIC_HZ, SECONDS["music"])
    return prompts, music


def _tone(path: Path, hertz: float, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 8000 * np.sin(2 * np.pi * hertz * np.arange(int(8000 * seconds)) / 8000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        file.writeframes(samples.astype("<i2").tobytes())
