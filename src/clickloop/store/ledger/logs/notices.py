"""Notices in the ledger (Conversions - In). One statement per function; ``tx`` is an open transaction."""

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

from clickloop.conversion.notice import WITHOUT_CLICK_ID, Channel, RawNotice, RefusalReason
from clickloop.conversion.notice_log import NoticeFilter, NoticeOutcome, StoredNotice
from clickloop.conversion.status import word_key
from clickloop.store.ledger.logs.narrowing import Conditions, canonical, conditions_of, is_flagged
from clickloop.store.ledger.logs.period import id_from
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.tables import notices

_encode = msgspec.json.Encoder().encode
_raw = msgspec.json.Decoder(RawNotice)
# A literal, not a parameter: SQLite uses a partial index only for a query that repeats its condition word for word.
_IS_WAITING = notices.c.outcome == literal_column("'waiting'")


class SentWord(msgspec.Struct, frozen=True):
    """A status word in the form of ``word_key`` (empty if none was sent), and the number of notices with it."""

    word: str
    notices: int


def find_notice(tx: Connection, notice_id: str) -> StoredNotice | None:
    """Return the notice with that id."""
    row = tx.execute(select(notices).where(notices.c.notice_id == notice_id)).one_or_none()
    return None if row is None else _of_row(row)


def notices_of_ids(tx: Connection, notice_ids: Sequence[str]) -> list[StoredNotice]:
    """Return those notices that are in the ledger."""
    return [_of_row(row) for row in tx.execute(select(notices).where(notices.c.notice_id.in_(notice_ids)))]


def is_stored(tx: Connection, notice_id: str) -> bool:
    """Return whether a notice is in the ledger, readable or not."""
    return tx.scalar(select(notices.c.notice_id).where(notices.c.notice_id == notice_id)) is not None


def defer_notice(tx: Connection, notice_id: str, flag: str, look_again_at: int) -> None:
    """Defer a waiting notice to a later look for its click, and replace its flags."""
    statement = update(notices).where(notices.c.notice_id == notice_id, _IS_WAITING)
    tx.execute(statement.values(flags=flag, look_again_at=look_again_at))


def count_waiting_flagged(tx: Connection, flag: str) -> int:
    """Return the number of waiting notices with exactly this flag."""
    return tx.scalar(select(func.count()).select_from(notices).where(_IS_WAITING, notices.c.flags == flag)) or 0


def notices_of_click(tx: Connection, click_id: str, newest: int) -> list[StoredNotice]:
    """Return the ``newest`` notices of a click, oldest first. Anyone who knows the click id can send any number of them."""
    # Sort ids, not rows, which may be some hundred KB each.
    ids = select(notices.c.notice_id).where(notices.c.click_id == click_id)
    ids = ids.order_by(notices.c.notice_id.desc()).limit(newest)
    query = select(notices).where(notices.c.notice_id.in_(ids.scalar_subquery()))
    return [_shown(row) for row in tx.execute(query.order_by(notices.c.at, notices.c.notice_id))]


def waiting_notices(tx: Connection, now_ms: int, limit: int) -> list[StoredNotice]:
    """Return at most ``limit`` waiting notices that are due for a look for their click, longest due first."""
    query = (
        select(notices)
        .where(_IS_WAITING, notices.c.look_again_at <= now_ms)
        .order_by(notices.c.look_again_at)
        .limit(limit)
    )
    return _readable(tx.execute(query))


def waiting_notices_of_clicks(tx: Connection, click_ids: Sequence[str]) -> list[StoredNotice]:
    """Return the notices that wait for these clicks."""
    query = select(notices).where(notices.c.click_id.in_(click_ids), _IS_WAITING)
    return _readable(tx.execute(query))


def notices_due_too_late(tx: Connection, after_ms: int, limit: int) -> list[StoredNotice]:
    """Return at most ``limit`` waiting notices due after a time that none should exceed: the clock was ahead when it was set."""
    query = select(notices).where(_IS_WAITING, notices.c.look_again_at > after_ms)
    return _readable(tx.execute(query.order_by(notices.c.look_again_at).limit(limit)))


def waiting_click_ids(tx: Connection, after: str, limit: int) -> list[str]:
    """Return at most ``limit`` ids of clicks that notices wait for, ascending, after ``after``."""
    query = select(notices.c.click_id).distinct().where(_IS_WAITING, notices.c.click_id > after)
    return list(tx.scalars(query.order_by(notices.c.click_id).limit(limit)))


def count_refused_between(tx: Connection, reason: RefusalReason, since: int, until: int, limit: int) -> int:
    """Return the number of notices of a period that were refused for a reason, counting up to ``limit``."""
    rows = select(notices.c.notice_id).where(
        notices.c.reason == reason.value, notices.c.notice_id >= id_from(since), notices.c.notice_id < id_from(until)
    )
    return tx.scalar(select(func.count()).select_from(rows.limit(limit).subquery())) or 0


def delete_unidentified_notices(tx: Connection, before_ms: int, limit: int) -> int:
    """Delete at most ``limit`` old refused notices that came in over a public channel without a genuine click id.

    Return the number. The reason of each is one of ``WITHOUT_CLICK_ID``, so the index of reasons finds the oldest at once.
    """
    deleted = 0
    for reason in WITHOUT_CLICK_ID:
        oldest = (
            select(notices.c.notice_id)
            .where(
                notices.c.reason == reason.value,
                notices.c.notice_id < id_from(before_ms),
                notices.c.click_id.is_(None),
                notices.c.channel.in_([channel.value for channel in Channel if channel.is_public]),
            )
            .limit(limit - deleted)
        )
        deleted += tx.execute(delete(notices).where(notices.c.notice_id.in_(oldest.scalar_subquery()))).rowcount
        if deleted >= limit:
            break
    return deleted


def notices_before(tx: Connection, filters: NoticeFilter, before_id: str | None, limit: int) -> list[StoredNotice]:
    """Return at most ``limit`` matching notices, newest first, before an id; None: from the newest."""
    query = _matching(select(notices), filters).order_by(notices.c.notice_id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(notices.c.notice_id < before_id)
    return [_shown(row) for row in tx.execute(query)]


def notice_ids_after(tx: Connection, filters: NoticeFilter, after_id: str, last_id: str, limit: int) -> list[str]:
    """Return at most ``limit`` ids of matching notices above ``after_id`` and up to ``last_id``, ascending."""
    query = _matching(select(notices.c.notice_id), filters)
    query = query.where(notices.c.notice_id > after_id, notices.c.notice_id <= last_id)
    return list(tx.scalars(query.order_by(notices.c.notice_id).limit(limit)))


def count_notices(tx: Connection, filters: NoticeFilter) -> int:
    """Return the number of matching notices."""
    return tx.scalar(_matching(select(func.count()).select_from(notices), filters)) or 0


def newest_notice(tx: Connection) -> str:
    """Return the id of the newest notice; empty if there is none."""
    return tx.scalar(select(func.max(notices.c.notice_id))) or ""


def _matching(query: Select[Any], filters: NoticeFilter) -> Select[Any]:
    return query.where(*conditions_of(filters, notices.c.notice_id, notices.c.at, _CONDITIONS))


_CONDITIONS: Conditions = {
    "click_id": canonical(notices.c.click_id),
    # A literal, for the same reason as in _IS_WAITING.
    "outcome": lambda outcome: notices.c.outcome == literal_column(f"'{NoticeOutcome(outcome).value}'"),
    "flagged": is_flagged(notices.c.flags),
    "status_word": lambda word: func.lower(func.trim(notices.c.status_word)) == word_key(word),
}


def insert_notices(tx: Connection, new: Sequence[StoredNotice]) -> None:
    """Insert notices. Raise IntegrityError for one that is in the ledger already."""
    rows = [
        {
            "notice_id": notice.raw.notice_id,
            "at": notice.raw.at,
            "channel": notice.raw.channel.value,
            "raw": _encode(notice.raw),
            **_result(notice),
        }
        for notice in new
    ]
    if rows:
        tx.execute(insert(notices), rows)


def update_notices(tx: Connection, changed: Sequence[StoredNotice]) -> None:
    """Update the results of notices. Raise RowCountError if one does not exist."""
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
    """Return the notices of those rows that can be read: a damaged one must not keep others from being processed."""
    found = []
    for row in rows:
        with contextlib.suppress(msgspec.MsgspecError, ValueError, TypeError):
            found.append(_of_row(row))
    return found


def _shown(row: Row[Any]) -> StoredNotice:
    """Return a notice for a page; if its text is damaged, what the other columns still say, so that the page does not fail."""
    try:
        return _of_row(row)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _of_row(row, RawNotice(notice_id=row.notice_id, at=row.at, channel=Channel(row.channel)))


def _of_row(row: Row[Any], raw: RawNotice | None = None) -> StoredNotice:
    return StoredNotice(
        raw=_raw_of(row) if raw is None else raw,
        click_id=row.click_id,
        network_id=row.network_id,
        campaign_id=row.campaign_id,
        status_word=row.status_word,
        outcome=NoticeOutcome(row.outcome),
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
    """Return what arrived; if it cannot be decrypted, what the other columns still say."""
    if row.raw is not None:
        return _raw.decode(row.raw)
    return RawNotice(notice_id=row.notice_id, at=row.at, channel=Channel(row.channel))


def words_of_network(tx: Connection, network_id: int, newest: int) -> list[SentWord]:
    """Return the status words of a network's ``newest`` notices with any outcome, most frequent first."""
    recent = (
        select(func.lower(func.trim(notices.c.status_word)).label("word"))
        .where(notices.c.network_id == network_id)
        .order_by(notices.c.notice_id.desc())
        .limit(newest)
        .subquery()
    )
    count = func.count()
    rows = tx.execute(select(recent.c.word, count).group_by(recent.c.word).order_by(count.desc(), recent.c.word))
    return [SentWord(word, number) for word, number in rows]
