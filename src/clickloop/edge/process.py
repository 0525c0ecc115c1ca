"""One edge process: takes clicks and notices on the shared socket, and needs nothing but the data folder."""

import asyncio
import gc
import random
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import msgspec
import uvloop

from clickloop.alarm.vital_signs import LOOK_SECONDS, Patience, VitalSigns
from clickloop.click.geo_file import LOOK_SECONDS as GEO_LOOK_SECONDS
from clickloop.click.geo_file import GeoFile
from clickloop.click.routing import Routes
from clickloop.click.visitor import Visitors
from clickloop.click_id import ClickIds
from clickloop.clock import wall_clock
from clickloop.config import Settings
from clickloop.edge.endpoints import Commits, EdgeDoors
from clickloop.edge.http import Connections
from clickloop.edge.open_connections import limits_of
from clickloop.edge.untrusted_proxy import UntrustedProxies
from clickloop.edge.vitals import EdgeVitals
from clickloop.machine.log import Sparingly, log
from clickloop.machine.process import end_with_parent, give_memory_back, stop_signal
from clickloop.machine.sealed_file import SealedFileError
from clickloop.record_id import RecordIds
from clickloop.setup.catalog import Catalog, CatalogFile
from clickloop.setup.instance import InstanceSettings, started_with
from clickloop.store.disk_reserve import DiskReserve
from clickloop.store.identity import confirmed_id, edge_click_ids
from clickloop.store.journal.group_commit import GroupCommit
from clickloop.store.journal.segment import CLICKS_STREAM, DEFERRED_WRITER, NOTICES_STREAM
from clickloop.store.journal.writer import JournalBroken, JournalFull, JournalWriter
from clickloop.store.unknown_links import UnknownLinkCounter
from clickloop.tracking.take import Edge

CATALOG_POLL_SECONDS = 0.1  # a stat; a changed campaign is in force within a tenth of a second
DRAIN_SECONDS = 10.0  # less than the supervisor waits before it kills
RESERVED_DESCRIPTORS = 64
"""Descriptors that connections leave free: for journal segments, catalog, country base and ``/health``. About ten are used at once."""


class SetUp:
    """Swaps an edge's routes whole when the catalog changed. One that cannot be read leaves the last one in force."""

    def __init__(self, catalog_file: CatalogFile, edge: Edge, started: InstanceSettings) -> None:
        self._catalog_file = catalog_file
        self._edge = edge
        self._started = started
        self._take(catalog_file.fallback() or Catalog())
        self._unreadable = Sparingly("the catalog cannot be read: the last one stays in force")

    def take_changes(self) -> bool:
        """Answers whether there was a change. Costs one ``stat`` when there was none."""
        try:
            catalog = self._catalog_file.changed()
        except (OSError, SealedFileError) as fault:
            self._unreadable(fault=str(fault))
            return False
        if catalog is None:
            return False
        self._take(catalog)
        log("catalog taken", campaigns=len(self._edge.routes))
        return True

    def _take(self, catalog: Catalog) -> None:
        instance = catalog.instance or self._started
        self._edge.routes = Routes(catalog, instance.fallback_url)
        self._edge.currency = instance.currency
        self._edge.secure = instance.public_url.startswith("https://")
        self._edge.visitors.keep_of_addresses(instance.ip_storage)


async def serve_edge(settings: Settings, number: int, listening: socket.socket) -> int:
    """Serves until a signal or a broken journal; answers the exit code."""
    loop = asyncio.get_running_loop()
    stopped = stop_signal(loop)
    folder = settings.folder()
    name = f"edge{number}"
    catalog_file = CatalogFile(folder, confirmed_id(folder))
    click_ids, key_fault = _usable_click_ids(folder, catalog_file)
    geo = _geo_file(settings)
    journals = _open_journals(settings, number)
    clicks, notices, deferred = journals
    edge = _edge(settings, click_ids, Visitors(geo.base), clicks, notices, deferred)
    broken: list[Exception] = []

    def give_up(fault: Exception) -> None:
        if not broken:
            log("the journal may not be trusted any more: this process ends and is started again", fault=str(fault))
            broken.append(fault)
            stopped.set()

    commits = Commits(GroupCommit(notices), GroupCommit(deferred))
    set_up = SetUp(catalog_file, edge, started_with(settings))
    set_up.take_changes()  # before the socket is served: the first visitor must find the campaigns
    reserve = DiskReserve(folder / "reserve", settings.reserve_mb * 1024 * 1024)
    untrusted = UntrustedProxies("public", lambda: clicks.position + notices.position)
    signs = VitalSigns(folder, Patience(settings.alarm_after_seconds))
    vitals = EdgeVitals(folder, name, edge, signs, untrusted, reserve, key_fault)
    unknown_links = UnknownLinkCounter(folder, name, wall_clock())
    doors = EdgeDoors(settings, edge, commits, vitals.health, give_up, set_up.take_changes, unknown_links, untrusted)
    limits = limits_of(settings, RESERVED_DESCRIPTORS)
    connections = Connections(limits, doors, doors.trusts, doors.before_sending)
    # Last: from here on visitors come, and everything that answers them is there.
    server = await loop.create_server(connections, sock=listening)
    background = [
        asyncio.create_task(_again_and_again(part))
        for part in (
            lambda: _watch_set_up(set_up),
            lambda: _hand_over(clicks, settings.journal_sync_ms, GroupCommit(clicks), give_up),
            lambda: _hand_over(notices, settings.notice_close_ms, commits.notices, give_up),
            lambda: _hand_over(deferred, settings.notice_close_ms, commits.deferred, give_up),
            lambda: _write_unknown_links(unknown_links),
            lambda: _sweep(connections, edge, reserve),
            lambda: _watch_vitals(vitals),
            lambda: _watch_geo(geo, edge.visitors),
        )
    ]
    give_memory_back()  # reading the country base took twice what it holds
    gc.freeze()  # what was loaded stays: the collector need not look at it again with every few thousand clicks
    log("edge ready", name=name, campaigns=len(edge.routes))
    await stopped.wait()
    server.close()  # first: the socket is shared, and the other processes take what comes now
    connections.drain()
    if not broken:
        await connections.drained(DRAIN_SECONDS)
    await _cancel(background)  # before the journals are closed: the parts may be writing to them
    if not broken:
        for journal in journals:
            journal.close()
    log("edge ended", name=name, connections_cut=len(connections.open))
    return 1 if broken else 0


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _open_journals(settings: Settings, number: int) -> list[JournalWriter]:
    """Open the journals of clicks, of notices, and of notices that are settled after the others."""
    streams = (
        (CLICKS_STREAM, f"edge{number}"),
        (NOTICES_STREAM, f"edge{number}"),
        (NOTICES_STREAM, f"{DEFERRED_WRITER}{number}"),
    )
    folder = settings.folder() / "journal"
    return [JournalWriter.open(folder, stream, writer, node=settings.node) for stream, writer in streams]


def _edge(
    settings: Settings,
    click_ids: ClickIds,
    visitors: Visitors,
    clicks: JournalWriter,
    notices: JournalWriter,
    deferred: JournalWriter,
) -> Edge:
    return Edge(
        routes=Routes(Catalog(), ""),
        visitors=visitors,
        click_ids=click_ids,
        notice_ids=RecordIds(),
        clicks=clicks,
        notices=notices,
        deferred=deferred,
        clock=wall_clock,
        chance=random.random,
        currency=settings.currency,
    )


def _usable_click_ids(folder: Path, catalog_file: CatalogFile) -> tuple[ClickIds, str]:
    """Return the click ids under the installation's key, or under a stand-in and why: visitors come first."""
    click_ids, fault = edge_click_ids(folder, catalog_file.key())
    if fault:
        log("the key of click ids is not usable: clicks go under a stand-in key, notices are stored", fault=fault)
    return click_ids, fault


def _geo_file(settings: Settings) -> GeoFile:
    geo = GeoFile(settings.geo_base, settings.folder() / "run")
    if geo.fault:
        log("the geo base cannot be used: visitors have no country until it is good", fault=geo.fault)
    return geo


async def _again_and_again(part: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a part of this process, again after each fault: visitors come first, and nobody would notice that the part has ended."""
    failed = Sparingly("a part of this process failed and is started again")
    while True:
        try:
            return await part()
        except Exception as fault:
            failed(fault=f"{type(fault).__name__}: {fault}")
            # A part that fails at once would otherwise take the whole processor from visitors.
            await asyncio.sleep(1.0)


async def _watch_set_up(set_up: SetUp) -> None:
    """Takes over what the core published, also when nobody asks for it."""
    while True:
        # Polled: the file is replaced by another process, and watching it would need a library.
        await asyncio.sleep(CATALOG_POLL_SECONDS)
        set_up.take_changes()


async def _watch_vitals(vitals: EdgeVitals) -> None:
    """Look every second, in a thread: a journal that is far behind takes seconds to list, and no visitor is to wait for that."""
    while True:
        await asyncio.to_thread(vitals.watch)
        await asyncio.sleep(LOOK_SECONDS)


async def _watch_geo(geo: GeoFile, visitors: Visitors) -> None:
    """Take over a geo base whose file has changed."""
    while True:
        await asyncio.sleep(GEO_LOOK_SECONDS)
        if geo.look():
            visitors.use_geo_base(geo.base)
            log("geo base taken")


async def _hand_over(
    writer: JournalWriter, after_ms: int, commit: GroupCommit, give_up: Callable[[Exception], None]
) -> None:
    """Closes the stream's segments as they come of age, and brings each to the disk."""
    full = Sparingly("the disk is full: a journal segment could not be closed yet")
    # A quarter of the age, so that a segment is closed at most that much late.
    pause = max(0.005, after_ms / 1000 / 4)
    while True:
        await asyncio.sleep(pause)
        if not writer.due(wall_clock(), after_ms):
            continue
        try:
            writer.close_segment()
            await commit.durable(writer.position)
        except JournalFull as fault:
            full(fault=str(fault))
        except JournalBroken as fault:
            give_up(fault)
            return


async def _write_unknown_links(unknown_links: UnknownLinkCounter) -> None:
    """Write the counts of unknown links for the core now and then, and once more at the end."""
    failed = Sparingly("unknown links could not be written down")
    ending = False
    while not ending:
        try:
            await asyncio.sleep(1.0)
        # One more round before the end: what was counted since the last one is still to be written.
        except asyncio.CancelledError:
            ending = True
        try:
            unknown_links.write(wall_clock(), at_once=ending)
        except OSError as fault:
            failed(fault=str(fault))


async def _sweep(connections: Connections, edge: Edge, reserve: DiskReserve) -> None:
    """Ends slow connections; gives the disk reserve free when clicks could not be recorded, takes it back when there is room."""
    loop = asyncio.get_running_loop()
    told = Sparingly("visitors were redirected without a record: the disk is full")
    unrecorded = 0
    while True:
        await asyncio.sleep(1.0)
        connections.sweep(loop.time())
        if edge.unrecorded != unrecorded:
            unrecorded = edge.unrecorded
            reserve.release()
            told(unrecorded=unrecorded)


def main(arguments: list[str]) -> int:
    """``edge_process SETTINGS NUMBER FD``, as the supervisor starts it."""
    end_with_parent()
    settings = msgspec.json.decode(arguments[0], type=Settings)
    listening = socket.socket(fileno=int(arguments[2]))
    return uvloop.run(serve_edge(settings, int(arguments[1]), listening))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
