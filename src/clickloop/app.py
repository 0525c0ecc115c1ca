"""The core process: settles, delivers, serves the API. It wires everything, and is the only file that picks a store."""

import asyncio
import contextlib
import gc
import platform
import secrets
import socket
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import uvicorn
import uvloop
from sqlalchemy.exc import SQLAlchemyError

from clickloop import __version__
from clickloop.alarms import AlarmCount, Alarms, read_alarms
from clickloop.campaign.catalog import write_catalog
from clickloop.campaign.instance import started_with
from clickloop.click.geo_file import GeoCheck
from clickloop.clock import DAY_MS, HOUR_MS, steady_seconds, wall_clock
from clickloop.clock_guard import ClockGuard
from clickloop.config import Settings, proxy_networks
from clickloop.descriptors import max_connections
from clickloop.log import log, take_library_logs
from clickloop.postback.address_guard import AddressGuard, policy_of
from clickloop.postback.alarm_rules import AlarmRules, alarm_rules_among, write_alarm_rules
from clickloop.postback.delivery import Delivery
from clickloop.postback.limits import Limits
from clickloop.postback.looking_up import LookingUp
from clickloop.postback.rule import Rule
from clickloop.postback.sending import Sender
from clickloop.process import (
    STORES_REFUSED,
    end_with_parent,
    give_memory_back,
    leave_a_core_to_visitors,
    stop_signal,
)
from clickloop.record_id import RecordIds
from clickloop.running.alarm_memory import read_alarm_memory
from clickloop.running.core_vitals import CoreVitals, tell_cannot_start
from clickloop.running.vital_signs import Patience
from clickloop.running_core import CoreAddress, write_core_address
from clickloop.store.consistency import StoresRefusedError, keep_marks, open_stores
from clickloop.store.damage_log import JournalDamages, damage_alarms, keep_damages
from clickloop.store.delivery_hold import DeliveryHold
from clickloop.store.disk_reserve import DiskReserve
from clickloop.store.export_files import ExportFiles
from clickloop.store.facts.duckdb import DuckDbFacts
from clickloop.store.facts.facts import FactsError
from clickloop.store.file_fault import fault_sentence
from clickloop.store.identity import Installation, click_ids_of, find_key
from clickloop.store.journal.reader import JournalReader
from clickloop.store.ledger.catalog import read_catalog
from clickloop.store.ledger.installation import read_progress
from clickloop.store.ledger.ledger import Ledger, LedgerError
from clickloop.store.ledger.postback_rules import live_alarm_rules
from clickloop.store.ledger.postback_work import LedgerPostbacks
from clickloop.store.ledger.settings import read_instance
from clickloop.store.ledger.users import has_owner_with_password
from clickloop.store.upload_files import UploadFiles
from clickloop.tracking.auditing import (
    audit_alarms,
    audit_rows_step,
    audit_step,
    held_alarms,
    paused_alarms,
    refused_alarms,
    refused_rules,
    rows_alarms,
)
from clickloop.tracking.bulk import forget_old_answers, work_off_next
from clickloop.tracking.click_progress import ClickProgress
from clickloop.tracking.deliver import deliver
from clickloop.tracking.exports import ExportWork, tidy_exports
from clickloop.tracking.health import CoreHealth, core_health
from clickloop.tracking.notices import Desk
from clickloop.tracking.page_audit import PageAudit
from clickloop.tracking.pausing import SettlingPauses
from clickloop.tracking.retention import Deletion, Retention, delete_old_strangers, last_sign_of_life
from clickloop.tracking.settle import settle_clicks, settle_facts, settle_notices
from clickloop.tracking.uploads import UploadWork, tidy_uploads
from clickloop.tracking.waiting import WaitingNotices, unknown_click_alarms
from clickloop.web.access import Access, forget_old_sessions, link_path, make_link
from clickloop.web.api.context import ApiContext
from clickloop.web.api.exportable import page_reader
from clickloop.web.devices import Devices
from clickloop.web.open_connections import Limits as ConnectionLimits
from clickloop.web.panel_port import PanelConnections
from clickloop.web.site import create_site
from clickloop.web.untrusted_proxy import UntrustedProxies
from clickloop.worker import Worker

NOTICE_LOOK_SECONDS = 0.01
CLICK_LOOK_SECONDS = 0.05
UPLOAD_LOOK_SECONDS = 0.2
EXPORT_LOOK_SECONDS = 0.2
BULK_LOOK_SECONDS = 0.5
AUDIT_SECONDS = 10.0
PAUSED_LOOK_SECONDS = 2.0
HOUSEKEEPING_SECONDS = 30.0
MARKS_SECONDS = 10.0
RESERVED_DESCRIPTORS = 192
"""Not for connections to the panel's port, beside those of deliveries: ledger, facts, journal segments, files of exports and uploads."""
GRACEFUL_SECONDS = 8
"""How long a request that is being answered may take when the core is to end."""


class Core:
    """What the core process holds open."""

    def __init__(self, settings: Settings, ledger: Ledger, facts: DuckDbFacts, installation: Installation) -> None:
        folder = settings.folder()
        self.installation = installation
        self.settings = settings
        self.folder = folder
        self.ledger = ledger
        self.facts = facts
        key = find_key(folder, installation.key).key
        self.click_ids = click_ids_of(folder, key, installation)
        self.started = started_with(settings)
        self.guard = AddressGuard(policy_of(settings))
        self.record_ids = RecordIds()
        self.clock_guard = ClockGuard(wall_clock, steady_seconds, last_sign_of_life(ledger, facts))
        self.access = Access(ledger=ledger, clock=self.clock_guard.earlier_now, devices=Devices(key))
        self.sender = Sender(settings.attempt_seconds, self.guard)
        self.hold = DeliveryHold(folder)
        self.pauses = SettlingPauses(facts.checkpoint)
        self.delivery = Delivery(
            LedgerPostbacks(ledger),
            self.sender.send,
            limits=Limits(connections=settings.delivery_connections, deadline_seconds=settings.attempt_seconds),
            on_hold=self.hold.current is not None,
        )
        self.uploads = UploadFiles(folder / "uploads", settings.upload_limit_mb * 1024 * 1024)
        self.exports = ExportFiles(folder / "exports")
        self.alarms = Alarms(folder)
        self.progress = ClickProgress(folder / "journal")
        self.vitals = CoreVitals(folder, self.alarms, Patience(settings.alarm_after_seconds))
        self.geo_check = GeoCheck(settings.geo_base)
        self.untrusted = UntrustedProxies("panel")
        self.vitals = CoreVitals(
            folder, self.alarms, Patience(settings.alarm_after_seconds), more=self.untrusted.alarms
        )
        self.reserve = DiskReserve(folder / "reserve", settings.reserve_mb * 1024 * 1024)
        self.workers: list[Worker] = []
        """Those that run."""
        self._started_at = wall_clock()
        self._publishing = threading.Lock()
        self.instance = self.started
        """What the instance is set to, as of the last ``publish_catalog``."""

    @property
    def desk(self) -> Desk:
        """What it takes to take notices in, by the settings of now."""
        return Desk(
            self.ledger,
            self.facts,
            self.click_ids,
            self.record_ids,
            self.instance.currency,
            self.guard,
            progress=self.progress,
        )

    def publish_catalog(self) -> None:
        """Takes over the set-up as the ledger has it now, and writes the catalog; edges take it within a tenth of a second."""
        with self._publishing:
            with self.ledger.read() as tx:
                self.instance = read_instance(tx).over(self.started)
                alarm_rules = alarm_rules_among(kept.rule for kept in live_alarm_rules(tx))
                own_hosts = self.instance.own_hosts() | {self.settings.listen}
                catalog = read_catalog(tx, tuple(sorted(own_hosts)))
                setup_change = read_progress(tx).setup_change
            self.guard.know_own_hosts(own_hosts | {self.settings.panel_listen})
            catalog = msgspec.structs.replace(
                catalog,
                instance=self.instance,
                installation=self.installation.id,
                key=self.installation.key,
                setup_change=setup_change,
            )
            self._publish_alarm_rules(alarm_rules, own_hosts)
            write_catalog(self.folder, catalog)

    def keep_marks(self) -> bool:
        """Writes down how far the stores are, for a start that has to tell an older copy."""
        self.installation = keep_marks(self.folder, self.ledger, self.facts, self.installation)
        return False

    def _publish_alarm_rules(self, rules: tuple[Rule, ...], own_hosts: frozenset[str]) -> None:
        hosts = tuple(sorted(own_hosts | {self.settings.panel_listen}))
        domain = urlsplit(self.instance.public_url).netloc
        try:
            write_alarm_rules(self.folder, AlarmRules(rules=rules, own_hosts=hosts, domain=domain))
        except OSError as fault:  # a full disk keeps the copy as it was; the set-up is published all the same
            log("the copy of the alarm rules could not be written", fault=str(fault))

    def tell_damages(self) -> None:
        """Raise or end the alarm for damage of the journal that nobody has confirmed."""
        self.alarms.tell("journal", damage_alarms(self.folder))

    def health(self) -> CoreHealth:
        """How this process and its data folder are."""
        versions = (
            ("Clickloop", __version__),
            ("Python", platform.python_version()),
            *self.ledger.versions(),
            ("Facts: DuckDB", version("duckdb")),
        )
        workers = [worker.health() for worker in self.workers]
        alarms = (*self.vitals.observed(), *read_alarms(self.folder))
        return core_health(self.folder, self.reserve, workers, versions, self._started_at, wall_clock(), alarms)

    def close(self) -> None:
        """Closes the stores."""
        with contextlib.suppress(OSError, SQLAlchemyError, FactsError):  # the marks stay behind, as after a crash
            self.keep_marks()
        self.facts.close()
        self.ledger.close()


@contextlib.contextmanager
def open_core(settings: Settings) -> Iterator[Core]:
    """Opens the stores, waiting a little for a core that was killed to let go of them.

    Raises LedgerError, FactsError, or StoresRefusedError when they do not belong together.
    """
    opened = open_stores(settings.folder(), settings.facts_memory_mb)
    core = Core(settings, opened.ledger, opened.facts, opened.installation)
    try:
        yield core
    finally:
        core.close()


def workers_of(core: Core, context: ApiContext) -> list[Worker]:
    """What settles and keeps house beside the event loop."""
    journal, settled = core.folder / "journal", core.folder / "settled"
    click_reader = JournalReader(journal, settled)
    notice_reader = JournalReader(journal, settled)

    def settle_the_clicks() -> bool:
        batch = settle_clicks(click_reader, core.facts)
        if batch.clicks:
            core.progress.clicks_settled()
        keep_damages(core.folder, batch.damages)
        return settle_facts(core.ledger, core.facts) > 0 or batch.more

    waiting = WaitingNotices()

    def settle_the_notices() -> bool:
        now_ms = wall_clock()
        batch = settle_notices(notice_reader, core.desk, now_ms)
        keep_damages(core.folder, batch.damages)
        core.progress.look()
        if waiting.step(core.desk, now_ms) or batch.results:
            core.delivery.wake()
        return batch.more

    core.uploads.delete_unfinished()
    upload_work = UploadWork(core.desk, core.uploads, wall_clock)

    def take_the_uploads() -> bool:
        upload_work.desk = core.desk
        step = upload_work.step()
        if step.owed:
            core.delivery.wake()
        return step.more

    export_work = ExportWork(core.ledger, core.exports, page_reader(context), wall_clock)

    def do_the_bulk_jobs() -> bool:
        more = work_off_next(core.desk, wall_clock())
        if more:
            core.delivery.wake()
        return more

    pages = PageAudit(core.ledger)

    def audit() -> bool:
        core.tell_damages()
        core.alarms.tell("unreadable clicks", core.progress.alarms())
        core.alarms.tell("geo base", core.geo_check.alarms())
        unreadable = pages.guarded(audit_the_ledger)
        core.alarms.tell("ledger", pages.step() or unreadable)
        return False

    def audit_the_ledger() -> None:
        mismatches = audit_step(core.ledger)
        if core.alarms.tell("audit", audit_alarms(mismatches)) and mismatches:
            first = msgspec.to_builtins(mismatches[0])
            log("self-audit: postbacks do not add up", first=first, changes=len(mismatches))
        lacking = audit_rows_step(core.ledger)
        if core.alarms.tell("audit of rows", rows_alarms(lacking)) and lacking:
            log("self-audit: rows do not add up", first=msgspec.to_builtins(lacking[0]), rows=len(lacking))
        core.alarms.tell("unknown clicks", unknown_click_alarms(core.ledger, wall_clock()))
        refused = refused_rules(core.ledger, core.guard)
        if core.alarms.tell("refused addresses", refused_alarms(refused)) and refused:
            log("live postback rules lead to refused addresses", rules=msgspec.to_builtins(refused))

    def tell_what_is_paused() -> bool:
        core.alarms.tell("paused", paused_alarms(core.ledger))
        core.alarms.tell("held", held_alarms(core.ledger, core.hold.current))
        return False

    retention = Retention(core.ledger, core.clock_guard, deletions_of(core, click_reader))

    def keep_house() -> bool:
        core.reserve.ensure()
        core.alarms.tell("clock", retention.step())
        return False

    return [
        Worker("settling of clicks", core.pauses.gate(settle_the_clicks), CLICK_LOOK_SECONDS),
        Worker("settling of notices", core.pauses.gate(settle_the_notices), NOTICE_LOOK_SECONDS),
        Worker("taking of uploads", take_the_uploads, UPLOAD_LOOK_SECONDS, drains=False),
        Worker("writing of exports", export_work.step, EXPORT_LOOK_SECONDS, drains=False),
        Worker("bulk jobs", do_the_bulk_jobs, BULK_LOOK_SECONDS, drains=False),
        Worker("self-audit", audit, AUDIT_SECONDS),
        Worker("alarms of what is paused", tell_what_is_paused, PAUSED_LOOK_SECONDS),
        Worker("housekeeping", core.pauses.gate(keep_house), HOUSEKEEPING_SECONDS),
        Worker("marks of the stores", core.keep_marks, MARKS_SECONDS),
    ]


def deletions_of(core: Core, click_reader: JournalReader) -> list[Deletion]:
    """Everything that is deleted for its age."""
    keep_ms = core.settings.upload_keep_hours * HOUR_MS

    def delete_old_clicks(now_ms: int) -> None:
        if days := core.instance.click_keep_days:
            core.facts.delete_clicks(now_ms - days * DAY_MS)

    return [
        lambda now_ms: forget_old_answers(core.desk, now_ms),
        lambda now_ms: tidy_uploads(core.ledger, core.uploads, now_ms, keep_ms),
        lambda now_ms: tidy_exports(core.ledger, core.exports, now_ms, keep_ms),
        lambda now_ms: click_reader.delete_settled(now_ms - core.settings.journal_keep_hours * HOUR_MS),
        lambda _now_ms: forget_old_sessions(core.access),
        delete_old_clicks,
        lambda now_ms: delete_old_strangers(core.ledger, now_ms, core.settings.refused_notice_keep_days),
    ]


async def serve_core(core: Core, listening: socket.socket) -> None:
    """Runs the core until SIGTERM: the API, delivery, and the workers."""
    loop = asyncio.get_running_loop()
    stopped = stop_signal(loop)
    core.publish_catalog()
    local_token = secrets.token_urlsafe(32)
    context = _context_of(core, local_token)
    connections = PanelConnections(_connection_limits(core.settings), context.proxies)
    server = _api_server(context, connections)
    workers = core.workers = workers_of(core, context)
    for worker in workers:
        worker.start()
    beating = asyncio.create_task(core.vitals.beat_for_ever(workers))
    delivering = asyncio.create_task(deliver(core.delivery, core.sender))
    serving = asyncio.create_task(server._serve([listening]))  # noqa: SLF001 – serve() would take our signals
    write_core_address(core.folder, CoreAddress(f"http://{core.settings.panel_listen}", local_token))
    _welcome_first_owner(core)
    give_memory_back()
    gc.freeze()  # what was loaded stays: looking at it again would hold deliveries up for 30 ms each time
    log("core ready", api=f"http://{core.settings.panel_listen}")
    sweeping = asyncio.create_task(connections.keep_sweeping())
    waiting = asyncio.create_task(stopped.wait())
    ended, _ = await asyncio.wait({waiting, delivering, serving}, return_when=asyncio.FIRST_COMPLETED)
    for task in ended - {waiting}:
        log("a part of the core ended by itself: the process ends and is started again", fault=str(task.exception()))
    connections.drain()
    beating.cancel()  # first: workers that end now are no alarm
    server.should_exit = True
    ending = asyncio.create_task(connections.drained(GRACEFUL_SECONDS))
    core.pauses.close()
    for worker in workers:
        worker.stop()
    for worker in workers:
        await loop.run_in_executor(None, worker.join, 10.0)
    core.delivery.stop()
    await asyncio.wait({delivering, serving}, timeout=core.settings.attempt_seconds + 2)
    for task in (ending, sweeping):
        task.cancel()
    gc.unfreeze()  # else what the libraries hold in circles would stand in the log as leaked when the interpreter ends
    log("core ended")


def _welcome_first_owner(core: Core) -> None:
    """While no owner has a password: prints, for whoever started the tracker, the panel's address and a fresh one-time link."""
    with core.ledger.write() as tx:
        if has_owner_with_password(tx):
            return
        secret = make_link(tx, None, wall_clock())
    panel = f"http://{core.settings.panel_listen}"
    text = (
        f"Clickloop runs. The panel: {panel}/panel\n"
        f"Set the owner's password with this link, which is good once, for 24 hours:\n  {panel}{link_path(secret)}\n"
    )
    with contextlib.suppress(OSError):
        sys.stdout.write(text)
        sys.stdout.flush()


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
        refused_now=LookingUp(core.guard).refused_now,
        progress=core.progress,
        clock_guard=core.clock_guard,
        uploads=core.uploads,
        exports=core.exports,
        upload_keep_hours=core.settings.upload_keep_hours,
        local_token=local_token,
        on_setup_changed=core.publish_catalog,
        on_postbacks_owed=core.delivery.wake,
        on_receivers_asked=core.delivery.follow,
        on_hold_released=core.delivery.release,
        hold=core.hold,
        journal_damages=JournalDamages(core.folder),
        on_damages_confirmed=core.tell_damages,
        settling_pauses=core.pauses,
        core_health=core.health,
        alarm_memory=lambda: read_alarm_memory(core.folder),
        attempt_seconds=core.settings.attempt_seconds,
        count_alarms=AlarmCount(core.folder, observed=core.vitals.observed),
    )


def _connection_limits(settings: Settings) -> ConnectionLimits:
    return ConnectionLimits(
        settings.request_seconds,
        settings.keep_alive_seconds,
        settings.connections_per_address,
        max_connections(settings.delivery_connections + RESERVED_DESCRIPTORS),
    )


def _api_server(context: ApiContext, connections: PanelConnections) -> uvicorn.Server:
    config = uvicorn.Config(
        create_site(context),
        http=connections,  # type: ignore[arg-type]  # a class is expected; it is only called
        timeout_keep_alive=int(connections.limits.keep_alive_seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    return uvicorn.Server(config)


def _refused(settings: Settings, fault: StoresRefusedError | LedgerError | FactsError) -> int:
    """Says why the core does not start on these stores: in the log, and as an alarm, which names no paths."""
    log("the core does not start on these stores: visitors are redirected, notices are stored", fault=str(fault))
    what = "the ledger cannot be opened" if isinstance(fault, LedgerError) else "the facts cannot be opened"
    if isinstance(fault, StoresRefusedError):
        what = fault.problem.value
    with contextlib.suppress(OSError):
        Alarms(settings.folder()).tell("stores", (f"the core does not start: {what}; see the log",))
    return STORES_REFUSED


def main(arguments: list[str]) -> int:
    """``app SETTINGS FD``, as the supervisor starts it."""
    end_with_parent()
    leave_a_core_to_visitors()
    take_library_logs()
    settings = msgspec.json.decode(arguments[0], type=Settings)
    listening = socket.socket(fileno=int(arguments[1]))
    try:
        with open_core(settings) as core:
            uvloop.run(serve_core(core, listening))
    except (StoresRefusedError, LedgerError, FactsError) as fault:
        return _refused(settings, fault)
    except OSError as fault:
        where = Path(str(fault.filename or settings.folder()))
        log("the core could not go on", fault=f"{type(fault).__name__}: {fault}. {fault_sentence(fault, where)}")
        return 1
    except Exception as fault:
        log("the core could not go on", fault=f"{type(fault).__name__}: {fault}")
        tell_cannot_start(settings.folder(), fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
