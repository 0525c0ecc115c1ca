"""The plan: which visitors come, which of them convert and how, and what the tracker is to make of each. Pure, from a seed."""

import enum
from collections.abc import Iterator
from random import Random
from urllib.parse import quote_from_bytes

import msgspec

from clickloop.click.click import Screening
from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import Outcome
from clickloop.demo.browsers import BROWSERS, CAMPAIGNS, CRAWLERS, HOME_NETWORKS, LANGUAGES, PREVIEW_BOTS
from clickloop.postback.due import SkipReason
from clickloop.postback.state import PostbackState

OFFER_CENTS = 2_150
"""The fixed payout of both offers, in cents of a dollar."""
WEIGHTS = (70, 30)
UNREPLACED = b"{click_id}"
"""The source's macro for its click id, as it comes when it is not replaced."""


class Way(enum.StrEnum):
    """How word of a conversion gets to the tracker."""

    GET = "S2S GET"
    FORM = "S2S form"
    JSON = "S2S JSON"
    PIXEL = "pixel"
    API = "API"
    HAND = "by hand"
    COMMAND = "clickloop convert"


class Fate(msgspec.Struct, frozen=True):
    """What is to become of a postback: a state of Conversions - Out, and why it was skipped."""

    state: PostbackState
    reason: str = ""


DELIVERED = Fate(PostbackState.DELIVERED)
FAILED = Fate(PostbackState.FAILED)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One notice of a visitor's conversion, and what the tracker is to make of it."""

    way: Way = Way.GET
    txid: str
    word: str
    """The network's word for the status."""
    cents: int | None
    """The payout sent; None: the network leaves its macro as it is."""
    currency: str = "USD"
    no_postback: bool = False
    outcome: Outcome = Outcome.NEW
    status: str = "sale"
    """The key of the status that the conversion then has."""
    micros: int
    """The payout that it then has."""
    source: Fate | None = DELIVERED
    """Of the source's postback; None: the step decides none."""
    own: Fate | None = DELIVERED
    """Of the postback to the user's own system."""


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom the source sends, and how he converts. ``cost`` is decimal text; ``external_id`` empty: none is sent."""

    number: int
    external_id: bytes
    in_link: str
    """The external id as the source writes it into the link."""
    cost: str
    useragent: str
    language: str
    ip: str
    rows: dict[str, str]
    """The source's macro and its value."""
    screening: Screening | None = None
    steps: tuple[Step, ...] = ()


class Stray(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that belongs to no click. ``click_id`` None: it is made when the key is known."""

    name: str
    click_id: str | None
    outcome: Outcome = Outcome.REFUSED
    reason: RefusalReason | None


class Plan(msgspec.Struct, frozen=True):
    """Everything that is going to happen."""

    visitors: tuple[Visitor, ...]
    strays: tuple[Stray, ...]
    failing: dict[bytes, int]
    """External id → how often the source answers 500 before it takes the postback."""
    busy: frozenset[str]
    """Transaction ids that the user's own system first answers 429."""
    slow: frozenset[str]
    """Transaction ids to which it first answers too late."""


UNKNOWN, FORGED = "unknown click", "forged id"
NEVER = 1_000_000
_UNWANTED = Fate(PostbackState.SKIPPED, SkipReason.STATUS_NOT_SELECTED.value)
_KNOWN = Fate(PostbackState.SKIPPED, SkipReason.DUPLICATE.value)
_OFF = Fate(PostbackState.SKIPPED, SkipReason.DISABLED_BY_NOTICE.value)
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


class _Kind(enum.Enum):
    """How a visitor converts."""

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


_OF_A_THOUSAND = {
    _Kind.SALE: 46,
    _Kind.REBILLS: 6,
    _Kind.HOLD: 3,
    _Kind.HOLD_THEN_SALE: 8,
    _Kind.HOLD_THEN_REJECTED: 4,
    _Kind.REJECTED: 5,
    _Kind.CHARGEBACK: 2,
    _Kind.REPEAT: 3,
    _Kind.CORRECTED: 2,
    _Kind.UNKNOWN_WORD: 2,
    _Kind.UNREPLACED_PAYOUT: 2,
    _Kind.NO_EXTERNAL_ID: 3,
    _Kind.UNREPLACED_EXTERNAL_ID: 2,
    _Kind.NO_POSTBACK: 2,
    _Kind.FAILS_TWICE: 3,
    _Kind.FAILS_ALWAYS: 1,
    _Kind.BUSY: 2,
    _Kind.SLOW: 1,
    _Kind.BY_COMMAND: 0.5,
}
"""How many of a thousand visitors convert in each way; at least one does."""


def make_plan(visitors: int, seed: int = 1) -> Plan:
    """Return the plan for a number of visitors, at least 100. The same numbers give the same plan."""
    chance = Random(seed)
    numbers = list(range(visitors))
    chance.shuffle(numbers)
    kinds = dict(zip(numbers, _kinds(visitors), strict=False))
    screened = dict(zip(reversed(numbers), _screenings(visitors), strict=False))
    plain = [_visitor(number, kinds.get(number), screened.get(number), chance) for number in range(visitors)]
    return Plan(
        visitors=tuple(plain),
        strays=_strays(max(1, visitors // 1000)),
        failing={
            visitor.external_id: times for visitor in plain if (times := _FAILURES.get(kinds.get(visitor.number)))
        },
        busy=frozenset(_txid(number) for number, kind in kinds.items() if kind is _Kind.BUSY),
        slow=frozenset(_txid(number) for number, kind in kinds.items() if kind is _Kind.SLOW),
    )


_FAILURES: dict[_Kind | None, int] = {_Kind.FAILS_TWICE: 2, _Kind.FAILS_ALWAYS: NEVER}


def _kinds(visitors: int) -> list[_Kind]:
    return [kind for kind, share in _OF_A_THOUSAND.items() for _ in range(max(1, round(visitors * share / 1000)))]


def _screenings(visitors: int) -> list[Screening]:
    each = max(1, visitors // 150)
    return [
        reason
        for reason in (Screening.HEAD_REQUEST, Screening.PREFETCH, Screening.PREVIEW_BOT, Screening.CRAWLER)
        for _ in range(each)
    ]


_USERAGENTS = {Screening.PREVIEW_BOT: PREVIEW_BOTS, Screening.CRAWLER: CRAWLERS}


def _visitor(number: int, kind: _Kind | None, screening: Screening | None, chance: Random) -> Visitor:
    external_id, in_link = _external_id(number, kind, chance)
    useragents = _USERAGENTS.get(screening, BROWSERS) if screening else BROWSERS
    country, block = chance.choice(HOME_NETWORKS)
    campaign = chance.choice(CAMPAIGNS)
    return Visitor(
        number=number,
        external_id=external_id,
        in_link=in_link,
        cost=f"0.{chance.randrange(4, 900):04d}",
        useragent=chance.choice(useragents),
        language=LANGUAGES[country],
        ip=f"{block}.{chance.randrange(1, 255)}",
        rows={
            "{widget_id}": str(5_700_000 + chance.randrange(400)),
            "{teaser_id}": str(11_200_000 + chance.randrange(12)),
            "{campaign_id}": campaign,
            "{category_id}": str(chance.randrange(100, 130)),
            "{geo}": country,
            "{source}": f"news{chance.randrange(60)}.example",
        },
        screening=screening,
        steps=tuple(_steps(number, kind, chance)) if kind else (),
    )


def _external_id(number: int, kind: _Kind | None, chance: Random) -> tuple[bytes, str]:
    """The source's click id, and how it stands in the link: some sources write base64 as it is, the rest escape it."""
    if kind is _Kind.NO_EXTERNAL_ID:
        return b"", ""
    if kind is _Kind.UNREPLACED_EXTERNAL_ID:
        return UNREPLACED, UNREPLACED.decode()
    if kind is _Kind.SALE and number % 2:
        awkward = _AWKWARD[number // 2 % len(_AWKWARD)] + b"-%d" % number
        return awkward, quote_from_bytes(awkward, safe="+/=" if awkward.startswith(_AWKWARD[0]) else "")
    plain = f"{chance.getrandbits(96):024x}{number:x}"
    return plain.encode(), plain


def _txid(number: int, suffix: str = "a") -> str:
    return f"T{100_000 + number}-{suffix}"


def _steps(number: int, kind: _Kind, chance: Random) -> Iterator[Step]:
    """The notices of one conversion, the first one first."""
    cents = chance.randrange(450, 4_800)
    way = (Way.GET, Way.FORM, Way.JSON, Way.PIXEL, Way.API, Way.HAND)[chance.randrange(6)]
    currency = "EUR" if kind is _Kind.SALE and chance.random() < 0.1 else "USD"
    sale = Step(way=way, txid=_txid(number), word="1", cents=cents, currency=currency, micros=cents * 10_000)
    change = msgspec.structs.replace
    hold = change(sale, way=Way.GET, word="2", status="hold", source=_UNWANTED)
    rejected = change(sale, way=Way.GET, word="3", status="rejected", source=_UNWANTED)
    match kind:
        case _Kind.REBILLS:
            yield sale
            for suffix in "bc"[: chance.randrange(1, 3)]:
                yield change(sale, way=Way.FORM, txid=_txid(number, suffix))
        case _Kind.HOLD:
            yield hold
        case _Kind.HOLD_THEN_SALE:
            yield hold
            yield change(sale, way=Way.JSON, outcome=Outcome.CHANGED)
        case _Kind.HOLD_THEN_REJECTED:
            yield hold
            yield change(rejected, outcome=Outcome.CHANGED)
        case _Kind.REJECTED:
            yield rejected
        case _Kind.CHARGEBACK:
            yield sale
            yield change(rejected, word="chargeback", outcome=Outcome.CHANGED)
        case _Kind.REPEAT:
            yield sale
            yield change(sale, outcome=Outcome.REPEATED, source=None, own=None)
        case _Kind.CORRECTED:
            yield sale
            more = cents + 125
            yield change(sale, cents=more, micros=more * 10_000, outcome=Outcome.CHANGED, source=_KNOWN, own=_KNOWN)
        case _Kind.UNKNOWN_WORD:
            yield change(sale, way=Way.GET, word="wow_bonus", status="other", source=_UNWANTED)
        case _Kind.UNREPLACED_PAYOUT:
            yield change(sale, way=Way.GET, cents=None, micros=OFFER_CENTS * 10_000)
        case _Kind.NO_EXTERNAL_ID:
            yield change(sale, source=Fate(PostbackState.SKIPPED, SkipReason.NO_EXTERNAL_ID.value))
        case _Kind.UNREPLACED_EXTERNAL_ID:
            yield change(sale, source=Fate(PostbackState.SKIPPED, SkipReason.UNREPLACED_EXTERNAL_ID.value))
        case _Kind.NO_POSTBACK:
            yield change(sale, no_postback=True, source=_OFF, own=_OFF)
        case _Kind.FAILS_ALWAYS:
            yield change(sale, source=FAILED)
        case _Kind.BY_COMMAND:
            # As its second conversion, for by then the click has certainly been settled.
            yield sale
            yield change(sale, way=Way.COMMAND, txid=_txid(number, "b"))
        case _:
            yield sale


def _strays(each: int) -> tuple[Stray, ...]:
    kinds = (
        Stray(name=UNKNOWN, click_id=None, outcome=Outcome.WAITING, reason=None),
        Stray(name=FORGED, click_id=None, reason=RefusalReason.FORGED_CLICK_ID),
        Stray(name="cut id", click_id="01kaqj6z8m4x2c", reason=RefusalReason.MALFORMED_CLICK_ID),
        Stray(name="no id", click_id="", reason=RefusalReason.NO_CLICK_ID),
        Stray(name="unreplaced id", click_id="{sub1}", reason=RefusalReason.UNREPLACED_MACRO),
    )
    return tuple(stray for stray in kinds for _ in range(each))
