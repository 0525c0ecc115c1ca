"""The context of the API: the stores, the clock, and callbacks after changes."""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from clickloop.alarm.memory import AlarmMemory
from clickloop.click.geo.check import GeoBaseReport, fields_without_base
from clickloop.diagnosis.health import NOT_RUNNING, CoreHealth
from clickloop.edge.proxies import IpNetworks
from clickloop.edge.untrusted_proxy import UntrustedProxies
from clickloop.logs.context import LogContext
from clickloop.machine.clock_guard import ClockGuard
from clickloop.macro import KNOWN
from clickloop.people.user import Actor
from clickloop.postback.sending.dns_check import DnsCheck, skip_dns_check
from clickloop.saving.access import Access
from clickloop.saving.record import SavingContext
from clickloop.setup.instance import NOTHING_SAVED, InstanceSettings, SavedSettings
from clickloop.store.damage_log import JournalDamages
from clickloop.store.delivery_hold import DeliveryHold
from clickloop.tracking.click_progress import ClickProgress, LandingClicks
from clickloop.tracking.jobs.context import JobContext
from clickloop.tracking.notices import Intake
from clickloop.tracking.pausing import SettlingPauses
from clickloop.web.page_cache import PageCache


class _Versioned(Protocol):
    """A record with a version."""

    @property
    def version(self) -> int:
        """See ``store.ledger.setup.versions``."""
        ...


VersionedRecord = TypeVar("VersionedRecord", bound=_Versioned)


def _nothing() -> None:
    """Do nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApiContext(SavingContext, LogContext, JobContext):
    """Everything the API works with. Each request has its own copy, with its actor and the version it expects."""

    access: Access
    """Sign-in, sessions and passwords."""
    started: InstanceSettings
    """The settings that the tracker was started with."""
    saved: SavedSettings = NOTHING_SAVED
    """The saved settings that override them, as of this request."""
    is_for_log: bool = False
    """Views are made for the log of changes, which masks secrets itself."""
    proxies: IpNetworks = ()
    """The trusted proxies, whose forwarding headers are believed."""
    untrusted: UntrustedProxies = dataclasses.field(default_factory=lambda: UntrustedProxies("panel"))
    """Proxies in front of the panel that are not configured as trusted."""
    dns_refusal: DnsCheck = skip_dns_check
    """Used by dry runs: returns why nothing can be sent to the address that a host resolves to now."""
    progress: ClickProgress = dataclasses.field(default_factory=ClickProgress)
    """The progress of settling clicks."""
    landing_clicks: LandingClicks = dataclasses.field(default_factory=LandingClicks)
    """The landing clicks, which decide a conversion's offer."""
    clock_guard: ClockGuard | None = None
    """The guard of the clock by which old records are deleted. None if nothing is deleted."""
    page_cache: PageCache = dataclasses.field(default_factory=PageCache)
    """Results that are expensive to compute for a page."""
    local_token: str = ""
    """A secret that works like a token for commands on this machine. Empty for none."""
    core_health: Callable[[], CoreHealth] = lambda: NOT_RUNNING
    """Returns the health of the core process and its data folder."""
    geo_bases: Callable[[], tuple[GeoBaseReport, ...]] = tuple
    """Returns a report on each geo base."""
    count_alarms: Callable[[], int] = lambda: 0
    """Returns the number of alarms. It costs nothing."""
    alarm_memory: Callable[[], AlarmMemory] = AlarmMemory
    """Returns the supervisor's record of alarms and their messages."""
    attempt_seconds: int = 10
    """Time limit of an attempt to send something."""
    # The callbacks are called from a worker thread, after the transaction.
    on_postbacks_owed: Callable[[], None] = _nothing
    """Called when postbacks may have been created."""
    on_receiver_command: Callable[[], None] = _nothing
    """Called when a user has given a command for a receiver."""
    on_hold_released: Callable[[], None] = _nothing
    """Called when the delivery hold was released."""
    on_damages_confirmed: Callable[[], None] = _nothing
    """Called when damages were confirmed."""
    hold: DeliveryHold = dataclasses.field(default_factory=DeliveryHold)
    """The hold on the delivery of all postbacks, if there is one."""
    journal_damages: JournalDamages = dataclasses.field(default_factory=JournalDamages)
    """The damages found in the journal."""
    settling_pauses: SettlingPauses = dataclasses.field(default_factory=SettlingPauses)
    """Pauses of settling, for backups."""

    def current(self, record: VersionedRecord) -> VersionedRecord:
        """Return a record, read in the transaction that changes it. Raise StaleRecordError if another version is expected."""
        self.expected.check(record.version)
        return record

    def with_actor(self, actor: Actor, saved: SavedSettings) -> "ApiContext":
        """Return the context of a request."""
        return dataclasses.replace(self, actor=actor, saved=saved)

    @cached_property
    def instance(self) -> InstanceSettings:
        """Return the settings of the instance."""
        return self.saved.over(self.started)

    @property
    def base_url(self) -> str:
        """Return scheme and host of the public endpoints, without a trailing slash."""
        return self.instance.public_url

    @property
    def domain(self) -> str:
        """Return the host of the public endpoints."""
        return urlsplit(self.base_url).netloc

    @property
    def currency(self) -> str:
        """Return the currency of amounts without one."""
        return self.instance.currency

    @property
    def fallback_url(self) -> str:
        """Return the URL for visitors that a campaign cannot send to an offer. Empty: they get a plain 404 page."""
        return self.instance.fallback_url

    @property
    def shows_secrets(self) -> bool:
        """Return whether the actor may see secrets such as networks' tokens."""
        return self.is_for_log or super().shows_secrets

    def empty_macros(self) -> frozenset[str]:
        """Return the macros that are always empty, because no geo base has what they stand for."""
        missing = fields_without_base(self.geo_bases())
        return frozenset(macro.name for macro in KNOWN if macro.needs_base and macro.name in missing)

    def intake(self) -> Intake:
        """Return what it takes to register notices."""
        return Intake(
            self.ledger,
            self.facts,
            self.click_ids,
            self.record_ids,
            self.currency,
            self.guard,
            self.dns_refusal,
            self.progress,
            is_clock_trusted=(lambda: True) if self.clock_guard is None else self.clock_guard.is_trusted,
            landing_clicks=self.landing_clicks,
        )


def app_context(connection: ASGIConnection[Any, Any, Any, Any]) -> ApiContext:
    """Return the context of the application that a request came to, without an actor."""
    context: ApiContext = connection.app.state.context
    return context


Context = NamedDependency[SkipValidation[ApiContext]]
"""The parameter ``context`` of every endpoint."""
