"""The self-audit: every change of a conversion has as many postbacks as rules were decided for it, and each is in a known state.

The number is written with the change (``conversion_changes.rules_decided``), so that rules made later do not count. Only reads,
but for the audit's own memory of how far it is. ``tx`` is an open transaction.
"""

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection, Row, and_, case, func, select

from clickloop.postback.state import STORED, PostbackState
from clickloop.store.ledger.schema.tables import conversion_changes, postbacks
from clickloop.store.ledger.setup.settings import read_setting, write_setting

BATCH = 5_000
"""Changes in one step: some tens of milliseconds."""
OVERLAP = 500
"""Newest changes that the next step checks again: PostgreSQL may commit ids out of order."""
REMEMBERED = 100
"""Maximum number of wrong changes that are remembered and checked again until they are right."""

_SETTING = "audit"


class AuditedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change and its postbacks, resends left out."""

    number: int
    conversion_id: str
    version: int
    rules_decided: int | None
    """None: never decided."""
    postbacks: int
    in_states: dict[PostbackState, int]
    """By stored state, how many."""


class Mismatch(msgspec.Struct, frozen=True):
    """A change whose postbacks do not add up."""

    number: int
    conversion_id: str
    version: int
    sentence: str


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """What a step, or steps, found."""

    changes: int = 0
    decisions: int = 0
    """Changes × the rules that were decided for each."""
    in_states: dict[PostbackState, int] = {}
    mismatches: tuple[Mismatch, ...] = ()

    def __add__(self, other: "Audited") -> "Audited":
        states = self.in_states.keys() | other.in_states.keys()
        return Audited(
            changes=self.changes + other.changes,
            decisions=self.decisions + other.decisions,
            in_states={state: self.in_states.get(state, 0) + other.in_states.get(state, 0) for state in states},
            mismatches=self.mismatches + other.mismatches,
        )


class AuditMemory(msgspec.Struct, frozen=True):
    """How far the audit is: all changes up to this number were looked at once, and again up to ``again_to``."""

    looked_to: int = 0
    again_to: int = 0
    mismatched: tuple[int, ...] = ()
    """Numbers of changes that did not add up when they were last looked at."""


def judge(change: AuditedChange) -> Mismatch | None:
    """What does not add up about a change; None: all is well. Pure."""
    if change.rules_decided is None:
        sentence = "No postback rule was ever decided for it."
    elif change.postbacks != change.rules_decided:
        sentence = f"{change.rules_decided} rules were decided for it, and it has {change.postbacks} postbacks."
    elif sum(change.in_states.values()) != change.postbacks:
        sentence = f"Of its {change.postbacks} postbacks {sum(change.in_states.values())} are in a known state."
    else:
        return None
    return Mismatch(change.number, change.conversion_id, change.version, sentence)


def audit_changes(changes: Sequence[AuditedChange]) -> Audited:
    """What these changes come to. Pure."""
    return Audited(
        changes=len(changes),
        decisions=sum(change.rules_decided or 0 for change in changes),
        in_states={state: sum(change.in_states[state] for change in changes) for state in STORED},
        mismatches=tuple(mismatch for change in changes if (mismatch := judge(change)) is not None),
    )


def changes_between(tx: Connection, after: int, to: int) -> list[AuditedChange]:
    """The changes with these numbers, each with its postbacks counted."""
    table = conversion_changes.c
    return [_audited(row) for row in tx.execute(_COUNTED.where(table.id > after, table.id <= to).order_by(table.id))]


def changes_numbered(tx: Connection, numbers: Collection[int]) -> list[AuditedChange]:
    """The changes with exactly these numbers."""
    return [_audited(row) for row in tx.execute(_COUNTED.where(conversion_changes.c.id.in_(numbers)))]


def newest_change(tx: Connection) -> int:
    """The number of the newest change; 0 when there is none."""
    return tx.scalar(select(func.max(conversion_changes.c.id))) or 0


def read_memory(tx: Connection) -> AuditMemory:
    """How far the audit is."""
    return read_setting(tx, _SETTING, AuditMemory) or AuditMemory()


def write_memory(tx: Connection, memory: AuditMemory) -> None:
    """Keeps how far the audit is."""
    write_setting(tx, _SETTING, memory)


_COUNTED = (
    select(
        conversion_changes.c.id,
        conversion_changes.c.conversion_id,
        conversion_changes.c.version,
        conversion_changes.c.rules_decided,
        func.count(postbacks.c.postback_id).label("postbacks"),
        *(func.sum(case((postbacks.c.state == state, 1), else_=0)).label(state) for state in STORED),
    )
    .join(
        postbacks,
        and_(
            postbacks.c.conversion_id == conversion_changes.c.conversion_id,
            postbacks.c.version == conversion_changes.c.version,
            postbacks.c.resend == 0,
        ),
        isouter=True,
    )
    .group_by(
        conversion_changes.c.id,
        conversion_changes.c.conversion_id,
        conversion_changes.c.version,
        conversion_changes.c.rules_decided,
    )
)


def _audited(row: Row[tuple[object, ...]]) -> AuditedChange:
    found = row._mapping  # noqa: SLF001 – SQLAlchemy's name for its public interface
    return AuditedChange(
        number=found["id"],
        conversion_id=found["conversion_id"],
        version=found["version"],
        rules_decided=found["rules_decided"],
        postbacks=found["postbacks"],
        in_states={state: int(found[state]) for state in STORED},
    )
