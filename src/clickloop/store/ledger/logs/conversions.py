"""Conversions and their histories in the ledger. One statement per function; ``tx`` is an open transaction."""

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    func,
    insert,
    select,
    tuple_,
    update,
)

from clickloop.click.click import Click
from clickloop.conversion.conversion import Change, Conversion, Parameters
from clickloop.conversion.conversion_log import ConversionFilter, RecordedChange
from clickloop.conversion.status import CountsAs, Status
from clickloop.money import Money
from clickloop.store.ledger.audit.row_checks import checks_after, conversion_check
from clickloop.store.ledger.logs.narrowing import Conditions, canonical, conditions_of, is_flagged
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.tables import conversion_changes, conversions, statuses

_encode = msgspec.json.Encoder().encode
_click = msgspec.json.Decoder(Click)
_parameters = msgspec.json.Decoder(Parameters)
_conversion = msgspec.json.Decoder(Conversion)


def clicks_of_conversions(tx: Connection, click_ids: Sequence[str]) -> dict[str, Click]:
    """Return by id those clicks that have conversions. Damaged ones are left out, because the facts have them, too."""
    rows = tx.execute(
        select(conversions.c.click_id, conversions.c.click).where(
            conversions.c.click_id.in_(click_ids), conversions.c.first_of_click
        )
    )
    found = {}
    for click_id, stored in rows:
        # A damaged click is looked up in the facts, like one without conversions.
        with contextlib.suppress(msgspec.DecodeError):
            found[click_id] = _click.decode(stored)
    return found


def clicks_with_conversions(tx: Connection, click_ids: Sequence[str]) -> set[str]:
    """Return those click ids that have a conversion."""
    return set(
        tx.scalars(
            select(conversions.c.click_id).where(conversions.c.click_id.in_(click_ids), conversions.c.first_of_click)
        )
    )


def conversions_of_identities(tx: Connection, identities: Sequence[tuple[str, str]]) -> list[Conversion]:
    """Return the conversions with these pairs of click id and txid."""
    chosen = tuple_(conversions.c.click_id, conversions.c.txid).in_(identities)
    return [_of_row(row) for row in tx.execute(_selected().where(chosen))]


def conversions_of_ids(tx: Connection, conversion_ids: Sequence[str]) -> list[Conversion]:
    """Return the conversions with these ids."""
    return [_of_row(row) for row in tx.execute(_selected().where(conversions.c.conversion_id.in_(conversion_ids)))]


def find_conversion(tx: Connection, conversion_id: str) -> Conversion | None:
    """Return the conversion with that id."""
    row = tx.execute(_selected().where(conversions.c.conversion_id == conversion_id)).one_or_none()
    return None if row is None else _of_row(row)


def count_conversions_of_click(tx: Connection, click_id: str) -> int:
    """Return the number of conversions of a click."""
    return tx.scalar(select(func.count()).select_from(conversions).where(conversions.c.click_id == click_id)) or 0


def conversions_of_click(tx: Connection, click_id: str) -> list[Conversion]:
    """Return all conversions of a click, oldest first."""
    query = _selected().where(conversions.c.click_id == click_id).order_by(conversions.c.conversion_id)
    return [_readable(row) for row in tx.execute(query)]


def conversions_before(
    tx: Connection, filters: ConversionFilter, before_id: str | None, limit: int
) -> list[Conversion]:
    """Return at most ``limit`` matching conversions, newest first, before an id; None: from the newest."""
    table = conversions.c
    query = _selected().order_by(table.conversion_id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(table.conversion_id < before_id)
    query = query.where(*conditions_of(filters, table.conversion_id, table.created_at, _CONDITIONS))
    return [_readable(row) for row in tx.execute(query)]


_CONDITIONS: Conditions = {
    "click_id": canonical(conversions.c.click_id),
    "status": lambda key: conversions.c.status_key == key,
    "flagged": is_flagged(conversions.c.flags),
}


def changes_of_conversions(tx: Connection, conversion_ids: Sequence[str]) -> list[RecordedChange]:
    """Return the changes of conversions, by conversion and version."""
    return _recorded(tx, conversion_changes.c.conversion_id.in_(conversion_ids))


def newest_changes(tx: Connection, conversion_ids: Sequence[str], newest: int) -> list[RecordedChange]:
    """Return the ``newest`` changes among all these conversions, by conversion and version."""
    table = conversion_changes.c
    query = select(table.conversion_id, table.version).where(table.conversion_id.in_(conversion_ids))
    chosen = tx.execute(query.order_by(table.at.desc(), table.version.desc()).limit(newest)).all()
    if not chosen:
        return []
    return _recorded(tx, tuple_(table.conversion_id, table.version).in_([tuple(pair) for pair in chosen]))


def _recorded(tx: Connection, condition: ColumnElement[bool]) -> list[RecordedChange]:
    table = conversion_changes.c
    rows = tx.execute(
        select(table.version, table.at, table.notice_id, table.before, table.after)
        .where(condition)
        .order_by(table.conversion_id, table.version)
    )
    return [
        RecordedChange(
            version, at, notice_id, _conversion.decode(before) if before else None, _conversion.decode(after)
        )
        for version, at, notice_id, before, after in rows
    ]


def insert_conversions(tx: Connection, new: Sequence[Conversion]) -> None:
    """Insert conversions. Raise IntegrityError for a duplicate of click id and txid."""
    tx.execute(insert(conversions), [_columns(conversion) for conversion in new])


def update_conversions(tx: Connection, changed: Sequence[Conversion]) -> None:
    """Update the columns of conversions that can change. Raise RowCountError if one does not exist."""
    changes = {conversion.conversion_id: _changeable(conversion) for conversion in changed}
    checks = checks_after(tx, changes)
    statement = update(conversions).where(conversions.c.conversion_id == bindparam("of_id"))
    rows = [{"of_id": id_, **change, "row_check": checks[id_]} for id_, change in changes.items()]
    expect_rows(tx.execute(statement, rows), len(rows), "changed conversions")


def insert_changes(tx: Connection, changes: Sequence[Change]) -> None:
    """Insert changes into the histories of their conversions."""
    tx.execute(
        insert(conversion_changes),
        [
            {
                "conversion_id": change.after.conversion_id,
                "version": change.after.version,
                "at": change.at,
                "notice_id": change.notice_id,
                "before": None if change.before is None else _encode(change.before),
                "after": _encode(change.after),
            }
            for change in changes
        ],
    )


class RulesDecided(msgspec.Struct, frozen=True):
    """The number of postback rules decided for a change of a conversion."""

    conversion_id: str
    version: int
    rules: int


def note_rules_decided(tx: Connection, decided: Sequence[RulesDecided]) -> None:
    """Store how many postbacks each change must have, so that the audit can report missing ones."""
    rows = [{"of_id": change.conversion_id, "of_version": change.version, "rules": change.rules} for change in decided]
    expect_rows(tx.execute(_NOTE_DECIDED, rows), len(rows), "changes whose rules were decided")


_NOTE_DECIDED = (
    update(conversion_changes)
    .where(
        conversion_changes.c.conversion_id == bindparam("of_id"),
        conversion_changes.c.version == bindparam("of_version"),
    )
    .values(rules_decided=bindparam("rules"))
)


def _columns(conversion: Conversion) -> dict[str, Any]:
    """Return the whole row, with its checksum."""
    row = {
        "conversion_id": conversion.conversion_id,
        "click_id": conversion.click.click_id,
        "txid": conversion.txid,
        "campaign_id": conversion.click.campaign_id,
        "source_id": conversion.click.source_id,
        "offer_id": conversion.click.offer_id,
        "network_id": conversion.click.network_id,
        "first_of_click": conversion.first_of_click,
        "test": conversion.test,
        "converted_at": conversion.converted_at,
        "created_at": conversion.created_at,
        "click": _encode(conversion.click),
        **_changeable(conversion),
    }
    row["row_check"] = conversion_check(row)
    return row


def _changeable(conversion: Conversion) -> dict[str, Any]:
    return {
        "status_key": conversion.status.key,
        "counts_as": conversion.status.counts_as.value,
        "status_word": conversion.status_word,
        "payout_micros": conversion.payout.micros,
        "currency": conversion.payout.currency,
        "payout_text": conversion.payout_text,
        "latest_order": conversion.latest_order,
        "status_order": conversion.status_order,
        "payout_order": conversion.payout_order,
        "currency_order": conversion.currency_order,
        "flags": ",".join(conversion.flags),
        "updated_at": conversion.updated_at,
        "version": conversion.version,
        "parameters": _encode(conversion.parameters),
    }


def _selected() -> Select[Any]:
    return select(conversions, statuses.c.name.label("status_name")).outerjoin_from(
        conversions, statuses, conversions.c.status_key == statuses.c.key
    )


def _readable(row: Row[Any]) -> Conversion:
    """Return a conversion for a page; if its click or parameters are damaged, what the other columns still say.

    One damaged row must not fail the whole page; the self-audit reports it.
    """
    try:
        return _of_row(row)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _of_row(row, _click_by_columns(row))


def _click_by_columns(row: Row[Any]) -> Click:
    return Click(
        click_id=row.click_id,
        at=row.converted_at,
        campaign_id=row.campaign_id,
        source_id=row.source_id,
        offer_id=row.offer_id,
        network_id=row.network_id,
    )


def _of_row(row: Row[Any], substitute: Click | None = None) -> Conversion:
    """Return the conversion of a row, with the current name of its status, or its key if the status was removed.

    ``substitute``: replaces the click of a row that cannot be read, whose parameters are then left empty.
    """
    return Conversion(
        conversion_id=row.conversion_id,
        click=_click.decode(row.click) if substitute is None else substitute,
        txid=row.txid,
        status=Status(row.status_key, row.status_name or row.status_key, CountsAs(row.counts_as)),
        status_word=row.status_word,
        payout=Money(row.payout_micros, row.currency),
        payout_text=row.payout_text,
        flags=tuple(row.flags.split(",")) if row.flags else (),
        first_of_click=row.first_of_click,
        test=row.test,
        parameters=_parameters.decode(row.parameters) if substitute is None else Parameters(),
        converted_at=row.converted_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
        latest_order=row.latest_order,
        status_order=row.status_order,
        payout_order=row.payout_order,
        currency_order=row.currency_order,
    )
