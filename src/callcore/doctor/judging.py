"""What a look at an installation says.

Rules
- Each check yields findings; one without anything to say yields one that is well.
- FAIL: calls, figures or evidence suffer now, or a start would not work. WARN: they will, or somebody should know.
- A system that stands still is a warning, and what only a running one can tell is left out; a part that is missing
  from one that runs fails.
- Each finding that is not well says how to mend it. Texts are "Japanese / English".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from callcore.domain.phones import REFUSALS, WORDS, Policy
from callcore.files import FREE_LEAST
from callcore.pbx.render import MODULES

FREE_WARN = 10**10
"""Bytes free: the bound of the alarm CallcoreDiskLow."""
CERTIFICATE_WARN_S = 14 * 86400.0
CEL_LATE_S = 60.0
"""Seconds by which the newest call's end may be younger than the CEL's last row."""
CLOCK_OFF_S = 2.0
"""Seconds between the engine's time, which is Asterisk's, and this process's."""
NAMED = 5


class Level(Enum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    level: Level
    what: str
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One look. None: it did not answer, or it cannot be told. Instants in epoch seconds UTC."""

    now: float
    centre_problems: Sequence[str] = ()
    wanted_version: str | None = None
    """Of the Asterisk that set-up found."""
    version: str | None = None
    """Of the one that answers."""
    late_frames: bool = False
    """Whether the Asterisk that set-up found drops the media of whom a caller is put through to."""
    modules: frozenset[str] | None = None
    """Running in it; while it stands still, those on the disk."""
    cel_status: str | None = None
    cel_at: float | None = None
    """When a row was last written."""
    last_call_at: float | None = None
    """End of the newest call that the database holds."""
    engine: Mapping[str, Any] | None = None
    """Its `status`."""
    sidecar: bool = False
    phones: Sequence[Mapping[str, Any]] | None = None
    synchronised: bool | None = None
    free: Mapping[str, int | None] = field(default_factory=dict)
    """Bytes by folder; None: it cannot be used."""
    ports_taken: Sequence[str] = ()
    """What must be free for a start and is not, with how to mend it."""
    certificates: Mapping[str, float | str] = field(default_factory=dict)
    """When each ends; a text: why it cannot be used."""
    database: str | None = None
    """Why it cannot be used; None: it can."""
    tables: tuple[str | None, str | None] = (None, None)
    """Revision of the tables, and the newest one."""
    prompts: Sequence[str] = ()
    """Those whose audio is missing or says something else."""
    readable: Sequence[str] = ()
    """Files and folders of secrets that others can read."""
    recordings: Sequence[str] = ()
    """What is wrong with their keys and their store, with what to do."""
    ahead: Mapping[str, str] = field(default_factory=dict)
    """Centres whose chain of recordings ends on a day after today (Japan's), with that day (ISO)."""
    departed: Sequence[str] = ()
    """Centres that are in no file, and of which recordings lie in the store."""
    untimed: Sequence[str] = ()
    """Lines of chains whose time cannot be read."""
    lacking_ffmpeg: Sequence[str] = ()
    """Centres whose recordings' format is made by ffmpeg, with that format, while there is none."""
    trunk_in: bool = True
    """Whether anybody may bring calls in."""

    @property
    def up(self) -> bool:
        return self.version is not None or self.engine is not None or self.sidecar

    @property
    def gauges(self) -> Mapping[str, float]:
        return {} if self.engine is None else self.engine.get("gauges", {})


Found = tuple[Level, str, str]
Check = Callable[[Seen], Iterator[Found]]


def running(seen: Seen) -> Iterator[Found]:
    if not seen.up:
        yield (
            Level.WARN,
            "callcore は止まっています / callcore stands still",
            "systemctl start callcore(または callcore run) / systemctl start callcore (or callcore run)",
        )
        return
    for name, there in (
        ("Asterisk", seen.version is not None),
        ("engine", seen.engine is not None),
        ("sidecar", seen.sidecar),
    ):
        if not there:
            yield (
                Level.FAIL,
                f"{name} が応答しません / {name} does not answer",
                "journalctl -u callcore と asterisk/log/messages の最後を読む / "
                "read the end of journalctl -u callcore and of asterisk/log/messages",
            )
    if seen.engine is not None and not seen.engine.get("linked"):
        yield (
            Level.FAIL,
            "エンジンが Asterisk に接続していません / the engine is not linked to Asterisk",
            "CALLCORE_AMI_PORT が両方で同じか、Asterisk が動いているかを確かめる / "
            "see whether CALLCORE_AMI_PORT is the same for both, and whether Asterisk runs",
        )


def centres(seen: Seen) -> Iterator[Found]:
    if seen.centre_problems:
        yield (
            Level.FAIL,
            f"センターファイルに誤り {len(seen.centre_problems)} 件: {seen.centre_problems[0]} / "
            f"{len(seen.centre_problems)} problems in the centre files",
            "callcore check の指示に従う / do as callcore check says",
        )


def asterisk(seen: Seen) -> Iterator[Found]:
    if seen.wanted_version is None:
        yield (
            Level.FAIL,
            "Asterisk が用意されていません / no Asterisk is set up",
            "scripts/prepare を実行する / run scripts/prepare",
        )
    elif seen.version is not None and seen.version != seen.wanted_version:
        yield (
            Level.WARN,
            f"動いている Asterisk は {seen.version}、用意されたものは {seen.wanted_version} / "
            f"Asterisk {seen.version} runs, {seen.wanted_version} is set up",
            "営業時間外に callcore を再起動する / restart callcore outside opening hours",
        )
    if seen.late_frames:
        yield (
            Level.FAIL,
            "この Asterisk では、転送の後、録音から相手の声が落ちます / "
            "this Asterisk drops the voice of whom a caller is put through to from the recording",
            "scripts/prepare の後、営業時間外に再起動する(docs/adr/0057-late-frames.md) / "
            "scripts/prepare, then restart outside opening hours (docs/adr/0057-late-frames.md)",
        )


def modules(seen: Seen) -> Iterator[Found]:
    if seen.modules is not None and (missing := sorted(set(MODULES) - seen.modules)):
        yield (
            Level.FAIL,
            f"Asterisk のモジュールがない: {', '.join(missing)} / modules of Asterisk are missing",
            "scripts/prepare --refresh の後、営業時間外に再起動する。asterisk/log/messages に理由がある / "
            "scripts/prepare --refresh, then restart outside opening hours; asterisk/log/messages says why",
        )


def cel(seen: Seen) -> Iterator[Found]:
    if seen.cel_status is not None and "Enabled" not in seen.cel_status:
        yield (
            Level.FAIL,
            "Asterisk の CEL が止まっています / Asterisk writes no CEL",
            "callcore render の後、営業時間外に再起動する / callcore render, then restart outside opening hours",
        )
    elif seen.last_call_at is not None and (
        seen.cel_at is None or seen.last_call_at - seen.cel_at > CEL_LATE_S
    ):
        yield (
            Level.FAIL,
            "CEL が増えていません: 最後の通話より古いままです / the CEL does not grow: it is older than the last call",
            "asterisk/log の空きと所有者、その messages を確かめ、営業時間外に再起動し、照合する / "
            "see to room and owner of asterisk/log, read its messages, restart outside opening hours, and reconcile",
        )


def clock(seen: Seen) -> Iterator[Found]:
    if seen.synchronised is False:
        yield (
            Level.WARN,
            "時計が同期していません / the clock is not synchronised",
            "chronyd か systemd-timesyncd を動かす / run chronyd or systemd-timesyncd",
        )
    if seen.engine is not None and abs(seen.engine["at"] / 1e6 - seen.now) > CLOCK_OFF_S:
        yield (
            Level.WARN,
            "エンジンの時刻がこのマシンと違います / the engine's time is not this machine's",
            "時刻合わせを確かめ、続くなら営業時間外に再起動する / "
            "see to NTP; if it lasts, restart outside opening hours",
        )
    if steps := seen.gauges.get("engine_clock_steps"):
        yield (
            Level.WARN,
            f"起動から時計が {steps:.0f} 回飛びました / the clock was stepped {steps:.0f} times since the start",
            "少しずつ合わせる設定にする(chronyd の makestep は起動時だけ) / let NTP slew (makestep only at the start)",
        )


def disk(seen: Seen) -> Iterator[Found]:
    for folder, free in seen.free.items():
        if free is None:
            yield (
                Level.FAIL,
                f"{folder} を使えません / {folder} cannot be used",
                "所有者・権限とマウントを確かめる / see to its owner, rights and mount",
            )
        elif free < FREE_WARN:
            yield (
                Level.FAIL if free < FREE_LEAST else Level.WARN,
                f"{folder} の空きは {free / 1e9:.1f} GB / {free / 1e9:.1f} GB free in {folder}",
                "古い録音を決められた保管先へ移す / move old recordings to where the contract keeps them",
            )


def ports(seen: Seen) -> Iterator[Found]:
    for told in seen.ports_taken:
        yield (
            Level.FAIL,
            told,
            "ss -lntup で、使っている方を見る / see by ss -lntup what uses it",
        )


def certificates(seen: Seen) -> Iterator[Found]:
    for name, ends in seen.certificates.items():
        if isinstance(ends, str):
            yield Level.FAIL, f"{name}: {ends}", "ファイルを正しいものに替える / put the right files in place"
        elif ends - seen.now <= CERTIFICATE_WARN_S:
            days = (ends - seen.now) / 86400
            yield (
                Level.FAIL if days <= 0 else Level.WARN,
                f"{name}: 証明書は期限切れです / the certificate has run out"
                if days <= 0
                else f"{name}: 証明書はあと {days:.0f} 日 / the certificate has {days:.0f} days left",
                "更新する。電話機用 (tls/) は callcore の再起動で作り直される / "
                "renew it; that of the phones (tls/) is made anew by a restart of callcore",
            )


def database(seen: Seen) -> Iterator[Found]:
    if seen.database is not None:
        yield (
            Level.FAIL,
            f"データベースを使えません: {seen.database} / the database cannot be used",
            "データベースと CALLCORE_DATABASE_URL を確かめる。通話は続き、直れば自動で取り込まれる / "
            "see to the database and CALLCORE_DATABASE_URL; calls go on, and it is filled by itself afterwards",
        )
    elif seen.tables[0] != seen.tables[1]:
        yield (
            Level.FAIL if seen.up else Level.WARN,
            f"表の版は {seen.tables[0]}、この callcore は {seen.tables[1]} / "
            f"the tables are of {seen.tables[0]}, not {seen.tables[1]}",
            "callcore migrate(起動時に自動で行われる) / callcore migrate (a start does it by itself)",
        )


def prompts(seen: Seen) -> Iterator[Found]:
    if seen.prompts:
        named = ", ".join(seen.prompts[:NAMED])
        yield (
            Level.FAIL,
            f"案内音声 {len(seen.prompts)} 件がないか文と違う: {named} / prompts are missing or say something else",
            "scripts/prompts、または callcore prompts use / scripts/prompts, or callcore prompts use",
        )


def phones(seen: Seen) -> Iterator[Found]:
    for row in seen.phones or ():
        policy = Policy(row["policy"])
        if policy is not Policy.MATCHED:
            ja, en = WORDS[policy]
            yield (
                Level.FAIL if policy in REFUSALS else Level.WARN,
                f"{row['phone']}({row['seat']}): {ja} / {row['phone']} ({row['seat']}): {en}",
                "電源・LAN・登録を確かめる。台帳と違うものは docs/desk-phones / "
                "see to its power, network and registration; for what does not match, docs/desk-phones",
            )


def trunk(seen: Seen) -> Iterator[Found]:
    if not seen.trunk_in:
        yield (
            Level.WARN,
            "CALLCORE_TRUNK_HOSTS が空で、入電がありません / CALLCORE_TRUNK_HOSTS is empty: no call can come in",
            "通信会社のアドレスを書く / write the carrier's addresses there",
        )
    if seen.gauges.get("engine_trunk_reachable") == 0:
        yield (
            Level.FAIL,
            "発信先の回線が OPTIONS に応答しません / the carrier of calls to the outside does not answer OPTIONS",
            "通信会社と回線の機器、CALLCORE_TRUNK_OUT を確かめる / "
            "see to the carrier, its gateway and CALLCORE_TRUNK_OUT",
        )


def journal(seen: Seen) -> Iterator[Found]:
    if seen.gauges.get("engine_journal_stuck_seconds"):
        yield (
            Level.FAIL,
            "ジャーナルに書けず、判断が止まっています / the journal cannot be written, so nothing is decided",
            "ディスクの空きと故障を見る / look at the disk's room and health",
        )
    if seen.gauges.get("engine_events_late"):
        yield (
            Level.WARN,
            "Asterisk のイベントが遅れています / Asterisk's events are late",
            "マシンの負荷を見る / look at the machine's load",
        )


def secrets(seen: Seen) -> Iterator[Found]:
    for path in seen.readable:
        yield (
            Level.FAIL,
            f"{path}: 他の利用者が読めます / {path}: others can read it",
            f"chmod go= {path}。漏れた恐れがあれば作り直す / chmod go= {path}; make it anew if it may be known",
        )


def recordings(seen: Seen) -> Iterator[Found]:
    for told in seen.recordings:
        yield (
            Level.FAIL,
            told,
            "直るまで録音は暗号化されないか、開けません。直ったら callcore recordings verify / "
            "until it is mended recordings are not encrypted, or do not open; then callcore recordings verify",
        )
    if seen.ahead:
        named = ", ".join(f"{centre} ({day})" for centre, day in seen.ahead.items())
        yield (
            Level.WARN,
            f"録音の鎖が今日より先の日にある(時計が進んでいた間に書いた): {named} / "
            "the chain of recordings ends on a day to come; it was written to while the clock was ahead",
            "時計を合わせる。録音は失われず、その日までの分もその日の鎖に入り、その間の日次報告に根は出ない。"
            "市には毎日、callcore recordings verify の示すその先の日の根を渡す / "
            "set the clock right. Nothing is lost: what is kept or erased until that day stands in its chain, and the "
            "daily figures until then have no root; give the city each day the root of that day to come, "
            "as callcore recordings verify prints it",
        )
    if seen.departed:
        yield (
            Level.WARN,
            f"センターファイルにないセンターの録音があります: {', '.join(seen.departed)} / "
            "there are recordings of centres that stand in no file",
            "指示があるまで保存される。保存期間を過ぎたら callcore erase --centre … で消去するか、ファイルを戻す / "
            "they are kept until told: when their time is over erase them by callcore erase --centre …, or put "
            "the file back",
        )
    if seen.untimed:
        named = ", ".join(seen.untimed[:NAMED]) + (
            f" … ({len(seen.untimed)})" if seen.untimed[NAMED:] else ""
        )
        yield (
            Level.FAIL,
            f"録音の鎖の行の時刻が読めません(書き換えられた): {named} / "
            "lines of the chain of recordings were edited: their times cannot be read",
            "callcore recordings verify で確かめ、バックアップの chain.jsonl と比べる。その録音は、"
            "通話の終わりが分からなければ、指示があるまで消去されない / "
            "see callcore recordings verify and the back-up's chain.jsonl; a recording of such a line is kept until "
            "told, unless its call is known",
        )
    if seen.lacking_ffmpeg:
        named = ", ".join(seen.lacking_ffmpeg)
        yield (
            Level.WARN,
            f"録音の形式に要る ffmpeg がありません: {named} / the formats of these centres' recordings need ffmpeg",
            "ffmpeg を入れる(apt install ffmpeg)。それまでは 16 bit WAV で保存される / "
            "apt install ffmpeg; until then they are kept as 16 bit WAV",
        )


CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        running,
        centres,
        asterisk,
        modules,
        cel,
        clock,
        disk,
        ports,
        certificates,
        database,
        prompts,
        phones,
        trunk,
        journal,
        secrets,
        recordings,
    )
}


def judge(seen: Seen) -> list[Finding]:
    found: list[Finding] = []
    for name, check in CHECKS.items():
        told = [Finding(name, *each) for each in check(seen)]
        found += told or [Finding(name, Level.OK, "正常 / well")]
    return found


def status(found: Sequence[Finding]) -> int:
    """0: all is well; 1: warnings; 2: something fails."""
    levels = {each.level for each in found}
    return 2 if Level.FAIL in levels else 1 if Level.WARN in levels else 0
