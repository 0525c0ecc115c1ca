"""When the caps of offers were reached, and until when. One statement per function; ``tx`` is an open transaction."""

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, insert, select, update

from clickloop.setup.offer_cap import OfferCap
from clickloop.store.ledger.row_count import expect_rows
from clickloop.store.ledger.schema.tables import cap_spans


class CapSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A span of time in which an offer's cap was reached. Moments are Unix milliseconds."""

    id: int = 0
    offer_id: int
    cap: OfferCap
    """The cap as it was."""
    instead_id: int = 0
    """The offer that took its visitors; 0: it was out of the rotation."""
    counted: int
    """The count when it was reached."""
    reached_at: int
    ended_at: int | None = None


def open_spans(tx: Connection) -> list[CapSpan]:
    """Return the spans that have not ended, one per offer."""
    return _spans(tx, _all().where(cap_spans.c.ended_at.is_(None)))


def spans_of_offer(tx: Connection, offer_id: int, limit: int) -> list[CapSpan]:
    """Return the latest spans of an offer, newest first."""
    return _spans(tx, _newest_first().where(cap_spans.c.offer_id == offer_id).limit(limit))


def open_spans_of(tx: Connection, offer_ids: Collection[int]) -> dict[int, CapSpan]:
    """Return the spans of these offers that have not ended, by offer."""
    found = _spans(tx, _all().where(cap_spans.c.offer_id.in_(offer_ids), cap_spans.c.ended_at.is_(None)))
    return {span.offer_id: span for span in found}


def span_at(tx: Connection, offer_id: int, at: int) -> CapSpan | None:
    """Return the span in which a click at that moment found an offer's cap reached, or None if it is unknown."""
    # The latest that had begun: edges learn of its end a little later than it happens.
    query = _newest_first().where(cap_spans.c.offer_id == offer_id, cap_spans.c.reached_at <= at)
    return next(iter(_spans(tx, query.limit(1))), None)


def insert_span(tx: Connection, span: CapSpan) -> CapSpan:
    """Record that a cap was reached. Return the span with its id."""
    values = msgspec.to_builtins(span)
    del values["id"]
    number = tx.execute(insert(cap_spans).values(values).returning(cap_spans.c.id)).scalar_one()
    return msgspec.structs.replace(span, id=int(number))


def update_span(tx: Connection, span: CapSpan) -> None:
    """Write where visitors go and the end of a span. Raise RowCountError if it does not exist."""
    values = {"instead_id": span.instead_id, "ended_at": span.ended_at}
    expect_rows(tx.execute(update(cap_spans).where(cap_spans.c.id == span.id).values(values)), 1, "the span of a cap")


def _all() -> Select[Any]:
    return select(*(cap_spans.c[name] for name in CapSpan.__struct_fields__))


def _newest_first() -> Select[Any]:
    return _all().order_by(cap_spans.c.reached_at.desc(), cap_spans.c.id.desc())


def _spans(tx: Connection, query: Select[Any]) -> list[CapSpan]:
    return [
        msgspec.convert(dict(zip(CapSpan.__struct_fields__, row, strict=True)), CapSpan) for row in tx.execute(query)
    ]
