"""Backtests: a flow tried on the recorded clicks of the last days, with progress and result."""

from typing import Any

import msgspec
from litestar import get, post
from litestar.exceptions import HTTPException

from clickloop.diagnosis.backtest.jobs import DEFAULT_DAYS, MAX_DAYS, BacktestOrder, BacktestView
from clickloop.diagnosis.backtest.result import MoveLevel
from clickloop.diagnosis.condition_phrases import field_noun
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.jobs import backtests as api
from clickloop.web.api.paging import Cursor, Id, RecordIdPath
from clickloop.web.api.setup.campaigns import CampaignView, read_campaign
from clickloop.web.panel.diagnosis.route_trial import EDITED, edited_flow
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.form_body import FIELD_LIMIT
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.routing.flow_editing import MAX_FLOW_BYTES, MAX_FLOW_FIELDS, carried_text

PATH = "/panel/backtests"
ROWS_PER_PAGE = 20
_LEVELS = {
    MoveLevel.RULE: ("Rules", "the default paths"),
    MoveLevel.PATH: ("Paths", "no path"),
    MoveLevel.LANDING: ("Landings", "no landing"),
    MoveLevel.OFFER: ("Offers", "no offer"),
}
"""The heading of each kind of move, and the text for none."""
_DAYS = (1, 7, 30, MAX_DAYS)


class _StartedBacktest(msgspec.Struct):
    """The form that starts a backtest, apart from the flow."""

    days: int = DEFAULT_DAYS


def show_list(viewer: CurrentViewer, context: Context, record_id: Id, cursor: Cursor = "") -> PageResponse:
    """Return a campaign's backtests, newest first."""
    return _list(viewer, context, read_campaign(context, record_id), cursor)


def start(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    """Start a backtest of the flow in the editor's form, or else of the saved one."""
    campaign = read_campaign(context, record_id)
    try:
        order = BacktestOrder(
            campaign_id=record_id,
            days=DEFAULT_DAYS if form.has(EDITED) else form.read(_StartedBacktest).days,
            flow=edited_flow(form),
        )
        view = api.start_backtest(context, msgspec.convert(msgspec.to_builtins(order), BacktestOrder))
    except InvalidInputError as error:
        return _list(viewer, context, campaign, faults=error.faults)
    except (HTTPException, msgspec.ValidationError) as error:
        sentence = error.detail if isinstance(error, HTTPException) else f"Enter 1 to {MAX_DAYS} days."
        return _list(viewer, context, campaign, refusal=sentence)
    return viewer.go(f"{PATH}/{view.backtest_id}")


def show(viewer: CurrentViewer, context: Context, backtest_id: RecordIdPath) -> PageResponse:
    """Return a backtest: its progress, then what would move."""
    view = api.read_backtest(context, backtest_id)
    campaign = read_campaign(context, view.campaign_id)
    tried = carried_text(api.read_tried_flow(context, backtest_id))
    return page(
        viewer,
        "backtest.html",
        view=view,
        campaign=campaign,
        flow_json="" if campaign.flow_id or tried == carried_text(campaign.flow) else tried,
        moves=_moves(view),
        field_noun=field_noun,
        is_busy=not view.state.is_final,
    )


def stop(viewer: CurrentViewer, context: Context, backtest_id: RecordIdPath) -> PageResponse:
    view = api.end_backtest(context, backtest_id)
    return viewer.go(f"{PATH}/{view.backtest_id}", FlashMessage.BACKTEST_STOPPED)


def _list(
    viewer: Viewer,
    context: ApiContext,
    campaign: CampaignView,
    cursor: str = "",
    *,
    faults: tuple[FieldFault, ...] = (),
    refusal: str = "",
) -> PageResponse:
    found = api.list_backtests(context, campaign.id, ROWS_PER_PAGE, cursor)
    return page(
        viewer,
        "backtests.html",
        faults,
        status=409 if refusal else None,
        campaign=campaign,
        found=found,
        cursor=cursor,
        refusal=refusal,
        days=_DAYS,
        is_busy=any(not view.state.is_final for view in found.items),
    )


def _moves(view: BacktestView) -> list[tuple[str, str, list[Any]]]:
    """Return the moves of each level that has any, with its heading and the word for none."""
    found = []
    for level, (heading, none) in _LEVELS.items():
        moves = [move for move in view.result.moves if move.level is level] if view.result else []
        if moves:
            found.append((heading, none, moves))
    return found


_LIMITS: dict[str, Any] = {"request_max_body_size": MAX_FLOW_BYTES, "opt": {FIELD_LIMIT: MAX_FLOW_FIELDS, NEEDS: None}}

routes = [
    get("/campaigns/{record_id:int}/backtests", sync_to_thread=True)(show_list),
    # Nothing that anybody set up changes.
    post("/campaigns/{record_id:int}/backtests", sync_to_thread=True, **_LIMITS)(start),
    get("/backtests/{backtest_id:str}", sync_to_thread=True)(show),
    post("/backtests/{backtest_id:str}/stop", sync_to_thread=True, opt={NEEDS: None})(stop),
]
