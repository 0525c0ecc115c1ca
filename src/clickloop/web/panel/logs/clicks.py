"""Clicks: the log, and the story of one click."""

from litestar import get

from clickloop.store.ledger.jobs.exports import ExportNoun
from clickloop.web.api.context import Context
from clickloop.web.api.logs import clicks as api
from clickloop.web.api.paging import ClickIdPath
from clickloop.web.api.problem import AnyRequest
from clickloop.web.panel.diagnosis.trace import story_page
from clickloop.web.panel.frame.page import PageResponse
from clickloop.web.panel.frame.viewer import CurrentViewer
from clickloop.web.panel.logs.log_page import log_page


def show_list(viewer: CurrentViewer, request: AnyRequest, context: Context) -> PageResponse:
    """Return the log of clicks, newest first."""
    return log_page(viewer, request, context, ExportNoun.CLICKS)


def show(viewer: CurrentViewer, context: Context, click_id: ClickIdPath) -> PageResponse:
    return story_page(viewer, context, api.canonical_click_id(context, click_id))


routes = [
    get("/clicks", sync_to_thread=True)(show_list),
    get("/clicks/{click_id:str}", sync_to_thread=True)(show),
]
