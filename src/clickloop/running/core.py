"""The core: its open stores, the instance's settings, and the files that it publishes for other processes."""

import contextlib
import platform
import threading
from collections.abc import Iterator
from importlib.metadata import version
from urllib.parse import urlsplit

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from clickloop import __version__
from clickloop.alarm.alarms import Alarms, read_alarms
from clickloop.alarm.vital_signs import Patience
from clickloop.click.geo.check import GeoCheck
from clickloop.click.marks.campaign_marks import CampaignMarks, marks_in_catalog
from clickloop.clock import steady_seconds, wall_clock
from clickloop.config import Settings
from clickloop.diagnosis.health import CoreHealth, core_health
from clickloop.edge.untrusted_proxy import UntrustedProxies
from clickloop.machine.clock_guard import ClockGuard
from clickloop.machine.log import log
from clickloop.people.devices import Devices
from clickloop.postback.alarm_rules import AlarmRules, alarm_rules_among, write_alarm_rules
from clickloop.postback.delivery.limits import DeliveryLimits
from clickloop.postback.delivery.worker import Delivery
from clickloop.postback.rule import PostbackRule
from clickloop.postback.sending.address_guard import AddressGuard, policy_of
from clickloop.postback.sending.client import Sender
from clickloop.record_id import RecordIds
from clickloop.running.core_vitals import CoreVitals
from clickloop.running.worker import Worker
from clickloop.saving.access import Access
from clickloop.setup.catalog import FILE_NAME as CATALOG_FILE
from clickloop.setup.catalog import write_catalog
from clickloop.setup.instance import startup_settings
from clickloop.store.damage_log import damage_alarms, report_damages
from clickloop.store.delivery_hold import DeliveryHold
from clickloop.store.disk_reserve import DiskReserve
from clickloop.store.export_files import ExportFiles
from clickloop.store.facts.facts import FactsError, FactsStore
from clickloop.store.folder_watch import FolderWatch, catalog_fault, repair_entry
from clickloop.store.identity import FILE_NAME, Installation, click_ids_of, read_key, write_installation
from clickloop.store.ledger.installation import read_progress
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.queue.postback_work import LedgerPostbacks
from clickloop.store.ledger.setup.catalog import read_catalog
from clickloop.store.ledger.setup.postback_rules import live_alarm_rules
from clickloop.store.ledger.setup.settings import read_instance
from clickloop.store.upload_files import UploadFiles
from clickloop.stores import open_stores, record_marks
from clickloop.tracking.click_progress import ClickProgress, LandingClicks
from clickloop.tracking.notices import Intake
from clickloop.tracking.pausing import SettlingPauses
from clickloop.tracking.retention import find_last_seen_at
from clickloop.tracking.routing_states import RoutingStates


class Core:
    """The state of the core process. Thread-safe."""

    def __init__(self, settings: Settings, ledger: Ledger, facts: FactsStore, installation: Installation) -> None:
        folder = settings.folder()
        self.installation = installation
        self.settings = settings
        self.folder = folder
        self.ledger = ledger
        self.facts = facts
        key = read_key(folder, installation.key).key
        self.click_ids = click_ids_of(folder, key, installation)
        self.started = startup_settings(settings)
        self.guard = AddressGuard(policy_of(settings))
        self.record_ids = RecordIds()
        self.clock_guard = ClockGuard(wall_clock, steady_seconds, find_last_seen_at(ledger, facts))
        self.access = Access(ledger=ledger, clock=self.clock_guard.earlier_now, devices=Devices(key))
        self.sender = Sender(settings.attempt_seconds, self.guard)
        self.hold = DeliveryHold(folder)
        self.pauses = SettlingPauses(facts.checkpoint)
        self.delivery = Delivery(
            LedgerPostbacks(ledger),
            self.sender.send,
            # The facts are open, and DuckDB lets only one process open their file: the previous core has ended.
            alone=True,
            limits=DeliveryLimits(connections=settings.delivery_connections, deadline_seconds=settings.attempt_seconds),
            on_hold=self.hold.current is not None,
        )
        self.routing_states = RoutingStates(ledger, folder, installation.id, wall_clock)
        self.watch = FolderWatch(
            folder,
            key,
            installation.id,
            write_installation=lambda: write_installation(folder, self.installation),
            publish_catalog=self.publish_catalog,
            write_routing_state=self.routing_states.write_again,
        )
        self.uploads = UploadFiles(folder / "uploads", settings.upload_limit_mb * 1024 * 1024)
        self.exports = ExportFiles(folder / "exports")
        self.alarms = Alarms(folder)
        self.progress = ClickProgress(folder / "journal")
        self.geo_check = GeoCheck(settings.geo_base, folder)
        self.landing_clicks = LandingClicks(facts, folder / "journal")
        self.untrusted = UntrustedProxies("panel")
        self.vitals = CoreVitals(
            folder, self.alarms, Patience(settings.alarm_after_seconds), more=self.untrusted.alarms
        )
        self.reserve = DiskReserve(folder / "reserve", settings.reserve_mb * 1024 * 1024)
        self.workers: list[Worker] = []
        """Set by ``serve_core``, for ``health``."""
        self._started_at = wall_clock()
        # With concurrent changes of the set-up, the catalog that is read last must be the one that is written last.
        self._publishing = threading.Lock()
        self._is_published = False
        self.setup_change = 0
        """The newest entry of the audit log in the published catalog."""
        self.campaign_marks = CampaignMarks(self.started)
        """The marks in force, as of the last ``publish_catalog``."""
        self.instance = self.started
        """The instance's settings, as of the last ``publish_catalog``."""

    @property
    def intake(self) -> Intake:
        """Return the context for registering notices, with the current settings."""
        return Intake(
            self.ledger,
            self.facts,
            self.click_ids,
            self.record_ids,
            self.instance.currency,
            self.guard,
            progress=self.progress,
            is_clock_trusted=self.clock_guard.is_trusted,
            landing_clicks=self.landing_clicks,
        )

    def publish_catalog(self) -> None:
        """Read the set-up from the ledger and write the catalog, which edges load within a tenth of a second."""
        with self._publishing:
            self._is_published = False
            with self.ledger.read() as tx:
                self.instance = read_instance(tx).over(self.started)
                alarm_rules = alarm_rules_among(kept.rule for kept in live_alarm_rules(tx))
                own_hosts = self.instance.own_hosts() | {self.settings.listen}
                # Sorted, so that the same set-up gives the same catalog.
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
            self.campaign_marks = marks_in_catalog(catalog, self.instance)
            self._publish_alarm_rules(alarm_rules, own_hosts)
            write_catalog(self.folder, catalog)
            self._is_published = True
            self.setup_change = setup_change

    def publish_change(self) -> None:
        """Publish a change of the set-up that is committed. On a full disk, say, ``publish_again`` does it later."""
        try:
            self.publish_catalog()
        # The change is saved: who made it must not be told that it failed, and try it again.
        except (OSError, SQLAlchemyError) as fault:
            log("a change of the set-up is saved and not yet in force", fault=str(fault))

    def publish_again(self) -> bool:
        """Publish the set-up if its last change could not be, and raise or end the alarm. Return False: there is no more to do."""
        told: list[str] = []
        if not self._is_published:
            try:
                self.publish_catalog()
            except (OSError, SQLAlchemyError) as fault:
                told = [f"the last change of the set-up is saved and not yet in force for visitors: {fault}"]
        self.alarms.report("catalog", told)
        return False

    def record_marks(self) -> bool:
        """Record the stores' progress, by which later starts recognise an older copy. Return False, as a worker's step."""
        self.installation = record_marks(self.folder, self.ledger, self.facts, self.installation)
        return False

    def _publish_alarm_rules(self, rules: tuple[PostbackRule, ...], own_hosts: frozenset[str]) -> None:
        hosts = tuple(sorted(own_hosts | {self.settings.panel_listen}))
        domain = urlsplit(self.instance.public_url).netloc
        try:
            write_alarm_rules(self.folder, AlarmRules(rules=rules, own_hosts=hosts, domain=domain))
        except OSError as fault:  # on a full disk the old copy stays; publish the set-up all the same
            log("the copy of the alarm rules could not be written", fault=str(fault))

    def update_damage_alarms(self) -> None:
        """Raise or end the alarms about unconfirmed damage."""
        self.alarms.report("journal", damage_alarms(self.folder))

    def watch_files(self) -> None:
        """Raise alarms about files that were deleted or replaced, and rewrite those that can be."""
        found = self.watch.look()
        report_damages(self.folder, found.mended)
        self.alarms.report("files", found.alarms)

    def report_repairs(self, lost_identity: str) -> None:
        """Report the files that this start rewrites. Call it before the catalog is published."""
        now_ms = wall_clock()
        faults = {FILE_NAME: lost_identity}
        with self.ledger.read() as tx:
            was_published = read_progress(tx).setup_change > 0
        if was_published:  # else the folder is new
            faults[CATALOG_FILE] = catalog_fault(self.folder / CATALOG_FILE, self.installation.id)
        report_damages(
            self.folder, [repair_entry(self.folder / name, fault, now_ms) for name, fault in faults.items() if fault]
        )

    def health(self) -> CoreHealth:
        """Return the state of this process and its data folder."""
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
        """Close the stores."""
        with contextlib.suppress(OSError, SQLAlchemyError, FactsError):  # the marks then lag, as after a crash
            self.record_marks()
        self.facts.close()
        self.ledger.close()


@contextlib.contextmanager
def open_core(settings: Settings) -> Iterator[Core]:
    """Open the stores, waiting a little for a killed core to release them, and close them at the end.

    Raise LedgerError, FactsError, or StoresRefusedError if they do not belong together.
    """
    opened = open_stores(settings.folder(), settings.facts_memory_mb)
    core = Core(settings, opened.ledger, opened.facts, opened.installation)
    try:
        if opened.was_complete:
            core.report_repairs(opened.lost_identity)
        yield core
    finally:
        core.close()
