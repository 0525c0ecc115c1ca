"""Conversions - In: everything that told of conversions, also what was refused and why; one notice, and running it again."""

from litestar import get, post

from clickloop.conversion.notice import RefusalReason
from clickloop.store.ledger.names import Named
from clickloop.store.ledger.notices import Outcome
from clickloop.web.api import notices as api
from clickloop.web.api.columns import NOTICE_COLUMNS, names_for
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Page, RecordIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.logs import (
    ROWS_A_PAGE,
    Asked,
    Filter,
    choices,
    flag_sentence,
    log_page,
    of_flags,
    of_named,
    of_period,
    of_words,
    tidied,
)
from clickloop.web.panel.page import Answer, page
from clickloop.web.panel.said import Said
from clickloop.web.panel.visit import Visit

PATH = "/panel/notices"


def show_list(visit: Visit, request: AnyRequest, context: Context) -> Answer:
    """Notices, the newest first."""
    if tidy := tidied(request):
        return tidy
    asked = Asked(request, visit.zone, context.clock())
    names = choices(context, (Named.NETWORK, Named.CAMPAIGN), asked)
    return log_page(
        visit,
        request,
        context,
        noun="notices",
        columns=NOTICE_COLUMNS,
        asked=asked,
        found=_found(context, asked),
        names=names,
        filters=[
            of_words("outcome", "Outcome", Outcome, asked),
            of_words("reason", "Reason", RefusalReason, asked),
            of_named(Named.NETWORK, "Network", names, asked),
            of_named(Named.CAMPAIGN, "Campaign", names, asked),
            of_flags(asked),
            Filter(name="status_word", label="Status word", value=asked.text("status_word")),
            Filter(name="click_id", label="Click id", value=asked.text("click_id")),
            *of_period(asked),
        ],
    )


def show(visit: Visit, context: Context, notice_id: RecordIdPath) -> Answer:
    """A notice: as it came, how each parameter was understood, and what became of it."""
    view = api.read_notice(context, notice_id)
    with context.ledger.read() as tx:
        names = names_for(tx, NOTICE_COLUMNS, [view])
    return page(visit, "notice.html", view=view, names=names, flag_sentence=flag_sentence)


def run_again(visit: Visit, context: Context, notice_id: RecordIdPath) -> Answer:
    """Reads the notice again by today's settings."""
    view = api.rerun_notice(context, notice_id)
    return visit.go(f"{PATH}/{view.notice_id}", Said.RERUN)


def _found(context: ApiContext, asked: Asked) -> Page[api.NoticeView]:
    since, until = asked.period()
    return api.list_notices(
        context,
        ROWS_A_PAGE,
        asked.text("cursor"),
        outcome=asked.word("outcome", Outcome),
        reason=asked.word("reason", RefusalReason),
        click_id=asked.text("click_id") or None,
        conversion_id=asked.text("conversion_id") or None,
        campaign_id=asked.number("campaign_id"),
        network_id=asked.number("network_id"),
        flagged=asked.yes("flagged"),
        status_word=asked.text("status_word") or None,
        since=since,
        until=until,
    )


routes = [
    get("/notices", sync_to_thread=True)(show_list),
    get("/notices/{notice_id:str}", sync_to_thread=True)(show),
    post("/notices/{notice_id:str}/rerun", sync_to_thread=True)(run_again),
]
