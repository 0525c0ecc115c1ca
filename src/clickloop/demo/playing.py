"""The demo from start to end: start, set up, send, wait, show, check, and clean up."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import msgspec
from rich.console import Console

from clickloop.click_id import KEY_FILE, ClickIds
from clickloop.demo.figures import (
    Check,
    Seen,
    Told,
    ToldClick,
    ToldConversion,
    ToldNotice,
    ToldPostback,
    check_figures,
    due_conversions,
    due_fates,
)
from clickloop.demo.plan import WEIGHTS, Plan, make_plan
from clickloop.demo.setup import SetUp, click_id_parameter, set_up
from clickloop.demo.showing import Progressing, open_console, show_checks, show_tables
from clickloop.demo.standins import StandInNetwork, StandInSource, serving
from clickloop.demo.tracker import Tracker, TrackerError, running
from clickloop.demo.traffic import Traffic

SETTLE_SECONDS = 60.0
"""How long the tracker may take to do all that is owed; then the checks tell what is missing."""
LOOK_SECONDS = 0.25
HOLDS, FAILS, UNUSABLE = 0, 1, 2
INTERRUPTED = 130


def run(*, visitors: int, keep: bool) -> int:
    """Plays the demo; answers the exit status: 0 only when every check holds. Ctrl-C ends it in order."""
    console = open_console()
    try:
        return asyncio.run(_interruptible(console, visitors, keep))
    except (TrackerError, aiohttp.ClientError, OSError) as fault:
        console.print(f"The demo cannot go on. {fault}", markup=False, style="red")
        return UNUSABLE


async def _interruptible(console: Console, visitors: int, keep: bool) -> int:
    """Plays it in a task that SIGINT and SIGTERM cancel, so that everything it opened is closed."""
    playing = asyncio.create_task(_play(console, visitors, keep))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    try:
        return await playing
    except asyncio.CancelledError:
        console.print("Ended.")
        return INTERRUPTED
    except* (TrackerError, aiohttp.ClientError, OSError) as faults:
        raise faults.exceptions[0] from None


async def _play(console: Console, visitors: int, keep: bool) -> int:
    began = time.monotonic()
    plan = make_plan(visitors)
    source = StandInSource(plan.failing, plan.busy, plan.slow)
    timeout = aiohttp.ClientTimeout(total=30)
    with tempfile.TemporaryDirectory(prefix="clickloop-demo-") as name:
        folder = Path(name)
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as session,
            serving(source.answer) as source_url,
        ):
            console.print("Starting the tracker in a temporary folder, with a stand-in source and network …")
            async with running(folder, session) as tracker:
                network = StandInNetwork(await click_id_parameter(tracker))
                async with serving(network.answer) as network_url:
                    made = await set_up(tracker, source_url, network_url)
                    _tell_setup(console, tracker, made, source_url, network_url)
                    seen, told = await _send(console, plan, tracker, made, session, source, network)
                    checks = check_figures(seen, told)
                    _tell_result(console, told, checks, time.monotonic() - began)
                    status = HOLDS if all(check.holds for check in checks) else FAILS
                    if keep:
                        _tell_kept(console, tracker, made, told)
                        await _until_ended(console)
                    return status
