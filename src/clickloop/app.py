"""The core process: settles, delivers and serves the API and panel; starts these parts and stops them in order."""

import asyncio
import contextlib
import gc
import secrets
import socket
import sys
from pathlib import Path

import msgspec
import uvicorn
import uvloop

from clickloop.alarm.alarms import AlarmCount, Alarms
from clickloop.alarm.memory import read_alarm_memory
from clickloop.clock import wall_clock
from clickloop.config import Settings, proxy_networks
from clickloop.edge.open_connections import limits_of
from clickloop.machine.core_client import CoreAddress, write_core_address
from clickloop.machine.log import capture_library_logs, log, write_nonblocking
from clickloop.machine.process import (
    STORES_REFUSED,
    end_with_parent,
    release_memory,
    reserve_core_for_visitors,
    stop_signal,
)
from clickloop.postback.sending.dns_check import TargetLookup
from clickloop.running.core import Core, open_core
from clickloop.running.core_vitals import report_start_failure
from clickloop.running.core_workers import workers_of
from clickloop.saving.access import link_path, make_link
from clickloop.store.damage_log import JournalDamages
from clickloop.store.facts.facts import FactsError
from clickloop.store.file_fault import fault_sentence
from clickloop.store.ledger.ledger import LedgerError
from clickloop.store.ledger.people.users import has_owner_with_password
from clickloop.stores import StoresRefusedError
from clickloop.tracking.click_lookup import CoreLookupServer
from clickloop.tracking.deliver import deliver
from clickloop.web.api.context import ApiContext
from clickloop.web.panel_port import PanelConnections
from clickloop.web.site import create_site

RESERVED_DESCRIPTORS = 192
"""Descriptors reserved for stores, journal segments, exports and uploads, in addition to those of deliveries."""
_LOOPBACK = ("127.", "[::1]", "localhost:")
GRACEFUL_SECONDS = 8
"""Time that requests in progress get to complete at shutdown."""


async def serve_core(core: Core, listening: socket.socket) -> None:
    """Run the core until SIGTERM: the API, delivery, and the workers."""
    loop = asyncio.get_running_loop()
    stopped = stop_signal(loop)
    # First: edges may be waiting for the catalog, and it carries the settings of this start.
    core.publish_catalog()
    core.routing_states.write_again()
    local_token = secrets.token_urlsafe(32)
    context = _context_of(core, local_token)
    limits = limits_of(core.settings, core.settings.delivery_connections + RESERVED_DESCRIPTORS)
    connections = PanelConnections(limits, context.proxies)
    server = _api_server(context, connections)
    workers = core.workers = workers_of(core, context)
    for worker in workers:
        worker.start()
    beating = asyncio.create_task(core.vitals.beat_for_ever(workers))
    delivering = asyncio.create_task(deliver(core.delivery, core.sender))
    lookups = asyncio.create_task(CoreLookupServer(core.folder, core.facts.find_clicks).serve_for_ever())
    serving = asyncio.create_task(server._serve([listening]))  # noqa: SLF001 – serve() would install its own signal handlers
    # After the server was started: commands connect as soon as the address is there.
    write_core_address(core.folder, CoreAddress(f"http://{core.settings.panel_listen}", local_token))
    release_memory()
    gc.freeze()  # modules stay loaded: traversing them in each collection would stall deliveries for 30 ms
    log("core ready", api=f"http://{core.settings.panel_listen}")
    _print_owner_link(core)  # last, so that the link is not lost among lines of the log
    sweeping = asyncio.create_task(connections.keep_sweeping())
    waiting = asyncio.create_task(stopped.wait())
    ended, _ = await asyncio.wait({waiting, delivering, serving}, return_when=asyncio.FIRST_COMPLETED)
    for task in ended - {waiting}:
        log("a part of the core ended by itself: the process ends and is started again", fault=str(task.exception()))
    connections.drain()
    lookups.cancel()  # edges fall back at once to what visitors' cookies say
    beating.cancel()  # before the workers end, which would raise an alarm
    server.should_exit = True
    ending = asyncio.create_task(connections.drained(GRACEFUL_SECONDS))
    # Before the workers: a paused one waits for its gate and would not stop.
    core.pauses.close()
    for worker in workers:
        worker.stop()
    for worker in workers:
        await loop.run_in_executor(None, worker.join, 10.0)
    # After the workers: delivery still claims the postbacks that they created, or the ledger keeps them.
    core.delivery.stop()
    # Time for an attempt and for storing its outcome; without an outcome it would be sent again after the next start.
    await asyncio.wait({delivering, serving}, timeout=core.settings.attempt_seconds + 2)
    for task in (ending, sweeping):
        task.cancel()
    gc.unfreeze()  # frozen reference cycles of libraries would be logged as leaks when the interpreter exits
    log("core ended")


def _print_owner_link(core: Core) -> None:
    """Print a new one-time link to the panel if no owner has a password yet."""
    with core.ledger.write() as tx:
        if has_owner_with_password(tx):
            return
        secret = make_link(tx, None, wall_clock())
    listen = core.settings.panel_listen
    text = "\nClickloop is running.\n"
    if listen.startswith(_LOOPBACK):
        port = listen.rpartition(":")[2]
        text += f"If this is a remote server, first run on your own computer:\n  ssh -L {port}:{listen} USER@SERVER\n"
    text += f"Open this link to set the owner's password. It works once, for 24 hours:\n  http://{listen}{link_path(secret)}\n"
    if sys.stdout is not None:
        # Standard output may be closed or full; a command prints the link as well.
        with contextlib.suppress(OSError):
            write_nonblocking(sys.stdout.fileno(), text.encode())


def _context_of(core: Core, local_token: str) -> ApiContext:
    return ApiContext(
        ledger=core.ledger,
        facts=core.facts,
        click_ids=core.click_ids,
        access=core.access,
        started=core.started,
        proxies=proxy_networks(core.settings.trusted_proxies),
        untrusted=core.untrusted,
        guard=core.guard,
        dns_refusal=TargetLookup(core.guard).dns_refusal,
        progress=core.progress,
        landing_clicks=core.landing_clicks,
        clock_guard=core.clock_guard,
        uploads=core.uploads,
        exports=core.exports,
        upload_keep_hours=core.settings.upload_keep_hours,
        local_token=local_token,
        on_setup_changed=core.publish_change,
        on_postbacks_owed=core.delivery.wake,
        on_receiver_command=core.delivery.follow,
        on_hold_released=core.delivery.release,
        hold=core.hold,
        journal_damages=JournalDamages(core.folder),
        on_damages_confirmed=core.update_damage_alarms,
        settling_pauses=core.pauses,
        core_health=core.health,
        geo_bases=core.geo_check.reports,
        alarm_memory=lambda: read_alarm_memory(core.folder),
        attempt_seconds=core.settings.attempt_seconds,
        count_alarms=AlarmCount(core.folder, observed=core.vitals.observed),
    )


def _api_server(context: ApiContext, connections: PanelConnections) -> uvicorn.Server:
    config = uvicorn.Config(
        create_site(context),
        http=connections,  # type: ignore[arg-type]  # declared as a class, but only called
        timeout_keep_alive=int(connections.limits.keep_alive_seconds),
        # Unused parts are switched off: strangers could reach them.
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        # Don't reveal the version; client addresses behind proxies are determined by our rules, not uvicorn's.
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    return uvicorn.Server(config)


def _report_refusal(settings: Settings, fault: StoresRefusedError | LedgerError | FactsError) -> int:
    """Log why the stores are refused, raise an alarm (which names no paths), and return the exit status."""
    log("the core does not start on these stores: visitors are redirected, notices are stored", fault=str(fault))
    what = "the ledger cannot be opened" if isinstance(fault, LedgerError) else "the facts cannot be opened"
    if isinstance(fault, StoresRefusedError):
        what = fault.problem.value
    # The log has it already: a full disk must not change the exit status.
    with contextlib.suppress(OSError):
        Alarms(settings.folder()).report("stores", (f"the core does not start: {what}; see the log",))
    return STORES_REFUSED


def main(arguments: list[str]) -> int:
    """Run ``app SETTINGS FD``, as the supervisor starts it, and return the exit status."""
    # First: if the supervisor is killed, the core must not live on and keep the stores locked.
    end_with_parent()
    reserve_core_for_visitors()
    capture_library_logs()
    settings = msgspec.json.decode(arguments[0], type=Settings)
    listening = socket.socket(fileno=int(arguments[1]))
    try:
        with open_core(settings) as core:
            uvloop.run(serve_core(core, listening))
    except (StoresRefusedError, LedgerError, FactsError) as fault:
        return _report_refusal(settings, fault)
    except OSError as fault:
        where = Path(str(fault.filename or settings.folder()))
        log("the core could not go on", fault=f"{type(fault).__name__}: {fault}. {fault_sentence(fault, where)}")
        return 1
    except Exception as fault:
        log("the core could not go on", fault=f"{type(fault).__name__}: {fault}")
        report_start_failure(settings.folder(), fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
