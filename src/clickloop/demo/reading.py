"""Reads the tracker's data over its API, once it has processed everything."""

import asyncio
import time
from urllib.parse import urlencode

import msgspec

from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.demo.observed import ObservedTraffic
from clickloop.demo.page_plan import PlannedRoute
from clickloop.demo.page_setup import PageSetup
from clickloop.demo.reported import (
    ApiClick,
    ApiConversion,
    ApiNotice,
    ApiPostback,
    ApiReportRow,
    ApiRoute,
    PageData,
    TrackerData,
)
from clickloop.demo.showing import Bar
from clickloop.demo.tracker import Tracker
from clickloop.postback.state import PostbackState

SETTLE_SECONDS = 45.0
"""Maximum time for the tracker to finish; after that the checks report what is missing."""
POLL_SECONDS = 0.25
MAX_ROUTES = 20
"""Number of clicks whose explained route is read."""


async def until_done(
    tracker: Tracker, campaign_id: int, observed: ObservedTraffic, postbacks: int, bar: Bar
) -> TrackerData:
    """Wait, at most ``SETTLE_SECONDS``, until the logs are complete and nothing is in progress. Return the tracker's data."""
    give_up = time.monotonic() + SETTLE_SECONDS
    never_matched = sum(sent.outcome is NoticeOutcome.WAITING for sent in observed.sent)
    while True:
        in_time = time.monotonic() < give_up
        waiting = await tracker.fetch_all("notices", ApiNotice, outcome="waiting")
        under_way = [
            *await tracker.fetch_all("postbacks", ApiPostback, state=PostbackState.WAITING),
            *await tracker.fetch_all("postbacks", ApiPostback, state=PostbackState.SENDING),
        ]
        if not in_time or (len(waiting) <= never_matched and not under_way):
            reported = await _fetch_data(tracker, campaign_id)
            complete = (len(reported.clicks), len(reported.notices)) >= (len(observed.visits), len(observed.sent))
            if not in_time or (complete and len(reported.postbacks) >= postbacks):
                bar.reach(len(reported.postbacks))
                return reported
        elif under_way:
            bar.reach(postbacks - len(under_way))
        await asyncio.sleep(POLL_SECONDS)


async def _fetch_data(tracker: Tracker, campaign_id: int) -> TrackerData:
    return TrackerData(
        clicks=await tracker.fetch_all("clicks", ApiClick, campaign_id=str(campaign_id)),
        notices=await tracker.fetch_all("notices", ApiNotice),
        conversions=await tracker.fetch_all("conversions", ApiConversion),
        postbacks=await tracker.fetch_all("postbacks", ApiPostback),
    )


async def fetch_page_data(tracker: Tracker, page_setup: PageSetup, observed: ObservedTraffic) -> PageData:
    """Return the data of the campaigns with pages, once all clicks and page events are in it, or after ``SETTLE_SECONDS``."""
    give_up = time.monotonic() + SETTLE_SECONDS
    visits = observed.page_visits
    expected = sum(visit.planned.views + len(set(visit.planned.presses)) for visit in visits)
    by_link = [visit.click_id for visit in visits if visit.planned.route is not PlannedRoute.STRAIGHT_TO_PAGE]
    while True:
        data = await _fetch_page_data(tracker, page_setup, [click_id for click_id in by_link if click_id][:MAX_ROUTES])
        if (len(data.clicks) >= len(visits) and data.page_events >= expected) or time.monotonic() > give_up:
            return data
        await asyncio.sleep(POLL_SECONDS)


async def _fetch_page_data(tracker: Tracker, page_setup: PageSetup, click_ids: list[str]) -> PageData:
    campaign_id, page_campaign_id = page_setup.campaign_id, page_setup.page_campaign_id
    both = (campaign_id, page_campaign_id)
    return PageData(
        clicks=(
            *await tracker.fetch_all("clicks", ApiClick, campaign_id=str(campaign_id)),
            *await tracker.fetch_all("clicks", ApiClick, campaign_id=str(page_campaign_id)),
        ),
        by_country=await _report(tracker, ("country", "landing"), (campaign_id,)),
        by_offer=await _report(tracker, ("offer",), both),
        by_path=await _report(tracker, ("campaign", "path"), both),
        routes={
            click_id: await tracker.request("GET", f"/clicks/{click_id}/route", None, ApiRoute)
            for click_id in click_ids
        },
    )


class _Report(msgspec.Struct):
    rows: tuple[ApiReportRow, ...]


async def _report(
    tracker: Tracker, group_by: tuple[str, ...], campaign_ids: tuple[int, ...]
) -> tuple[ApiReportRow, ...]:
    """Return the rows of some campaigns' report of the last seven days."""
    filters = [f"campaign:{number}" for number in campaign_ids]
    query = urlencode({"group_by": group_by, "filter": filters, "limit": "1000"}, doseq=True)
    return (await tracker.request("GET", f"/reports?{query}", None, _Report)).rows
