"""The state of an offer's cap: counted in this period, reached since, what went elsewhere, and the times before."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection

from clickloop.clock import HOUR_MS
from clickloop.diagnosis.caps.sentences import instead_sentence, offer_label
from clickloop.setup.cap_period import NO_END, PeriodBounds, period_of, zone_of_cap
from clickloop.setup.offer import Offer
from clickloop.setup.offer_cap import CapUnit, OfferCap
from clickloop.store.facts.facts import FactsReader
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.cap_counts import count_conversions
from clickloop.store.ledger.logs.cap_spans import CapSpan, span_at, spans_of_offer
from clickloop.store.ledger.setup.names import RecordKind, names_of
from clickloop.store.ledger.setup.offers import OFFERS

MAX_SPANS = 20
"""Spans in which a cap was reached that are shown, the latest."""


class SentOn(msgspec.Struct, frozen=True):
    """Visitors whom a cap sent to an offer."""

    offer_id: int
    name: str
    visitors: int


class ReachedSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which a cap was reached. ``counted``: by now, late conversions included."""

    cap: OfferCap
    reached_at: int
    ended_at: int | None
    counted_then: int
    counted: int
    sent_on: tuple[SentOn, ...]

    @property
    def visitors(self) -> int:
        """Return how many visitors went elsewhere."""
        return sum(one.visitors for one in self.sent_on)


class CapStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an offer's cap. ``cap`` None: it has none now. ``period``: the current one."""

    cap: OfferCap | None
    period: PeriodBounds | None = None
    counted: int = 0
    per_second: float = 0.0
    """The rate of what it counts over the last hour."""
    instead: str = ""
    """The offer that takes its visitors now; empty: none, or the cap is not reached."""
    spans: tuple[ReachedSpan, ...] = ()
    """Latest first."""

    @property
    def reached(self) -> ReachedSpan | None:
        """Return the span that has not ended, or None if the cap is not reached."""
        return self.spans[0] if self.spans and self.spans[0].ended_at is None else None

    @property
    def ends_at(self) -> int | None:
        """Return when the next period begins; None: never."""
        return None if self.period is None or self.period.end_at >= NO_END else self.period.end_at


def find_cap_status(
    ledger: Ledger, facts: FactsReader, offer_id: int, instance_zone: str, now_ms: int
) -> CapStatus | None:
    """Return the state of an offer's cap; None if there is no such offer."""
    with ledger.read() as tx:
        offer = OFFERS.find(tx, offer_id)
        if offer is None:
            return None
        spans = spans_of_offer(tx, offer_id, MAX_SPANS)
        counter = _Counter(tx, facts, offer_id, instance_zone)
        went_to = [
            facts.offer_visits.sent_on(offer_id, span.reached_at, span.ended_at or now_ms + HOUR_MS) for span in spans
        ]
        named = {span.instead_id for span in spans} | {key for found in went_to for key in found}
        names = names_of(tx, RecordKind.OFFER, named)
        reached = tuple(
            ReachedSpan(
                cap=span.cap,
                reached_at=span.reached_at,
                ended_at=span.ended_at,
                counted_then=span.counted,
                counted=counter.count_of(span),
                sent_on=_sent_on(found, names),
            )
            for span, found in zip(spans, went_to, strict=True)
        )
        if offer.cap is None:
            return CapStatus(cap=None, spans=reached)
        period = counter.period(offer.cap, now_ms)
        last_hour = counter.count(offer.cap, PeriodBounds(now_ms - HOUR_MS, now_ms))
        return CapStatus(
            cap=offer.cap,
            period=period,
            counted=counter.count(offer.cap, period),
            per_second=last_hour * 1000 / HOUR_MS,
            instead=_instead(spans, names),
            spans=reached,
        )


class _Counter:
    """Counts what an offer's caps limit, as of now."""

    def __init__(self, tx: Connection, facts: FactsReader, offer_id: int, instance_zone: str) -> None:
        self._tx = tx
        self._facts = facts
        self._offer_id = offer_id
        self._instance_zone = instance_zone

    def period(self, cap: OfferCap, at: int) -> PeriodBounds:
        return period_of(cap.per, zone_of_cap(cap, self._instance_zone), at)

    def count_of(self, span: CapSpan) -> int:
        counted = self.count(span.cap, self.period(span.cap, span.reached_at))
        # Old clicks may have been deleted; conversions never are.
        return counted if span.cap.of is CapUnit.CONVERSIONS else max(span.counted, counted)

    def count(self, cap: OfferCap, period: PeriodBounds) -> int:
        if cap.of is CapUnit.CONVERSIONS:
            return count_conversions(self._tx, self._offer_id, cap, period)
        found = self._facts.offer_visits.in_period([self._offer_id], period.start_at, period.end_at).get(self._offer_id)
        if found is None:
            return 0
        return found.unique if cap.of is CapUnit.UNIQUE_CLICKS else found.visits


def instead_sentences(
    tx: Connection, offer_ids: Collection[tuple[int, int]], at: int, *, is_now: bool = False
) -> dict[int, str]:
    """Return, by offer, why its visitors went to another one at that moment. ``offer_ids``: pairs of offer and the other one."""
    names = names_of(tx, RecordKind.OFFER, {number for pair in offer_ids for number in pair})

    def label(number: int) -> str:
        return offer_label(number, names.get(number, "")) if number else ""

    found = {}
    for offer_id, instead_id in offer_ids:
        span = span_at(tx, offer_id, at)
        cap = span.cap if span is not None else _cap_of(tx, offer_id)
        found[offer_id] = instead_sentence(label(offer_id), cap, label(instead_id), is_now=is_now)
    return found


def _cap_of(tx: Connection, offer_id: int) -> OfferCap | None:
    offer: Offer | None = OFFERS.find(tx, offer_id)
    return None if offer is None else offer.cap


def _sent_on(found: dict[int, int], names: dict[int, str]) -> tuple[SentOn, ...]:
    by_visitors = sorted(found.items(), key=lambda one: (-one[1], one[0]))
    return tuple(SentOn(offer_id, names.get(offer_id, ""), visitors) for offer_id, visitors in by_visitors)


def _instead(spans: list[CapSpan], names: dict[int, str]) -> str:
    if not spans or spans[0].ended_at is not None or not spans[0].instead_id:
        return ""
    return offer_label(spans[0].instead_id, names.get(spans[0].instead_id, ""))
