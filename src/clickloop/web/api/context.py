"""What the API is handed when it is made: the stores, the clock and what to do after a change."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from clickloop.click.click import Click
from clickloop.click_id import ClickIds
from clickloop.clock import Clock, wall_clock
from clickloop.postback.address_guard import STRICT, AddressGuard
from clickloop.record_id import RecordIds
from clickloop.report.check.evidence import Clicks
from clickloop.store.facts.facts import ClicksQuery
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.upload_files import UploadFiles
from clickloop.tracking.notices import Desk


class Facts(Protocol):
    """What the API asks of the facts."""

    def find_clicks(self, click_ids: Collection[str]) -> dict[str, Click]:
        """The clicks with these ids; those that are not there are absent."""
        ...

    def clicks_page(self, query: ClicksQuery, limit: int) -> list[Click]:
        """Clicks, newest first."""
        ...

    def recent_clicks(self, most: int, campaign_id: int | None = None) -> Mapping[int, Clicks]:
        """By campaign, its last clicks that count."""
        ...


def _nothing() -> None:
    """Nobody needs to be told."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ApiContext:
    """Everything the API works with. ``click_ids`` is used for reading only, never for making ids."""

    ledger: Ledger
    facts: Facts
    click_ids: ClickIds
    base_url: str
    """Scheme and host of the public doors, without a slash at the end."""
    clock: Clock = wall_clock
    record_ids: RecordIds = dataclasses.field(default_factory=RecordIds)
    currency: str = "USD"
    """The currency of what names none."""
    fallback_url: str = ""
    """Where visitors go whom a campaign has nowhere to send; empty: nowhere."""
    guard: AddressGuard = STRICT
    """Where postbacks may be sent to."""
    uploads: UploadFiles
    """Where uploaded files stand."""
    upload_keep_hours: int = 72
    """How long after its end the file and the result of an upload are kept."""
    local_token: str = ""
    """A secret that works like a token for commands on this machine; empty: none."""
    on_setup_changed: Callable[[], None] = _nothing
    """Called after a change of the set-up is committed, from a worker thread."""
    on_postbacks_owed: Callable[[], None] = _nothing
    """Called after a transaction that may owe postbacks is committed, from a worker thread."""

    def desk(self) -> Desk:
        """What taking in notices needs."""
        return Desk(self.ledger, self.facts, self.click_ids, self.record_ids, self.currency, self.guard)


Context = NamedDependency[SkipValidation[ApiContext]]
"""The parameter ``context`` of every door."""
