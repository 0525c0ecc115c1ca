"""Watching the caps of offers: count, record when one is reached and when there is room again, and publish it."""

from collections.abc import Callable, Mapping
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.clock import Clock
from clickloop.machine.log import log
from clickloop.setup.cap_period import PeriodBounds, period_of, zone_of_cap
from clickloop.setup.offer_cap import CapPeriod, CapUnit, OfferCap, cap_words, counted_words
from clickloop.store.facts.facts import FactsStore
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.logs.cap_spans import CapSpan, insert_span, open_spans, update_span
from clickloop.store.ledger.setup.offer_caps import live_among, live_caps, newest_setup_change
from clickloop.tracking.caps.alternatives import capped_offers
from clickloop.tracking.caps.counting import ConversionCounts, VisitCounts
from clickloop.tracking.routing_states import RoutingStates


class _Setup(msgspec.Struct, frozen=True):
    """The caps in force, as of a change of the set-up."""

    change: int
    instance_zone: str
    caps: dict[int, OfferCap]
    zones: dict[int, ZoneInfo]
    live: set[int]
    """The alternatives that are not archived."""


class CapWatch:
    """Looks whether caps are reached. Call ``step`` from one thread, often: without changes it is two short queries."""

    def __init__(
        self, ledger: Ledger, facts: FactsStore, states: RoutingStates, instance_zone: Callable[[], str], clock: Clock
    ) -> None:
        self._ledger = ledger
        self._states = states
        self._instance_zone = instance_zone
        self._clock = clock
        self._setup: _Setup | None = None
        self._periods_of: _Setup | None = None
        self._periods: dict[int, PeriodBounds] = {}
        self._spans: dict[int, CapSpan] | None = None
        self.conversions = ConversionCounts()
        self._visits = VisitCounts(facts)

    def step(self) -> bool:
        """Count, and publish what has changed. Return False: there is no more to do at once."""
        now_ms = self._clock()
        with self._ledger.read() as tx:
            setup = self._setup = self._read_setup(tx)
            if self._spans is None:
                self._spans = {span.offer_id: span for span in open_spans(tx)}
            due = self._due(setup, now_ms)
            by_unit = {offer_id: one for offer_id, one in due.items() if one[0].of is CapUnit.CONVERSIONS}
            counts = self.conversions.count(tx, by_unit, now_ms)
        counts |= self._visits.count({key: one for key, one in due.items() if key not in by_unit}, now_ms)
        reached = {offer_id for offer_id, count in counts.items() if self._is_reached(offer_id, setup, count)}
        capped = capped_offers(reached, setup.caps, setup.live)
        spans = _spans_after(self._spans, {one.offer_id: one.instead_id for one in capped}, setup.caps, counts, now_ms)
        if spans:
            self._record(spans)
        # Each time: it writes the file only if something changed, or the last time failed.
        self._states.set_capped(capped)
        return False

    def _read_setup(self, tx: Connection) -> _Setup:
        change, instance_zone = newest_setup_change(tx), self._instance_zone()
        known = self._setup
        if known is not None and (known.change, known.instance_zone) == (change, instance_zone):
            return known
        caps = {one.offer_id: one.cap for one in live_caps(tx)}
        return _Setup(
            change,
            instance_zone,
            caps,
            {offer_id: zone_of_cap(cap, instance_zone) for offer_id, cap in caps.items()},
            live_among(tx, {cap.then_offer_id for cap in caps.values() if cap.then_offer_id is not None}),
        )

    def _due(self, setup: _Setup, now_ms: int) -> dict[int, tuple[OfferCap, PeriodBounds]]:
        """Return each cap with the period that counts now."""
        if self._periods_of is not setup:
            self._periods_of, self._periods = setup, {}
        due = {}
        for offer_id, cap in setup.caps.items():
            period = self._periods.get(offer_id)
            if period is None or not period.contains(now_ms):
                period = self._periods[offer_id] = period_of(cap.per, setup.zones[offer_id], now_ms)
            due[offer_id] = (cap, period)
        return due

    def _is_reached(self, offer_id: int, setup: _Setup, count: int) -> bool:
        cap = setup.caps[offer_id]
        if count >= cap.amount:
            return True
        span = (self._spans or {}).get(offer_id)
        # Visits are never taken back, but old clicks may be deleted.
        return (
            span is not None
            and span.cap.measure == cap.measure
            and cap.per is CapPeriod.TOTAL
            and cap.of is not CapUnit.CONVERSIONS
        )

    def _record(self, spans: list[CapSpan]) -> None:
        recorded = dict(self._spans or {})
        with self._ledger.write() as tx:
            for span in spans:
                if not span.id:
                    recorded[span.offer_id] = insert_span(tx, span)
                    continue
                update_span(tx, span)
                if span.ended_at is None:
                    recorded[span.offer_id] = span
                else:
                    del recorded[span.offer_id]
        self._spans = recorded
        for span in spans:
            _log(span)


def _spans_after(
    known: Mapping[int, CapSpan],
    capped: Mapping[int, int],
    caps: Mapping[int, OfferCap],
    counts: Mapping[int, int],
    now_ms: int,
) -> list[CapSpan]:
    """Return the spans to write: those that end or whose alternative changed, then those that begin."""
    changed: list[CapSpan] = []
    begun: list[CapSpan] = []
    for offer_id, span in known.items():
        cap = caps.get(offer_id)
        if offer_id not in capped or cap is None or cap.measure != span.cap.measure:
            changed.append(replace(span, ended_at=max(now_ms, span.reached_at)))
        elif capped[offer_id] != span.instead_id:
            changed.append(replace(span, instead_id=capped[offer_id]))
    ended = {span.offer_id for span in changed if span.ended_at is not None}
    for offer_id, instead_id in capped.items():
        if offer_id not in known or offer_id in ended:
            begun.append(
                CapSpan(
                    offer_id=offer_id,
                    cap=caps[offer_id],
                    instead_id=instead_id,
                    counted=counts[offer_id],
                    reached_at=now_ms,
                )
            )
    return [*changed, *begun]


def _log(span: CapSpan) -> None:
    if span.ended_at is not None:
        log("an offer takes visitors again", offer=span.offer_id, cap=cap_words(span.cap))
    else:
        counted = counted_words(span.counted, span.cap)
        log(
            "the cap of an offer is reached",
            offer=span.offer_id,
            cap=cap_words(span.cap),
            counted=counted,
            instead=span.instead_id,
        )
