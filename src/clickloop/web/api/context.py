"""What the API is handed when it is made: the stores, the clock and what to do after a change."""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from clickloop.alarm.memory import AlarmMemory
from clickloop.diagnosis.health import NOT_RUNNING, CoreHealth
from clickloop.edge.proxies import IpNetworks
from clickloop.edge.untrusted_proxy import UntrustedProxies
from clickloop.logs.context import LogContext
from clickloop.machine.clock_guard import ClockGuard
from clickloop.people.user import Actor
from clickloop.postback.sending.dns_check import RefusedNow, not_looked_up
from clickloop.saving.access import Access
from clickloop.saving.record import SavingContext
from clickloop.setup.instance import NOTHING_SAVED, InstanceSettings, SavedSettings
from clickloop.store.damage_log import JournalDamages
from clickloop.store.delivery_hold import DeliveryHold
from clickloop.tracking.click_progress import ClickProgress
from clickloop.tracking.jobs.context import JobContext
from clickloop.tracking.notices import Desk
from clickloop.tracking.pausing import SettlingPauses
from clickloop.web.page_cache import Remembered


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
    """Everything the API works with. The actor and the expected version are those of a request."""

    access: Access
    """What letting people in needs."""
    started: InstanceSettings
    """What the tracker was started with."""
    saved: SavedSettings = NOTHING_SAVED
    """What somebody saved over it, as it is at this request."""
    is_for_log: bool = False
    """What is made is for the log of changes, which masks secrets by itself."""
    proxies: IpNetworks = ()
    """Whose word is taken for where a browser comes from."""
    untrusted: UntrustedProxies = dataclasses.field(default_factory=lambda: UntrustedProxies("panel"))
    """Proxies in front of the panel that nobody has named."""
    refused_now: RefusedNow = not_looked_up
    """For dry runs: why nothing could be sent to where a name leads now."""
    progress: ClickProgress = dataclasses.field(default_factory=ClickProgress)
    """The progress of settling clicks."""
    clock_guard: ClockGuard | None = None
    """The guard of the clock by which old records are deleted; None where nothing is deleted."""
    remembered: Remembered = dataclasses.field(default_factory=Remembered)
    """What was found out for pages that tell of much."""
    local_token: str = ""
    """A secret that works like a token for commands on this machine; empty: none."""
    core_health: Callable[[], CoreHealth] = lambda: NOT_RUNNING
    """How the process is that this is asked in, and its data folder."""
    count_alarms: Callable[[], int] = lambda: 0
    """How many alarms there are; costs nothing."""
    alarm_memory: Callable[[], AlarmMemory] = AlarmMemory
    """Returns what the supervisor remembers of alarms and their messages."""
    attempt_seconds: int = 10
    """The deadline of one attempt to send something."""
    on_postbacks_owed: Callable[[], None] = _nothing
    """Called after a transaction that may owe postbacks is committed, from a worker thread."""
    on_receivers_asked: Callable[[], None] = _nothing
    """Called after somebody wanted something of a receiver, from a worker thread."""
    on_hold_released: Callable[[], None] = _nothing
    """Called after the delivery hold was released, from a worker thread."""
    hold: DeliveryHold = dataclasses.field(default_factory=DeliveryHold)
    """What keeps all postbacks from leaving, if anything does."""
    journal_damages: JournalDamages = dataclasses.field(default_factory=JournalDamages)
    """What was found damaged in the journal."""
    on_damages_confirmed: Callable[[], None] = _nothing
    """Called after damages were confirmed, from a worker thread."""
    settling_pauses: SettlingPauses = dataclasses.field(default_factory=SettlingPauses)
    """The pauses of settling, for backups."""

    def current(self, record: VersionedRecord) -> VersionedRecord:
        """Return the record, as read in the write transaction of its change. Raise StaleRecordError if another version is expected."""
        self.expected.check(record.version)
        return record

    def asked_by(self, actor: Actor, saved: SavedSettings) -> "ApiContext":
        """The same for one request of somebody."""
        return dataclasses.replace(self, actor=actor, saved=saved)

    @cached_property
    def instance(self) -> InstanceSettings:
        """What the instance is set to."""
        return self.saved.over(self.started)

    @property
    def base_url(self) -> str:
        """Scheme and host of the public doors, without a slash at the end."""
        return self.instance.public_url

    @property
    def domain(self) -> str:
        """Return the host of the public endpoints."""
        return urlsplit(self.base_url).netloc

    @property
    def currency(self) -> str:
        """The currency of what names none."""
        return self.instance.currency

    @property
    def fallback_url(self) -> str:
        """Where visitors go whom a campaign has nowhere to send; empty: they get a plain 404 page."""
        return self.instance.fallback_url

    @property
    def shows_secrets(self) -> bool:
        """Whether who asks may see tokens of networks and the like."""
        return self.is_for_log or super().shows_secrets

    def desk(self) -> Desk:
        """What taking in notices needs."""
        desk = Desk(
            self.ledger,
            self.facts,
            self.click_ids,
            self.record_ids,
            self.currency,
            self.guard,
            self.refused_now,
            self.progress,
        )
        return (
            desk
            if self.clock_guard is None
            else msgspec.structs.replace(desk, is_clock_trusted=self.clock_guard.is_trusted)
        )


def app_context(connection: ASGIConnection[Any, Any, Any, Any]) -> ApiContext:
    """Return the context of the application that a request came to, as it was made: nobody asks yet."""
    context: ApiContext = connection.app.state.context
    return context


Context = NamedDependency[SkipValidation[ApiContext]]
"""The parameter ``context`` of every door."""
