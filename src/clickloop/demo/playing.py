"""The demo from start to end: start, set up, send, wait, show, check, and clean up."""

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
from clickloop.conversion.notice_log import Outcome
from clickloop.demo.figures import (
    Check,
    Seen,
    Told,
    ToldClick,
    ToldConversion,
    ToldNotice,
    ToldPostback,
    check_figures,
    due_fates,
)
from clickloop.demo.plan import WEIGHTS, make_plan
from clickloop.demo.setup import SetUp, click_id_parameter, set_up
from clickloop.demo.showing import Bar, Progressing, open_console, show_checks, show_kept, show_setup, show_tables
from clickloop.demo.standins import StandInNetwork, StandInSource, serving
from clickloop.demo.tracker import DATA, Tracker, TrackerError, running
from clickloop.demo.traffic import Traffic
from clickloop.postback.state import PostbackState

SETTLE_SECONDS = 45.0
"""How long the tracker may take to do all that is owed; then the checks tell what is missing."""
LOOK_SECONDS = 0.25
HOLDS, FAILS, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


def run(*, visitors: int, keep: bool) -> int:
    """Plays the demo; answers the exit status: 0 only when every check holds. Ctrl-C ends it in order."""
    console = open_console()
    try:
        return asyncio.run(_interruptible(console, visitors, keep))
    except (TrackerError, aiohttp.ClientError, OSError) as fault:
        text = str(fault) or type(fault).__name__
        console.print(f"The demo cannot go on. {text}", markup=False, style="red")
        return UNUSABLE


async def _interruptible(console: Console, visitors: int, keep: bool) -> int:
    """Plays in a task that SIGINT and SIGTERM cancel, so that everything it opened is closed."""
    playing = asyncio.create_task(_play(console, visitors, keep))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    try:
        return await playing
    except asyncio.CancelledError:
        console.print("Ended before the figures were checked.")
        return INTERRUPTED


async def _play(console: Console, visitors: int, keep: bool) -> int:
    began = time.monotonic()
    async with played(console, visitors) as shown:
        show_tables(console, shown.told)
        show_checks(console, shown.checks, time.monotonic() - began)
        if keep:
            show_kept(console, shown.tracker, shown.made, shown.told)
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
    return HOLDS if all(check.holds for check in shown.checks) else FAILS


@dataclasses.dataclass(frozen=True)
class Played:
    """A tracker on which the plan was played; it and its partners run while it is looked at."""

    tracker: Tracker
    made: SetUp
    told: Told
    checks: tuple[Check, ...]


@asynccontextmanager
async def played(console: Console, visitors: int) -> AsyncIterator[Played]:
    """Start everything and play the plan for a number of visitors; end and remove all of it on leaving."""
    plan = make_plan(visitors)
    source = StandInSource(plan.failing, plan.busy, plan.slow)
    console.print("Starting the tracker in a temporary folder, with a stand-in source and network …")
    session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=30))
    with tempfile.TemporaryDirectory(prefix="clickloop-demo-") as name:
        async with session, serving(source.answer) as source_url, running(Path(name), session) as tracker:
            network = StandInNetwork(await click_id_parameter(tracker))
            async with serving(network.answer) as network_url:
                made = await set_up(tracker, source_url, network_url)
                show_setup(console, tracker, made, source_url, network_url)
                click_ids = ClickIds((Path(name) / DATA / KEY_FILE).read_bytes())
                traffic = Traffic(plan, tracker, made, session, click_ids, network.click_id_parameter)
                told = await _send(console, traffic, source, network, tracker, made)
                checks = check_figures(_seen(traffic, source, network, made), told)
                yield Played(tracker, made, told, checks)


async def _send(
    console: Console,
    traffic: Traffic,
    source: StandInSource,
    network: StandInNetwork,
    tracker: Tracker,
    made: SetUp,
) -> Told:
    """Plays the plan and waits until the tracker has done all that it owes; answers what it then tells."""
    with Progressing(console) as shown:
        visitors = shown.bar("Visitors", traffic.visitors())
        await traffic.send_visitors(visitors.step)
        later = shown.bar("Later notices", traffic.later_notices())
        await traffic.send_later_notices(later.step)
        seen = _seen(traffic, source, network, made)
        postbacks = due_fates(seen).total()
        return await _until_done(tracker, seen, postbacks, shown.bar("Postbacks", postbacks))


async def _until_done(tracker: Tracker, seen: Seen, postbacks: int, bar: Bar) -> Told:
    """Waits, at most ``SETTLE_SECONDS``, until the logs hold what they should and nothing is under way any more."""
    give_up = time.monotonic() + SETTLE_SECONDS
    waiting_for_ever = sum(sent.outcome is Outcome.WAITING for sent in seen.sent)
    while True:
        in_time = time.monotonic() < give_up
        waiting = await tracker.all_of("notices", ToldNotice, outcome="waiting")
        under_way = [
            *await tracker.all_of("postbacks", ToldPostback, state=PostbackState.WAITING),
            *await tracker.all_of("postbacks", ToldPostback, state=PostbackState.SENDING),
        ]
        if not in_time or (len(waiting) <= waiting_for_ever and not under_way):
            told = await _told(tracker)
            complete = (len(told.clicks), len(told.notices)) >= (len(seen.visits), len(seen.sent))
            if not in_time or (complete and len(told.postbacks) >= postbacks):
                bar.reach(len(told.postbacks))
                return told
        elif under_way:
            bar.reach(postbacks - len(under_way))
        await asyncio.sleep(LOOK_SECONDS)


async def _told(tracker: Tracker) -> Told:
    return Told(
        clicks=await tracker.all_of("clicks", ToldClick),
        notices=await tracker.all_of("notices", ToldNotice),
        conversions=await tracker.all_of("conversions", ToldConversion),
        postbacks=await tracker.all_of("postbacks", ToldPostback),
    )


def _seen(traffic: Traffic, source: StandInSource, network: StandInNetwork, made: SetUp) -> Seen:
    return Seen(
        visits=tuple(traffic.visits),
        arrivals=tuple(network.arrivals),
        sent=tuple(traffic.sent),
        promises=tuple(traffic.promises),
        calls=tuple(source.calls),
        own_calls=tuple(source.own_calls),
        source_rule_id=made.source_rule_id,
        own_rule_id=made.own_rule_id,
        weights=WEIGHTS,
    )
