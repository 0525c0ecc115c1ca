"""/offers/{number}/cap: how far an offer's cap is, since when it is reached, and where visitors went since."""

from collections.abc import Collection

from litestar import Router, get

from clickloop.clock import iso_text
from clickloop.diagnosis.caps.status import find_cap_status
from clickloop.diagnosis.caps.views import CapStatusView, cap_status_view
from clickloop.store.ledger.logs.cap_spans import open_spans_of
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Id
from clickloop.web.api.problem import expect_found


def read_cap(context: Context, number: Id) -> CapStatusView:
    """Return the count of an offer's cap in the current period, and when it was reached.

    For each of those times: how far it was exceeded, and which offers took the visitors since.
    """
    zone = context.instance.time_zone
    status = find_cap_status(context.ledger, context.facts, number, zone, context.clock())
    return cap_status_view(number, expect_found(status, "offer with that ID"))


def reached_caps(context: ApiContext, offer_ids: Collection[int]) -> dict[int, str]:
    """Return since when the caps of these offers are reached, by offer; absent while there is room."""
    with context.ledger.read() as tx:
        return {offer_id: iso_text(span.reached_at) for offer_id, span in open_spans_of(tx, offer_ids).items()}


router = Router(
    "/",
    route_handlers=[get("/offers/{number:int}/cap", sync_to_thread=True, summary="Get an offer's cap")(read_cap)],
    tags=["Offers"],
)
