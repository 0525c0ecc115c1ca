"""An edge process: serves clicks and notices on the shared socket. It needs nothing but the data folder."""

import asyncio
import gc
import random
import socket
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

import msgspec
import uvloop

from clickloop.alarm.vital_signs import LOOK_SECONDS, Patience, VitalSigns
from clickloop.click.geo.files import POLL_SECONDS as GEO_POLL_SECONDS
from clickloop.click.geo.files import GeoFiles
from clickloop.click.marks.lists_in_use import mark_lists
from clickloop.click.passed_query import click_id_names
from clickloop.click.routing.flow import MAX_DRAW_BITS
from clickloop.click.routing.routes import Routes
from clickloop.click.visitor import Visitors
from clickloop.click.visitor_cookie import VisitorCookies
from clickloop.click.visitor_hash import VisitorHashes
from clickloop.click_id import ClickIds
from clickloop.clock import wall_clock
from clickloop.config import Settings
from clickloop.edge.endpoints import EdgeEndpoints, NoticeCommits
from clickloop.edge.http import Connections
from clickloop.edge.open_connections import limits_of
from clickloop.edge.untrusted_proxy import UntrustedProxies
from clickloop.edge.vitals import EdgeVitals
from clickloop.machine.log import RateLimitedLog, log
from clickloop.machine.process import end_with_parent, release_memory, stop_signal
from clickloop.machine.sealed_file import SealedFileError
from clickloop.record_id import EntropyPool, RecordIds
from clickloop.setup.catalog import Catalog, CatalogFile
from clickloop.setup.instance import InstanceSettings, startup_settings
from clickloop.setup.routing_state import NO_STATE, RoutingStateFile
from clickloop.store.disk_reserve import DiskReserve
from clickloop.store.identity import confirmed_id, edge_click_ids
from clickloop.store.journal.group_commit import GroupCommit
from clickloop.store.journal.segment import CLICKS_STREAM, DEFERRED_WRITER, NOTICES_STREAM, PAGE_EVENTS_STREAM
from clickloop.store.journal.writer import JournalBroken, JournalFull, JournalWriter
from clickloop.store.unknown_links import UnknownLinkCounter
from clickloop.tracking.take import Edge

CATALOG_POLL_SECONDS = 0.1  # costs one stat; bounds the delay until a changed campaign takes effect
DRAIN_SECONDS = 10.0  # less than the supervisor waits before it kills the process
RESERVED_DESCRIPTORS = 64
"""Descriptors reserved for journal segments, catalog, geo base and ``/health``. About ten are in use at a time."""


class CatalogReloader:
    """Replaces an edge's routes when the catalog or the routing state changes. An unreadable file leaves what was in force."""

    def __init__(
        self, catalog_file: CatalogFile, state_file: RoutingStateFile, edge: Edge, started: InstanceSettings
    ) -> None:
        self._catalog_file = catalog_file
        self._state_file = state_file
        self._state = NO_STATE
        self._edge = edge
        self._started = started
        self._take(catalog_file.fallback() or Catalog())
        self._unreadable = RateLimitedLog("the catalog cannot be read: the last one stays in force")
        self._unreadable_state = RateLimitedLog("the routing state cannot be read: the last one stays in force")

    def reload_if_changed(self) -> bool:
        """Load what has changed and return whether there was a new catalog. Costs two ``stat`` calls otherwise."""
        catalog = state = None
        try:
            state = self._state_file.changed()
        except (OSError, SealedFileError) as fault:
            self._unreadable_state(fault=str(fault))
        # Apart: damage to one file must not delay what the other says.
        try:
            catalog = self._catalog_file.changed()
        except (OSError, SealedFileError) as fault:
            self._unreadable(fault=str(fault))
        if state is not None:
            self._state = state
        if catalog is not None:
            self._take(catalog)
            log("catalog taken", campaigns=len(self._edge.routes))
        elif state is not None:
            self._edge.routes = self._edge.routes.with_state(state)
        return catalog is not None

    def _take(self, catalog: Catalog) -> None:
        instance = catalog.instance or self._started
        self._edge.routes = Routes(catalog, instance.fallback_url, self._state)
        self._edge.currency = instance.currency
        self._edge.click_id_names = click_id_names(instance.click_id_parameters)
        self._edge.secure = instance.public_url.startswith("https://")
        self._edge.visitors.set_ip_storage(instance.ip_storage)
        self._edge.visitors.use_mark_lists(mark_lists(instance, catalog.lists))


async def serve_edge(settings: Settings, number: int, listening: socket.socket) -> int:
    """Serve until a signal arrives or a journal breaks. Return the exit code."""
    loop = asyncio.get_running_loop()
    stopped = stop_signal(loop)
    folder = settings.folder()
    name = f"edge{number}"
    catalog_file = CatalogFile(folder, confirmed_id(folder))
    click_ids, key_fault = _usable_click_ids(folder, catalog_file)
    geo = _geo_files(settings)
    journals = _open_journals(settings, number)
    clicks, notices, deferred, page_events = journals
    edge = _edge(settings, click_ids, Visitors(geo.base), clicks, notices, deferred, page_events)
    broken: list[Exception] = []

    def give_up(fault: Exception) -> None:
        if not broken:
            log("the journal may not be trusted any more: this process ends and is started again", fault=str(fault))
            broken.append(fault)
            stopped.set()

    commit, deferred_commit = GroupCommit(notices), GroupCommit(deferred)
    state_file = RoutingStateFile(folder, confirmed_id(folder))
    catalog_reloader = CatalogReloader(catalog_file, state_file, edge, startup_settings(settings))
    # Before the socket is served, so that the first visitor finds the campaigns.
    catalog_reloader.reload_if_changed()
    reserve = DiskReserve(folder / "reserve", settings.reserve_mb * 1024 * 1024)
    untrusted = UntrustedProxies("public", lambda: clicks.position + notices.position)
    signs = VitalSigns(folder, Patience(settings.alarm_after_seconds))
    vitals = EdgeVitals(folder, name, edge, signs, untrusted, reserve, key_fault)
    unknown_links = UnknownLinkCounter(folder, name, wall_clock())
    commits = NoticeCommits(commit, deferred_commit)
    endpoints = EdgeEndpoints(
        settings, edge, commits, vitals.health, give_up, catalog_reloader.reload_if_changed, unknown_links, untrusted
    )
    limits = limits_of(settings, RESERVED_DESCRIPTORS)
    connections = Connections(limits, endpoints, endpoints.trusts, endpoints.before_sending)
    # Last: visitors arrive from here on, and everything that answers them is ready.
    server = await loop.create_server(connections, sock=listening)
    background = [
        asyncio.create_task(_restart_on_error(part))
        for part in (
            lambda: _watch_catalog(catalog_reloader),
            lambda: _close_segments(clicks, settings.journal_sync_ms, GroupCommit(clicks), give_up),
            lambda: _close_segments(page_events, settings.journal_sync_ms, GroupCommit(page_events), give_up),
            lambda: _close_segments(notices, settings.notice_close_ms, commit, give_up),
            lambda: _close_segments(deferred, settings.notice_close_ms, deferred_commit, give_up),
            lambda: _write_unknown_links(unknown_links),
            lambda: _sweep(connections, edge, reserve),
            lambda: _watch_vitals(vitals),
            lambda: _watch_geo(geo, edge.visitors),
        )
    ]
    release_memory()  # loading the geo base took twice the memory it keeps
    gc.freeze()  # what is loaded now stays: spares the collector scanning it every few thousand clicks
    log("edge ready", name=name, campaigns=len(edge.routes))
    await stopped.wait()
    await _end(server, connections, background, [] if broken else journals)
    log("edge ended", name=name, connections_cut=len(connections.open))
    return 1 if broken else 0


async def _end(
    server: asyncio.Server,
    connections: Connections,
    background: list[asyncio.Task[None]],
    journals: list[JournalWriter],
) -> None:
    """Shut down. ``journals`` are closed; pass none if they cannot be trusted: connections are not drained then."""
    # First: the socket is shared, and the other processes accept new connections.
    server.close()
    connections.drain()
    if journals:
        await connections.drained(DRAIN_SECONDS)
    for task in background:  # before the journals are closed, since tasks may be writing to them
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    for journal in journals:
        journal.close()


def _open_journals(settings: Settings, number: int) -> list[JournalWriter]:
    """Open the journals of clicks, notices, deferred notices and page events, in this order."""
    streams = (
        (CLICKS_STREAM, f"edge{number}"),
        (NOTICES_STREAM, f"edge{number}"),
        (NOTICES_STREAM, f"{DEFERRED_WRITER}{number}"),
        (PAGE_EVENTS_STREAM, f"edge{number}"),
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
    page_events: JournalWriter,
) -> Edge:
    return Edge(
        routes=Routes(Catalog(), ""),
        visitors=visitors,
        click_ids=click_ids,
        notice_ids=RecordIds(entropy=EntropyPool()),  # one thread uses it
        clicks=clicks,
        notices=notices,
        deferred=deferred,
        clock=wall_clock,
        page_events=page_events,
        draw=partial(random.getrandbits, MAX_DRAW_BITS),
        cookies=VisitorCookies(click_ids.derived_key(b"visitor cookie")),
        visitor_hashes=VisitorHashes(click_ids.derived_key(b"visitor hash")),
        currency=settings.currency,
    )


def _usable_click_ids(folder: Path, catalog_file: CatalogFile) -> tuple[ClickIds, str]:
    """Return click ids under the installation's key, or under a stand-in key and the reason: visitors come first."""
    click_ids, fault = edge_click_ids(folder, catalog_file.key())
    if fault:
        log("the key of click IDs is not usable: clicks go under a stand-in key, notices are stored", fault=fault)
    return click_ids, fault


def _geo_files(settings: Settings) -> GeoFiles:
    geo = GeoFiles(settings.geo_base, settings.folder())
    for fault in geo.faults:
        log("a geo base cannot be used: visitors get no place from it until it is good", fault=fault)
    return geo


async def _restart_on_error(part: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a background task and restart it after each error. Otherwise it would end unnoticed while visitors are still served."""
    failed = RateLimitedLog("a part of this process failed and is started again")
    while True:
        try:
            return await part()
        except Exception as fault:
            failed(fault=f"{type(fault).__name__}: {fault}")
            # A task that fails at once would otherwise hog the processor.
            await asyncio.sleep(1.0)


async def _watch_catalog(catalog_reloader: CatalogReloader) -> None:
    """Reload the catalog when the core has published a new one, whether or not requests arrive."""
    while True:
        # Polled, since watching a file that another process replaces would need a library.
        await asyncio.sleep(CATALOG_POLL_SECONDS)
        catalog_reloader.reload_if_changed()


async def _watch_vitals(vitals: EdgeVitals) -> None:
    """Check every second, in a thread: listing a journal that is far behind takes seconds and must not delay visitors."""
    while True:
        await asyncio.to_thread(vitals.watch)
        await asyncio.sleep(LOOK_SECONDS)


async def _watch_geo(geo: GeoFiles, visitors: Visitors) -> None:
    """Reload the geo bases when their files have changed."""
    while True:
        await asyncio.sleep(GEO_POLL_SECONDS)
        # In a thread: a base of a hundred megabytes is copied, and visitors must not wait for it.
        if await asyncio.to_thread(geo.look):
            visitors.use_geo_base(geo.base)
            log("geo base taken")


async def _close_segments(
    writer: JournalWriter, after_ms: int, commit: GroupCommit, give_up: Callable[[Exception], None]
) -> None:
    """Close the stream's segments ``after_ms`` after they were begun, and sync each to disk."""
    full = RateLimitedLog("the disk is full: a journal segment could not be closed yet")
    # A segment is closed at most a quarter of its age late.
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
    """Write the counts of unknown links for the core periodically, and once more at shutdown."""
    failed = RateLimitedLog("unknown links could not be written down")
    ending = False
    while not ending:
        try:
            await asyncio.sleep(1.0)
        # One more round at shutdown, for what was counted since the last one.
        except asyncio.CancelledError:
            ending = True
        try:
            unknown_links.write(wall_clock(), at_once=ending)
        except OSError as fault:
            failed(fault=str(fault))


async def _sweep(connections: Connections, edge: Edge, reserve: DiskReserve) -> None:
    """End slow connections, and release the disk reserve when clicks could not be recorded."""
    loop = asyncio.get_running_loop()
    not_recorded = RateLimitedLog("visitors were redirected without a record: the disk is full")
    unrecorded = 0
    while True:
        await asyncio.sleep(1.0)
        connections.sweep(loop.time())
        if edge.unrecorded != unrecorded:
            unrecorded = edge.unrecorded
            reserve.release()
            not_recorded(unrecorded=unrecorded)


def main(arguments: list[str]) -> int:
    """Run as the supervisor starts it: ``python -m clickloop.edge.process SETTINGS NUMBER FD``."""
    end_with_parent()
    settings = msgspec.json.decode(arguments[0], type=Settings)
    listening = socket.socket(fileno=int(arguments[2]))
    return uvloop.run(serve_edge(settings, int(arguments[1]), listening))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
