"""The dependencies of the functions that read the logs."""

import dataclasses

from clickloop.click_id import ClickIds
from clickloop.store.facts.facts import FactsReader
from clickloop.store.ledger.logs.audit_entry import ActorContext


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogContext(ActorContext):
    """The stores that hold the logs, and on whose behalf they are read."""

    facts: FactsReader
    click_ids: ClickIds
    """Used to read ids only, never to make them."""
