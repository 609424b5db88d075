"""What goes wrong, as RFC 9457 problem details in Japanese and English, with what to do next."""

from __future__ import annotations

from dataclasses import dataclass

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
WRONG_HOST = Kind(
    "wrong-host",
    421,
    "この名前では開けません / Not served under this name",
    "このマシンで http://127.0.0.1 または http://localhost から開いてください。 / "
    "Open it on this machine as http://127.0.0.1 or http://localhost.",
)
TOO_MANY = Kind(
    "too-many-streams",
    503,
    "接続が多すぎます / Too many live streams",
    "使っていない画面を閉じて、数秒後にもう一度開いてください。 / "
    "Close boards that nobody looks at and try again in a few seconds.",
)
NO_STORE = Kind(
    "store-unavailable",
    503,
    "保存先に届きません / The store cannot be asked",
    "通話には影響しません。/readyz で状態を確かめ、復旧後にもう一度お試しください。 / "
    "Calls go on. Look at /readyz and try again when the database is back.",
)
OURS = Kind(
    "internal-error",
    500,
    "内部エラー / Internal error",
    "通話には影響しません。記録を担当者に伝えてください。 / Calls go on. Give the log to whoever maintains this.",
)

BY_STATUS = {kind.status: kind for kind in (NOT_FOUND, METHOD, REFUSED, INVALID, OURS)}


def respond(
    kind: Kind, path: str, *, detail: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    body = Problem(
        type=f"urn:callcore:problem:{kind.name}",
        title=kind.title,
        status=kind.status,
        detail=detail or kind.detail,
        instance=path,
    )
    return Response(body.model_dump_json(), kind.status, headers, CONTENT_TYPE)
