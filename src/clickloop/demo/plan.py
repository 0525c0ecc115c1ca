"""The plan: which visitors come, which of them convert and how, and the expected results. Pure, from a seed."""

import enum
from collections.abc import Iterator, Sequence
from random import Random
from urllib.parse import quote_from_bytes

import msgspec

from clickloop.click.click import Screening
from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.demo.browsers import BROWSERS, CAMPAIGNS, CRAWLERS, HOME_NETWORKS, LANGUAGES, PREVIEW_BOTS
from clickloop.postback.due import SkipReason
from clickloop.postback.state import PostbackState

OFFER_CENTS = 2_150
"""The fixed payout of both offers, in cents of a dollar."""
WEIGHTS = (70, 30)
UNREPLACED = b"{click_id}"
"""The source's macro for its click id, which the source failed to replace."""


class SentVia(enum.StrEnum):
    """How a conversion is reported to the tracker."""

    GET = "S2S GET"
    FORM = "S2S form"
    JSON = "S2S JSON"
    PIXEL = "pixel"
    API = "API"
    HAND = "by hand"
    COMMAND = "clickloop convert"


class Fate(msgspec.Struct, frozen=True):
    """The expected state of a postback in Conversions - Out, and the reason if it is skipped."""

    state: PostbackState
    reason: str = ""


DELIVERED = Fate(PostbackState.DELIVERED)
FAILED = Fate(PostbackState.FAILED)


class ConversionStep(msgspec.Struct, frozen=True, kw_only=True):
    """One notice of a visitor's conversion, and its expected results."""

    via: SentVia = SentVia.GET
    txid: str
    word: str
    """The network's word for the status."""
    cents: int | None
    """The payout sent. None: the network does not replace its macro."""
    currency: str = "USD"
    no_postback: bool = False
    outcome: NoticeOutcome = NoticeOutcome.NEW
    status: str = "sale"
    """Key of the conversion's status afterwards."""
    micros: int
    """The conversion's payout afterwards."""
    source: Fate | None = DELIVERED
    """Fate of the postback to the source. None: the step creates none."""
    own: Fate | None = DELIVERED
    """Fate of the postback to the user's own system. None: the step creates none."""


class PlannedVisitor(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor from the source, and their conversions. ``cost`` is decimal text. An empty ``external_id`` is not sent."""

    number: int
    external_id: bytes
    in_link: str
    """The external id as the source inserts it into the link."""
    cost: str
    useragent: str
    language: str
    ip: str
    macro_values: dict[str, str]
    """The source's macro → its value."""
    screening: Screening | None = None
    steps: tuple[ConversionStep, ...] = ()


class StrayNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice without a click. ``click_id`` is None if it must be made with the tracker's key."""

    name: str
    click_id: str | None
    outcome: NoticeOutcome = NoticeOutcome.REFUSED
    reason: RefusalReason | None


class Plan(msgspec.Struct, frozen=True):
    """Everything that happens in a demo."""

    visitors: tuple[PlannedVisitor, ...]
    strays: tuple[StrayNotice, ...]
    failing: dict[bytes, int]
    """External id → number of times the source answers 500 before it accepts the postback."""
    busy: frozenset[str]
    """Transaction ids for which the user's own system first answers 429."""
    slow: frozenset[str]
    """Transaction ids for which it first answers too late."""


UNKNOWN, FORGED = "unknown click", "forged ID"
NEVER = 1_000_000
_NOT_SELECTED = Fate(PostbackState.SKIPPED, SkipReason.STATUS_NOT_SELECTED.value)
_DUPLICATE = Fate(PostbackState.SKIPPED, SkipReason.DUPLICATE.value)
_DISABLED = Fate(PostbackState.SKIPPED, SkipReason.DISABLED_BY_NOTICE.value)
_AWKWARD = (
    b"MTc2NTg3+MTIz/NDU2Nw==",
    b"id&payout=9999&r=1",
    "клик-😀-ид".encode(),
    b"\xff\xfe\x00raw\x80",
    b"50%off#top?",
    b"../../{payout}x",
    b"two words\r\nand a line",
    b'quo"te\\s<b>',
)


class ConversionPattern(enum.Enum):
    """A pattern of conversion."""

    SALE = enum.auto()
    REBILLS = enum.auto()
    HOLD = enum.auto()
    HOLD_THEN_SALE = enum.auto()
    HOLD_THEN_REJECTED = enum.auto()
    REJECTED = enum.auto()
    CHARGEBACK = enum.auto()
    REPEAT = enum.auto()
    CORRECTED = enum.auto()
    UNKNOWN_WORD = enum.auto()
    UNREPLACED_PAYOUT = enum.auto()
    NO_EXTERNAL_ID = enum.auto()
    UNREPLACED_EXTERNAL_ID = enum.auto()
    NO_POSTBACK = enum.auto()
    FAILS_TWICE = enum.auto()
    FAILS_ALWAYS = enum.auto()
    BUSY = enum.auto()
    SLOW = enum.auto()
    BY_COMMAND = enum.auto()


_PER_THOUSAND = {
    ConversionPattern.SALE: 46,
    ConversionPattern.REBILLS: 6,
    ConversionPattern.HOLD: 3,
    ConversionPattern.HOLD_THEN_SALE: 8,
    ConversionPattern.HOLD_THEN_REJECTED: 4,
    ConversionPattern.REJECTED: 5,
    ConversionPattern.CHARGEBACK: 2,
    ConversionPattern.REPEAT: 3,
    ConversionPattern.CORRECTED: 2,
    ConversionPattern.UNKNOWN_WORD: 2,
    ConversionPattern.UNREPLACED_PAYOUT: 2,
    ConversionPattern.NO_EXTERNAL_ID: 3,
    ConversionPattern.UNREPLACED_EXTERNAL_ID: 2,
    ConversionPattern.NO_POSTBACK: 2,
    ConversionPattern.FAILS_TWICE: 3,
    ConversionPattern.FAILS_ALWAYS: 1,
    ConversionPattern.BUSY: 2,
    ConversionPattern.SLOW: 1,
    ConversionPattern.BY_COMMAND: 0.5,
}
"""Number of visitors per thousand with each pattern; at least one."""


def make_plan(visitors: int, seed: int = 1) -> Plan:
    """Return the plan for a number of visitors, at least 100. Deterministic: the same arguments give the same plan."""
    chance = Random(seed)
    numbers = list(range(visitors))
    chance.shuffle(numbers)
    patterns = dict(zip(numbers, _patterns(visitors), strict=False))
    screened = dict(zip(reversed(numbers), _screenings(visitors), strict=False))
    plain = [make_visitor(number, patterns.get(number), screened.get(number), chance) for number in range(visitors)]
    return Plan(
        visitors=tuple(plain),
        strays=_strays(max(1, visitors // 1000)),
        failing={
            visitor.external_id: times for visitor in plain if (times := _FAILURES.get(patterns.get(visitor.number)))
        },
        busy=frozenset(_txid(number) for number, pattern in patterns.items() if pattern is ConversionPattern.BUSY),
        slow=frozenset(_txid(number) for number, pattern in patterns.items() if pattern is ConversionPattern.SLOW),
    )


_FAILURES: dict[ConversionPattern | None, int] = {
    ConversionPattern.FAILS_TWICE: 2,
    ConversionPattern.FAILS_ALWAYS: NEVER,
}


def _patterns(visitors: int) -> list[ConversionPattern]:
    return [pattern for pattern, share in _PER_THOUSAND.items() for _ in range(max(1, round(visitors * share / 1000)))]


def _screenings(visitors: int) -> list[Screening]:
    each = max(1, visitors // 150)
    return [
        reason
        for reason in (Screening.HEAD_REQUEST, Screening.PREFETCH, Screening.PREVIEW_BOT, Screening.CRAWLER)
        for _ in range(each)
    ]


_USERAGENTS = {Screening.PREVIEW_BOT: PREVIEW_BOTS, Screening.CRAWLER: CRAWLERS}


def make_visitor(
    number: int,
    pattern: ConversionPattern | None,
    screening: Screening | None,
    chance: Random,
    networks: Sequence[tuple[str, str]] = HOME_NETWORKS,
) -> PlannedVisitor:
    """Return a visitor from one of these home networks, with the notices of a pattern; None: they do not convert."""
    external_id, in_link = _external_id(number, pattern, chance)
    useragents = _USERAGENTS.get(screening, BROWSERS) if screening else BROWSERS
    country, block = chance.choice(networks)
    campaign = chance.choice(CAMPAIGNS)
    return PlannedVisitor(
        number=number,
        external_id=external_id,
        in_link=in_link,
        cost=f"0.{chance.randrange(4, 900):04d}",
        useragent=chance.choice(useragents),
        language=LANGUAGES[country],
        ip=f"{block}.{chance.randrange(1, 255)}",
        macro_values={
            "{widget_id}": str(5_700_000 + chance.randrange(400)),
            "{teaser_id}": str(11_200_000 + chance.randrange(12)),
            "{campaign_id}": campaign,
            "{category_id}": str(chance.randrange(100, 130)),
            "{geo}": country,
            "{source}": f"news{chance.randrange(60)}.example",
        },
        screening=screening,
        steps=tuple(_steps(number, pattern, chance)) if pattern else (),
    )


def _external_id(number: int, pattern: ConversionPattern | None, chance: Random) -> tuple[bytes, str]:
    """Return the source's click id, raw and as inserted into the link: some sources leave base64 unescaped."""
    if pattern is ConversionPattern.NO_EXTERNAL_ID:
        return b"", ""
    if pattern is ConversionPattern.UNREPLACED_EXTERNAL_ID:
        return UNREPLACED, UNREPLACED.decode()
    if pattern is ConversionPattern.SALE and number % 2:
        awkward = _AWKWARD[number // 2 % len(_AWKWARD)] + b"-%d" % number
        return awkward, quote_from_bytes(awkward, safe="+/=" if awkward.startswith(_AWKWARD[0]) else "")
    plain = f"{chance.getrandbits(96):024x}{number:x}"
    return plain.encode(), plain


def _txid(number: int, suffix: str = "a") -> str:
    return f"T{100_000 + number}-{suffix}"


def _steps(number: int, pattern: ConversionPattern, chance: Random) -> Iterator[ConversionStep]:
    """Yield the notices of a visitor in order."""
    cents = chance.randrange(450, 4_800)
    via = (SentVia.GET, SentVia.FORM, SentVia.JSON, SentVia.PIXEL, SentVia.API, SentVia.HAND)[chance.randrange(6)]
    currency = "EUR" if pattern is ConversionPattern.SALE and chance.random() < 0.1 else "USD"
    sale = ConversionStep(via=via, txid=_txid(number), word="1", cents=cents, currency=currency, micros=cents * 10_000)
    change = msgspec.structs.replace
    hold = change(sale, via=SentVia.GET, word="2", status="hold", source=_NOT_SELECTED)
    rejected = change(sale, via=SentVia.GET, word="3", status="rejected", source=_NOT_SELECTED)
    match pattern:
        case ConversionPattern.REBILLS:
            yield sale
            for suffix in "bc"[: chance.randrange(1, 3)]:
                yield change(sale, via=SentVia.FORM, txid=_txid(number, suffix))
        case ConversionPattern.HOLD:
            yield hold
        case ConversionPattern.HOLD_THEN_SALE:
            yield hold
            yield change(sale, via=SentVia.JSON, outcome=NoticeOutcome.CHANGED)
        case ConversionPattern.HOLD_THEN_REJECTED:
            yield hold
            yield change(rejected, outcome=NoticeOutcome.CHANGED)
        case ConversionPattern.REJECTED:
            yield rejected
        case ConversionPattern.CHARGEBACK:
            yield sale
            yield change(rejected, word="chargeback", outcome=NoticeOutcome.CHANGED)
        case ConversionPattern.REPEAT:
            yield sale
            yield change(sale, outcome=NoticeOutcome.REPEATED, source=None, own=None)
        case ConversionPattern.CORRECTED:
            yield sale
            more = cents + 125
            yield change(
                sale, cents=more, micros=more * 10_000, outcome=NoticeOutcome.CHANGED, source=_DUPLICATE, own=_DUPLICATE
            )
        case ConversionPattern.UNKNOWN_WORD:
            yield change(sale, via=SentVia.GET, word="wow_bonus", status="other", source=_NOT_SELECTED)
        case ConversionPattern.UNREPLACED_PAYOUT:
            yield change(sale, via=SentVia.GET, cents=None, micros=OFFER_CENTS * 10_000)
        case ConversionPattern.NO_EXTERNAL_ID:
            yield change(sale, source=Fate(PostbackState.SKIPPED, SkipReason.NO_EXTERNAL_ID.value))
        case ConversionPattern.UNREPLACED_EXTERNAL_ID:
            yield change(sale, source=Fate(PostbackState.SKIPPED, SkipReason.UNREPLACED_EXTERNAL_ID.value))
        case ConversionPattern.NO_POSTBACK:
            yield change(sale, no_postback=True, source=_DISABLED, own=_DISABLED)
        case ConversionPattern.FAILS_ALWAYS:
            yield change(sale, source=FAILED)
        case ConversionPattern.BY_COMMAND:
            # The second conversion, since the click has certainly been settled by then.
            yield sale
            yield change(sale, via=SentVia.COMMAND, txid=_txid(number, "b"))
        case _:
            yield sale


def _strays(each: int) -> tuple[StrayNotice, ...]:
    patterns = (
        StrayNotice(name=UNKNOWN, click_id=None, outcome=NoticeOutcome.WAITING, reason=None),
        StrayNotice(name=FORGED, click_id=None, reason=RefusalReason.FORGED_CLICK_ID),
        StrayNotice(name="cut ID", click_id="01kaqj6z8m4x2c", reason=RefusalReason.MALFORMED_CLICK_ID),
        StrayNotice(name="no ID", click_id="", reason=RefusalReason.NO_CLICK_ID),
        StrayNotice(name="unreplaced ID", click_id="{sub1}", reason=RefusalReason.UNREPLACED_MACRO),
    )
    return tuple(stray for stray in patterns for _ in range(each))
