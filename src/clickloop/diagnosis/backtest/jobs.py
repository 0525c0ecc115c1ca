"""Start, show and stop backtests, for the API and the panel."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.clock import DAY_MS, Moment
from clickloop.diagnosis.backtest.result import BacktestResult, ClickSum, Move, MoveLevel
from clickloop.diagnosis.backtest.working import result_of
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.logs.view import view_of
from clickloop.money import amount_text
from clickloop.report.click_rows import MoneySum
from clickloop.setup.fault import InvalidInputError, under
from clickloop.setup.flow import FlowParts, flow_faults
from clickloop.store.ledger.jobs.backtests import (
    BACKTESTS,
    Backtest,
    backtests_before,
    count_unfinished_backtests,
)
from clickloop.store.ledger.jobs.exports import requester_of
from clickloop.store.ledger.jobs.jobs import JobState
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.flows import parts_in_force
from clickloop.tracking.jobs.context import JobContext

NOUN = "backtests"
DEFAULT_DAYS = 7
MAX_DAYS = 90
MAX_UNFINISHED = 5
"""Maximum number of unfinished backtests per user: they share the worker."""


class BacktestOrder(msgspec.Struct, kw_only=True):
    """A flow to try on the recorded clicks of a campaign."""

    campaign_id: Annotated[int, Meta(ge=1, le=MAX_ID, description="The campaign whose clicks are replayed.")]
    days: Annotated[
        int, Meta(ge=1, le=MAX_DAYS, description="Number of days until now whose clicks are replayed.", examples=[7])
    ] = DEFAULT_DAYS
    flow: Annotated[
        FlowParts | None,
        Meta(description="The changed flow. It is not saved. null: the campaign's, as saved."),
    ] = None


class SumView(msgspec.Struct, kw_only=True):
    """Amounts in one currency, as decimal texts."""

    currency: str
    cost: Annotated[str, Meta(examples=["12.5"])]
    revenue: Annotated[str, Meta(description="Confirmed.")]
    pending: str


class ClickSumView(msgspec.Struct, kw_only=True):
    """Clicks, and what they earned."""

    clicks: int
    conversions: int
    money: Annotated[list[SumView], Meta(description="Per currency. Amounts are not converted.")]


class MoveView(ClickSumView, kw_only=True):
    """Clicks whose route would differ."""

    level: Annotated[MoveLevel, Meta(description="What differs.")]
    from_id: int
    from_name: Annotated[str, Meta(description="Empty: none, such as the default paths instead of a rule.")]
    to_id: Annotated[int, Meta(description="0 with a name: it is not saved yet.")]
    to_name: str


class UnjudgedView(msgspec.Struct, kw_only=True):
    """A field whose value some clicks did not store, so that conditions on it compared an unknown value."""

    field: str
    clicks: int


class BacktestResultView(msgspec.Struct, kw_only=True):
    """The result of a backtest."""

    all: ClickSumView
    moved: Annotated[ClickSumView, Meta(description="Clicks that would have gone to another destination.")]
    without_draw: Annotated[
        int,
        Meta(
            description="Clicks for which nothing was drawn. A draw is derived from the click ID, so some move by chance alone."
        ),
    ]
    returning: Annotated[
        int,
        Meta(
            description="Clicks of returning visitors. They were decided by what the visitor's cookie remembered when they were "
            "recorded, although along this flow it might have remembered other paths, landings and offers."
        ),
    ]
    unjudged: list[UnjudgedView]
    moves: Annotated[list[MoveView], Meta(description="From where to where, per level the largest first, at most 100.")]
    omitted: Annotated[int, Meta(description="Number of smaller moves that are not listed.")]


class BacktestView(msgspec.Struct, kw_only=True):
    """A backtest, its progress and its result."""

    backtest_id: str
    campaign_id: int
    since: Moment
    until: Moment
    asked_by: str
    state: Annotated[JobState, Meta(description="waiting or running until it ends. If it is failed, error says why.")]
    total: Annotated[int, Meta(description="Clicks of the period. 0 while it waits.")]
    done: int
    percent: int
    result: Annotated[BacktestResultView | None, Meta(description="null until it is finished.")]
    created_at: Moment
    finished_at: Moment | None
    error: str | None


class TooManyBacktestsError(Exception):
    """The user has too many unfinished backtests. The message says what to do."""


def start_backtest(context: JobContext, order: BacktestOrder) -> BacktestView | None:
    """Queue a backtest for ``BacktestWorker``. Return None if there is no live campaign with that id.

    Raise InvalidInputError, TooManyBacktestsError.
    """
    faults = [] if order.flow is None else flow_faults(order.flow)
    if faults:
        raise InvalidInputError(tuple(under("flow", fault) for fault in faults))
    user_id, asked_by = requester_of(context.actor)
    now_ms = context.clock()
    with context.ledger.write() as tx:
        campaign = CAMPAIGNS.find(tx, order.campaign_id)
        if campaign is None or campaign.archived_at is not None:
            return None
        flow = order.flow or parts_in_force(tx, order.campaign_id) or FlowParts()
        if count_unfinished_backtests(tx, context.actor) >= MAX_UNFINISHED:
            sentence = (
                f"You already have {MAX_UNFINISHED} unfinished backtests. Wait until one is finished, or stop one."
            )
            raise TooManyBacktestsError(sentence)
        backtest = Backtest(
            backtest_id=context.record_ids(),
            campaign_id=order.campaign_id,
            flow=msgspec.json.encode(flow),
            since=now_ms - order.days * DAY_MS,
            until=now_ms,
            user_id=user_id,
            asked_by=asked_by,
            created_at=now_ms,
        )
        BACKTESTS.insert(tx, backtest)
    return backtest_view(backtest)


def list_backtests(context: JobContext, campaign_id: int | None, limit: int, cursor: str = "") -> Page[BacktestView]:
    """Return a page of backtests, newest first."""
    before = read_cursor(NOUN, cursor) or None
    with context.ledger.read() as tx:
        found = backtests_before(tx, campaign_id, before, limit + 1)
    return page_of(found, limit, NOUN, lambda backtest: backtest.backtest_id, backtest_view)


def find_backtest(context: JobContext, backtest_id: str) -> Backtest | None:
    """Return the backtest with that id."""
    with context.ledger.read() as tx:
        return BACKTESTS.find(tx, backtest_id)


def stop_backtest(context: JobContext, backtest_id: str) -> Backtest | None:
    """Stop a backtest and return it. One that has ended stays unchanged."""
    with context.ledger.write() as tx:
        BACKTESTS.stop(tx, backtest_id, context.clock())
        return BACKTESTS.find(tx, backtest_id)


def backtest_view(backtest: Backtest) -> BacktestView:
    """Return the view of a backtest."""
    result = result_of(backtest)
    is_finished = backtest.state is JobState.FINISHED
    return view_of(
        BacktestView,
        backtest,
        percent=100 if is_finished else 100 * backtest.done // max(1, backtest.total),
        result=None if result is None else _result_view(result),
    )


def _result_view(result: BacktestResult) -> BacktestResultView:
    return BacktestResultView(
        all=_sum_view(result.all),
        moved=_sum_view(result.moved),
        without_draw=result.without_draw,
        returning=result.returning,
        unjudged=[UnjudgedView(field=one.field, clicks=one.clicks) for one in result.unjudged],
        moves=[_move_view(move) for move in result.moves],
        omitted=result.omitted,
    )


def _move_view(move: Move) -> MoveView:
    return view_of(MoveView, move, move.sum, money=_money_views(move.sum.money))


def _sum_view(sums: ClickSum) -> ClickSumView:
    return ClickSumView(clicks=sums.clicks, conversions=sums.conversions, money=_money_views(sums.money))


def _money_views(money: tuple[MoneySum, ...]) -> list[SumView]:
    return [
        SumView(
            currency=one.currency,
            cost=amount_text(one.cost_micros),
            revenue=amount_text(one.revenue_micros),
            pending=amount_text(one.pending_micros),
        )
        for one in money
    ]
