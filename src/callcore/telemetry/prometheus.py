"""The Prometheus exposition, asked at scrape time.

Rules
- Nothing is counted here: each figure comes from `domain.measures` over today's books, each state from the floor.
- Today's figures are gauges, for they begin again at the centre's midnight.
- A ratio stands with its two parts, 0 to 1; with nothing to divide by, the ratio is NaN and its parts are 0.
- Every series is there from the first scrape: what is not known, or has no value, is NaN, which no comparison takes for
  a number. Only the engine's counts wait for its first answer (`COUNTED`).
- Judged at the millisecond that is shown, as the board is: journal and `seq` give the same figures again.
- Label values are bounded: centres and queues of the centre files, and the words of the domain.
"""

from __future__ import annotations

import logging
import math
import platform
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from callcore import __version__
from callcore.domain import sides
from callcore.domain.asks import AskEnd
from callcore.domain.board import agents_by_word, staffed, today, waiting_callers
from callcore.domain.by_department import together
from callcore.domain.centre import Centre
from callcore.domain.day import Days
from callcore.domain.emergency import Emergency
from callcore.domain.estimate import wait_s
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.domain.measures import Figures, Ratio, calibration, figures, lengths
from callcore.domain.stages import Device, SideKind, SideOutcome, Stage
from callcore.domain.turn import LAST_PRIORITY
from callcore.runtime.ports import CentreGauges, Gauges, LiveSource, ReasonCounts, View

log = logging.getLogger("callcore.telemetry")

WINDOW = 3600 * SECOND
"""How far back `callcore_hour_answer_ratio` looks."""

WAIT_EDGES = (5, 10, 20, 30, 60, 120, 300)
"""Seconds; the centre's T of the service level stands among them. Likewise the others."""
TALK_EDGES = (60, 180, 300, 600, 1200)
HOLD_EDGES = (30, 60, 120, 300)
ACW_EDGES = (10, 30, 60, 120, 300)

MAX_GAUGES = 200
"""More names than that are a mistake of whoever gives them."""

OUTCOMES = (
    "closed",
    "emergency_closed",
    "blocked",
    "ivr_only",
    "answered",
    "abandoned",
    "abandoned_short",
    "overflow",
    "other_unanswered",
    "failed",
    "waiting",
    "undecided",
)
"""Figures that divide today's arrivals among them: their sum is `arrived`."""

SIDE_OUTCOMES = (*(outcome.value for outcome in SideOutcome), "open")
"""What divides the calls that are no arrivals among them."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

HELP = {
    "engine_inbox_items": "Items that the deciding task has not taken yet.",
    "engine_link_inbox_items": "AMI items that the engine has not taken from the link yet.",
    "engine_link_reconnects": "How often the AMI link was lost since the engine's start.",
    "engine_link_overflows": "How often the link's inbox hit its bound and the link was resynced.",
    "engine_event_lag_seconds": "Delay of Asterisk's events, measured by the last canary.",
    "engine_event_lag_largest_seconds": "Largest delay of the last canaries.",
    "engine_events_late": "1 while the delay of events is beyond its bound.",
    "engine_inputs": "Inputs that the core was told since the engine's start.",
    "engine_inputs_disregarded": "Inputs that changed nothing: late, doubled, unknown.",
    "engine_faults": "Inputs at which the core itself failed; more than 0 is a fault of callcore.",
    "engine_journal_write_failures": "Tries at which the journal could not be written.",
    "engine_journal_stuck_seconds": "How long the journal cannot be written and nothing is decided; 0 while it can.",
    "engine_trunk_reachable": "1 while the carrier of calls to the outside answers OPTIONS; NaN without one.",
    "engine_journal_unsynced_seconds": "Age of the oldest frame that is not synced to disk.",
    "engine_effects_refused": "Actions that Asterisk refused since the engine's start.",
    "engine_slowest_step_seconds": "Longest decision so far, journal included.",
    "engine_timers": "Timers that are set.",
    "engine_lamps_behind": "Lamps of desk phones that could not be set at the last look.",
    "engine_clock_steps": "How often the wall clock was stepped since the engine's start.",
    "engine_loop_lag_seconds": "How late the engine's event loop was at most, in the last minute.",
    "engine_cpu_seconds": "CPU time of the engine since its start.",
    "engine_offer_median_seconds": "Agent free and caller waiting until the redirect: median of the last offers.",
    "engine_offer_p99_seconds": "Agent free and caller waiting until the redirect: p99 of the last offers.",
    "engine_offer_largest_seconds": "Agent free and caller waiting until the redirect: the longest of the last offers.",
    "engine_offer_decided_p99_seconds": "Agent free and caller waiting until the offer stands in the journal: p99.",
    "engine_offer_whole_p99_seconds": "Asterisk's time stamp of what made it possible until the redirect: p99.",
    "sidecar_loop_lag_seconds": "How late the sidecar's event loop was at most, in the last minute.",
    "sidecar_drain_behind_frames": "Frames of the journal that the database does not hold yet.",
    "sidecar_drain_behind_seconds": "Age of the oldest frame that the database does not hold yet.",
    "sidecar_database_away_seconds": "How long the database has been away; 0 while it is there.",
    "sidecar_database_failures": "How often the database was away since the sidecar's start.",
    "sidecar_recordings_unfiled": "Answered calls whose recording is not measured yet.",
    "sidecar_recordings_plain": (
        "Recordings of ended calls that are not encrypted yet; also those that are yet to be cut and, while nobody "
        "says which calls go on, whatever nobody writes any more."
    ),
    "sidecar_recordings_plain_oldest_seconds": "Since the end of the oldest of these calls; 0: there is none.",
    "sidecar_recordings_unconverted": (
        "Recordings kept as captured because their centre's format or two channels could not be made (in time), since "
        "the sidecar's start."
    ),
    "sidecar_recordings_keep_failures": "Tries at which a recording could not be encrypted, since the sidecar's start.",
    "sidecar_recordings_keyless": "Kept recordings that no key opens because a table or a month's key is missing.",
    "sidecar_erasures_unfinished": "Erasures that were begun and are not finished.",
    "sidecar_journal_free_bytes": "Bytes free where the journal is written.",
    "sidecar_recordings_free_bytes": "Bytes free where recordings are written.",
    "sidecar_store_free_bytes": "Bytes free where recordings are kept.",
    "sidecar_keys_free_bytes": "Bytes free for the keys; NaN on a disk that one of the others tells of.",
    "sidecar_database_free_bytes": "Bytes free for SQLite's file; NaN on such a disk, and with a server.",
    "sidecar_connections": "Open connections to page and API.",
    "sidecar_connections_refused": "Connections that brought no HTTP, or a head that was too large or too slow.",
    "sidecar_connections_slow": "Connections that were let go because they neither asked nor took in time.",
    "sidecar_connections_crowded_out": "Waiting connections that gave way to new ones because all places were taken.",
    "sidecar_certificate_seconds_left": "Until the served certificate runs out; negative once it has.",
    "sidecar_certificate_renewal_refused": "1 while renewed certificate files cannot be used; the old ones are served.",
    "reconciliation_calls": "Calls of the last reconciled day that were held against all books.",
    "reconciliation_differences": "Differences of that day that nothing explains; each is named in the result.",
    "reconciliation_explained": "Differences of that day with a known reason.",
    "reconciliation_complete": "1 if every book reached back to every call of that day.",
    "month_answer_ratio": "Answered of the offered calls that are decided, this month, 0 to 1; NaN with nothing to "
    "divide by, and until it is known.",
    "month_answer_part": "Answered of the offered calls that are decided, this month: numerator, in calls; NaN until "
    "it is known.",
    "month_answer_whole": "Answered of the offered calls that are decided, this month: denominator, in calls; NaN "
    "until it is known.",
    "reconciliation_at_seconds": "When that day was reconciled, in epoch seconds UTC.",
}
"""For gauges that the composition root gives by these names; others say where they come from."""

OF_CENTRES = ("month_", "reconciliation_")
"""How the names of those begin that are given for each centre."""

COUNTED = frozenset(
    {
        "engine_link_reconnects",
        "engine_link_overflows",
        "engine_inputs",
        "engine_inputs_disregarded",
        "engine_faults",
        "engine_journal_write_failures",
        "engine_effects_refused",
        "engine_clock_steps",
        "engine_cpu_seconds",
    }
)
"""What only grows while the engine runs. Not told before the engine tells it, about a second after the sidecar's start:
a 0 in its place would be a count that began anew, and ring; a NaN would silence `increase()` for as long as it looks
back."""

_OF_PROCESSES = frozenset(name for name in HELP if not name.startswith(OF_CENTRES))

COUNTERS = {
    "device_policy_rejections": "Registrations and calls refused because they are no phone of the inventory "
    "(端末ポリシー違反).",
    "sip_requests_refused": "SIP requests turned away at the door: no such account, a wrong password, "
    "or the carrier's for a number that is none of ours.",
    "recordings": "Recordings of calls that were measured and held against the talk, by what was found.",
    "phone_files_refused": "Requests for a phone's file that got nothing.",
}
_LABELS = {"recordings": "result"}
"""What a counter is counted by, where that is no reason."""


def known(value: float | None) -> float:
    """As Prometheus is told it."""
    return math.nan if value is None else value


@dataclass
class _Families:
    """The metrics of one scrape, in the order of their first sample."""

    known: dict[str, GaugeMetricFamily | HistogramMetricFamily] = field(default_factory=dict)

    def add(self, name: str, text: str, value: float, **labels: str) -> None:
        family = self.known.get(name)
        if family is None:
            family = self.known[name] = GaugeMetricFamily(f"callcore_{name}", text, labels=list(labels))
        assert isinstance(family, GaugeMetricFamily)
        family.add_metric(list(labels.values()), value)

    def spread(self, name: str, text: str, of: Sequence[int], edges: Sequence[float], **labels: str) -> None:
        """A histogram of lengths in microseconds; `edges` in seconds, inclusive."""
        family = self.known.get(name)
        if family is None:
            family = self.known[name] = HistogramMetricFamily(f"callcore_{name}", text, labels=list(labels))
        assert isinstance(family, HistogramMetricFamily)
        ordered = sorted(of)
        buckets = [
            (str(edge), bisect_right(ordered, round(edge * SECOND)))
            for edge in sorted({float(edge) for edge in edges})
        ]
        family.add_metric(
            list(labels.values()), [*buckets, ("+Inf", len(ordered))], sum_value=sum(ordered) / SECOND
        )

    def ratio(self, name: str, text: str, ratio: Ratio, **labels: str) -> None:
        self.add(
            f"{name}_ratio", f"{text}, 0 to 1; NaN with nothing to divide by.", known(ratio.value), **labels
        )
        self.add(f"{name}_part", f"{text}: numerator, in calls.", ratio.part, **labels)
        self.add(f"{name}_whole", f"{text}: denominator, in calls.", ratio.whole, **labels)


class FloorCollector(Collector):
    """Reads the present view when Prometheus asks."""

    def __init__(
        self, live: LiveSource, gauges: Gauges, by_centre: CentreGauges, counts: ReasonCounts
    ) -> None:
        self._live = live
        self._gauges = gauges
        self._by_centre = by_centre
        self._counts = counts
        self._days = Days()

    def collect(self) -> Iterator[Metric]:
        view, now = self._live.view(), self._live.now()
        now = Instant(now - now % 1000)
        yield InfoMetricFamily(
            "callcore_build", "What runs.", {"version": __version__, "python": platform.python_version()}
        )
        families = _Families()
        families.add(
            "engine_silence_seconds",
            "Seconds since the engine last showed a sign of life; 0 while it is fresh (under 5 s).",
            self._live.stale_s() or 0.0,
        )
        families.add(
            "asterisk_linked", "1 while the engine is logged in and decides.", float(view.floor.linked)
        )
        families.add(
            "events_late", "1 while Asterisk's events come later than the bound.", float(view.floor.lagging)
        )
        families.add(
            "healed_states",
            "States that the watchdog found contradicted or beyond their bound, and mended, in this run.",
            view.floor.healed,
        )
        families.add(
            "invariants_broken",
            "Rules of the floor that do not hold now; more than 0 is a fault of callcore.",
            len(view.floor.problems()),
        )
        families.add("journal_run", "Run number of the frame that this is shown at.", view.seq.run)
        families.add("journal_frame", "Number within the run of the frame that this is shown at.", view.seq.n)
        families.add(
            "figures_at_seconds",
            "When this was computed, in epoch seconds; to the millisecond.",
            now / SECOND,
        )
        for centre in sorted(view.floor.centres.values(), key=lambda c: c.id):
            _floor(families, view, centre, now)
            _, day = self._days.of(view.books, centre, now)
            _today(families, centre, day.figures)
            _lengths(families, view, centre, now)
            _sides(families, view, centre, now)
            _estimates(families, view, centre, now)
            _open(families, centre, view.floor.emergencies.get(centre.id), now)
        self._asked(families, sorted(view.floor.centres))
        yield from families.known.values()
        yield from self._counted()

    def _counted(self) -> Iterator[Metric]:
        """What was refused since the engine's start, by reason."""
        try:
            told = self._counts()
        except Exception:
            log.exception("the counts cannot be asked")
            return
        for name, text in COUNTERS.items():
            family = CounterMetricFamily(f"callcore_{name}", text, labels=[_LABELS.get(name, "reason")])
            for reason, count in sorted(told.get(name, {}).items()):
                family.add_metric([reason], count)
            yield family

    def _asked(self, families: _Families, centres: Sequence[CentreId]) -> None:
        """What the processes tell of themselves. A failure there must not hide the floor."""
        told: Mapping[str, float] = {}
        of_centres: Mapping[CentreId, Mapping[str, float]] = {}
        up = 1.0
        try:
            told = self._gauges()
            of_centres = self._by_centre()
        except Exception:
            log.exception("the gauges cannot be asked")
            up = 0.0
        unknown = dict.fromkeys(_OF_PROCESSES - COUNTED, math.nan)
        good = [name for name in sorted({**unknown, **told}) if _NAME.fullmatch(name)][:MAX_GAUGES]
        refused = sum(1 for name in told if name not in set(good) or name in families.known)
        for name in good:
            if name not in families.known:
                text = HELP.get(name, "A gauge of callcore's own processes.")
                families.add(name, text, told.get(name, math.nan))
        for name in sorted(HELP.keys() - _OF_PROCESSES):
            for centre in centres:
                value = of_centres.get(centre, {}).get(name, math.nan)
                families.add(name, HELP[name], value, centre=centre)
        families.add("gauges_up", "1 if callcore's own gauges could be asked.", up)
        families.add("gauges_refused", "Gauges that were left out because of their name.", refused)


def _at_the_keys(families: _Families, view: View, centre: Centre, now: Instant) -> None:
    """What agents keyed that somebody should look at."""
    mine = [agent for agent in view.floor.agents.values() if agent.centre == centre.id]
    calls = [call for call in view.floor.calls.values() if call.centre == centre.id]
    apart = [side for side in view.floor.sides.values() if side.centre == centre.id]
    for name, text, n in (
        ("agents_locked", "Agents locked out for wrong PINs.", sum(a.locked(now) for a in mine)),
        (
            "agents_pause_overran",
            "Pauses longer than their reason may be.",
            sum(a.pause_overran for a in mine),
        ),
        (
            "help_asked",
            "Talks in which the agent asks for help.",
            sum(c.help_since is not None for c in calls),
        ),
        (
            "calls_held_too_long",
            "Callers on hold for longer than the centre wants.",
            sum(c.hold_overran for c in calls),
        ),
        (
            "recordings_paused",
            "Talks and calls out whose recording is paused.",
            sum(c.unrecorded_since is not None for c in calls)
            + sum(s.unrecorded_since is not None for s in apart),
        ),
    ):
        families.add(name, text, n, centre=centre.id)


def _floor(families: _Families, view: View, centre: Centre, now: Instant) -> None:
    floor = view.floor
    per_queue: Counter[str] = Counter({queue.id: 0 for queue in centre.queues})
    per_queue.update(one.queue for one in waiting_callers(floor, centre.id))
    for queue in centre.queues:
        families.add(
            "waiting_calls",
            "Callers without an agent, announcement and ringing included.",
            per_queue[queue.id],
            centre=centre.id,
            queue=queue.id,
        )
    for word, n in agents_by_word(floor, centre.id).items():
        families.add("agents", "Agents by state.", n, centre=centre.id, state=word.value)
    families.add(
        "agents_staffed",
        "Agents signed in and not in a break (配置人数).",
        staffed(floor, centre.id),
        centre=centre.id,
    )
    devices = Counter(floor.phones.get(phone.id, Device.UNREACHABLE) for phone in centre.phones)
    for device in Device:
        families.add("phones", "Desk phones by state.", devices[device], centre=centre.id, state=device.value)
    _at_the_keys(families, view, centre, now)
    waiting = [one for one in floor.messages.values() if one.centre == centre.id and one.open]
    for name, text, n in (
        ("messages_open", "Messages that nobody has dealt with.", len(waiting)),
        ("messages_overdue", "Of these, those past their deadline.", sum(m.overdue(now) for m in waiting)),
        (
            "callbacks_open",
            "Callers who are to be called back, those who are being called included.",
            sum(back.centre == centre.id for back in floor.callbacks.values()),
        ),
    ):
        families.add(name, text, n, centre=centre.id)
    stages = Counter(call.stage for call in floor.calls.values() if call.centre == centre.id)
    for stage in Stage:
        if stage is not Stage.ENDED:
            families.add(
                "open_calls",
                "Calls on the floor by stage.",
                stages[stage],
                centre=centre.id,
                stage=stage.value,
            )


def _today(families: _Families, centre: Centre, of: Figures) -> None:
    label = {"centre": centre.id}
    for outcome in OUTCOMES:
        families.add(
            "today_calls",
            "Calls that arrived today in the centre's time zone, by outcome so far; they add up to the arrivals.",
            getattr(of, outcome),
            **label,
            outcome=outcome,
        )
    families.add("today_arrived_calls", "Calls that arrived today.", of.arrived, **label)
    families.add("today_offered_calls", "Of today's calls, those due an agent.", of.offered, **label)
    families.add("today_open_calls", "Of today's calls, those that have not ended.", of.open, **label)
    families.add(
        "today_reconstructed_calls",
        "Of today's calls, those not witnessed in full.",
        of.reconstructed,
        **label,
    )
    families.add(
        "today_imprecise_calls",
        "Of today's calls, those of which something was told late.",
        of.imprecise,
        **label,
    )
    families.add(
        "today_test_calls", "Calls from listed test numbers today, left out of all else.", of.tests, **label
    )
    families.ratio(
        "today_answer", "Answered of the offered calls that are decided, today", of.answer_ratio, **label
    )
    families.ratio("today_service_level", "Answered within the target, today", of.service_level, **label)
    families.ratio(
        "today_abandon", "Abandoned of the offered calls that are decided, today", of.abandon_ratio, **label
    )
    for name, text, value in (
        ("today_wait_mean_seconds", "Mean wait of today's answered calls (ASA).", of.wait_mean_s),
        ("today_wait_p90_seconds", "Wait that 90 % of today's answered calls did not exceed.", of.wait_p90_s),
        ("today_wait_max_seconds", "Longest wait of today's answered calls.", of.wait_max_s),
        (
            "today_hold_median_seconds",
            "Median hold of today's ended calls that were on hold.",
            of.hold_median_s,
        ),
        ("today_hold_p90_seconds", "Hold that 90 % of these did not exceed.", of.hold_p90_s),
        ("today_hold_max_seconds", "Longest hold of these.", of.hold_max_s),
    ):
        families.add(name, text, known(value), **label)
    families.add(
        "longest_wait_seconds",
        "The longest wait of those who wait now; 0 when nobody waits.",
        of.longest_waiting_s or 0.0,
        **label,
    )
    families.add("service_level_target_seconds", "T of the service level.", of.service_level_s, **label)
    families.add(
        "answer_target_ratio", "The contract's answer ratio, 0 to 1.", centre.target_answer_ratio, **label
    )


def _lengths(families: _Families, view: View, centre: Centre, now: Instant) -> None:
    """Today's lengths, each a histogram that begins again at midnight; and the answer ratio of the last hour."""
    window = today(centre, now)
    of = lengths(view.books.of(centre.id, window.first, window.before), view.books.wraps)
    for name, text, values, edges in (
        (
            "today_wait_seconds",
            "Waits of today's answered calls.",
            of.wait,
            (*WAIT_EDGES, centre.service_level_s),
        ),
        (
            "today_talk_seconds",
            "Talks of today's answered calls that ended, hold included.",
            of.talk,
            TALK_EDGES,
        ),
        ("today_hold_seconds", "Hold of today's ended calls that were on hold, in sum.", of.hold, HOLD_EDGES),
        ("today_acw_seconds", "After-call work of today's calls, once it is over.", of.acw, ACW_EDGES),
    ):
        families.spread(name, text, values, edges, centre=centre.id)
    late = view.books.of(centre.id, Instant(now - WINDOW), Instant(now + SECOND))
    families.ratio(
        "hour_answer",
        "Answered of the offered calls that arrived in the last 60 minutes",
        figures(late, at=now, service_level_s=centre.service_level_s).answer_ratio,
        centre=centre.id,
    )


def _sides(families: _Families, view: View, centre: Centre, now: Instant) -> None:
    """Calls that are no arrivals, today."""
    window = today(centre, now)
    records = view.books.sides_of(centre.id, window.first, window.before)
    for name, text, kinds in (
        (
            "today_outgoing_calls",
            "Calls that agents made today, by outcome; open ones among them.",
            sides.OUTGOING,
        ),
        (
            "today_contact_calls",
            "Today's calls to the contact numbers, by outcome; open ones too.",
            sides.CONTACT,
        ),
        ("today_department_calls", "Today's calls to the city's departments, by outcome.", sides.DEPARTMENTS),
    ):
        counts = sides.figures(records, kinds)
        for outcome in SIDE_OUTCOMES:
            families.add(name, text, getattr(counts, outcome), centre=centre.id, outcome=outcome)
    told = together(view.books.of(centre.id, window.first, window.before), view.books.asks)
    for end in AskEnd:
        families.add(
            "today_department_asks",
            "How often a department was called for a caller of today, by what became of it.",
            told.ends[end],
            centre=centre.id,
            end=end.value,
        )
    for name, text, value in (
        (
            "today_department_answer_median_seconds",
            "Median time until a department answered.",
            told.answer_median_s,
        ),
        ("today_department_answer_p90_seconds", "Time that 90 % of these did not exceed.", told.answer_p90_s),
        (
            "today_department_answer_max_seconds",
            "Longest time until a department answered.",
            told.answer_max_s,
        ),
    ):
        families.add(name, text, known(value), centre=centre.id)
    families.add(
        "today_emergency_calls",
        "Calls to 110, 118 and 119 that agents made today.",
        sum(one.kind is SideKind.EMERGENCY for one in records),
        centre=centre.id,
    )
    families.add(
        "today_emergency_not_carried_calls",
        "Of these, those that reached nobody: the phone said where else to call. More than 0 is an alarm.",
        sum(one.not_carried is not None for one in records),
        centre=centre.id,
    )


def _estimates(families: _Families, view: View, centre: Centre, now: Instant) -> None:
    """What a caller who came now would be told, and how good it was today."""
    for queue in centre.queues:
        place = (LAST_PRIORITY, now, "")
        families.add(
            "estimated_wait_seconds",
            "Estimated wait of a caller who joined the queue's end now; NaN with nobody on duty.",
            known(wait_s(view.floor, queue.id, place)),
            centre=centre.id,
            queue=queue.id,
        )
        families.add(
            "agents_on_duty",
            "Agents of the queue who are signed in and not paused.",
            len(view.floor.on_duty.get(queue.id, ())),
            centre=centre.id,
            queue=queue.id,
        )
    window = today(centre, now)
    told = calibration(view.books.of(centre.id, window.first, window.before))
    families.ratio(
        "today_estimate_within",
        "Answered within the wait that was estimated for them, today",
        told.within,
        centre=centre.id,
    )
    for name, text, value in (
        ("today_estimate_error_median_seconds", "Median of |wait - estimate|, today.", told.error_median_s),
        ("today_estimate_error_p90_seconds", "P90 of |wait - estimate|, today.", told.error_p90_s),
    ):
        families.add(name, text, known(value), centre=centre.id)


def _open(families: _Families, centre: Centre, emergency: Emergency | None, now: Instant) -> None:
    shut = emergency is not None and emergency.on(now)
    is_open = centre.calendar.judge(now)[0] and not shut
    families.add("centre_open", "1 inside opening hours and not shut.", float(is_open), centre=centre.id)
    families.add("centre_emergency", "1 in an emergency closure.", float(shut), centre=centre.id)


class Exposition:
    """The bytes of one scrape, in the format that the scraper accepts."""

    def __init__(
        self,
        live: LiveSource,
        gauges: Gauges,
        by_centre: CentreGauges = dict,
        counts: ReasonCounts = dict,
    ) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(FloorCollector(live, gauges, by_centre, counts))

    def __call__(self, accept: str) -> tuple[bytes, str]:
        """The exposition and its content type, given the Accept header."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
