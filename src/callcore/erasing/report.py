"""作業完了報告書: what was erased, how, by whom, when, and what the look afterwards found. Signed, and to be printed.

The JSON is one object; `sig`, always last, is Ed25519 in hex over `callcore erasure report 1`, a line feed, and the
object without `,"sig":"…"`, by the key that signs the chain of recordings. It holds no number and no name of a citizen.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

import msgspec

from callcore.erasing.copies import Copies
from callcore.erasing.plan import Left, Searched
from callcore.erasing.search import AWAY
from callcore.erasing.sounds import Gone
from callcore.recordings.signing import PublicKeys, Signer, signed_by

SIGNED = b"callcore erasure report 1\n"
_SIG = re.compile(rb',"sig":"([0-9a-f]{128})"\}\s*\Z')

SCOPES = {
    "call": ("通話", "calls"),
    "number": ("ひとつの電話番号", "one person's number"),
    "period": ("期間", "period"),
    "centre": ("センター全体", "a whole centre"),
    "retention": ("保存期間の満了", "retention period over"),
}
METHOD = (
    (
        "録音は、録音ごとの鍵(AES-256)を破棄し、暗号化したファイルを削除しました。消去は署名つきの行として、その日の鎖に記録されています。",
        "Each recording's own key (AES-256) was destroyed and its encrypted file removed; the erasure is a signed line "
        "in the chain of its day.",
    ),
    (
        "電話番号とメモは、通話または用件ごとの鍵を破棄し、ジャーナル・保存点・その写しのどこにあっても復号できなくしました。データベースの行からは削除しました。",
        "Numbers and notes: the key of each call and task was destroyed, so that nothing of them opens in journal, "
        "checkpoints or their copies; they were removed from the database.",
    ),
    (
        "Asterisk の記録(CEL・CDR・ログ)の中の番号は、その場所で上書きしました。",
        "Numbers in Asterisk's own files (CEL, CDR, logs) were overwritten where they stood.",
    ),
    (
        "通話の記録(日時、結果など)は、個人情報なしで残ります。",
        "What remains of each call (times, outcome) holds nothing that belongs to a person.",
    ),
)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Instants: RFC 3339 with the centre's offset. `rows_left`, `opens`: what the check after the erasure found (rows
    that still tell of a person or of an erased recording; keys or files that are still there, back-ups included, sound
    of these calls that was not erased, and what of the back-ups cannot be looked into): 0 is as it must be.
    `unread`: what else could not be looked into for them, and what of the back-ups could not be changed, each with
    why."""

    id: str
    centre: str
    name: str
    """The centre's."""
    scope: str
    what: str
    reason: str
    by: str
    ordered_at: str
    done_at: str
    installation: str
    software: str
    calls: list[str]
    personal: list[str]
    """The calls whose numbers and notes were erased."""
    tasks: list[str] = []
    """Tasks with a name of their own (`task-…`), whose numbers, subjects, notes and results were erased."""
    entries: int
    recordings: list[Gone]
    left: list[Left]
    resumed: int
    """How often it was cut off, and gone on with."""
    searched: Searched
    copies: Copies
    rows_left: int
    opens: list[str]
    unread: list[str] = []
    key: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing of what was to be erased was found afterwards, and all but archives could be looked into."""
        return self.searched.whole and not (self.left_over or self.unread)

    @property
    def left_over(self) -> bool:
        return bool(self.searched.found or self.rows_left or self.opens)


def signed(report: Report, signer: Signer) -> bytes:
    body = msgspec.json.encode(msgspec.structs.replace(report, key=signer.id))
    return body[:-1] + b',"sig":"' + signer.sign(SIGNED + body).encode() + b'"}\n'


DAMAGED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading raises of a report that somebody edited."""


def checked(raw: bytes, keys: PublicKeys) -> Report | None:
    """The report, if one of the keys signed it as it is."""
    found = _SIG.search(raw)
    if found is None:
        return None
    body = raw[: found.start()] + b"}"
    try:
        report = msgspec.json.decode(body, type=Report)
    except DAMAGED:
        return None
    return report if signed_by(keys, report.key, SIGNED + body, found[1].decode()) else None


def of(raw: bytes) -> Report:
    """Without a look at its signature."""
    return msgspec.json.decode(raw, type=Report)


STYLE = (
    "body{font-family:'Noto Sans CJK JP','Noto Sans JP',sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#111;background:#fff;line-height:1.5}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:1.6rem}"
    "table{border-collapse:collapse;width:100%;font-size:.85rem}th,td{border:1px solid #767676;padding:.25rem .5rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#f0f0f0}.sign td{height:3.5rem}"
    "@page{size:A4;margin:15mm}"
)
"""Its SHA-256 stands in the page's own content security policy (`web/erasures.py`)."""


def page(report: Report, raw_sha256: str) -> str:
    """The report to be printed, in Japanese and English on the same sheet; needs nothing but itself."""
    scope = SCOPES[report.scope]
    searched, copies = report.searched, report.copies
    done = (
        "消去すべきものは見つかりませんでした。 / Nothing of what was to be erased was found."
        if report.complete
        else "消去すべきものが残っているか、確かめられないものがあります。下の表を確かめてください。 / "
        "Something is left, or could not be looked into; see the tables below."
        if report.left_over
        else "確かめられなかったものがあります。下の表を確かめてください。 / "
        "Something could not be looked into; see the tables below."
    )
    facts: list[tuple[str, Any]] = [
        ("報告書 / report", report.id),
        ("センター / centre", f"{report.name} ({report.centre})"),
        ("対象 / what", f"{scope[0]} / {scope[1]}: {report.what}"),
        ("理由 / reason", report.reason),
        ("指示した人 / ordered by", report.by),
        ("指示の日時 / ordered at", report.ordered_at),
        ("完了の日時 / done at", report.done_at),
        ("設置・版 / installation, version", f"{report.installation}, callcore {report.software}"),
        (
            "中断 / cut off",
            f"{report.resumed} 回、再開して完了 / times, then gone on with" if report.resumed else "–",
        ),
    ]
    counts: list[tuple[str, Any]] = [
        ("通話 / calls", len(report.calls)),
        ("録音 / recordings", len(report.recordings)),
        ("録音の量 (バイト) / bytes of sound", sum(each.size or 0 for each in report.recordings)),
        ("番号とメモを消した通話 / calls without number and notes now", len(report.personal)),
        (
            "番号・件名・メモ・結果を消した用件 / tasks without number, subject, note, result now",
            len(report.tasks),
        ),
        ("着信拒否の登録 / entries of the list of unwelcome callers", report.entries),
        ("Asterisk の記録で上書きした値 / values overwritten in Asterisk's files", searched.overwritten),
        (
            "バックアップで破棄した鍵 / keys destroyed in back-ups",
            copies.call_keys + copies.recording_keys,
        ),
        ("バックアップで削除したファイル / files removed from back-ups", copies.files),
        ("バックアップで上書きした値 / values overwritten in back-ups", copies.overwritten),
        ("消去しなかった通話・用件 / calls and tasks not erased", len(report.left)),
    ]
    checks: list[tuple[str, Any]] = [
        ("探した日時 / searched at", searched.at),
        ("探した番号 / numbers looked for", searched.numbers),
        (
            "ほかの通話で保存中のため探さなかった番号 / not looked for, kept with other calls",
            searched.numbers_kept,
        ),
        (
            "鍵が失われ、探せなかった番号 / not looked for, their key is lost",
            searched.numbers_closed,
        ),
        ("番号が見つかった数 / numbers found", searched.found),
        ("読めなかったファイル / files that could not be read", searched.files_unread),
        (
            "残る・確かめられない鍵・ファイル・録音 (バックアップも) / "
            "keys, files or recordings left or not looked into, back-ups too",
            len(report.opens),
        ),
        ("残るデータベースの行 / rows left in the database", report.rows_left),
        (
            "確かめられなかった鍵と、書き換えられなかったバックアップ / "
            "keys that could not be looked into, and files of back-ups that could not be changed",
            len(report.unread),
        ),
    ]
    rows = [
        (
            gone.call,
            gone.name,
            gone.kept or "–",
            "–" if gone.line is None else f"#{gone.line}",
            gone.sha256 or "–",
        )
        for gone in report.recordings
    ]
    places = [
        (
            place.place,
            place.files,
            place.bytes,
            ", ".join(f"{name} ({n})" for name, n in place.found.items()) or "0",
            ", ".join(place.closed) or "–" if place.there else AWAY,
        )
        for place in searched.places
    ]
    parts = [
        f"<h1>作業完了報告書(データ消去) / Report of an erasure</h1><p><strong>{escape(done)}</strong></p>",
        _pairs(facts),
        "<h2>方法 / Method</h2><ul>",
        *(f"<li>{escape(ja)}<br><span lang=en>{escape(en)}</span></li>" for ja, en in METHOD),
        "</ul><h2>件数 / Counts</h2>",
        _pairs(counts),
        "<h2>消去後の確認 / Check afterwards</h2>",
        _pairs(checks),
        *(["<ul>", *(f"<li>{escape(each)}</li>" for each in report.opens), "</ul>"] if report.opens else ()),
        _table(
            (
                "場所 / place",
                "ファイル / files",
                "バイト / bytes",
                "見つかった / found",
                "開けない / not looked into",
            ),
            places,
        ),
        *(f"<p>{escape(each)}</p>" for each in report.unread),
        "<h2>消去した録音 / Recordings erased</h2>",
        _table(
            (
                "通話 / call",
                "録音 / recording",
                "保存した日 / kept on",
                "鎖の行 / line",
                "SHA-256 (暗号化ファイル / sealed file)",
            ),
            rows,
        ),
        "<h2>番号とメモを消した通話 / Calls without number and notes now</h2>",
        f"<p>{escape(', '.join(report.personal)) or '–'}</p>",
        "<h2>番号・件名・メモ・結果を消した用件 / Tasks without number, subject, note, result now</h2>",
        f"<p>{escape(', '.join(report.tasks)) or '–'}</p>",
        "<h2>消去しなかったもの / Not erased</h2>",
        _table(("通話・用件 / call, task", "理由 / why"), [(each.call, each.why) for each in report.left]),
        "<h2>残るもの / What remains elsewhere</h2><p>",
        "鍵の古いバックアップが上の場所のほかにあれば、新しいものに替えてください。",
        "アーカイブの中は確かめていません。 / Where an older back-up of the keys lies outside these places, ",
        "replace it. Archives were not looked into.</p>",
        '<h2>確認 / Signatures</h2><table class="sign"><tr><th scope="row">作業者 / done by</th><td></td></tr>'
        '<tr><th scope="row">確認者 / confirmed by</th><td></td></tr></table>',
        f"<p>JSON SHA-256: {escape(raw_sha256)}<br>署名の鍵 / key that signed: {escape(report.key)}</p>",
    ]
    return (
        '<!doctype html><html lang="ja"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>作業完了報告書 {escape(report.id)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _pairs(rows: list[tuple[str, Any]]) -> str:
    told = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(value))}</td></tr>' for name, value in rows
    )
    return f"<table>{told}</table>"


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    if not rows:
        return "<p>–</p>"
    heads = "".join(f'<th scope="col">{escape(each)}</th>' for each in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(value))}</td>' for value in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
