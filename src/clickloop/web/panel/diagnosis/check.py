"""Check: problems that keep conversions from being reported to their sources, each with its place and remedy."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from litestar import get
from markupsafe import Markup, escape

from clickloop.diagnosis.check.finding import CheckPlaceKind, moment_words
from clickloop.diagnosis.check.views import CheckPlaceView
from clickloop.web.api.context import Context
from clickloop.web.api.diagnosis.check import recent_check
from clickloop.web.long_work import in_long_work
from clickloop.web.panel.diagnosis.try_it import live_campaigns
from clickloop.web.panel.frame.page import PageResponse, page, when
from clickloop.web.panel.frame.viewer import CurrentViewer
from clickloop.web.panel.setup.setup_choices import OptionalId

PATH = "/panel/check"

_PATHS = {
    CheckPlaceKind.TRAFFIC_SOURCE: "traffic-sources",
    CheckPlaceKind.CAMPAIGN: "campaigns",
    CheckPlaceKind.OFFER: "offers",
    CheckPlaceKind.NETWORK: "networks",
    CheckPlaceKind.POSTBACK_RULE: "postback-rules",
    CheckPlaceKind.FLOW: "flows",
    CheckPlaceKind.LANDING: "landings",
    CheckPlaceKind.LIST: "lists",
    CheckPlaceKind.VIEW: "views",
}


def show(viewer: CurrentViewer, context: Context, campaign_id: OptionalId = None) -> PageResponse:
    """Return the findings, worst first, and the recent activity of each campaign."""
    report, at = recent_check(context, campaign_id)
    return page(
        viewer,
        "check.html",
        report=report,
        at=at,
        campaigns=live_campaigns(context),
        campaign_id=campaign_id,
        editor=editor_of,
        name=name_of,
        in_zone=lambda text, moments: in_zone(text, moments, viewer.zone),
    )


def in_zone(text: str, moments: Iterable[str], zone: ZoneInfo) -> Markup:
    """Return a finding's sentence with its moments (ISO texts) in local time."""
    shown = escape(text)
    for moment in moments:
        shown = shown.replace(moment_words(moment), when(moment, zone, seconds=False))
    return shown


def name_of(place: CheckPlaceView) -> str:
    """Return the display name of a place."""
    if place.kind is CheckPlaceKind.INSTANCE:
        return "Conversions - In" if place.field == "notices" else "Settings"
    return place.name or ("Statuses" if place.kind is CheckPlaceKind.STATUS else str(place.id))


def editor_of(place: CheckPlaceView) -> str:
    """Return the page where a place can be corrected."""
    if place.kind is CheckPlaceKind.STATUS:
        return "/panel/statuses"
    if place.kind is CheckPlaceKind.INSTANCE and place.field == "notices":
        return "/panel/notices?outcome=refused"
    if place.kind is CheckPlaceKind.RECEIVER:
        return f"/panel/health/receivers/{place.name}"
    if place.kind is CheckPlaceKind.INSTANCE or not place.id:
        return "/panel/settings"
    if place.kind is CheckPlaceKind.CAMPAIGN and place.field.startswith("flow."):
        return f"/panel/campaigns/{place.id}/flow#{place.field}"
    if place.kind is CheckPlaceKind.CAMPAIGN and place.field == "marks":
        return f"/panel/campaigns/{place.id}/marks"
    field = f"#{place.field}" if place.field else ""
    return f"/panel/{_PATHS[place.kind]}/{place.id}{field}"


routes = [get(PATH.removeprefix("/panel"))(in_long_work(show))]
