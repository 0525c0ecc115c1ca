"""Register a batch of notices: write them, their conversions and changes to the ledger in the caller's transaction."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from sqlalchemy import Connection

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent
from clickloop.click_id import ClickId, ClickIds
from clickloop.conversion.attribution import (
    Attribution,
    Changed,
    ConversionSlot,
    MissingClick,
    New,
    Refused,
    Repeated,
    Waiting,
    attribute,
    without_future_orders,
)
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.landing_click import click_with_offer, wait_for_landing_clicks
from clickloop.conversion.notice import Notice, RawNotice, RefusalReason, quick_verdict, read_notice
from clickloop.conversion.notice_log import NoticeOutcome, StoredNotice
from clickloop.conversion.status import StatusTable
from clickloop.conversion.terms import NO_NETWORK, NO_OFFER, NoticeTerms
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer
from clickloop.store.ledger.logs.conversions import (
    clicks_with_conversions,
    conversions_of_identities,
    insert_changes,
    insert_conversions,
    update_conversions,
)
from clickloop.store.ledger.logs.notices import insert_notices, update_notices
from clickloop.store.ledger.setup.networks import find_networks
from clickloop.store.ledger.setup.offers import find_offers
from clickloop.store.ledger.setup.statuses import status_table
from clickloop.tracking.click_progress import ClickLookupResult


class ParsedNotice(msgspec.Struct, frozen=True):
    """A raw notice with its parsed contents, and its genuine click id or the reason why it has none."""

    raw: RawNotice
    notice: Notice
    verdict: ClickId | RefusalReason
    stored: StoredNotice | None = None
    """The notice as stored before; None: it is new."""
    runs: int = 1

    @property
    def click_id(self) -> str | None:
        """The genuine click id; None: it has none."""
        return self.verdict.text if isinstance(self.verdict, ClickId) else None


class RegisteredBatch(msgspec.Struct, frozen=True):
    """The result of a batch, in the notices' order of arrival."""

    notices: tuple[StoredNotice, ...]
    conversions: tuple[Conversion | None, ...]
    """The conversion of each notice, as it was after the notice; None: it has none."""
    changes: tuple[Change, ...]
    owed: int = 0
    """Number of postbacks that the changes created."""


class _Setup(msgspec.Struct, frozen=True):
    """The set-up that applies to one batch."""

    statuses: StatusTable
    networks: dict[int, Network]
    offers: dict[int, Offer]
    currency: str

    def terms_of(self, click: Click | None) -> NoticeTerms:
        """Return the terms for a click; without a click, those without a network and an offer."""
        network = self.network_of(click.network_id) if click else NO_NETWORK
        offer = self.offers.get(click.offer_id) if click else None
        return NoticeTerms(network, offer or NO_OFFER, self.statuses, self.currency)

    def network_of(self, network_id: int) -> Network:
        """Return a network, or one without restrictions if there is none."""
        return self.networks.get(network_id) or NO_NETWORK


class DraftConversions(Protocol):
    """Conversions as earlier batches of a preview would have left them; they take precedence over the ledger's."""

    def conversions_of(self, identities: Sequence[tuple[str, str]]) -> list[Conversion]:
        """Return the drafts with these pairs of click id and txid."""
        ...

    def clicks_among(self, click_ids: Sequence[str]) -> set[str]:
        """Return those of the click ids that have a draft."""
        ...

    def keep(self, conversions: Sequence[Conversion]) -> None:
        """Save drafts, replacing those with the same click id and txid."""
        ...


class _BatchState:
    """The conversions that a batch affects: first as in the ledger, then as the batch leaves them."""

    def __init__(self, tx: Connection, readings: Sequence[ParsedNotice], drafts: DraftConversions | None) -> None:
        identities = [
            (click_id, txid)
            for click_id, txid in {(reading.click_id, reading.notice.txid) for reading in readings}
            if click_id
        ]
        click_ids = [click_id for click_id, _ in identities]
        found = conversions_of_identities(tx, identities)
        self.started = clicks_with_conversions(tx, click_ids)
        if drafts is not None:
            found += drafts.conversions_of(identities)
            self.started |= drafts.clicks_among(click_ids)
        self.known = {(conversion.click.click_id, conversion.txid): conversion for conversion in found}
        self.new: set[tuple[str, str]] = set()
        self.touched: set[tuple[str, str]] = set()
        self.changes: list[Change] = []

    def apply(self, reading: ParsedNotice, attribution: Attribution, now_ms: int) -> Conversion | None:
        """Apply an attribution and return the conversion that the notice belongs to, if any."""
        before: Conversion | None = None
        match attribution:
            case New(conversion):
                pass
            case Changed(before, conversion):
                pass
            case Repeated(conversion):
                key = (conversion.click.click_id, conversion.txid)
                if conversion != self.known[key]:
                    self.known[key] = conversion
                    self.touched.add(key)
                return conversion
            case Waiting() | Refused():
                return None
        key = (conversion.click.click_id, conversion.txid)
        (self.touched if before else self.new).add(key)
        self.known[key] = conversion
        self.started.add(conversion.click.click_id)
        self.changes.append(
            Change(
                before=before,
                after=conversion,
                at=now_ms,
                notice_id=reading.raw.notice_id,
                disable_postback=reading.notice.disable_postback,
            )
        )
        return conversion

    def save_drafts(self, drafts: DraftConversions) -> None:
        """Save what ``write`` would write, for a preview's next batch."""
        if keys := self.new | self.touched:
            drafts.keep([self.known[key] for key in keys])

    def write(self, tx: Connection) -> None:
        """Write each conversion once, in its last state, and all changes."""
        if self.new:
            insert_conversions(tx, [self.known[key] for key in self.known if key in self.new])
        if self.touched - self.new:
            update_conversions(tx, [self.known[key] for key in self.touched - self.new])
        if self.changes:
            insert_changes(tx, self.changes)


def parse_raw_notice(
    raw: RawNotice, click_ids: ClickIds, stored: StoredNotice | None = None, runs: int = 1
) -> ParsedNotice:
    """Parse a raw notice and verify the click id as far as possible without a store."""
    notice = read_notice(raw)
    return ParsedNotice(raw, notice, quick_verdict(notice, click_ids), stored, runs)


def register(
    tx: Connection,
    readings: Sequence[ParsedNotice],
    found: ClickLookupResult,
    new_id: Callable[[], str],
    currency: str,
    now_ms: int,
    is_clock_trusted: Callable[[], bool],
) -> RegisteredBatch:
    """Attribute a batch in order of arrival, and write its notices, conversions and changes.

    ``currency`` is the instance's.
    """
    registered, batch, in_order = _attribute_batch(tx, readings, found, new_id, currency, now_ms, is_clock_trusted)
    if new := [notice for notice, reading in zip(registered.notices, in_order, strict=True) if reading.stored is None]:
        insert_notices(tx, new)
    if again := [notice for notice, reading in zip(registered.notices, in_order, strict=True) if reading.stored]:
        update_notices(tx, again)
    batch.write(tx)
    return registered


def preview_registration(
    tx: Connection,
    readings: Sequence[ParsedNotice],
    found: ClickLookupResult,
    new_id: Callable[[], str],
    currency: str,
    now_ms: int,
    is_clock_trusted: Callable[[], bool],
    drafts: DraftConversions | None = None,
) -> RegisteredBatch:
    """Return what ``register`` would return, by the same decisions, without writing anything but the ``drafts``, if given."""
    registered, batch, _ = _attribute_batch(tx, readings, found, new_id, currency, now_ms, is_clock_trusted, drafts)
    if drafts is not None:
        batch.save_drafts(drafts)
    return registered


def _attribute_batch(
    tx: Connection,
    readings: Sequence[ParsedNotice],
    found: ClickLookupResult,
    new_id: Callable[[], str],
    currency: str,
    now_ms: int,
    is_clock_trusted: Callable[[], bool],
    drafts: DraftConversions | None = None,
) -> tuple[RegisteredBatch, _BatchState, list[ParsedNotice]]:
    """Attribute a batch in order of arrival. Return its result, the affected conversions, and the notices in that order."""
    batch = _BatchState(tx, readings, drafts)
    known = [conversion.click for conversion in batch.known.values()]
    landing_clicks = [one for clicks in found.landing_clicks.values() for one in clicks]
    setup = _setup(tx, [*found.clicks.values(), *known, *landing_clicks], currency)
    stored: list[StoredNotice] = []
    conversions: list[Conversion | None] = []
    in_order = sorted(readings, key=lambda reading: reading.notice.arrival_order)
    for reading in in_order:
        click = _click_of(reading, found, batch, setup)
        attribution = _attribution(reading, click, found, batch, setup, new_id, now_ms, is_clock_trusted)
        conversion = batch.apply(reading, attribution, now_ms)
        stored.append(_stored(reading, click, attribution, conversion, now_ms))
        conversions.append(conversion)
    return RegisteredBatch(tuple(stored), tuple(conversions), tuple(batch.changes)), batch, in_order


def terms_for(tx: Connection, click: Click, currency: str) -> NoticeTerms:
    """Return today's terms for the notices of a click; ``currency`` is the instance's."""
    return _setup(tx, [click], currency).terms_of(click)


def _setup(tx: Connection, led_to: Sequence[Click | PageEvent], currency: str) -> _Setup:
    """Return the set-up with the offers and networks that these clicks and landing clicks led to."""
    networks = find_networks(tx, {one.network_id for one in led_to})
    offers = find_offers(tx, {one.offer_id for one in led_to})
    return _Setup(
        status_table(tx),
        {network.id: network for network in networks},
        {offer.id: offer for offer in offers},
        currency,
    )


def _click_of(reading: ParsedNotice, found: ClickLookupResult, batch: _BatchState, setup: _Setup) -> Click | None:
    """Return a notice's click with the offer that its conversion has; None: it is missing, or the notice has no genuine click id."""
    click = found.clicks.get(reading.click_id) if reading.click_id else None
    if click is None:
        return None
    known = batch.known.get((click.click_id, reading.notice.txid))
    if known is not None:
        return known.click  # later landing clicks do not move a conversion
    landing_clicks = found.landing_clicks.get(click.click_id, ())
    return click_with_offer(click, landing_clicks, reading.notice, setup.network_of)


def _attribution(
    reading: ParsedNotice,
    click: Click | None,
    found: ClickLookupResult,
    batch: _BatchState,
    setup: _Setup,
    new_id: Callable[[], str],
    now_ms: int,
    is_clock_trusted: Callable[[], bool],
) -> Attribution:
    verdict, notice = reading.verdict, reading.notice
    if isinstance(verdict, RefusalReason):
        return Refused(verdict)
    known = batch.known.get((verdict.text, notice.txid))
    if known is not None and reading.runs == 1:
        known = without_future_orders(known, notice, now_ms)
    place = ConversionSlot(conversion_id="" if known else new_id(), is_first=verdict.text not in batch.started)
    if click is None:
        missing = MissingClick(_first_look_at(reading, now_ms), found.settled_to_for(verdict.text))
        return attribute(notice, missing, known, setup.terms_of(None), place, now_ms)
    if known is None:
        first_look_at = _first_look_at(reading, now_ms)
        if waiting := wait_for_landing_clicks(click, notice, found.landing_clicks_settled_to, first_look_at, now_ms):
            return waiting
    return attribute(notice, click, known, setup.terms_of(click), place, now_ms, is_clock_trusted)


def _first_look_at(reading: ParsedNotice, now_ms: int) -> int:
    """Return when the core first looked for a notice's click: now, if the notice was not stored yet."""
    stored = reading.stored.first_look_at if reading.stored is not None else None
    return now_ms if stored is None else min(stored, now_ms)


def _stored(
    reading: ParsedNotice, click: Click | None, attribution: Attribution, conversion: Conversion | None, now_ms: int
) -> StoredNotice:
    """Return the notice to store. One that has registered something keeps its outcome in a rerun that changes nothing."""
    notice = reading.notice
    run_at = reading.stored.run_at if reading.stored is not None else None
    if reading.stored is not None and reading.runs > reading.stored.runs:
        run_at = now_ms
    before = reading.stored if reading.stored is not None and reading.stored.outcome.is_registered else None
    if before is not None and not isinstance(attribution, New | Changed):
        return msgspec.structs.replace(before, runs=reading.runs, run_at=run_at)
    flags: tuple[str, ...] = notice.flags
    reason: RefusalReason | None = None
    look_again_at: int | None = None
    first_look_at = reading.stored.first_look_at if reading.stored is not None else None
    match attribution:
        case New(_, flags):
            outcome = NoticeOutcome.NEW
        case Changed(_, _, flags):
            outcome = (
                before.outcome if before is not None and before.outcome is NoticeOutcome.NEW else NoticeOutcome.CHANGED
            )
        case Repeated(_, flags):
            outcome = NoticeOutcome.REPEATED
        case Waiting(look_again_at):
            outcome = NoticeOutcome.WAITING
            first_look_at = _first_look_at(reading, now_ms)
        case Refused(reason):
            outcome = NoticeOutcome.REFUSED
    return StoredNotice(
        raw=reading.raw,
        click_id=reading.click_id,
        network_id=click.network_id if click else None,
        campaign_id=click.campaign_id if click else None,
        status_word=notice.status_word,
        outcome=outcome,
        reason=reason,
        flags=flags,
        conversion_id=conversion.conversion_id if conversion else None,
        version=conversion.version if conversion else None,
        look_again_at=look_again_at,
        first_look_at=first_look_at,
        runs=reading.runs,
        run_at=run_at,
    )
