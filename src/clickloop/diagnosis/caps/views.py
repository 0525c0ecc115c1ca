"""The view of a cap's state, for the API and the panel."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.clock import Moment, iso_text, optional_iso_text
from clickloop.diagnosis.caps.sentences import overshoot_sentence
from clickloop.diagnosis.caps.status import CapStatus, ReachedSpan
from clickloop.setup.offer_cap import cap_words
from clickloop.text import readable

CapWords = Annotated[str, Meta(description="The cap in words.", examples=["100 conversions a day"])]


class SentOnView(msgspec.Struct, kw_only=True):
    """Visitors whom the cap sent to another offer."""

    offer_id: int
    name: str
    visitors: Annotated[int, Meta(description="Counted visitors, directly and over landings.", examples=[212])]


class CapSpanView(msgspec.Struct, kw_only=True):
    """A time in which the cap was reached."""

    cap: CapWords
    amount: int
    reached_at: Moment
    ended_at: Annotated[Moment | None, Meta(description="null: it still is.")]
    counted_then: Annotated[int, Meta(description="The count when it was reached.")]
    counted: Annotated[
        int,
        Meta(description="The count of that period by now: with what came late, and without what was rejected since."),
    ]
    overshoot: Annotated[int, Meta(description="The part of it above the amount.")]
    visitors: Annotated[int, Meta(description="Visitors who went to other offers meanwhile.")]
    sent_on: list[SentOnView]


class CapStatusView(msgspec.Struct, kw_only=True):
    """The state of an offer's cap."""

    offer_id: int
    cap: Annotated[CapWords | None, Meta(description="null: the offer has no cap.")]
    amount: Annotated[int, Meta(description="0 without a cap.")]
    counted: Annotated[int, Meta(description="The count in the current period.")]
    period_from: Annotated[Moment | None, Meta(description="null: the cap is in total, or there is none.")]
    period_until: Annotated[Moment | None, Meta(description="When the next period begins. null: never.")]
    reached_at: Annotated[Moment | None, Meta(description="null: there is room.")]
    instead: Annotated[str, Meta(description="The offer that takes its visitors now. Empty for none.")]
    overshoot: Annotated[str, Meta(description="By how much the cap may be exceeded, and why.")]
    spans: Annotated[list[CapSpanView], Meta(description="When it was reached, latest first.")]


def cap_status_view(offer_id: int, status: CapStatus) -> CapStatusView:
    """Return the view of a cap's state."""
    cap, period, reached = status.cap, status.period, status.reached
    return CapStatusView(
        offer_id=offer_id,
        cap=None if cap is None else cap_words(cap),
        amount=0 if cap is None else cap.amount,
        counted=status.counted,
        period_from=None if period is None or not period.start_at else iso_text(period.start_at),
        period_until=optional_iso_text(status.ends_at),
        reached_at=None if reached is None else iso_text(reached.reached_at),
        instead=status.instead,
        overshoot="" if cap is None else overshoot_sentence(cap, status.per_second),
        spans=[_span_view(span) for span in status.spans],
    )


def _span_view(span: ReachedSpan) -> CapSpanView:
    return CapSpanView(
        cap=cap_words(span.cap),
        amount=span.cap.amount,
        reached_at=iso_text(span.reached_at),
        ended_at=optional_iso_text(span.ended_at),
        counted_then=span.counted_then,
        counted=span.counted,
        overshoot=max(0, span.counted - span.cap.amount),
        visitors=span.visitors,
        sent_on=[
            SentOnView(offer_id=one.offer_id, name=readable(one.name), visitors=one.visitors) for one in span.sent_on
        ],
    )
