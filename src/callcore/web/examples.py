"""An example of each request body and each answer of the API, by the name of its schema, and where they stand in the
OpenAPI document.

Rules
- Each operation has one for its JSON body and its good answer; a test holds each against its schema.
- A problem's example is one that is answered with that status.
- One centre, one November morning: what is said in one example is not denied in another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from callcore.web import problems

LIVE: Final[dict[str, Any]] = {
    "seq": "3.1207",
    "at": "2026-11-20T01:02:03.456Z",
    "stale_s": None,
    "linked": True,
    "beside": {
        "health": [{"name": "engine", "ok": True}, {"name": "database", "ok": True}],
        "months": {
            "oita": {
                "answer_ratio": {"value": 0.93, "part": 1860, "whole": 2000},
                "may_lose": 66,
                "must_answer": 0,
            }
        },
    },
    "centres": [
        {
            "id": "oita",
            "name": "大分市マイナンバーカードコールセンター",
            "name_en": "Oita City My Number Card Call Centre",
            "target_answer_ratio": 0.9,
            "thresholds": {"waiting": 3, "wait_s": 20, "by_hand": False},
            "queues": [{"id": "oita-general", "name": "総合案内"}, {"id": "oita-english", "name": "英語"}],
            "skills": ["en", "ja"],
            "pauses": ["休憩", "昼休み"],
            "hours": {
                "open": True,
                "reason": {"ja": "営業時間内", "en": "within opening hours"},
                "changes_at": "2026-11-20T09:00:00.000Z",
                "emergency_until": None,
            },
            "window": {
                "date": "2026-11-20",
                "time_zone": "Asia/Tokyo",
                "first": "2026-11-19T15:00:00.000Z",
                "before": "2026-11-20T15:00:00.000Z",
            },
            "figures": {
                "at": "2026-11-20T01:02:03.456Z",
                "arrived": 23,
                "closed": 2,
                "emergency_closed": 0,
                "blocked": 0,
                "ivr_only": 0,
                "offered": 21,
                "answered": 19,
                "abandoned": 1,
                "abandoned_short": 0,
                "overflow": 0,
                "other_unanswered": 0,
                "failed": 0,
                "waiting": 1,
                "undecided": 0,
                "talking": 1,
                "hangups_before_answer": 1,
                "arrivals": 21,
                "answer_ratio": {"value": 0.95, "part": 19, "whole": 20},
                "service_level": {"value": 0.9, "part": 18, "whole": 20},
                "service_level_s": 20,
                "abandon_ratio": {"value": 0.05, "part": 1, "whole": 20},
                "wait_mean_s": 6.2,
                "wait_median_s": 4.1,
                "wait_p90_s": 15.0,
                "wait_max_s": 31.4,
                "longest_waiting_s": 3.456,
                "held": 4,
                "hold_median_s": 38.2,
                "hold_p90_s": 95.0,
                "hold_max_s": 95.0,
                "reconstructed": 0,
                "imprecise": 0,
                "open": 2,
                "tests": 0,
            },
            "agents_by_state": {
                "ready": 0,
                "resting": 0,
                "reserved": 0,
                "ringing": 0,
                "talking": 1,
                "calling_out": 0,
                "acw": 0,
                "paused": 0,
                "busy": 0,
                "unreachable": 0,
                "signed_out": 0,
            },
            "staffed": 1,
            "curve": {
                "first": "2026-11-19T15:00:00.000Z",
                "step_s": 1800,
                "arrivals": [0] * 17 + [8, 9, 6] + [0] * 28,
                "answers": [0] * 17 + [8, 9, 2] + [0] * 28,
            },
            "reasons": [
                {
                    "id": "oita-general:en:0",
                    "ja": "受け持ち 2 人: 通話中 1、離席 1",
                    "en": "2 could serve: 1 talking, 1 paused",
                }
            ],
            "waiting": [
                {
                    "call": "node1-1795136520.12",
                    "queue": "oita-general",
                    "queue_name": "総合案内",
                    "stage": "waiting",
                    "position": 1,
                    "since": "2026-11-20T01:02:00.000Z",
                    "number": "*******678",
                    "offered_to": None,
                    "in_net": False,
                    "language": "en",
                    "again": False,
                    "priority": 5,
                    "rung": 0,
                    "estimate_s": 42,
                    "because": "oita-general:en:0",
                }
            ],
            "agents": [
                {
                    "agent": "1001",
                    "name": "オペレーター01",
                    "phone": "oita-p1",
                    "seat": "A-1",
                    "state": "talking",
                    "since": "2026-11-20T01:00:12.100Z",
                    "until": None,
                    "device": "busy",
                    "pause": None,
                    "pause_overran": False,
                    "locked_until": None,
                    "result": None,
                    "misses": 0,
                    "attention": 0,
                    "today": {"answered": 6, "talk_mean_s": 184.5},
                    "skills": {"en": 2},
                    "skills_by_hand": False,
                    "watching": None,
                    "guest": False,
                    "why": [],
                    "caller": {
                        "call": "node1-1795136400.9",
                        "number": "********321",
                        "on_hold": False,
                        "held_since": None,
                        "hold_overran": False,
                        "help": False,
                        "help_by": None,
                        "watched_by": [],
                        "abuse": False,
                        "relay": False,
                        "answer": None,
                        "recording_paused": False,
                    },
                    "recording_paused": False,
                }
            ],
            "open_calls": [
                {
                    "call": "node1-1795136400.9",
                    "stage": "talking",
                    "number": "********321",
                    "dialled": "0975105151",
                    "queue": "oita-general",
                    "arrived_at": "2026-11-20T01:00:00.000Z",
                    "answered_at": "2026-11-20T01:00:12.100Z",
                    "agent": "1001",
                    "on_hold": False,
                    "held_since": None,
                    "hold_overran": False,
                    "in_net": False,
                }
            ],
            "outgoing": {
                "made": 3,
                "connected": 2,
                "busy": 1,
                "no_answer": 0,
                "refused": 0,
                "failed": 0,
                "open": 0,
                "talk_s": 95.2,
            },
            "contact": {
                "made": 0,
                "connected": 0,
                "busy": 0,
                "no_answer": 0,
                "refused": 0,
                "failed": 0,
                "open": 0,
                "talk_s": 0.0,
            },
            "departments": {
                "made": 2,
                "connected": 1,
                "busy": 0,
                "no_answer": 0,
                "refused": 1,
                "failed": 0,
                "open": 0,
                "talk_s": 61.0,
            },
            "emergencies_not_carried": [],
            "policy_rejections": 1,
            "phones_refused": [
                {
                    "phone": "oita-p2",
                    "seat": "A-2",
                    "reason": "model",
                    "words": {"ja": "機種が台帳と違う", "en": "another model than in the inventory"},
                    "since": "2026-11-20T01:00:00.000Z",
                }
            ],
            "messages": {
                "open": 1,
                "overdue": 0,
                "next": [
                    {
                        "call": "node1-1795100400.3",
                        "centre": "oita",
                        "queue": "oita-general",
                        "language": "ja",
                        "left_at": "2026-11-19T15:01:20.500Z",
                        "due_at": "2026-11-20T03:30:00.000Z",
                        "overdue": False,
                        "state": "open",
                        "since": "2026-11-19T15:01:20.500Z",
                        "agent": None,
                        "number": "*******678",
                        "result": None,
                        "file": "node1-1795100400.3.message.wav",
                        "seconds": 18.4,
                        "problem": None,
                        "callback": False,
                        "task": False,
                        "subject": None,
                        "department": None,
                        "note": None,
                        "about": "node1-1795100400.3",
                    }
                ],
            },
            "callbacks": [
                {
                    "call": "node1-1795136300.7",
                    "queue": "oita-general",
                    "since": "2026-11-20T00:58:20.000Z",
                    "priority": 5,
                    "state": "waiting",
                    "attempts": 0,
                    "not_before": None,
                    "number": "*******222",
                }
            ],
        }
    ],
}

CALL: Final[dict[str, Any]] = {
    "call": "node1-1795136400.9",
    "centre": "oita",
    "queue": "oita-general",
    "dialled": "0975105151",
    "number": "********321",
    "arrived_at": "2026-11-20T01:00:00.000Z",
    "entered_at": "2026-11-20T01:00:08.000Z",
    "answered_at": "2026-11-20T01:00:12.100Z",
    "ended_at": "2026-11-20T01:03:40.250Z",
    "outcome": "completed",
    "reason": "入電者が切断 / the caller hung up",
    "hung_up_by": "caller",
    "agent": "1001",
    "by_net": False,
    "waited_s": 4.1,
    "talk_s": 208.15,
    "hold_s": 0.0,
    "reconstructed": False,
    "imprecise": False,
    "test": False,
    "visits": [
        {
            "visit": "node1-1795136400.9/1",
            "queue": "oita-general",
            "entered_at": "2026-11-20T01:00:08.000Z",
            "priority": 5,
            "position": 1,
            "estimate_s": 12.5,
            "reasons": [],
            "ended_at": "2026-11-20T01:00:12.100Z",
            "outcome": "answered",
        }
    ],
    "offers": [
        {
            "offer": "3.41",
            "visit": "node1-1795136400.9/1",
            "agent": "1001",
            "phone": "oita-p1",
            "made_at": "2026-11-20T01:00:08.002Z",
            "ended_at": "2026-11-20T01:00:12.100Z",
            "result": "answered",
            "reasons": ["最長待機 95 秒 / longest idle 95 s"],
            "ended_because": None,
        }
    ],
    "notes": [],
    "marks": [
        {
            "at": "2026-11-21T00:30:05.000Z",
            "mark": "complaint",
            "on": True,
            "keyed": False,
            "by": "user:sato",
        }
    ],
    "recording": {"size": 3330444, "seconds": 208.15, "sha256": None, "problem": None},
    "recordings": [
        {
            "kind": "call",
            "call": "node1-1795136400.9",
            "file": "node1-1795136400.9.wav",
            "began_at": "2026-11-20T01:00:12.100Z",
            "ended_at": "2026-11-20T01:03:40.250Z",
            "size": 3330444,
            "seconds": 208.15,
            "sha256": None,
            "problem": None,
        }
    ],
}

WINDOW: Final = LIVE["centres"][0]["window"]
FIGURES: Final = LIVE["centres"][0]["figures"]
AGENT: Final = LIVE["centres"][0]["agents"][0]

_LINE: Final[dict[str, Any]] = {
    name: CALL[name]
    for name in (
        "call",
        "centre",
        "queue",
        "dialled",
        "number",
        "arrived_at",
        "answered_at",
        "ended_at",
        "outcome",
        "hung_up_by",
        "agent",
        "waited_s",
        "talk_s",
        "hold_s",
        "reconstructed",
        "imprecise",
        "test",
    )
} | {"result": "手続き案内", "result_kind": "done"}

_ANSWER_RATIO: Final[dict[str, Any]] = {
    "figure": "answer_ratio",
    "name": {"ja": "応答率", "en": "Answer ratio"},
    "formula": {
        "ja": "応答 ÷ 応答対象(待ち中を含む)",
        "en": "answered ÷ offered, who still waits included",
    },
    "value": None,
    "ratio": {"value": 0.5, "part": 1, "whole": 2},
}

_LOST: Final = _LINE | {
    "call": "node1-1795136300.7",
    "number": "*******222",
    "arrived_at": "2026-11-20T00:58:20.000Z",
    "answered_at": None,
    "ended_at": "2026-11-20T00:59:02.000Z",
    "outcome": "abandoned",
    "agent": None,
    "waited_s": 38.0,
    "talk_s": 0.0,
    "result": None,
    "result_kind": None,
}

_RECORDING: Final[dict[str, Any]] = {
    "recording": "node1-1795136400.9",
    "kind": "call",
    "call": "node1-1795136400.9",
    "side": None,
    "segments": 1,
    "centre": "oita",
    "queue": "oita-general",
    "language": "ja",
    "direction": "in",
    "number": "********321",
    "agents": ["1001"],
    "began_at": "2026-11-20T01:00:12.100Z",
    "ended_at": "2026-11-20T01:03:40.250Z",
    "format": "wav",
    "channels": 1,
    "size": 3330444,
    "seconds": 208.15,
    "sha256": None,
    "problem": None,
    "findings": [],
    "result": "手続き案内",
    "result_kind": "done",
    "department": None,
    "through": None,
    "marks": ["complaint"],
    "pauses": [
        {
            "first": "2026-11-20T01:01:00.000Z",
            "before": "2026-11-20T01:01:20.000Z",
            "reason": "asked",
            "agent": "1001",
            "by": None,
            "gap": False,
            "ended": "asked",
        }
    ],
    "place": "store",
    "key_period": "2026-11",
    "kept_by": "rule",
    "keep_until": "2027-05-20T15:00:00.000Z",
    "legal_hold": False,
    "erased_at": None,
    "erased_why": None,
}

_HOLD_AND_TRANSFER: Final[dict[str, Any]] = {
    "first": "2026-11-20T01:00:00.000Z",
    "before": "2026-11-20T01:30:00.000Z",
    "answered": 19,
    "transferred_attended": 1,
    "transferred_blind": 0,
    "transfer_ratio": {"value": 0.05263157894736842, "part": 1, "whole": 19},
    "lost_on_hold": 0,
    "held": 4,
    "hold_median_s": 38.2,
    "hold_p90_s": 95.0,
    "hold_max_s": 95.0,
    "departments": [
        {
            "department": "oita-shimin",
            "name": "市民課",
            "transferred_attended": 1,
            "transferred_blind": 0,
            "lost_on_hold": 0,
            "asked": 2,
            "unasked": 0,
            "ends": {
                "put_through": 1,
                "came_back": 0,
                "no_answer": 1,
                "busy": 0,
                "closed": 0,
                "refused": 0,
                "failed": 0,
                "lost_on_hold": 0,
            },
            "open": 0,
            "answered": 1,
            "answer_median_s": 9.4,
            "answer_p90_s": 9.4,
            "answer_max_s": 9.4,
        }
    ],
}

_GRANT: Final = {
    "url": "/api/v1/recordings/node1-1795136400.9/audio?grant=3q2-7wAB",
    "expires_at": "2026-11-20T01:20:00.000Z",
}

SIGNED_REPORT: Final[dict[str, Any]] = {
    "id": "erase-20261120020000-1a2b3c",
    "centre": "oita",
    "scope": "call",
    "what": "入電ひとつ / one call",
    "reason": "本人の求め",
    "by": "user:sato",
    "ordered_at": "2026-11-20T11:00:00+09:00",
    "done_at": "2026-11-20T11:00:09+09:00",
    "calls": ["node1-1795136400.9"],
    "key": "64a1c5711ffd9ea5",
    "sig": "b4370c61…",
}
"""Not all of its fields: the printed page explains each."""

BY_SCHEMA: Final[Mapping[str, Any]] = {
    "Alive": {"status": "alive", "version": "0.1.0"},
    "Ready": {
        "ready": True,
        "checks": [
            {"name": "engine", "ok": True, "detail": "正常 / well"},
            {"name": "database", "ok": True, "detail": "正常 / well"},
        ],
    },
    "MeOut": {
        "id": "user:sato",
        "name": "佐藤",
        "role": "supervisor",
        "centres": ["oita"],
        "agent": "1001",
        "rights": {"read_live": "centres", "listen": "centres"},
    },
    "TrailOut": {
        "lines": [
            {
                "n": 1207,
                "at": "2026-11-20T01:02:03.456Z",
                "who": "user:sato",
                "action": "agent_pause",
                "on": "1001",
                "centre": "oita",
                "origin": "192.0.2.10",
                "result": "done",
                "why": "研修",
                "mark": "9f86d081884c7d65",
            }
        ],
        "before": None,
    },
    "Live": LIVE,
    "AgentOut": AGENT,
    "AgentsOut": {
        "seq": "3.1207",
        "at": "2026-11-20T01:02:03.456Z",
        "agents": [AGENT | {"centre": "oita"}],
    },
    "CallOut": CALL,
    "CallsOut": {"calls": [_LINE], "after": "1795136400000000~node1-1795136400.9"},
    "VisitsOut": {
        "visits": [CALL["visits"][0] | {"call": "node1-1795136400.9", "centre": "oita"}],
        "after": "1795136408000000~node1-1795136400.9/1",
    },
    "NumberCallSearchIn": {
        "centre": "oita",
        "first": "2026-11-20T09:00:00+09:00",
        "number": "09012345678",
        "limit": 50,
    },
    "JournalOut": {
        "call": "node1-1795136400.9",
        "facts": [
            {
                "seq": "3.1190",
                "at": "2026-11-20T01:00:12.100Z",
                "kind": "CallAnswered",
                "fields": {"call": "node1-1795136400.9", "agent": "1001"},
            }
        ],
    },
    "DayOut": {
        "seq": "3.1207",
        "at": "2026-11-20T01:02:03.456Z",
        "window": WINDOW,
        "figures": [_ANSWER_RATIO],
        "half_hours": [
            {
                "first": "2026-11-20T01:00:00.000Z",
                "before": "2026-11-20T01:30:00.000Z",
                "figures": FIGURES,
            }
        ],
    },
    "BehindOut": {
        "seq": "3.1207",
        "at": "2026-11-20T01:02:03.456Z",
        "window": WINDOW,
        "figure": _ANSWER_RATIO,
        "part": [_LINE],
        "rest": [_LOST],
    },
    "Done": {"done": True},
    "SignInIn": {"phone": "oita-p1"},
    "WhyIn": {"why": "シフトの終わり"},
    "PauseIn": {"reason": "研修"},
    "ResultIn": {"key": 4},
    "NoteIn": {"text": "代理人からの電話"},
    "TalkKeyIn": {"key": "help"},
    "TransferIn": {"department": "11"},
    "DialIn": {"number": "0975346111"},
    "AnswerIn": {"text": "交付の準備ができました"},
    "AnswersOut": {
        "answers": [
            {
                "call": "node1-1795050000.4",
                "at": "2026-11-19T01:00:00.000Z",
                "until": "2026-11-26T01:00:00.000Z",
                "number": "*******678",
                "text": "交付の準備ができました",
            }
        ]
    },
    "WatchIn": {"how": "listen"},
    "QueueIn": {"queue": "oita-english"},
    "SkillsIn": {"skills": {"en": 2}},
    "ThresholdsIn": {"waiting": 5, "wait_s": 60},
    "ListOut": {"messages": LIVE["centres"][0]["messages"]["next"]},
    "TaskIn": {
        "subject": "カードの再発行について",
        "department": "11",
        "due": "2026-11-21T12:00:00+09:00",
        "note": "本人確認済み",
    },
    "OpenTaskIn": {"subject": "カードの再発行について", "agent": "1001", "number": "090-1234-5678"},
    "TakeIn": {"agent": "1001"},
    "DoneIn": {"result": "折り返し済み", "done": True},
    "CallbackListOut": {"callbacks": LIVE["centres"][0]["callbacks"]},
    "ClosureIn": {"reason": "台風のため", "until": "2026-11-20T18:00:00+09:00"},
    "ClosureOut": {
        "on": True,
        "since": "2026-11-20T01:00:00.000Z",
        "until": "2026-11-20T09:00:00.000Z",
        "reason": "台風のため",
        "by": "user:sato",
    },
    "BlockedIn": {
        "number": "09012345678",
        "reason": "威圧的な電話を繰り返す",
        "until": "2027-01-31T00:00:00+09:00",
    },
    "BlockedListOut": {
        "blocked": [
            {
                "entry": "b-1a2b3c4d",
                "number": "********678",
                "reason": "威圧的な電話を繰り返す",
                "since": "2026-11-20T01:00:00.000Z",
                "until": "2027-01-30T15:00:00.000Z",
                "by": "user:sato",
            }
        ]
    },
    "NumberSearchIn": {"centre": "oita", "number": "09012345678", "mark": "complaint", "limit": 50},
    "PageOut": {"recordings": [_RECORDING], "after": None},
    "WholeOut": {
        "recording": _RECORDING,
        "others": [],
        "orders": [
            {
                "order": "keep-20261120101500-1a2b3c",
                "until": None,
                "reason": "訴訟のため",
                "by": "user:sato",
                "at": "2026-11-20T01:15:00.000Z",
            }
        ],
        "accesses": [
            {
                "at": "2026-11-20T01:10:00.000Z",
                "who": "user:sato",
                "what": "recording_listen",
                "origin": "192.0.2.10",
                "purpose": "苦情の確認",
            }
        ],
    },
    "PurposeIn": {"purpose": "苦情の確認"},
    "MarkIn": {"mark": "complaint", "on": True, "why": "聞き取りの結果"},
    "GrantOut": _GRANT,
    "ExportIn": {"purpose": "市への提出", "centre": "oita", "first": "2026-11-01", "last": "2026-11-30"},
    "CentresOut": {
        "seq": "3.1415",
        "at": "2026-11-20T01:02:03.456Z",
        "centres": [
            {
                "id": "oita",
                "name": "大分センター",
                "name_en": "Oita centre",
                "time_zone": "Asia/Tokyo",
                "open": True,
                "queues": [
                    {"id": "oita-general", "name": "総合案内", "waiting": 1, "on_duty": 2, "estimate_s": 42.0}
                ],
            }
        ],
    },
    "DepartmentsOut": {
        "at": "2026-11-20T01:02:03.456Z",
        "departments": [
            {
                "id": "oita-shimin",
                "code": "*521",
                "name": "市民課",
                "name_kana": "しみんか",
                "name_roman": "Shimin-ka",
                "office": "本庁",
                "number": "0975346111",
                "languages": ["ja"],
                "about": "住民票、戸籍",
                "open": True,
                "why": "受付時間内",
                "why_en": "within its hours",
                "changes_at": "2026-11-20T08:15:00.000Z",
                "substitute": None,
                "instead": None,
                "busy": None,
            }
        ],
    },
    "DepartmentsFiguresOut": {
        "seq": "3.1207",
        "at": "2026-11-20T01:02:03.456Z",
        "window": WINDOW,
        "day": _HOLD_AND_TRANSFER | {"first": WINDOW["first"], "before": WINDOW["before"]},
        "half_hours": [_HOLD_AND_TRANSFER],
    },
    "ErasuresOut": {
        "erasures": [
            {
                name: SIGNED_REPORT[name]
                for name in ("centre", "scope", "what", "reason", "by", "ordered_at", "done_at")
            }
            | {
                "report": SIGNED_REPORT["id"],
                "calls": 1,
                "recordings": 1,
                "tasks": 0,
                "left": 0,
                "complete": True,
                "signed": True,
            }
        ]
    },
}

BY_PATH: Final[Mapping[str, Any]] = {
    "/api/v1/erasures/{report}": SIGNED_REPORT,
    "/api/v1/live/stream": 'event: live\nid: 3.1207\ndata: {"seq":"3.1207","at":"2026-11-20T01:02:03.456Z",…}\n\n',
    "/api/v1/centres/{centre}/figures/day/{figure}/csv": (
        "\ufefffigure,part,seq,call,…\r\nanswer_ratio,1,3.1207,node1-1795136400.9,…\r\n"
        "answer_ratio,0,3.1207,node1-1795136300.7,…\r\n"
    ),
}
"""Good answers that have no schema with a name."""

NOT_READY: Final = {
    "ready": False,
    "checks": [
        {
            "name": "database",
            "ok": False,
            "detail": "データベースに届きません。起動しているか確かめてください。 / "
            "the database does not answer; see whether it runs.",
        }
    ],
}

_IN_PATHS: Final = {
    "agent": "1001",
    "call": "node1-1795136400.9",
    "centre": "oita",
    "entry": "b-1a2b3c4d",
    "figure": "answer_ratio",
    "recording": "node1-1795136400.9",
    "report": "erase-20261120020000-1a2b3c",
}


def document(path: str, operation: dict[str, Any]) -> None:
    """Add them to an operation of a finished document. Raises KeyError for what has none."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if kind == "application/json":
            content["example"] = _of(path, content["schema"])
    for status, answer in operation["responses"].items():
        for kind, content in answer.get("content", {}).items():
            if kind == problems.CONTENT_TYPE:
                content["example"] = problems.example(int(status), path.format_map(_IN_PATHS))
            elif content.get("schema", {}).get("format") != "binary":
                content["example"] = NOT_READY if status == "503" else _of(path, content["schema"])


def _of(path: str, schema: Mapping[str, Any]) -> Any:
    if path in BY_PATH:
        return BY_PATH[path]
    named = schema.get("$ref") or next(each["$ref"] for each in schema["anyOf"] if "$ref" in each)
    return BY_SCHEMA[re.sub(r".*/(.*__)?", "", named)]
