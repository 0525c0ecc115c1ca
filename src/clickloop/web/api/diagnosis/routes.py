"""Explained routes, of recorded clicks and of described visitors."""

from litestar import Response, Router, get, post
from litestar.params import JSONBody

from clickloop.diagnosis.route.lookup import explain_route, find_recorded_click
from clickloop.diagnosis.route.text import route_text
from clickloop.diagnosis.route.views import RouteView, route_view
from clickloop.diagnosis.route.visitor_input import RouteBody, explain_route_of_visitor
from clickloop.logs.listing import CLICKS
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.check import route_settings
from clickloop.web.api.logs.clicks import canonical_click_id
from clickloop.web.api.paging import ClickIdPath, Id
from clickloop.web.api.problem import AnyRequest, expect_found
from clickloop.web.api.rights import RIGHT
from clickloop.web.api.text_page import AnswerFormat, RequestedFormat, text_response, wants_text


def read_route(
    context: Context, request: AnyRequest, click_id: ClickIdPath, output: RequestedFormat = AnswerFormat.JSON
) -> Response[RouteView]:
    """Explain how a click came to its destination: each rule condition by condition, each choice with weights and draw.

    By the version of the flow that was in force, also after it was changed. `doubts` says why today's flow would lead elsewhere.
    """
    view = route_of_click(context, canonical_click_id(context, click_id))
    return text_response(route_text(view)) if wants_text(request, output) else Response(view)


def route_of_click(context: ApiContext, click_id: str) -> RouteView:
    """Return a click's explained route. Raise HTTPException 404."""
    click = expect_found(find_recorded_click(context, click_id), "click with that ID yet")
    return route_view(explain_route(context.ledger, click, route_settings(context)))


def simulate_route(
    context: Context,
    request: AnyRequest,
    number: Id,
    data: JSONBody[RouteBody],
    output: RequestedFormat = AnswerFormat.JSON,
) -> Response[RouteView]:
    """Explain where a visitor of a campaign would go, by its flow or by one that is not saved yet. Nothing is stored.

    Returns each rule condition by condition, and the share of each destination; with a `draw`, what it chooses.
    """
    view = route_of_visitor(context, number, data)
    return text_response(route_text(view)) if wants_text(request, output) else Response(view, status_code=200)


def route_of_visitor(context: ApiContext, campaign_id: int, body: RouteBody) -> RouteView:
    """Return a described visitor's route. Raise InvalidInputError, or HTTPException 404."""
    found = explain_route_of_visitor(context.ledger, campaign_id, body, route_settings(context), context.clock())
    return route_view(expect_found(found, "active campaign with that ID"))


router = Router(
    "/",
    route_handlers=[
        get(f"/{CLICKS}/{{click_id:str}}/route", sync_to_thread=True, summary="Explain a click's route")(read_route),
        post(
            "/campaigns/{number:int}/route",
            status_code=200,
            sync_to_thread=True,
            opt={RIGHT: None},  # it has no effect
            summary="Explain a visitor's route",
        )(simulate_route),
    ],
    tags=["Diagnosis"],
)
