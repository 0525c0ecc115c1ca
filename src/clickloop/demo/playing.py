"""The demo from start to finish: start, set up, send, wait, show, check, and clean up."""

import asyncio
import dataclasses
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
from rich.console import Console

from clickloop.click_id import KEY_FILE, ClickIds
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.demo.figures import (
    ApiClick,
    ApiConversion,
    ApiNotice,
    ApiPostback,
    Check,
    ObservedTraffic,
    TrackerData,
    check_figures,
    expected_fates,
)
from clickloop.demo.plan import WEIGHTS, make_plan
from clickloop.demo.setup import DemoSetup, click_id_parameter, set_up
from clickloop.demo.showing import (
    Bar,
    ProgressDisplay,
    open_console,
    show_checks,
    show_running,
    show_setup,
    show_tables,
)
from clickloop.demo.standins import StandInNetwork, StandInSource, serving
from clickloop.demo.tracker import DATA, Tracker, TrackerError, running_tracker
from clickloop.demo.traffic import Traffic
from clickloop.postback.state import PostbackState

SETTLE_SECONDS = 45.0
"""Maximum time for the tracker to finish; after that the checks report what is missing."""
POLL_SECONDS = 0.25
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
        show_tables(console, demo.reported)
        show_checks(console, demo.checks, time.monotonic() - began)
        if keep:
            show_running(console, demo.tracker, demo.setup, demo.reported)
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
    return PASSED if all(check.passed for check in demo.checks) else FAILED


@dataclasses.dataclass(frozen=True)
class DemoRun:
    """A tracker after the plan was played. It and its partners keep running within ``demo_run``."""

    tracker: Tracker
    setup: DemoSetup
    reported: TrackerData
    checks: tuple[Check, ...]


@asynccontextmanager
async def demo_run(console: Console, visitors: int) -> AsyncIterator[DemoRun]:
    """Start everything and play the plan for a number of visitors. Stop and delete all of it on exit."""
    plan = make_plan(visitors)
    source = StandInSource(plan.failing, plan.busy, plan.slow)
    console.print("Starting a tracker in a temporary folder, with a simulated traffic source and network …")
    session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=30))
    with tempfile.TemporaryDirectory(prefix="clickloop-demo-") as name:
        async with session, serving(source.answer) as source_url, running_tracker(Path(name), session) as tracker:
            network = StandInNetwork(await click_id_parameter(tracker))
            async with serving(network.answer) as network_url:
                demo_setup = await set_up(tracker, source_url, network_url)
                show_setup(console, tracker, demo_setup, source_url, network_url)
                click_ids = ClickIds((Path(name) / DATA / KEY_FILE).read_bytes())
                traffic = Traffic(plan, tracker, demo_setup, session, click_ids, network.click_id_parameter)
                reported = await _send(console, traffic, source, network, tracker, demo_setup)
                checks = check_figures(_observed(traffic, source, network, demo_setup), reported)
                yield DemoRun(tracker, demo_setup, reported, checks)


async def _send(
    console: Console,
    traffic: Traffic,
    source: StandInSource,
    network: StandInNetwork,
    tracker: Tracker,
    demo_setup: DemoSetup,
) -> TrackerData:
    """Play the plan, wait until the tracker has processed everything, and return its data."""
    with ProgressDisplay(console) as display:
        visitors = display.bar("Visitors", traffic.visitors())
        await traffic.send_visitors(visitors.step)
        later = display.bar("Incoming postbacks", traffic.later_notices())
        await traffic.send_later_notices(later.step)
        observed = _observed(traffic, source, network, demo_setup)
        postbacks = expected_fates(observed).total()
        return await _until_done(tracker, observed, postbacks, display.bar("Postbacks", postbacks))


async def _until_done(tracker: Tracker, observed: ObservedTraffic, postbacks: int, bar: Bar) -> TrackerData:
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
            reported = await _fetch_data(tracker)
            complete = (len(reported.clicks), len(reported.notices)) >= (len(observed.visits), len(observed.sent))
            if not in_time or (complete and len(reported.postbacks) >= postbacks):
                bar.reach(len(reported.postbacks))
                return reported
        elif under_way:
            bar.reach(postbacks - len(under_way))
        await asyncio.sleep(POLL_SECONDS)


async def _fetch_data(tracker: Tracker) -> TrackerData:
    return TrackerData(
        clicks=await tracker.fetch_all("clicks", ApiClick),
        notices=await tracker.fetch_all("notices", ApiNotice),
        conversions=await tracker.fetch_all("conversions", ApiConversion),
        postbacks=await tracker.fetch_all("postbacks", ApiPostback),
    )


def _observed(
    traffic: Traffic, source: StandInSource, network: StandInNetwork, demo_setup: DemoSetup
) -> ObservedTraffic:
    return ObservedTraffic(
        visits=tuple(traffic.visits),
        arrivals=tuple(network.arrivals),
        sent=tuple(traffic.sent),
        sent_steps=tuple(traffic.sent_steps),
        calls=tuple(source.calls),
        own_calls=tuple(source.own_calls),
        source_rule_id=demo_setup.source_rule_id,
        own_rule_id=demo_setup.own_rule_id,
        weights=WEIGHTS,
    )
