"""What a reconciliation found, in words: one line for people in Japanese and English, one JSON line for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from callcore.audit.compare import Cause, Difference, Gap, Kind, Reconciliation, Source
from callcore.domain.ids import SECOND

NAMED = 5
"""Calls of a gap that are named; the others are counted."""

KINDS: dict[Kind, tuple[str, str]] = {
    Kind.MISSING_IN_JOURNAL: ("ジャーナルにない", "not in the journal"),
    Kind.MISSING_IN_CDR: ("CDR にない", "not in the CDR"),
    Kind.MISSING_IN_CEL: ("CEL にない", "not in the CEL"),
    Kind.OPEN_IN_JOURNAL: ("ジャーナルでは終わっていない", "not over in the journal"),
    Kind.ARRIVAL_TIME: ("着信時刻が違う", "arrival differs"),
    Kind.END_TIME: ("終了時刻が違う", "end differs"),
    Kind.ANSWERED: ("応答の有無が違う", "answered or not differs"),
    Kind.ANSWER_TIME: ("応答時刻が違う", "answer time differs"),
    Kind.TALKS: ("通話の回数が違う", "number of talks differs"),
    Kind.TALK_END_TIME: ("通話終了時刻が違う", "end of talk differs"),
    Kind.TALK_LENGTH: ("通話の長さが違う", "length of talk differs"),
    Kind.PHONE: ("応答した電話機が違う", "another phone answered"),
    Kind.OUTCOME: ("結果が合わない", "outcome does not fit"),
    Kind.RECORDING_MISSING: ("録音がない", "recording is missing"),
    Kind.RECORDING_UNREADABLE: ("録音を読めない", "recording cannot be read"),
    Kind.RECORDING_CUT: ("録音が途中で切れている", "recording is cut off"),
    Kind.RECORDING_CHANGED: ("録音が後から変わった", "recording was changed after it was filed"),
    Kind.RECORDING_EMPTY: ("録音に音がない", "recording holds no sound"),
    Kind.RECORDING_SHORT: ("録音が通話より短い", "recording is shorter than the talk"),
    Kind.RECORDING_LONG: ("録音が通話より長い", "recording is longer than the talk"),
    Kind.RECORDING_SILENT: ("録音に声がない", "nobody is heard in the recording"),
    Kind.RECORDING_ONE_SIDED: ("録音に片方の声がない", "one side is not heard in the recording"),
    Kind.RECORDING_CLIPPED: ("録音の音が割れている", "recording is clipped"),
    Kind.RECORDING_NO_MEDIA: ("どちらからも音が届かない時間", "a time without sound from either side"),
    Kind.RECORDING_UNANSWERED: ("応答のない入電に録音がある", "recording of a call without an answer"),
    Kind.RECORDING_ORPHAN: ("どの入電のものでもない録音", "recording of no call"),
}

CAUSES: dict[Cause, tuple[str, str]] = {
    Cause.ASTERISK_DIED: ("Asterisk とともに終わった入電", "the call went with Asterisk"),
    Cause.JOURNAL_ENDED: (
        "エンジン停止後の出来事。起動すると補われます",
        "after the engine stopped; it is made up for at its start",
    ),
    Cause.UNWATCHED: ("見ていない間の出来事。復元と記録済み", "nobody watched; marked as reconstructed"),
    Cause.IMPRECISE: ("イベントが遅れていた間の入電", "events came late then; the call is marked imprecise"),
    Cause.CLOCK_STEPPED: ("通話中に時計が変更された", "the clock was set during the call"),
    Cause.ERASED: ("録音は消去済み", "its recording was erased"),
}

SOURCES: dict[Source, tuple[str, str]] = {
    Source.CDR: ("CDR", "CDR"),
    Source.CEL: ("CEL", "CEL"),
    Source.RECORDING: ("録音", "recording"),
}

NOTHING = "–"


def headline(results: Iterable[Reconciliation]) -> str:
    """照合済 n件・不一致 m件."""
    all_of = list(results)
    calls, faults = sum(r.calls for r in all_of), sum(len(r.faults) for r in all_of)
    return f"照合済 {calls}件・不一致 {faults}件 / {calls} calls reconciled, {faults} differences"


def text(result: Reconciliation) -> Iterator[str]:
    """Each difference of one centre's day and what else must be known of it; nothing when there is nothing to say."""
    for difference in result.faults:
        yield line(difference)
    if result.explained:
        n = len(result.explained)
        yield f"理由の分かっている差 {n}件 / {n} differences with a known reason:"
        for difference in result.explained:
            yield line(difference)
    if result.open:
        yield f"未了 {result.open}件は含みません / {result.open} calls are not over and not included"
    if result.before:
        yield (
            f"ジャーナルの始まる前の {result.before}件は含みません / "
            f"{result.before} calls from before the journal began are not included"
        )
    for gap in result.gaps:
        yield gap_line(gap)


def line(of: Difference) -> str:
    """One difference, with its call and both values."""
    ja, en = KINDS[of.kind]
    source_ja, source_en = SOURCES[of.source]
    ours, theirs = of.journal or NOTHING, of.other or NOTHING
    told = (
        f"{of.call}  {ja}: ジャーナル {ours}・{source_ja} {theirs} / "
        f"{en}: journal {ours}, {source_en} {theirs}"
    )
    if of.cause is None:
        return told
    return f"{told} ({' / '.join(CAUSES[of.cause])})"


def gap_line(gap: Gap) -> str:
    """Which calls a book does not reach back to, and what to do."""
    name = SOURCES[gap.source][1]
    n = len(gap.calls)
    named = ", ".join(gap.calls[:NAMED]) + (" …" if n > NAMED else "")
    if gap.begins is None:
        said = f"{name} の記録がありません", f"there are no {name} records"
    else:
        said = f"{name} の記録は {gap.begins} からです", f"the {name} records begin at {gap.begins}"
    return (
        f"{said[0]}。{n}件を照合できません ({named})。移したファイルを元のフォルダへ戻し、もう一度実行してください / "
        f"{said[1]}; {n} calls cannot be reconciled ({named}). Put the files that were moved away back into their "
        "folder, then run it again"
    )


def json_lines(result: Reconciliation) -> Iterator[str]:
    """The result's own line, then one for each difference. Times in ISO 8601."""
    at = datetime.fromtimestamp(result.at / SECOND, UTC).isoformat(timespec="milliseconds")
    yield _json(
        {
            "centre": result.centre,
            "day": result.day,
            "at": at,
            "calls": result.calls,
            "differences": len(result.faults),
            "explained": len(result.explained),
            "open": result.open,
            "before_journal": result.before,
            "unsettled": result.unsettled,
            "gaps": [
                {"source": g.source.value, "begins": g.begins, "calls": list(g.calls)} for g in result.gaps
            ],
        }
    )
    for of in result.differences:
        ja, en = KINDS[of.kind]
        yield _json(
            {
                "call": of.call,
                "kind": of.kind.value,
                "source": of.source.value,
                "journal": of.journal,
                "other": of.other,
                "cause": None if of.cause is None else of.cause.value,
                "ja": ja,
                "en": en,
            }
        )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
