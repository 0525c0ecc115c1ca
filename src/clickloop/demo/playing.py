"""The demo from start to finish: start, set up, send, wait, show, check, and clean up."""

import asyncio
import dataclasses
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
from rich.console import Console

from clickloop.click_id import KEY_FILE, ClickIds
from clickloop.demo.capped_offer import play_capped_offer
from clickloop.demo.check import CheckGroup
from clickloop.demo.figures import check_figures, expected_fates
from clickloop.demo.learning import check_learning, learn_weights
from clickloop.demo.marked_clicks import play_marked_clicks
from clickloop.demo.observed import ObservedTraffic
from clickloop.demo.page_figures import check_pages
from clickloop.demo.page_plan import PAGE_OFFERS, make_page_plan
from clickloop.demo.page_setup import PageSetup, set_up_pages
from clickloop.demo.page_traffic import PageTraffic
from clickloop.demo.plan import WEIGHTS, make_plan
from clickloop.demo.reading import fetch_page_data, until_done
from clickloop.demo.reported import PageData, TrackerData
from clickloop.demo.setup import DemoSetup, click_id_parameter, set_up
from clickloop.demo.showing import (
    ProgressDisplay,
    open_console,
    show_checks,
    show_running,
    show_setup,
    show_tables,
)
from clickloop.demo.standins import StandInNetwork, StandInPages, StandInSource, serving
from clickloop.demo.tracker import DATA, Tracker, TrackerError, running_tracker
from clickloop.demo.traffic import Traffic

LOOP_TITLE = "The tracker's figures, compared with what the source and the network saw"
PAGES_TITLE = "Landing, rule, tracked page and path that learns, compared with what visitors did"
CAP_TITLE = "An offer with a cap"
MARKS_TITLE = "Clicks with marks"
PASSED, FAILED, CANNOT_RUN, INTERRUPTED = 0, 1, 2, 130


def run(*, visitors: int, keep: bool) -> int:
    """Run the demo and return the exit status: 0 only if every check passes. Ctrl-C shuts it down cleanly."""
    console = open_console()
    try:
        return asyncio.run(_interruptible(console, visitors, keep))
    except (TrackerError, aiohttp.ClientError, OSError) as fault:
        text = str(fault) or type(fault).__name__
        console.print(f"The demo failed. {text}", markup=False, style="red")
        return CANNOT_RUN


async def _interruptible(console: Console, visitors: int, keep: bool) -> int:
    """Run in a task that SIGINT and SIGTERM cancel, so that everything it opened is closed."""
    playing = asyncio.create_task(_play(console, visitors, keep))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    try:
        return await playing
    except asyncio.CancelledError:
        console.print("Stopped before the figures were checked.")
        return INTERRUPTED


async def _play(console: Console, visitors: int, keep: bool) -> int:
    began = time.monotonic()
    async with demo_run(console, visitors) as demo:
        show_tables(console, demo.reported, demo.pages)
        show_checks(console, demo.groups, time.monotonic() - began)
        if keep:
            of_landing = next(
                (click_id for click_id, route in demo.pages.routes.items() if route.flows[0].rule_name), "CLICK_ID"
            )
            sign_in_link = await demo.tracker.command("user", "link")
            show_running(console, demo.tracker, demo.setup, demo.page_setup, demo.reported, of_landing, sign_in_link)
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
    return PASSED if all(check.passed for group in demo.groups for check in group.checks) else FAILED


@dataclasses.dataclass(frozen=True)
class DemoRun:
    """A tracker after the plan was played. It and its partners keep running within ``demo_run``."""

    tracker: Tracker
    setup: DemoSetup
    page_setup: PageSetup
    reported: TrackerData
    pages: PageData
    groups: tuple[CheckGroup, ...]


@dataclasses.dataclass(frozen=True)
class _Cast:
    """The simulated partners and visitors."""

    source: StandInSource
    network: StandInNetwork
    setup: DemoSetup
    page_setup: PageSetup
    traffic: Traffic
    page_traffic: PageTraffic

    def observed(self) -> ObservedTraffic:
        """Return everything that they have recorded so far."""
        return ObservedTraffic(
            visits=tuple(self.traffic.visits),
            page_visits=tuple(self.page_traffic.visits),
            arrivals=tuple(one for one in self.network.arrivals if one.offer not in PAGE_OFFERS),
            page_arrivals=tuple(one for one in self.network.arrivals if one.offer in PAGE_OFFERS),
            sent=tuple(self.traffic.sent),
            sent_steps=tuple(self.traffic.sent_steps),
            calls=tuple(self.source.calls),
            own_calls=tuple(self.source.own_calls),
            source_rule_id=self.setup.source_rule_id,
            own_rule_id=self.setup.own_rule_id,
            weights=WEIGHTS,
        )


@asynccontextmanager
async def demo_run(console: Console, visitors: int) -> AsyncIterator[DemoRun]:
    """Start everything and play the plan for a number of visitors. Stop and delete all of it on exit."""
    plan = make_plan(visitors)
    source, pages = StandInSource(plan.failing, plan.busy, plan.slow), StandInPages()
    console.print("Starting a tracker in a temporary folder, with a simulated traffic source, network and landing …")
    session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=30))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clickloop-demo-")))
        await stack.enter_async_context(session)
        source_url = await stack.enter_async_context(serving(source.answer))
        pages_url = await stack.enter_async_context(serving(pages.answer))
        tracker = await stack.enter_async_context(running_tracker(folder, session))
        network = StandInNetwork(await click_id_parameter(tracker))
        network_url = await stack.enter_async_context(serving(network.answer))
        demo_setup = await set_up(tracker, source_url, network_url)
        page_setup = await set_up_pages(tracker, demo_setup, pages_url)
        pages.codes = page_setup.codes
        show_setup(console, tracker, demo_setup, page_setup, source_url, network_url)
        click_ids = ClickIds((folder / DATA / KEY_FILE).read_bytes())
        traffic = Traffic(plan, tracker, demo_setup, session, click_ids, network.click_id_parameter)
        page_plan = make_page_plan(visitors, first_number=visitors)
        page_traffic = PageTraffic(page_plan, page_setup, session, traffic.report, network.click_id_parameter)
        cast = _Cast(source, network, demo_setup, page_setup, traffic, page_traffic)
        reported = await _send(console, cast, tracker)
        observed = cast.observed()
        page_data = await fetch_page_data(tracker, page_setup, observed)
        weights = await learn_weights(tracker, page_setup)
        page_checks = (
            *check_pages(observed, page_setup, page_data, reported),
            *check_learning(observed, page_setup, weights),
        )
        groups = (
            CheckGroup(LOOP_TITLE, check_figures(observed, reported)),
            CheckGroup(PAGES_TITLE, page_checks),
            # After the figures were read, so that these visitors are not among them.
            CheckGroup(CAP_TITLE, await play_capped_offer(tracker, demo_setup, session, network.click_id_parameter)),
            CheckGroup(MARKS_TITLE, await play_marked_clicks(tracker, demo_setup, session)),
        )
        yield DemoRun(tracker, demo_setup, page_setup, reported, page_data, groups)


async def _send(console: Console, cast: _Cast, tracker: Tracker) -> TrackerData:
    """Play the plan, wait until the tracker has processed everything, and return its data."""
    traffic, page_traffic = cast.traffic, cast.page_traffic
    with ProgressDisplay(console) as display:
        visitors = display.bar("Visitors", traffic.visitors())
        await traffic.send_visitors(visitors.step)
        of_pages = display.bar("Visitors of pages", len(page_traffic.plan))
        await page_traffic.send_visitors(of_pages.step)
        later = display.bar("Incoming postbacks", traffic.later_notices())
        await traffic.send_later_notices(later.step)
        observed = cast.observed()
        postbacks = expected_fates(observed).total()
        bar = display.bar("Postbacks", postbacks)
        return await until_done(tracker, cast.setup.campaign_id, observed, postbacks, bar)
