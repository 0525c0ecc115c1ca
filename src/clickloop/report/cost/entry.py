"""A cost entry: an amount that the user entered for a segment, and how far it is in effect."""

import enum

import msgspec

from clickloop.report.cost.segment import CostKind, CostSegment, SpreadOrder, SpreadOver, rank_of


class EntryState(enum.StrEnum):
    """The state of an entry. The core moves it on, except from ``applied``."""

    WAITING = "waiting"
    """It is being spread, for the first time or anew."""
    APPLIED = "applied"
    UNDOING = "undoing"
    RETIRING = "retiring"
    """A later entry with its key is in effect, so this one is being taken back."""
    UNDONE = "undone"
    REPLACED = "replaced"

    @property
    def is_pending(self) -> bool:
        """Return whether there is work left."""
        return self in (EntryState.WAITING, EntryState.UNDOING, EntryState.RETIRING)


class CostEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An amount for a segment."""

    entry_id: int = 0
    """0: not stored yet."""
    kind: CostKind
    key: str = ""
    upload_id: str = ""
    segment: CostSegment
    zone: str
    micros: int
    currency: str
    over: SpreadOver = SpreadOver.CLICKS
    note: str = ""
    state: EntryState = EntryState.WAITING
    generation: int = 1
    covered: int = 0
    shared: int = 0
    done: int = 0
    replaced_by: int | None = None
    user_id: int = 0
    entered_by: str = ""
    created_at: int = 0
    ended_at: int | None = None

    @property
    def rank(self) -> int:
        """Return the rank of its newest spread."""
        return rank_of(self.kind, self.entry_id, self.generation)

    @property
    def order(self) -> SpreadOrder:
        """Return the order to spread it."""
        return SpreadOrder(
            rank=self.rank,
            entry_id=self.entry_id,
            segment=self.segment,
            over=self.over,
            micros=self.micros,
            currency=self.currency,
        )

    @property
    def is_unattributed(self) -> bool:
        """Return whether nothing of the amount is on clicks, because the segment has none to bear it."""
        return self.state is EntryState.APPLIED and not self.shared and self.micros > 0

    def same_cost(self, other: "CostEntry") -> bool:
        """Return whether another entry would have the same effect."""
        return (self.segment, self.micros, self.currency, self.over) == (
            other.segment,
            other.micros,
            other.currency,
            other.over,
        )
