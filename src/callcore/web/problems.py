"""What goes wrong, as RFC 9457 problem details in Japanese and English, with what to do next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from callcore.web.models import Problem

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    status: int
    title: str
    detail: str


NOT_FOUND = Kind(
    "not-found",
    404,
    "見つかりません / Not found",
    "アドレスを確かめてください。使えるものは /api/v1/openapi.json にあります。 / "
    "Check the address; /api/v1/openapi.json lists what there is.",
)
NOT_READ = Kind(
    "journal-not-read",
    503,
    "起動中です / Starting",
    "ジャーナルを読んでいます。Retry-After 秒後にもう一度送ってください。通話には影響しません。 / "
    "The journal is being read. Ask again after Retry-After seconds; calls go on.",
)
METHOD = Kind(
    "method-not-allowed",
    405,
    "この操作はできません / Method not allowed",
    "使える操作は Allow ヘッダーにあります。 / The Allow header names what may be done here.",
)
INVALID = Kind(
    "invalid-request",
    422,
    "要求が正しくありません / Invalid request",
    "値を直してもう一度送ってください。 / Correct the value and send it again.",
)
REFUSED = Kind(
    "bad-request",
    400,
    "要求が正しくありません / Bad request",
    "要求を直してもう一度送ってください。 / Correct the request and send it again.",
)
UNDECODABLE = Kind(
    "undecodable-body",
    400,
    "本文を読み取れません / The body cannot be read",
    "本文を UTF-8 で書き、Content-Type と合わせてもう一度送ってください。 / "
    "Write the body in UTF-8 as its Content-Type says, and send it again.",
)
UNAUTHENTICATED = Kind(
    "unauthenticated",
    401,
    "サインインが必要です / Sign in first",
    "サインインしてからもう一度開いてください。機械は有効なトークンを Authorization ヘッダーで送ってください。 / "
    "Sign in and try again. A machine sends a valid token in the Authorization header.",
)
FORBIDDEN = Kind(
    "forbidden",
    403,
    "許可されていません / Not allowed",
    "必要な場合は、ページを開き直してやり直すか、管理者に相談してください。 / "
    "If you need it, open the page again and retry, or ask your administrator.",
)
CSRF = FORBIDDEN
"""A form that did not come from a page of ours. Its answer is that of any other refusal, word for word."""
TLS_NEEDED = Kind(
    "tls-needed",
    403,
    "https で開いてください / Open it by https",
    "暗号化されていない接続には、このマシンの中でしか答えません。プロキシの後ろなら、"
    "プロキシに X-Forwarded-Proto を付けさせ、そのアドレスを CALLCORE_WEB_PROXIES に書いてください。 / "
    "Without encryption only this machine itself is answered. Behind a proxy: have it set X-Forwarded-Proto, and list "
    "its address in CALLCORE_WEB_PROXIES.",
)
TOO_SLOW = Kind(
    "request-timeout",
    408,
    "要求が届き終わりません / The request did not arrive in time",
    "回線を確かめて、もう一度送ってください。 / Look at the connection and send it again.",
)
CONFLICT = Kind(
    "conflict",
    409,
    "今の状態ではできません / Not possible as things stand",
    "その間にほかで変わりました。新しい状態を見て、必要ならやり直してください。 / "
    "It has changed in the meantime. Look at it as it is now, and do it again if it is still wanted.",
)
TOO_LARGE = Kind(
    "body-too-large",
    413,
    "本文が大きすぎます / The body is too large",
    "短くするか、分けて送ってください。 / Make it shorter, or send it in parts.",
)
URL_TOO_LONG = Kind(
    "address-too-long",
    414,
    "アドレスが長すぎます / The address is too long",
    "短いアドレスで送ってください。 / Send it with a shorter address.",
)
UNSUPPORTED_MEDIA = Kind(
    "unsupported-media-type",
    415,
    "この形式の本文は受け付けません / This kind of body is not taken",
    "使える形式は /api/v1/openapi.json にあります。圧縮せず UTF-8 で送ってください。 / "
    "/api/v1/openapi.json says which kinds are. Send it uncompressed, in UTF-8.",
)
TOO_OFTEN = Kind(
    "too-often",
    429,
    "試行が多すぎます / Too many attempts",
    "Retry-After ヘッダーの秒数だけ待ってから、もう一度お試しください。 / "
    "Wait for as many seconds as the Retry-After header says, then try again.",
)
HEADERS_TOO_LARGE = Kind(
    "headers-too-large",
    431,
    "ヘッダーが大きすぎます / The headers are too large",
    "このサイトの Cookie を消して、もう一度お試しください。 / Delete this site's cookies and try again.",
)
WRONG_HOST = Kind(
    "wrong-host",
    421,
    "この名前では開けません / Not served under this name",
    "このマシンの localhost から開くか、CALLCORE_WEB_NAMES にある名前で開いてください。 / "
    "Open it on its own machine as localhost, or under a name that CALLCORE_WEB_NAMES lists.",
)
TOO_MANY = Kind(
    "too-many-streams",
    503,
    "接続が多すぎます / Too many live streams",
    "使っていない画面を閉じて、数秒後にもう一度開いてください。 / "
    "Close boards that nobody looks at and try again in a few seconds.",
)
STORE_BACK_S = 5
"""After how many seconds to ask again for what the store has."""
NO_STORE = Kind(
    "store-unavailable",
    503,
    "保存先に届きません / The store cannot be asked",
    "通話には影響しません。/readyz で状態を確かめ、復旧後にもう一度お試しください。 / "
    "Calls go on. Look at /readyz and try again when the database is back.",
)
NO_SOUND = Kind(
    "no-sound",
    410,
    "音声がありません / There is no sound",
    "記録は残っていますが、音声は初めからないか、消去済みです。 / "
    "What is known of it is kept; the sound never was there, or was erased.",
)
SOUND_SHUT = Kind(
    "sound-unopened",
    500,
    "録音を開けません / The recording cannot be opened",
    "通話には影響しません。管理者に伝えてください。 / Calls go on. Tell your administrator.",
)
NUMBERS_SHUT = Kind(
    "numbers-unsearchable",
    500,
    "番号では探せません / Numbers cannot be looked for",
    "鍵が読めません。番号以外では探せます。管理者に伝えてください。 / "
    "A key cannot be read. Whatever else is known finds them; tell your administrator.",
)
EXPORT_UNSIGNED = Kind(
    "export-unsigned",
    500,
    "書き出しに署名できません / The archive cannot be signed",
    "通話には影響しません。管理者に伝えてください。 / Calls go on. Tell your administrator.",
)
GRANT_OVER = Kind(
    "grant-over",
    410,
    "聴取の許可が切れています / The grant is over",
    "目的を入れて、もう一度聞いてください。 / State the purpose and listen again.",
)
NO_RECORDINGS = Kind(
    "no-recordings",
    404,
    "条件に合う録音はありません / No recording fits",
    "期間と通話を確かめてください。 / See to the days and the calls.",
)
TOO_MANY_RECORDINGS = Kind(
    "too-many-recordings",
    422,
    "一度に渡せる件数を超えています / Too many recordings for one archive",
    "期間を短く分けてください。 / Take shorter ranges.",
)
TOO_MANY_EXPORTS = Kind(
    "too-many-exports",
    503,
    "ほかの書き出しが終わるのを待ってください / Too many archives are being sent",
    "しばらくして、もう一度行ってください。 / Ask again when another one is through.",
)
RANGE = Kind(
    "range-not-satisfiable",
    416,
    "音声の範囲外です / Beyond the sound",
    "Content-Range ヘッダーに大きさがあります。 / The Content-Range header tells its size.",
)
TRAIL_UNWRITABLE = Kind(
    "audit-trail-unwritable",
    503,
    "監査記録を書けないため、何も行っていません / Nothing was done: the audit trail cannot be written",
    "通話には影響しません。ディスクの空きと /readyz を管理者に確かめてもらい、その後もう一度行ってください。 / "
    "Calls go on. Have the administrator look at the disk's free space and /readyz, then do it again.",
)
KEY_REUSED = Kind(
    "key-reused",
    422,
    "この Idempotency-Key は別の要求に使われています / This Idempotency-Key belongs to another request",
    "新しい要求には新しいキーを付けてください。 / Give each new request a key of its own.",
)
KEY_OPEN = Kind(
    "key-open",
    409,
    "このキーの要求は処理中か、行われたか不明です / Under way, or not known to be done",
    "画面で状態を見て、行われていなければ新しいキーでもう一度送ってください。 / "
    "See on the board whether it took effect; if it did not, send it again with a new key.",
)
KEY_UNWRITABLE = Kind(
    "key-unwritable",
    503,
    "キーを書けないため、何も行っていません / Nothing was done: the key cannot be written",
    "通話には影響しません。ディスクの空きを管理者に確かめてもらい、その後もう一度行ってください。 / "
    "Calls go on. Have the administrator look at the disk's free space, then do it again.",
)
ENGINE_AWAY = Kind(
    "engine-away",
    503,
    "エンジンから応答がありません / The engine does not answer",
    "通話は続いています。/readyz で状態を確かめ、届いたかどうかを画面で見てから、必要ならもう一度行ってください。 / "
    "Calls go on. Look at /readyz, see on the board whether it took effect, and do it again if need be.",
)
OURS = Kind(
    "internal-error",
    500,
    "内部エラー / Internal error",
    "通話には影響しません。記録を担当者に伝えてください。 / Calls go on. Give the log to whoever maintains this.",
)

BY_STATUS = {
    kind.status: kind
    for kind in (
        REFUSED,
        UNAUTHENTICATED,
        FORBIDDEN,
        NOT_FOUND,
        METHOD,
        TOO_SLOW,
        CONFLICT,
        TOO_LARGE,
        UNSUPPORTED_MEDIA,
        INVALID,
        TOO_OFTEN,
        OURS,
    )
}
"""What an HTTPException of a status is told as."""


EXAMPLES = BY_STATUS | {
    kind.status: kind
    for kind in (GRANT_OVER, URL_TOO_LONG, RANGE, WRONG_HOST, HEADERS_TOO_LARGE, TRAIL_UNWRITABLE)
}
"""One that is answered with that status, for the OpenAPI document."""

OF_ORDERS = {kind.name: kind for kind in (FORBIDDEN, CONFLICT, ENGINE_AWAY)}
"""What an order to the engine may come to, by name."""


def documented(description: str) -> dict[str, Any]:
    """How an answer of this kind stands in the OpenAPI document."""
    return {
        "description": description,
        "model": Problem,
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def documented_whole(description: str) -> dict[str, Any]:
    """The same in a document that is made already."""
    return {key: value for key, value in documented(description).items() if key != "model"}


def example(status: int, path: str) -> dict[str, Any]:
    """One of that status; raises KeyError."""
    return _problem(EXAMPLES[status], path, None).model_dump(mode="json")


def respond(
    kind: Kind, path: str, *, detail: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    more = {"www-authenticate": "Bearer"} if kind.status == 401 else {}  # RFC 9110, 15.5.2
    if kind is NO_STORE:
        more["retry-after"] = str(STORE_BACK_S)
    return Response(
        body_of(kind, path, detail=detail), kind.status, {**more, **(headers or {})}, CONTENT_TYPE
    )


def too_often(path: str, wait_s: float) -> Response:
    """`wait_s`: seconds until the next attempt is taken; told rounded up: who waits as told is not too early."""
    return respond(TOO_OFTEN, path, headers={"retry-after": str(max(1, math.ceil(wait_s)))})


def not_read(path: str) -> Response:
    """The sidecar has just been started: whether there is what was asked for is not known yet."""
    return respond(NOT_READ, path, headers={"retry-after": "1"})


def body_of(kind: Kind, path: str, *, detail: str | None = None) -> bytes:
    """What came from outside may hold anything that Python calls text, half a surrogate pair included."""
    return _problem(kind, path, detail).model_dump_json().encode()


def _problem(kind: Kind, path: str, detail: str | None) -> Problem:
    return Problem(
        type=f"urn:callcore:problem:{kind.name}",
        title=kind.title,
        status=kind.status,
        detail=_sound(detail or kind.detail),
        instance=_sound(path),
    )


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
