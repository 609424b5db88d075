"""What a centre file says, once it is read and found right.

Frozen values only. `callcore.centres` makes them from TOML; the journal keeps them, so that a day can be folded
years later under the rules that it was lived under.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from enum import Enum

from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import AgentId, CentreId, DepartmentId, PhoneId, QueueId
from callcore.domain.recording import Channels, SoundFormat
from callcore.domain.staff import Staff
from callcore.domain.stages import Choice, Outcome, PauseAs, Treatment


@dataclass(frozen=True, slots=True)
class Number:
    """A number that callers dial (DID). `digits` is what arrives in the request URI."""

    digits: str
    queue: QueueId
    priority: int | None = None
    """Of its callers, 1 (first) to 9 (last); None: the queue's."""
    menu: str | None = None
    """Where a call begins in hours; None: with the greeting."""


MENU_TIMEOUT_S, MENU_TRIES = 5, 3
MENU_TRIES_MOST = 3


@dataclass(frozen=True, slots=True)
class MenuKey:
    key: str
    """`0` to `9`, `*`, `#`."""
    choice: Choice
    to: str = ""
    """The menu, the queue, the announcement's kind, or the outside number; else empty."""
    language: str | None = None
    """In which the caller is spoken to from then on."""
    record: bool = True
    """Of an outside number: the talk there is recorded."""


@dataclass(frozen=True, slots=True)
class Menu:
    """A question that callers answer by a key."""

    id: str
    """`<centre>-<name>`."""
    say: str
    """The announcement's kind."""
    keys: tuple[MenuKey, ...]
    languages: bool = False
    """The choice of a language: each is asked for in itself, in the order of the keys."""
    timeout_s: int = MENU_TIMEOUT_S
    tries: int = MENU_TRIES
    """Wrong keys and silences after which the caller goes on by itself: to an agent, or out of hours to the
    announcement."""


MESSAGE_LONGEST_S, MESSAGE_SILENCE_S = 120, 5
MESSAGE_DUE_S = 4 * 3600
MESSAGE_KEEP_DAYS = 30


@dataclass(frozen=True, slots=True)
class Messages:
    """What callers may leave, and until when it is to be dealt with."""

    longest_s: int = MESSAGE_LONGEST_S
    silence_s: int = MESSAGE_SILENCE_S
    """So much silence ends it."""
    due_s: int = MESSAGE_DUE_S
    """Seconds of opening hours within which it is to be dealt with."""
    keep_days: int = MESSAGE_KEEP_DAYS
    """How long one that was dealt with stays on the list."""


CALLBACK_ATTEMPTS, CALLBACK_DISTANCE_S = 3, 900


@dataclass(frozen=True, slots=True)
class Callbacks:
    """How often a caller who asked for it is tried to be called back."""

    attempts: int = CALLBACK_ATTEMPTS
    distance_s: int = CALLBACK_DISTANCE_S
    """Seconds of opening hours from one attempt that did not reach the citizen to the next."""


RETENTION_MONTHS = 6
ERASE_HOURS = (Window(1 * 3600, 5 * 3600),)


@dataclass(frozen=True, slots=True)
class Retention:
    """How many months what is kept of calls is kept; 0: until told. The rules: `domain.retention`."""

    call: int = RETENTION_MONTHS
    consult: int = RETENTION_MONTHS
    outgoing: int = RETENTION_MONTHS
    contact: int = RETENTION_MONTHS
    message: int = RETENTION_MONTHS
    reported: int = 0
    """Recordings of calls that were reported (悪質・脅迫): at least so many, whatever their kind."""
    personal: int = RETENTION_MONTHS
    """Numbers and notes."""
    hours: tuple[Window, ...] = ERASE_HOURS
    """The quiet hours, in which what is due is erased."""


HOLD_PHRASE_EVERY_S, HOLD_WARN_AFTER_S = 30, 60


@dataclass(frozen=True, slots=True)
class Hold:
    """What callers hear while an agent's phone holds them, and when it is too long."""

    phrase_every_s: int = HOLD_PHRASE_EVERY_S
    """Seconds of music before each comfort phrase; 0: music alone."""
    warn_after_s: int = HOLD_WARN_AFTER_S
    """Seconds after which agent and supervisor are warned; 0: never."""


class Destination(Enum):
    """Kinds of numbers that may be called, by Japan's numbering plan (総務省 電気通信番号計画)."""

    LANDLINE = "landline"
    """0AB-J: ten digits with an area code."""
    MOBILE = "mobile"
    IP_PHONE = "ip_phone"
    """050."""
    FREE = "free"
    """0120 and 0800: the called side pays."""
    PREMIUM = "premium"
    """0570, 0990, 0180 …: more than a usual call costs."""
    INTERNATIONAL = "international"
    """010, and 00 with a carrier's code before it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A number, or all that begin so (`begins`), which the centre allows by name."""

    name: str
    digits: str
    begins: bool = False


OUTGOING_ACW_S = 30
"""After-call work of a call that an agent made, where the centre says nothing else."""
ANSWER_DAYS = 14
"""Days for which an answer is kept, likewise."""
EMERGENCY = ("110", "118", "119")
"""Police, coast guard, fire and ambulance (電気通信番号計画)."""


TRANSFER_BACK_S = 5


class RecordAfter(Enum):
    """How long the recording of a caller who was put through to a department goes on."""

    END = "end"
    """To the end of the call."""
    AGENT = "agent"
    """Until the agent leaves."""


@dataclass(frozen=True, slots=True)
class Transfers:
    """How callers are put through to departments."""

    blind: bool = False
    """Also without asking the department before."""
    back_s: int = TRANSFER_BACK_S
    """A department that puts down within so many seconds was no help: the caller comes back."""
    record_consult: bool = True
    """What an agent says to whom they ask beside a held caller is recorded."""
    record_after: RecordAfter = RecordAfter.END
    supervisors: tuple[PhoneId, ...] = ()
    """Whose phones ring for "the first supervisor who is free", in this order."""


@dataclass(frozen=True, slots=True)
class Recordings:
    """What is made of a talk's recording. `pause_s`: whole seconds after which a pause ends by itself."""

    pause: PauseAs = PauseAs.SILENCE
    pause_s: int = 120
    format: SoundFormat = SoundFormat.WAV
    """What it is kept as, once the call is over."""
    channels: Channels = Channels.MIXED


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What desk phones may call outside. All lengths in whole seconds, `answers_kept_days` in days."""

    number: str
    """The centre's own, shown to who is called."""
    emergency: tuple[str, ...] = ()
    """Those of 110, 118 and 119 that the carrier takes."""
    kinds: tuple[Destination, ...] = ()
    listed: tuple[Listed, ...] = ()
    prefix: str = ""
    """Digits before an outside number; none: the number as it is."""
    ring_s: int = 60
    acw_s: int = OUTGOING_ACW_S
    answers_kept_days: int = ANSWER_DAYS
    """For how long an answer that did not reach the citizen is kept for the next call of that number."""


@dataclass(frozen=True, slots=True)
class Contact:
    """連絡用番号: a number for the city, not for callers. It rings these phones, or is passed on to `forward`."""

    digits: str
    name: str
    phones: tuple[PhoneId, ...] = ()
    forward: str | None = None
    """Where to by the trunk, e.g. the number of a FAX."""
    record: bool = False
    """What is said there is recorded; what is said on `phones` is in any case."""


HEAD_OFFICE = "本庁"


@dataclass(frozen=True, slots=True)
class Department:
    """所管課: one of the city's departments that agents call (`domain/directory.py`)."""

    id: DepartmentId
    short: str
    """What a desk phone dials behind `*5`."""
    name: str
    number: str
    """As the trunk takes it: an outside number, or an extension of the city hall behind it."""
    calendar: Calendar
    office: str = HEAD_OFFICE
    """本庁, or the branch's name."""
    kana: str | None = None
    roman: str | None = None
    """For phones that show no Japanese; None: the short number."""
    substitute: DepartmentId | None = None
    """Who is called while this one is closed."""
    languages: tuple[str, ...] = ("ja",)
    about: str = ""
    """What it is for, in words that are searched."""


class Order(Enum):
    """By what the fitting agents of equal skill level are put in order."""

    LONGEST_IDLE = "longest_idle"
    LINEAR = "linear"
    """As they stand in the centre file."""
    FEWEST_CALLS = "fewest_calls"
    """Fewest talks since signing in."""
    RANDOM = "random"
    """By the queue's recorded seed, so that a replay chooses alike."""


class Cause(Enum):
    """Why a caller overflows. The outcome of a call that ends by it is in `OUTCOMES`."""

    WAITING = "waiting"
    """At least so many callers wait before this one."""
    PER_AGENT = "per_agent"
    """The callers before this one are at least so many times the agents on duty."""
    LINES = "lines"
    """At least as many calls of the centre came before this one and are open as it has lines."""
    LONGEST_WAIT = "longest_wait"
    """This caller has waited so many seconds."""
    ESTIMATED_WAIT = "estimated_wait"
    """The estimated wait of this caller is so many seconds."""
    NO_AGENT = "no_agent"
    """No agent who could serve the caller is signed in, or all are paused. Agents who were added count."""


OUTCOMES: dict[Cause, Outcome] = {
    Cause.WAITING: Outcome.OVERFLOW_FULL,
    Cause.PER_AGENT: Outcome.OVERFLOW_FULL,
    Cause.LINES: Outcome.OVERFLOW_FULL,
    Cause.LONGEST_WAIT: Outcome.OVERFLOW_WAIT,
    Cause.ESTIMATED_WAIT: Outcome.OVERFLOW_WAIT,
    Cause.NO_AGENT: Outcome.OVERFLOW_NO_AGENT,
}


@dataclass(frozen=True, slots=True)
class Overflow:
    """One rule: when `cause` is at least `limit`, callers are treated so. The first that holds counts."""

    cause: Cause
    treatment: Treatment
    limit: float = 0
    """Callers, callers for each agent, or seconds; LINES and NO_AGENT have none."""
    target: QueueId | None = None
    """The other queue (QUEUE), or the queue whose agents are asked too (AGENTS)."""
    menu: str | None = None
    """Where the caller is led to (MENU)."""
    again_s: int = 0
    """Seconds after the way back from that menu within which the caller is not led there again; 0: never again."""


@dataclass(frozen=True, slots=True)
class Comfort:
    """What callers hear between the music while they wait. Each phrase lasts at most `PHRASE_MOST_S`."""

    every_s: int
    """Seconds of music between two rounds of phrases."""
    first_s: int
    """The same before the first."""
    place: bool = True
    wait: bool = True
    """The estimated wait; while that is not known, the place alone."""
    say: tuple[str, ...] = ()
    """Kinds of announcements, one of them in each round, in turn."""
    cut: bool = False
    """Whether an offer cuts a phrase off, or waits for its end."""


PHRASE_MOST_S = 5
"""How long one phrase may be: for so long an agent may be kept reserved (requirements, comfort while waiting)."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the relaxation ladder, from `after_s` seconds of this visit on."""

    after_s: int
    level: int | None = None
    """Every need is met by this skill level or a better one; None: as before."""
    agents_of: tuple[QueueId, ...] = ()
    """The agents of these queues may serve as well, if they have the skills."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Callers of one centre and one need. All lengths in whole seconds."""

    id: QueueId
    name: str
    ring_s: int = 15
    """How long one agent's phone rings: `Dial`'s own limit."""
    acw_s: int = 30
    """After-call work: from the end of the talk until the agent is free again."""
    rest_no_answer_s: int = 20
    """How long an agent whose phone rang out is passed over. Likewise the three below."""
    rest_reject_s: int = 20
    rest_busy_s: int = 5
    rest_unreachable_s: int = 10
    longest_wait_s: int = 1800
    """Bound of one wait; 30 s later the waiting application itself lets go."""
    priority: int = 5
    """1 (first) to 9 (last)."""
    needs: tuple[tuple[str, int], ...] = ()
    """(skill, the worst level that will do: 1 best to 9), each of which an agent must have."""
    ladder: tuple[Rung, ...] = ()
    """In the order of `after_s`."""
    order: Order = Order.LONGEST_IDLE
    ring_at_once: int = 1
    """Phones that ring for one caller at the same time; the first to answer wins."""
    seed: int = 0
    """For `Order.RANDOM`."""
    acw_extend_s: int = 60
    """By how much an agent lengthens after-call work at a time."""
    acw_most_s: int = 600
    """How long it may become."""
    handling_s: int = 360
    """What talk and after-call work together are expected to take: where an estimate starts from."""
    patience_s: int = 180
    """The mean time for which callers are expected to be willing to wait: likewise."""
    overflow: tuple[Overflow, ...] = ()
    comfort: Comfort | None = None
    subject: str | None = None
    """件名: the kind of announcement that tells a department what callers of this queue call about."""


@dataclass(frozen=True, slots=True)
class Agent:
    id: AgentId
    name: str
    queues: tuple[QueueId, ...]
    phone: PhoneId | None = None
    """The seat the agent is fixed to; None: any phone of the centre."""
    skills: tuple[tuple[str, int], ...] = ()
    """(language or topic, level: 1 best to 9)."""
    emergency: bool = False
    """May switch the centre to its emergency announcement from the phone."""


@dataclass(frozen=True, slots=True)
class Guest:
    """An agent of another centre who serves this one as well (兼務)."""

    agent: AgentId
    queues: tuple[QueueId, ...]


@dataclass(frozen=True, slots=True)
class ListedCaller:
    """A caller whose calls have a priority of their own. `number` as it arrives in the caller id."""

    number: str
    priority: int
    reason: str


class Unwelcome(Enum):
    """What becomes in hours of a caller who is listed, or who withholds the number."""

    SERVE = "serve"
    """As with everybody; the agent sees that the caller is listed."""
    ANNOUNCE = "announce"
    """An announcement, in which 9 leads to a person; else the end, *blocked*."""


class Display(Enum):
    """What a phone can show of a name."""

    JAPANESE = "japanese"
    ROMAN = "roman"


TONGUES: dict[str, str] = {
    "ja": "日本語",
    "en": "英語",
    "zh": "中国語",
    "ko": "韓国語",
    "es": "スペイン語",
    "pt": "ポルトガル語",
    "vi": "ベトナム語",
    "th": "タイ語",
    "id": "インドネシア語",
    "tl": "タガログ語",
    "ne": "ネパール語",
}
"""The languages that callers are spoken to in, as agents read them."""


@dataclass(frozen=True, slots=True)
class Phone:
    """One line of the inventory. What registers as `id` is held against it."""

    id: PhoneId
    seat: str
    model: str
    mac: str | None = None
    """Lower case with colons."""
    maker: str = ""
    """A folder of `callcore.phones`; "" in journals from before there was an inventory: nothing matches it."""
    extension: str | None = None
    """What colleagues of the centre dial to reach it, beside its id."""
    networks: tuple[str, ...] = ()
    """From where it may register, in CIDR notation."""
    transport: str = "tls"
    """How it registers: `tls` or `udp`."""
    user_agent: str | None = None
    """How its User-Agent begins, where callcore does not know the maker's own way (`generic`)."""
    certificate: bool = False
    """It has to show its maker's certificate: every phone whose model bears one, unless its line says otherwise."""
    digit_keys: bool = False
    """A key that dials was found to send digits inside a talk, of a model of which its maker does not publish it."""
    display: Display = Display.JAPANESE


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a centre says to callers of one language, and the name of the sound that was made from it."""

    kind: str
    """One of `callcore.prompts.shelf`'s."""
    language: str
    """The callers'. The text is of another one where that is its substitute."""
    text: str
    sound: str
    """Path below the sounds folder without ending, e.g. `oita/ja/closed`; of another language for a substitute."""
    audio: str = ""
    """Which piece of audio: what it is kept under (`callcore.prompts.shelf.audio_id`); empty: not known."""


@dataclass(frozen=True, slots=True)
class StaffingLevel:
    """体制: how many seats the contract asks for, from a day on until the next level begins."""

    name: str
    seats: int
    first: str
    """ISO date, local to the centre."""


@dataclass(frozen=True, slots=True)
class Centre:
    """One contract. Ratios are 0 to 1, lengths in seconds."""

    id: CentreId
    name: str
    name_en: str
    calendar: Calendar
    numbers: tuple[Number, ...]
    queues: tuple[Queue, ...]
    agents: tuple[Agent, ...]
    phones: tuple[Phone, ...]
    announcements: tuple[Announcement, ...]
    languages: tuple[str, ...] = ("ja",)
    target_answer_ratio: float = 0.90
    service_level_s: int = 20
    short_abandon_s: int = 5
    lines: int | None = None
    """Calls that the centre may have open at once; None: no bound of ours."""
    pause_after_misses: int = 3
    """Offers missed in a row after which an agent is set to pause; 0: never."""
    guests: tuple[Guest, ...] = ()
    guests_most: int | None = None
    """How many guests may be at work for this centre at once; None: no bound."""
    keep: int = 0
    """How many of its own agents on duty are not lent out, at any moment."""
    lends_to: tuple[CentreId, ...] = ()
    """Centres whose callers its agents may serve by an overflow rule."""
    callers: tuple[ListedCaller, ...] = ()
    staff: Staff = Staff()
    test_numbers: tuple[str, ...] = ()
    """Callers whose calls are left out of the figures, as they arrive in the caller id."""
    outgoing: Outgoing | None = None
    contacts: tuple[Contact, ...] = ()
    departments: tuple[Department, ...] = ()
    display: str | None = None
    """The centre's name on a phone's display; None: `name`."""
    display_roman: str | None = None
    """The same for phones that show no Japanese; None: `id`."""
    blocked: Unwelcome = Unwelcome.SERVE
    """Of callers on the centre's list."""
    withheld: Unwelcome = Unwelcome.SERVE
    """Of callers who withhold their number (非通知)."""
    only_from: tuple[str, ...] = ()
    """The callers' numbers, as `domain.blocked.plain` gives them, that are served; none: everybody's."""
    phrases: tuple[tuple[str, str], ...] = ()
    """Languages whose callers hear numbers, times and dates in another one: (language, its substitute)."""
    menus: tuple[Menu, ...] = ()
    closed_menu: str | None = None
    """Where a call begins out of hours and in an emergency closure; None: with the announcement, and then it ends."""
    remember_language_days: int = 0
    """For so many days a number that chose a language is not asked again; 0: it is asked in each call."""
    messages: Messages = Messages()
    callbacks: Callbacks = Callbacks()
    hold: Hold = Hold()
    transfers: Transfers = Transfers()
    recordings: Recordings = Recordings()
    retention: Retention = Retention()
    staffing: tuple[StaffingLevel, ...] = ()
    """In the order of their first days."""

    @property
    def time_zone(self) -> str:
        return self.calendar.zone

    def staffed(self, day: date) -> StaffingLevel | None:
        """The level of a local date; None: before the first, or the file has none."""
        begun = (each for each in self.staffing if each.first <= day.isoformat())
        return max(begun, key=lambda each: each.first, default=None)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Every centre of the installation. `version` is a digest of the files it was read from."""

    version: str
    centres: tuple[Centre, ...]

    def without_callers(self) -> Configuration:
        """For the journal: whose call goes before others, or tests, stands in the centre files only."""
        bare = (replace(centre, callers=(), test_numbers=()) for centre in self.centres)
        return replace(self, centres=tuple(bare))

    def tests(self, number: str, caller: str | None) -> bool:
        """Whether a call to this number of a centre comes from one of its test numbers."""
        return any(
            caller in centre.test_numbers and any(each.digits == number for each in centre.numbers)
            for centre in self.centres
        )

    def listed(self, number: str, caller: str | None) -> ListedCaller | None:
        """What the list of callers says of one who calls this number of a centre."""
        for centre in self.centres if caller is not None else ():
            if any(each.digits == number for each in centre.numbers):
                return next((each for each in centre.callers if each.number == caller), None)
        return None
