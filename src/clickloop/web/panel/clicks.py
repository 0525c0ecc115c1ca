"""Clicks: the log of everything that was recorded of visitors, and one click with its story."""

from litestar import get

from clickloop.store.ledger.names import Named
from clickloop.web.api import clicks as api
from clickloop.web.api.columns import CLICK_COLUMNS
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.log_words import ClickView
from clickloop.web.api.paging import ClickIdPath, Page
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.logs import (
    ROWS_A_PAGE,
    Asked,
    Filter,
    choices,
    log_page,
    of_named,
    of_period,
    of_words,
    tidied,
)
from clickloop.web.panel.page import Answer
from clickloop.web.panel.trace import story_page
from clickloop.web.panel.visit import Visit


def show_list(visit: Visit, request: AnyRequest, context: Context) -> Answer:
    """Clicks, the newest first."""
    if tidy := tidied(request):
        return tidy
    asked = Asked(request, visit.zone, context.clock())
    names = choices(context, (Named.CAMPAIGN, Named.SOURCE), asked)
    return log_page(
        visit,
        request,
        context,
        noun="clicks",
        columns=CLICK_COLUMNS,
        asked=asked,
        found=_found(context, asked),
        names=names,
        filters=[
            of_named(Named.CAMPAIGN, "Campaign", names, asked),
            of_named(Named.SOURCE, "Source", names, asked),
            of_words("screening", "Counted", api.ScreeningFilter, asked),
            Filter(name="external_id", label="External id", value=asked.text("external_id")),
            *of_period(asked),
        ],
    )


def show(visit: Visit, context: Context, click_id: ClickIdPath) -> Answer:
    """A click and its story."""
    return story_page(visit, context, api.canonical_click_id(context, click_id))


def _found(context: ApiContext, asked: Asked) -> Page[ClickView]:
    since, until = asked.period()
    return api.list_clicks(
        context,
        ROWS_A_PAGE,
        asked.text("cursor"),
        campaign_id=asked.number("campaign_id"),
        source_id=asked.number("source_id"),
        external_id=asked.text("external_id") or None,
        screening=asked.word("screening", api.ScreeningFilter),
        since=since,
        until=until,
    )


routes = [
    get("/clicks", sync_to_thread=True)(show_list),
    get("/clicks/{click_id:str}", sync_to_thread=True)(show),
]
