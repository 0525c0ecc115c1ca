"""Backtests in the ledger: the flow, the period, how far it is, and the result; ``tx`` is an open transaction."""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, func, select

from clickloop.people.user import Actor
from clickloop.store.ledger.jobs.exports import requester_of
from clickloop.store.ledger.jobs.jobs import JobState, JobTable
from clickloop.store.ledger.schema.tables import backtests


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """A flow that is tried on a campaign's clicks from ``since`` to before ``until``."""

    backtest_id: str
    campaign_id: int
    flow: bytes
    """``FlowParts`` as JSON."""
    since: int
    until: int
    user_id: int
    """Who requested it; 0: a command or a token without a user, named in ``asked_by``."""
    asked_by: str
    state: JobState = JobState.WAITING
    total: int = 0
    """Clicks of the period."""
    done: int = 0
    result: bytes | None = None
    """As JSON, once it is finished."""
    created_at: int
    finished_at: int | None = None
    error: str | None = None
    """Set if and only if it failed."""


def backtests_before(tx: Connection, campaign_id: int | None, before_id: str | None, limit: int) -> list[Backtest]:
    """Return at most ``limit`` backtests, of one campaign or of all, newest first, before an id; None: from the newest."""
    only = () if campaign_id is None else (backtests.c.campaign_id == campaign_id,)
    return BACKTESTS.before(tx, before_id, limit, *only)


def count_unfinished_backtests(tx: Connection, actor: Actor) -> int:
    """Return the number of unfinished backtests that a user requested."""
    query = select(func.count()).select_from(backtests).where(backtests.c.finished_at.is_(None), _is_of(actor))
    return tx.scalar(query) or 0


def delete_backtests_before(tx: Connection, before_ms: int) -> int:
    """Delete backtests that ended before a time. Return their number."""
    return tx.execute(delete(backtests).where(backtests.c.finished_at < before_ms)).rowcount


def _is_of(actor: Actor) -> ColumnElement[bool]:
    user_id, asked_by = requester_of(actor)
    if user_id:
        return backtests.c.user_id == user_id
    return and_(backtests.c.user_id == 0, backtests.c.asked_by == asked_by)


def _values(backtest: Backtest) -> dict[str, Any]:
    return msgspec.structs.asdict(backtest) | {"state": backtest.state.value}


def _of_row(row: RowMapping) -> Backtest:
    return Backtest(**{**row, "state": JobState(row["state"])})


BACKTESTS = JobTable(backtests, backtests.c.finished_at.is_(None), _of_row, _values)
