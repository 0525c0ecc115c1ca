"""The cost of a click, its origin, and its earlier costs. Read-only."""

import enum

import msgspec

from clickloop.click.click import Click
from clickloop.report.cost.entry import CostEntry, EntryState
from clickloop.store.facts.cost_facts import CostReader
from clickloop.store.ledger.jobs.cost_entries import find_entries
from clickloop.store.ledger.ledger import Ledger
from clickloop.tracking.costs.origins import LINK, MODEL


class CostState(enum.StrEnum):
    """The state of a cost of a click."""

    COUNTS = "counts"
    COVERED = "covered"
    """An entry counts before it."""
    UNDONE = "undone"
    REPLACED = "replaced"
    """A later entry with the same key is in effect, or the entry was spread over other clicks since."""


class ClickCost(msgspec.Struct, frozen=True, kw_only=True):
    """A cost of a click, which counts, or counted, or would without others."""

    origin: str
    """``link``, ``model`` or the kind of the entry."""
    micros: int
    currency: str
    state: CostState
    entry: CostEntry | None = None


def costs_of_click(ledger: Ledger, facts: CostReader, click: Click) -> list[ClickCost]:
    """Return a click's costs: that of its link or the campaign's model first, then those of entries, the oldest first."""
    shares = facts.shares_of(click.click_id)
    parts = facts.parts(click.click_id)
    with ledger.read() as tx:
        entries = find_entries(tx, [share.entry_id for share in shares])
    is_covered = any(share.counts for share in shares)
    own = [(part.micros, part.currency) for part in parts if not part.entry_id]
    if is_covered:
        own = [(click.cost_micros, click.cost_currency)] if click.cost_micros else []
    state = CostState.COVERED if is_covered else CostState.COUNTS
    origin = MODEL if click.cost_rule else LINK
    found = [ClickCost(origin=origin, micros=micros, currency=currency, state=state) for micros, currency in own]
    for share in shares:
        if (entry := entries.get(share.entry_id)) is not None:
            state = (
                CostState.COUNTS if share.counts else CostState.COVERED if share.micros is not None else _gone(entry)
            )
            found.append(
                ClickCost(
                    origin=entry.kind.value,
                    micros=share.micros or 0,
                    currency=entry.currency,
                    state=state,
                    entry=entry,
                )
            )
    return found


def _gone(entry: CostEntry) -> CostState:
    return CostState.UNDONE if entry.state in (EntryState.UNDONE, EntryState.UNDOING) else CostState.REPLACED
