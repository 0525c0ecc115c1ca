"""One edge process: takes clicks and notices on the shared socket, and needs nothing but the data folder."""

import asyncio
import gc
import os
import random
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvloop

from clickloop.alarms import standing_alarms
from clickloop.campaign.catalog import Catalog, CatalogFile
from clickloop.campaign.instance import InstanceSettings, started_with
from clickloop.click.geo import open_geo_base
from clickloop.click.routing import Routes
from clickloop.click.visitor import Visitors
from clickloop.clock import wall_clock
from clickloop.config import Settings
from clickloop.log import Sparingly, log
from clickloop.process import end_with_parent, give_memory_back, stop_signal
from clickloop.record_id import RecordIds
from clickloop.sealed_file import SealedFileError
from clickloop.store.disk_reserve import DiskReserve
from clickloop.store.identity import confirmed_id, edge_click_ids
from clickloop.store.journal.group_commit import GroupCommit
from clickloop.store.journal.reader import journal_lag
from clickloop.store.journal.writer import JournalBroken, JournalFull, JournalWriter
from clickloop.tracking.take import Edge
from clickloop.web.edge import EdgeDoors, Health
from clickloop.web.http import Connections, Limits

CATALOG_POLL_SECONDS = 0.1
DRAIN_SECONDS = 10.0


class HealthReader:
    """Reads the journal's lag and the free disk, at most once a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_at = -1.0
        self._health: Health | None = None

    def __call__(self, edge: Edge) -> Health:
        now = time.monotonic()
        if self._health is None or now - self._read_at > 1.0:
            self._read_at = now
            disk = os.statvfs(self._folder)
            journal = self._folder / "journal"
            lags = [journal_lag(journal, stream, edge.clock()) for stream in ("clicks", "notices")]
            free = disk.f_bavail * disk.f_frsize
            percent = 100.0 * disk.f_bavail / max(1, disk.f_blocks)
            self._health = Health(
                status="ok",
                campaigns=len(edge.routes),
                unrecorded_clicks=edge.unrecorded,
                journal_lag_segments=sum(lag.segments for lag in lags),
                journal_lag_bytes=sum(lag.octets for lag in lags),
                journal_lag_seconds=round(max(lag.oldest_age_ms for lag in lags) / 1000, 3),
                free_disk_bytes=free,
                free_disk_percent=round(percent, 1),
                alarms=standing_alarms(self._folder),
            )
        return self._health


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
    click_ids, key_fault = edge_click_ids(folder, catalog_file.key())
    if key_fault:
        log("the key of click ids is not usable: clicks go under a stand-in key, notices are stored", fault=key_fault)
    clicks = JournalWriter.open(folder / "journal", "clicks", name)
    notices = JournalWriter.open(folder / "journal", "notices", name)
    edge = Edge(
        routes=Routes(Catalog(), ""),
        visitors=Visitors(open_geo_base(settings.geo_base)),
        click_ids=click_ids,
        notice_ids=RecordIds(),
        clicks=clicks,
        notices=notices,
        clock=wall_clock,
        chance=random.random,
        currency=settings.currency,
    )
    broken: list[Exception] = []

    def give_up(fault: Exception) -> None:
        if not broken:
            log("the journal may not be trusted any more: this process ends and is started again", fault=str(fault))
            broken.append(fault)
            stopped.set()

    commit = GroupCommit(notices)
    set_up = SetUp(catalog_file, edge, started_with(settings))
    set_up.take_changes()
    doors = EdgeDoors(settings, edge, commit, HealthReader(folder), give_up, set_up.take_changes)
    limits = Limits(settings.request_seconds, settings.keep_alive_seconds, settings.connections_per_address)
    connections = Connections(limits, doors, doors.trusts, doors.before_sending)
    server = await loop.create_server(connections, sock=listening)
    background = [
        asyncio.create_task(_watch_set_up(set_up)),
        asyncio.create_task(_hand_over(clicks, settings.journal_sync_ms, GroupCommit(clicks), give_up)),
        asyncio.create_task(_hand_over(notices, settings.notice_close_ms, commit, give_up)),
        asyncio.create_task(_sweep(connections, edge, DiskReserve(folder / "reserve"))),
    ]
    give_memory_back()  # reading the country base took twice what it holds
    gc.freeze()  # what was loaded stays: the collector need not look at it again with every few thousand clicks
    log("edge ready", name=name, campaigns=len(edge.routes))
    await stopped.wait()
    server.close()
    connections.drain()
    give_up_at = loop.time() + DRAIN_SECONDS
    while connections.open and loop.time() < give_up_at and not broken:  # noqa: ASYNC110 – no event per connection
        await asyncio.sleep(0.02)
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    if not broken:
        clicks.close()
        notices.close()
    log("edge ended", name=name, connections_cut=len(connections.open))
    return 1 if broken else 0


async def _watch_set_up(set_up: SetUp) -> None:
    """Takes over what the core published, also when nobody asks for it."""
    while True:
        await asyncio.sleep(CATALOG_POLL_SECONDS)
        set_up.take_changes()


async def _hand_over(
    writer: JournalWriter, after_ms: int, commit: GroupCommit, give_up: Callable[[Exception], None]
) -> None:
    """Closes the stream's segments as they come of age, and brings each to the disk."""
    full = Sparingly("the disk is full: a journal segment could not be closed yet")
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
