"""Conversions - In: the notices in the ledger: one statement per function; ``tx`` is an open transaction."""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from clickloop.conversion.notice import WITHOUT_CLICK_ID, Door, RawNotice, RefusalReason
from clickloop.conversion.notice_log import NoticeFilter, Outcome, StoredNotice
from clickloop.conversion.status import word_key
from clickloop.store.ledger.logs.narrowing import Conditions, canonical, conditions_of, is_flagged
from clickloop.store.ledger.logs.period import id_from
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.tables import notices

_encode = msgspec.json.Encoder().encode
_raw = msgspec.json.Decoder(RawNotice)
# Values of closed lists are written out in conditions: with a bound one a partial index is not used.
# A literal: SQLite uses a partial index only for a query that repeats its condition word for word.
_IS_WAITING = notices.c.outcome == literal_column("'waiting'")


class SentWord(msgspec.Struct, frozen=True):
    """A status word in the form of ``word_key`` (empty: none was sent), and how many notices brought it."""

    word: str
    notices: int


def find_notice(tx: Connection, notice_id: str) -> StoredNotice | None:
    """The notice of that id."""
    row = tx.execute(select(notices).where(notices.c.notice_id == notice_id)).one_or_none()
    return None if row is None else _of_row(row)


def notices_of_ids(tx: Connection, notice_ids: Sequence[str]) -> list[StoredNotice]:
    """Those of the notices that are in the ledger."""
    return [_of_row(row) for row in tx.execute(select(notices).where(notices.c.notice_id.in_(notice_ids)))]


def is_stored(tx: Connection, notice_id: str) -> bool:
    """Return whether a notice is in the ledger, readable or not."""
    return tx.scalar(select(notices.c.notice_id).where(notices.c.notice_id == notice_id)) is not None


def hold_notice(tx: Connection, notice_id: str, flag: str, look_again_at: int) -> None:
    """Put a waiting notice off, and flag it."""
    statement = update(notices).where(notices.c.notice_id == notice_id, _IS_WAITING)
    tx.execute(statement.values(flags=flag, look_again_at=look_again_at))


def count_waiting_flagged(tx: Connection, flag: str) -> int:
    """Return how many notices wait with exactly this flag."""
    return tx.scalar(select(func.count()).select_from(notices).where(_IS_WAITING, notices.c.flags == flag)) or 0


def notices_of_click(tx: Connection, click_id: str, newest: int) -> list[StoredNotice]:
    """Return the ``newest`` notices of a click, the first one first. There may be any number: whoever has the id can send them."""
    # The ids are sorted, not the rows, of which each may be some hundred KB long.
    ids = select(notices.c.notice_id).where(notices.c.click_id == click_id)
    ids = ids.order_by(notices.c.notice_id.desc()).limit(newest)
    query = select(notices).where(notices.c.notice_id.in_(ids.scalar_subquery()))
    return [_shown(row) for row in tx.execute(query.order_by(notices.c.at, notices.c.notice_id))]


def waiting_notices(tx: Connection, now_ms: int, limit: int) -> list[StoredNotice]:
    """At most ``limit`` notices whose click is to be looked for now, the longest due first."""
    query = (
        select(notices)
        .where(_IS_WAITING, notices.c.look_again_at <= now_ms)
        .order_by(notices.c.look_again_at)
        .limit(limit)
    )
    return _readable(tx.execute(query))


def waiting_notices_of_clicks(tx: Connection, click_ids: Sequence[str]) -> list[StoredNotice]:
    """The notices that wait for these clicks."""
    query = select(notices).where(notices.c.click_id.in_(click_ids), _IS_WAITING)
    return _readable(tx.execute(query))


def notices_due_too_late(tx: Connection, after_ms: int, limit: int) -> list[StoredNotice]:
    """Return at most ``limit`` waiting notices whose next look is later than any pause allows: the clock was ahead then."""
    query = select(notices).where(_IS_WAITING, notices.c.look_again_at > after_ms)
    return _readable(tx.execute(query.order_by(notices.c.look_again_at).limit(limit)))


def waiting_click_ids(tx: Connection, after: str, limit: int) -> list[str]:
    """Return at most ``limit`` ids of clicks that notices wait for, ascending, behind ``after``."""
    query = select(notices.c.click_id).distinct().where(_IS_WAITING, notices.c.click_id > after)
    return list(tx.scalars(query.order_by(notices.c.click_id).limit(limit)))


def count_refused_between(tx: Connection, reason: RefusalReason, since: int, until: int, limit: int) -> int:
    """Return how many notices that arrived within a period are refused for a reason; counting stops at ``limit``."""
    rows = select(notices.c.notice_id).where(
        notices.c.reason == reason.value, notices.c.notice_id >= id_from(since), notices.c.notice_id < id_from(until)
    )
    return tx.scalar(select(func.count()).select_from(rows.limit(limit).subquery())) or 0


def delete_strangers(tx: Connection, before_ms: int, limit: int) -> int:
    """Delete at most ``limit`` refused notices without a genuine click id that came over a public door before a moment.

    Return how many. Each has one of ``WITHOUT_CLICK_ID`` as its reason: the index of reasons finds the oldest at once.
    """
    deleted = 0
    for reason in WITHOUT_CLICK_ID:
        oldest = (
            select(notices.c.notice_id)
            .where(
                notices.c.reason == reason.value,
                notices.c.notice_id < id_from(before_ms),
                notices.c.click_id.is_(None),
                notices.c.channel.in_([door.value for door in Door if door.is_public]),
            )
            .limit(limit - deleted)
        )
        deleted += tx.execute(delete(notices).where(notices.c.notice_id.in_(oldest.scalar_subquery()))).rowcount
        if deleted >= limit:
            break
    return deleted


def notices_before(tx: Connection, wanted: NoticeFilter, before_id: str | None, limit: int) -> list[StoredNotice]:
    """At most ``limit`` notices, newest first; of the next page those before the last id of this one."""
    query = _matching(select(notices), wanted).order_by(notices.c.notice_id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(notices.c.notice_id < before_id)
    return [_shown(row) for row in tx.execute(query)]


def notice_ids_after(tx: Connection, wanted: NoticeFilter, after_id: str, last_id: str, limit: int) -> list[str]:
    """At most ``limit`` ids of notices that match, ascending, behind ``after_id`` and up to ``last_id``."""
    query = _matching(select(notices.c.notice_id), wanted)
    query = query.where(notices.c.notice_id > after_id, notices.c.notice_id <= last_id)
    return list(tx.scalars(query.order_by(notices.c.notice_id).limit(limit)))


def count_notices(tx: Connection, wanted: NoticeFilter) -> int:
    """How many match."""
    return tx.scalar(_matching(select(func.count()).select_from(notices), wanted)) or 0


def newest_notice(tx: Connection) -> str:
    """The id of the newest notice; empty when there is none."""
    return tx.scalar(select(func.max(notices.c.notice_id))) or ""


def _matching(query: Select[Any], wanted: NoticeFilter) -> Select[Any]:
    return query.where(*conditions_of(wanted, notices.c.notice_id, notices.c.at, _CONDITIONS))


_CONDITIONS: Conditions = {
    "click_id": canonical(notices.c.click_id),
    # A literal: SQLite uses the partial index of waiting notices only for a condition that repeats it.
    "outcome": lambda outcome: notices.c.outcome == literal_column(f"'{Outcome(outcome).value}'"),
    "flagged": is_flagged(notices.c.flags),
    "status_word": lambda word: func.lower(func.trim(notices.c.status_word)) == word_key(word),
}


def insert_notices(tx: Connection, new: Sequence[StoredNotice]) -> None:
    """Adds notices; one that is there already raises IntegrityError."""
    rows = [
        {
            "notice_id": notice.raw.notice_id,
            "at": notice.raw.at,
            "channel": notice.raw.door.value,
            "raw": _encode(notice.raw),
            **_result(notice),
        }
        for notice in new
    ]
    if rows:
        tx.execute(insert(notices), rows)


def update_notices(tx: Connection, changed: Sequence[StoredNotice]) -> None:
    """Rewrites what became of notices."""
    statement = update(notices).where(notices.c.notice_id == bindparam("of_id"))
    rows = [{"of_id": notice.raw.notice_id, **_result(notice)} for notice in changed]
    expect_rows(tx.execute(statement, rows), len(rows), "changed notices")


def _result(notice: StoredNotice) -> dict[str, Any]:
    return {
        "click_id": notice.click_id,
        "network_id": notice.network_id,
        "campaign_id": notice.campaign_id,
        "status_word": notice.status_word,
        "outcome": notice.outcome.value,
        "reason": None if notice.reason is None else notice.reason.value,
        "flags": ",".join(notice.flags),
        "conversion_id": notice.conversion_id,
        "version": notice.version,
        "look_again_at": notice.look_again_at,
        "first_look_at": notice.first_look_at,
        "runs": notice.runs,
        "run_at": notice.run_at,
    }


def _readable(rows: Iterable[Row[Any]]) -> list[StoredNotice]:
    """Return the notices that can be read: a damaged one that waits must not keep the others from being looked at."""
    found = []
    for row in rows:
        with contextlib.suppress(msgspec.MsgspecError, ValueError, TypeError):
            found.append(_of_row(row))
    return found


def _shown(row: Row[Any]) -> StoredNotice:
    """Return a notice for a page; one whose text is damaged does not take the page away from those beside it."""
    try:
        return _of_row(row)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _of_row(row, RawNotice(notice_id=row.notice_id, at=row.at, door=Door(row.channel)))


def _of_row(row: Row[Any], raw: RawNotice | None = None) -> StoredNotice:
    return StoredNotice(
        raw=_raw_of(row) if raw is None else raw,
        click_id=row.click_id,
        network_id=row.network_id,
        campaign_id=row.campaign_id,
        status_word=row.status_word,
        outcome=Outcome(row.outcome),
        reason=None if row.reason is None else RefusalReason(row.reason),
        flags=tuple(row.flags.split(",")) if row.flags else (),
        conversion_id=row.conversion_id,
        version=row.version,
        look_again_at=row.look_again_at,
        first_look_at=row.first_look_at,
        runs=row.runs,
        run_at=row.run_at,
    )


def _raw_of(row: Row[Any]) -> RawNotice:
    """What arrived; where its secrets were encrypted under a key that is lost, what the other columns still tell."""
    if row.raw is not None:
        return _raw.decode(row.raw)
    return RawNotice(notice_id=row.notice_id, at=row.at, door=Door(row.channel))


def words_of_network(tx: Connection, network_id: int, newest: int) -> list[SentWord]:
    """The status words of a network's ``newest`` notices, whatever came of them, the most frequent first."""
    lately = (
        select(func.lower(func.trim(notices.c.status_word)).label("word"))
        .where(notices.c.network_id == network_id)
        .order_by(notices.c.notice_id.desc())
        .limit(newest)
        .subquery()
    )
    count = func.count()
    rows = tx.execute(select(lately.c.word, count).group_by(lately.c.word).order_by(count.desc(), lately.c.word))
    return [SentWord(word, number) for word, number in rows]
