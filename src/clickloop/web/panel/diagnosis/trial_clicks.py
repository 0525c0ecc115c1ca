"""Test clicks: real clicks and conversions, marked as tests: their postbacks are sent, but reports leave them out."""

import secrets
from typing import Annotated

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import QueryParameter

from clickloop.click.click import Screening
from clickloop.click_id import ClickId
from clickloop.clock import MINUTE_MS
from clickloop.conversion.reported import ConversionReport
from clickloop.diagnosis.trace.lookup import find_trace
from clickloop.diagnosis.trace.trace import EventKind
from clickloop.logs.listing import list_postbacks
from clickloop.people.user import Right
from clickloop.postback.postback_log import PostbackFilter
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis import trial_clicks as api
from clickloop.web.api.logs import conversions
from clickloop.web.api.paging import ClickIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.api.setup.traffic_sources import read_source
from clickloop.web.panel.diagnosis.try_it import live_campaigns
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.reports.loop_verdict import loop_verdict
from clickloop.web.panel.reports.walkthrough import first_undone, next_tasks, walkthrough_at
from clickloop.web.panel.setup.setup_choices import OptionalId, only, status_choices

PATH = "/panel/try/test"
MAX_ROWS = 20
REFRESH_MS = 10 * MINUTE_MS
"""Maximum time for which a page refreshes by itself."""
WatchUntil = Annotated[int, QueryParameter(ge=0, le=1 << 47)]
WatchFromNow = Annotated[int | None, QueryParameter(ge=0, le=1 << 47)]


def show(
    viewer: CurrentViewer, context: Context, campaign_id: OptionalId = None, watch: WatchFromNow = None
) -> PageResponse:
    """Return a test link for a campaign, by default the only one, and the test clicks of the last day."""
    if campaign_id is None:
        campaign_id = only(live_campaigns(context))
    link = None
    if campaign_id in dict(live_campaigns(context)) and viewer.may(Right.WORK):
        assert campaign_id is not None
        link = api.make_test_link(context, api.TestLinkBody(campaign_id=campaign_id))
    if watch is None:
        watch = context.clock() + REFRESH_MS if link else 0
    return _show(viewer, context, campaign_id, watch, link)


def make_link(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Return a link whose clicks are tests, for a limited time. Nothing is stored."""
    number = form.text("campaign_id")
    campaign_id = int(number) if number.isdecimal() and len(number) < 10 else None
    try:
        link = api.make_test_link(context, form.read(api.TestLinkBody))
    except InvalidInputError as error:
        return _show(viewer, context, campaign_id, faults=error.faults)
    return _show(viewer, context, campaign_id, context.clock() + REFRESH_MS, link)


def show_one(viewer: CurrentViewer, context: Context, click_id: ClickIdPath, watch: WatchUntil = 0) -> PageResponse:
    """Return a test click, with a form to convert it and its events so far."""
    values = {"payout": "1", "currency": "", "status": "", "txid": f"test-{secrets.token_hex(3)}", "postbacks": "on"}
    return _show_one(viewer, context, click_id, values, watch)


def convert(
    viewer: CurrentViewer, context: Context, request: AnyRequest, click_id: ClickIdPath, form: FormParameter
) -> PageResponse:
    """Register a conversion by hand; it counts as a test because its click does."""
    canonical = _test_click_id(context, click_id)
    try:
        report = form.read(
            ConversionReport,
            click_id=canonical,
            by_hand=True,
            disable_postback=form.text("postbacks") != "on",
        )
        conversions.report_conversion(context, request, report)
    except InvalidInputError as error:
        return _show_one(viewer, context, canonical, form.tree, faults=error.faults)
    watch = context.clock() + REFRESH_MS
    return viewer.go(f"{PATH}/{canonical}", FlashMessage.CONVERTED, watch=str(watch))


def _show(
    viewer: Viewer,
    context: ApiContext,
    campaign_id: int | None,
    watch: int = 0,
    link: api.TestLinkView | None = None,
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    campaigns = live_campaigns(context)
    return page(
        viewer,
        "test_clicks.html",
        faults,
        found=api.list_test_clicks(context, MAX_ROWS, "", campaign_id),
        campaigns=campaigns,
        first=None if campaigns else first_undone(context),
        names=dict(campaigns),
        campaign_id=campaign_id,
        link=link,
        watch=watch if context.clock() < watch else 0,
        walkthrough=walkthrough_at(context, viewer, None),
    )


def _show_one(
    viewer: Viewer,
    context: ApiContext,
    click_id: str,
    values: dict[str, str],
    watch: int = 0,
    faults: tuple[FieldFault, ...] = (),
) -> PageResponse:
    canonical = _test_click_id(context, click_id)
    trace = find_trace(context, canonical)
    click = trace.click
    submitted = {name: values.get(name, "") for name in ("payout", "currency", "status", "txid", "postbacks")}
    network = api.network_of(context, click.network_id) if click else None
    postbacks = list_postbacks(context, PostbackFilter(click_id=canonical), MAX_ROWS).items
    verdict = None
    if click is not None and any(event.kind is EventKind.CONVERSION for event in trace.events):
        verdict = loop_verdict(postbacks, click.source_id, _source_rule(context, click.source_id))
    claims = {name: submitted[name] for name in ("payout", "currency", "status", "txid")}
    return page(
        viewer,
        "test_click.html",
        faults,
        click=click,
        click_id=canonical,
        v=submitted,
        events=trace.events,
        postbacks=postbacks,
        verdict=verdict,
        tasks=next_tasks(context, viewer, click.campaign_id) if click and verdict and verdict.works else [],
        statuses=status_choices(context),
        notice_url=api.network_notice_url(context, network, canonical, claims),
        network=network,
        watch=watch if context.clock() < watch else 0,
        walkthrough=walkthrough_at(context, viewer, None),
    )


def _source_rule(context: ApiContext, source_id: int) -> int | None:
    """Return the rule of a source's postback URL, None if it has none."""
    source = read_source(context, source_id)
    return source.postback_rule_id if source.postback_url else None


def _test_click_id(context: ApiContext, text: str) -> str:
    """Return the canonical ID of a click that is a test or has not arrived yet. Raise NotFoundException for any other."""
    read = context.click_ids.read(text)
    if not isinstance(read, ClickId):
        raise NotFoundException("This is not a click ID of this tracker: it is mistyped, cut off or forged.")
    click = context.facts.find_clicks([read.text]).get(read.text)
    if click is not None and click.screening != Screening.TEST:
        raise NotFoundException("This click is not a test. Add its conversions under Conversions.")
    return read.text


routes = [
    get("/try/test", sync_to_thread=True)(show),
    post("/try/test", sync_to_thread=True, status_code=200)(make_link),
    get("/try/test/{click_id:str}", sync_to_thread=True)(show_one),
    post("/try/test/{click_id:str}", sync_to_thread=True)(convert),
]
