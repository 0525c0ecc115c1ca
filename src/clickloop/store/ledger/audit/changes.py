"""The self-audit of changes: each has one postback per rule decided for it, and each postback is in a known state.

The number is written with the change (``conversion_changes.rules_decided``), so that rules created later do not count. Read-only
except for the audit's own progress. ``tx`` is an open transaction.
"""

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection, Row, and_, case, func, select

from clickloop.postback.state import STORED, PostbackState
from clickloop.store.ledger.schema.tables import conversion_changes, postbacks
from clickloop.store.ledger.setup.settings import read_setting, write_setting

BATCH = 5_000
"""Changes per step, which takes some tens of milliseconds."""
OVERLAP = 500
"""Number of recent changes re-checked by each step, because PostgreSQL may commit ids out of order."""
MAX_REMEMBERED_CHANGES = 100
"""Maximum number of wrong changes to remember and re-check until they are right."""

_SETTING = "audit"


class AuditedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change and the number of its postbacks, not counting resends."""

    number: int
    conversion_id: str
    version: int
    rules_decided: int | None
    """None if rules were never decided for it."""
    postbacks: int
    in_states: dict[PostbackState, int]
    """Number of its postbacks by stored state."""


class Mismatch(msgspec.Struct, frozen=True):
    """A change with the wrong number of postbacks, or with one in an unknown state."""

    number: int
    conversion_id: str
    version: int
    sentence: str


class ChangeAudit(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one or more steps."""

    changes: int = 0
    decisions: int = 0
    """Sum of the rules decided for each change."""
    in_states: dict[PostbackState, int] = {}
    mismatches: tuple[Mismatch, ...] = ()

    def __add__(self, other: "ChangeAudit") -> "ChangeAudit":
        states = self.in_states.keys() | other.in_states.keys()
        return ChangeAudit(
            changes=self.changes + other.changes,
            decisions=self.decisions + other.decisions,
            in_states={state: self.in_states.get(state, 0) + other.in_states.get(state, 0) for state in states},
            mismatches=self.mismatches + other.mismatches,
        )


class ChangeAuditProgress(msgspec.Struct, frozen=True):
    """The audit's progress: changes up to ``looked_to`` were checked; the re-check round is at ``again_to``. Stored as JSON."""

    looked_to: int = 0
    again_to: int = 0
    mismatched: tuple[int, ...] = ()
    """Numbers of changes that were wrong when last checked."""


def mismatch_of(change: AuditedChange) -> Mismatch | None:
    """Return what is wrong with a change, or None. Pure."""
    if change.rules_decided is None:
        sentence = "No postback rule was ever decided for it."
    elif change.postbacks != change.rules_decided:
        sentence = f"{change.rules_decided} rules were decided for it, and it has {change.postbacks} postbacks."
    elif sum(change.in_states.values()) != change.postbacks:
        sentence = f"Of its {change.postbacks} postbacks {sum(change.in_states.values())} are in a known state."
    else:
        return None
    return Mismatch(change.number, change.conversion_id, change.version, sentence)


def audit_changes(changes: Sequence[AuditedChange]) -> ChangeAudit:
    """Return the audit of these changes. Pure."""
    return ChangeAudit(
        changes=len(changes),
        decisions=sum(change.rules_decided or 0 for change in changes),
        in_states={state: sum(change.in_states[state] for change in changes) for state in STORED},
        mismatches=tuple(mismatch for change in changes if (mismatch := mismatch_of(change)) is not None),
    )


def changes_between(tx: Connection, after: int, to: int) -> list[AuditedChange]:
    """Return the changes with numbers above ``after`` and up to ``to``, with the numbers of their postbacks."""
    table = conversion_changes.c
    return [_audited(row) for row in tx.execute(_COUNTED.where(table.id > after, table.id <= to).order_by(table.id))]


def changes_numbered(tx: Connection, numbers: Collection[int]) -> list[AuditedChange]:
    """Return the changes with exactly these numbers."""
    return [_audited(row) for row in tx.execute(_COUNTED.where(conversion_changes.c.id.in_(numbers)))]


def newest_change_number(tx: Connection) -> int:
    """Return the number of the newest change, or 0."""
    return tx.scalar(select(func.max(conversion_changes.c.id))) or 0


def read_change_audit_progress(tx: Connection) -> ChangeAuditProgress:
    """Return the audit's progress."""
    return read_setting(tx, _SETTING, ChangeAuditProgress) or ChangeAuditProgress()


def write_change_audit_progress(tx: Connection, memory: ChangeAuditProgress) -> None:
    """Store the audit's progress."""
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
