"""A plain model of a year's figures: lists of clicks, page events and conversions as they stand, summed in Python's integers.

It shares no code with the product: it has its own formulas, time zones' days, rounding, rates and texts.
"""

import csv
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from importlib.resources import files
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

E12 = 10**12
DAY_MS = 86_400_000
APPROVAL_MS = 90 * DAY_MS
CURRENCY = "USD"
COUNTS_AS = {"sale": "confirmed", "hold": "pending", "rejected": "rejected", "other": "pending"}
DELAYS = (0, 60, 300, 900, 3_600, 21_600, 86_400, 259_200, 604_800, 2_592_000)
OF_CONVERSIONS = ("status", "counts_as", "delay")
Sums = dict[str, int]


class PlainClick(msgspec.Struct, kw_only=True):
    """A click, with the shares of the cost entries that cover it, by rank."""

    click_id: str
    at: int
    campaign: int
    source: int
    offer: int
    network: int
    landing: int
    country: str
    v1: str
    v2: str
    unique: bool
    screening: str
    marks: set[str]
    asn: str
    cost: int
    cost_currency: str
    per_conversion: int = 0
    share_percent: int = 0
    shares: dict[tuple[int, int], tuple[int, str]] = {}

    @property
    def counts(self) -> bool:
        return not self.screening


class PlainConversion(msgspec.Struct, kw_only=True):
    """A conversion as the network said last."""

    click: PlainClick
    at: int
    status: str
    payout: int
    currency: str
    offer: int
    network: int


class PlainPageEvent(msgspec.Struct, kw_only=True):
    """What a click's visitor did on a page."""

    click: PlainClick
    at: int
    views: int = 0
    presses: int = 0
    visits: int = 0
    numbers: dict[int, int] = {}
    offer: int = 0
    network: int = 0


class PlainEntry(msgspec.Struct, kw_only=True):
    """A cost entry. ``rank``: manual first, then the newer."""

    rank: tuple[int, int]
    source: int
    campaign: int
    v1: tuple[str, ...]
    from_at: int
    until_at: int
    micros: int
    currency: str
    over: str

    def covers(self, click: PlainClick) -> bool:
        return (
            click.screening != "test"
            and self.from_at <= click.at < self.until_at
            and self.source in (0, click.source)
            and self.campaign in (0, click.campaign)
            and (not self.v1 or click.v1 in self.v1)
        )

    def shares_with(self, click: PlainClick) -> bool:
        return click.counts and {"clicks": True, "unique": click.unique, "clean": not click.marks}[self.over]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A report, in the words of the API."""

    first: date
    last: date
    zone: str = "UTC"
    group_by: tuple[str, ...] = ()
    by: str = "conversion"
    filters: tuple[tuple[str, str], ...] = ()
    before: tuple[date, date] | None = None


class PlainRow(NamedTuple):
    """One thing that happened, at its own time and its click's, with the amounts that it adds."""

    kind: str
    at: int
    click: PlainClick
    offer: int
    network: int
    status: str
    sums: Sums
    money: tuple[tuple[str, int], ...]
    currency: str


class PlainYear:
    """Everything that happened, as it stands now."""

    def __init__(self) -> None:
        self.clicks: dict[str, PlainClick] = {}
        self.conversions: dict[tuple[str, str], PlainConversion] = {}
        self.events: list[PlainPageEvent] = []
        self.entries: dict[int, PlainEntry] = {}
        self.rates: dict[str, list[tuple[int, int]]] = {}
        self._zones: dict[str, dict[int, datetime]] = {}
        self._rows: list[PlainRow] = []
        self._rate_of: dict[tuple[str, int], int | None] = {}

    def settle(self) -> None:
        """Take what has happened since: share entries out anew, and list the rows."""
        for click in self.clicks.values():
            click.shares = {}
        for entry in self.entries.values():
            self._share(entry)
        self._rows = list(self._all_rows())
        self._rate_of = {}

    def _share(self, entry: PlainEntry) -> None:
        covered = sorted((one for one in self.clicks.values() if entry.covers(one)), key=lambda one: one.click_id)
        sharing = [click for click in covered if entry.shares_with(click)]
        if not sharing:
            return
        each, rest = divmod(entry.micros, len(sharing))
        for click in covered:
            click.shares[entry.rank] = (0, entry.currency)
        for place, click in enumerate(sharing):
            click.shares[entry.rank] = (each + (place < rest), entry.currency)

    def _all_rows(self) -> Iterator[PlainRow]:
        for click in self.clicks.values():
            if click.screening == "test":
                continue
            cost, currency = click.shares[max(click.shares)] if click.shares else (click.cost, click.cost_currency)
            sums = {"clicks_recorded": 1}
            if click.counts:
                sums |= {"clicks": 1, "unique_clicks": click.unique, "clean_clicks": not click.marks}
                sums |= {"landing_visits": click.landing > 0, "offer_visits": click.offer > 0}
            money = (("cost", cost),)
            yield PlainRow("click", click.at, click, click.offer, click.network, "", sums, money, currency)
        for event in self.events:
            click = event.click
            offer, network = (event.offer, event.network) if event.offer else (click.offer, click.network)
            sums = {"landing_views": event.views, "landing_clicks": event.presses, "offer_visits": event.visits}
            sums |= {"events": len(event.numbers)}
            sums |= {f"event{number}": micros for number, micros in event.numbers.items()}
            yield PlainRow("event", event.at, click, offer, network, "", sums, (), CURRENCY)
        for one in self.conversions.values():
            yield from self._rows_of(one)

    def _rows_of(self, one: PlainConversion) -> Iterator[PlainRow]:
        counts_as = COUNTS_AS[one.status]
        name = {"confirmed": "revenue", "pending": "pending_revenue", "rejected": "rejected_revenue"}[counts_as]
        sums = {counts_as: 1, f"by_{one.status}": 1}
        money = ((name, one.payout), (f"revenue_{one.status}", one.payout))
        click = one.click
        yield PlainRow("conversion", one.at, click, one.offer, one.network, one.status, sums, money, one.currency)
        if click.shares or one.status != "sale":
            return
        cost, currency = click.per_conversion, "EUR"
        if click.share_percent:
            cost, currency = (2 * one.payout * click.share_percent + 100) // 200, one.currency
        if cost:
            yield PlainRow("cost", one.at, click, one.offer, one.network, one.status, {}, (("cost", cost),), currency)

    def rate(self, currency: str, at: int) -> int | None:
        """Return the rate of a moment's UTC day, in trillionths; None if there is none yet."""
        day = at // DAY_MS
        if (currency, day) not in self._rate_of:
            known = [rate for since, rate in self.rates.get(currency, ()) if since <= day]
            self._rate_of[currency, day] = E12 if currency == CURRENCY else known[-1] if known else None
        return self._rate_of[currency, day]

    def answer(self, question: Question) -> dict[tuple[str, ...], tuple[Sums, Sums]]:
        """Return the sums of each group, and those in the period before; with the key () the totals."""
        now = self._grouped(question, question.first, question.last, 0)
        before: dict[tuple[str, ...], list[PlainRow]] = {}
        if question.before:
            later = (question.first - question.before[0]).days
            before = self._grouped(question, *question.before, later)
        approvals = self._approvals(question)
        groups = {
            keys: (self._sums(now.get(keys, ()), approvals), self._sums(before.get(keys, ()), approvals))
            for keys in {**now, **before}
        }
        every = [[row for rows in side.values() for row in rows] for side in (now, before)]
        groups[()] = self._sums(every[0], approvals), self._sums(every[1], approvals)
        return groups

    def _grouped(
        self, question: Question, first: date, last: date, later: int
    ) -> dict[tuple[str, ...], list[PlainRow]]:
        from_at, until_at = (self._midnight(day, question.zone) for day in (first, last + timedelta(1)))
        of_conversions = any(word in OF_CONVERSIONS for word in question.group_by)
        groups: dict[tuple[str, ...], list[PlainRow]] = {}
        for row in self._rows:
            at = row.click.at if question.by == "click" else row.at
            if not from_at <= at < until_at or (of_conversions and row.kind != "conversion"):
                continue
            if not self._matches(question, row, at):
                continue
            keys = tuple(self.key(word, row, at, question.zone, later) for word in question.group_by)
            groups.setdefault(keys, []).append(row)
        # A group with nothing but cost, or page events that count nothing, is not shown.
        return {keys: rows for keys, rows in groups.items() if any(_shows(row) for row in rows)}

    def _matches(self, question: Question, row: PlainRow, at: int) -> bool:
        wanted: dict[str, set[str]] = {}
        for word, value in question.filters:
            if word not in OF_CONVERSIONS or row.kind == "conversion":
                wanted.setdefault(word, set()).add(value)
        return all(self.key(word, row, at, question.zone, 0) in values for word, values in wanted.items())

    def key(self, word: str, row: PlainRow, at: int, zone: str, later: int) -> str:
        """Return a row's key in a dimension, in the words of the API."""
        click = row.click
        match word:
            case "day":
                return (self._local(at, zone).date() + timedelta(later)).isoformat()
            case "hour":
                return self._hour(at, zone).isoformat(timespec="minutes")
            case "weekday":
                return str(self._local(at, zone).isoweekday())
            case "hour_of_day":
                return str(self._local(at, zone).hour)
            case "mark":
                return ",".join(sorted(click.marks))
            case "unique":
                return "unique" if click.unique else "returning"
            case "offer" | "network":
                return str(row.offer if word == "offer" else row.network)
            case "status":
                return row.status
            case "counts_as":
                return COUNTS_AS[row.status]
            case "delay":
                return str(max(first for first in DELAYS if first <= max(row.at - click.at, 0) // 1000))
            case "Zone":  # V1 of the first source, V2 of the second
                return click.v1 if click.source == 1 else click.v2
            case "Site":
                return click.v2 if click.source == 1 else click.v1
            case _:
                return str(getattr(click, word))

    def _local(self, at: int, zone: str) -> datetime:
        known = self._zones.setdefault(zone, {})
        if at not in known:
            known[at] = datetime.fromtimestamp(at / 1000, ZoneInfo(zone))
        return known[at]

    def _hour(self, at: int, zone: str) -> datetime:
        """Return when the clock began to show this hour, with this offset: an hour may begin or end with a clock change."""
        local = self._local(at, zone)
        begins = at - (local.minute * 60 + local.second) * 1000 - at % 1000
        while True:
            found = datetime.fromtimestamp(begins / 1000, ZoneInfo(zone))
            if found.utcoffset() == local.utcoffset() and found.hour == local.hour:
                return found
            begins += 60_000

    @staticmethod
    def _midnight(day: date, zone: str) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()) * 1000

    def _approvals(self, question: Question) -> dict[int, int]:
        """Return the approval rates of offers, in millionths."""
        until = self._midnight(question.last + timedelta(1), question.zone)
        counts: dict[int, list[int]] = {}
        for one in self.conversions.values():
            if until - APPROVAL_MS <= one.at < until and COUNTS_AS[one.status] != "pending":
                counts.setdefault(one.offer, [0, 0])[COUNTS_AS[one.status] == "rejected"] += 1
        return {offer: half_away(yes * 10**6, yes + no) for offer, (yes, no) in counts.items()}

    def _sums(self, rows: Iterable[PlainRow], approvals: dict[int, int]) -> Sums:
        sums: Sums = {}
        exact: Sums = {}
        delays: list[int] = []
        for row in rows:
            for name, number in row.sums.items():
                sums[name] = sums.get(name, 0) + number
            if row.kind == "conversion" and COUNTS_AS[row.status] != "rejected":
                delays.append(max(row.at - row.click.at, 0) // 1000)
            rate = self.rate(row.currency, row.at) if any(micros for _, micros in row.money) else E12
            for name, micros in row.money:
                if rate is not None:
                    exact[name] = exact.get(name, 0) + micros * rate
                elif micros and "_" not in name.removesuffix("_revenue"):
                    sums[f"{row.currency} {name}"] = sums.get(f"{row.currency} {name}", 0) + micros
                if name == "pending_revenue":
                    expected = half_away((rate or 0) * approvals.get(row.offer, 0), 10**6)
                    exact["expected_revenue"] = exact.get("expected_revenue", 0) + micros * expected
        sums |= {name: half_away(amount, E12) for name, amount in exact.items()}
        if delays:
            sums["delay_p50"] = sorted(delays)[(len(delays) - 1) // 2]
        return sums


def _shows(row: PlainRow) -> bool:
    return row.kind in ("click", "conversion") or any(row.sums.values())


def half_away(dividend: int, divisor: int) -> int:
    """Return a quotient rounded half away from zero."""
    magnitude = (2 * abs(dividend) + divisor) // (2 * divisor)
    return magnitude if dividend >= 0 else -magnitude


def published_rates(currency: str) -> list[tuple[int, int]]:
    """Return a currency's rates into dollars by day, from what the European Central Bank says that a euro is worth."""
    found: dict[int, int] = {}
    with zipfile.ZipFile(str(files("currency_converter") / "eurofxref-hist.zip")) as archive:
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    for line in csv.DictReader(lines):
        dollars, units = (Fraction(line[name]) if line[name][:1].isdecimal() else None for name in ("USD", currency))
        if dollars and units:
            rate = dollars / units
            found[(date.fromisoformat(line["Date"]) - date(1970, 1, 1)).days] = half_away(
                rate.numerator * E12, rate.denominator
            )
    return sorted(found.items())
