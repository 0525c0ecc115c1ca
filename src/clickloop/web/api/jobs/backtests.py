"""/backtests: changed flows tried on the recorded clicks of the last days, in the background."""

from typing import Annotated

import msgspec
from litestar import Response, Router, get, post
from litestar.exceptions import HTTPException
from litestar.params import JSONBody, QueryParameter

from clickloop.diagnosis.backtest import jobs
from clickloop.diagnosis.backtest.jobs import (
    NOUN,
    BacktestOrder,
    BacktestView,
    TooManyBacktestsError,
    backtest_view,
    find_backtest,
    stop_backtest,
)
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page
from clickloop.setup.flow import FlowParts
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Limit, RecordIdPath
from clickloop.web.api.problem import expect_found
from clickloop.web.api.rights import RIGHT

OfCampaign = Annotated[int | None, QueryParameter(ge=1, le=MAX_ID, description="Only backtests of this campaign.")]


def order_backtest(context: Context, data: JSONBody[BacktestOrder]) -> Response[BacktestView]:
    """Try a flow on the campaign's recorded clicks, in the background: how many would have gone elsewhere, and what they earned.

    The same draws are used. Nothing of the set-up changes. Follow the progress at the address in Location. 409: you already have
    five unfinished backtests.
    """
    view = start_backtest(context, data)
    return Response(view, headers={"Location": f"/api/v1/{NOUN}/{view.backtest_id}"})


def start_backtest(context: ApiContext, order: BacktestOrder) -> BacktestView:
    """Enter a backtest. Raise InvalidInputError, HTTPException 404, and 409 for one too many."""
    try:
        return expect_found(jobs.start_backtest(context, order), "active campaign with that ID")
    except TooManyBacktestsError as error:
        raise HTTPException(status_code=409, detail=str(error)) from None


def list_backtests(
    context: Context, campaign_id: OfCampaign = None, limit: Limit = 50, cursor: Cursor = ""
) -> Page[BacktestView]:
    """List backtests, newest first. They are kept for 30 days."""
    return jobs.list_backtests(context, campaign_id, limit, cursor)


def read_backtest(context: Context, backtest_id: RecordIdPath) -> BacktestView:
    """Return a backtest: its progress, and its result once it is finished."""
    return backtest_view(expect_found(find_backtest(context, backtest_id.lower()), "backtest with that ID"))


def read_tried_flow(context: ApiContext, backtest_id: str) -> FlowParts:
    """Return the flow that a backtest tries. New rules and paths have no id yet."""
    found = expect_found(find_backtest(context, backtest_id.lower()), "backtest with that ID")
    return msgspec.json.decode(found.flow, type=FlowParts)


def end_backtest(context: Context, backtest_id: RecordIdPath) -> BacktestView:
    """Stop a backtest. One that has ended is left alone."""
    return backtest_view(expect_found(stop_backtest(context, backtest_id.lower()), "backtest with that ID"))


router = Router(
    f"/{NOUN}",
    route_handlers=[
        # It changes nothing that anybody set up, so no right is needed.
        post("/", status_code=202, sync_to_thread=True, opt={RIGHT: None}, summary="Start a backtest")(order_backtest),
        get("/", sync_to_thread=True, summary="List backtests")(list_backtests),
        get("/{backtest_id:str}", sync_to_thread=True, summary="Read a backtest and its progress")(read_backtest),
        post(
            "/{backtest_id:str}/stop",
            status_code=200,
            sync_to_thread=True,
            opt={RIGHT: None},
            summary="Stop a backtest",
        )(end_backtest),
    ],
    tags=["Diagnosis"],
)
