"""Saving landings."""

from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.pasting import trimmed
from clickloop.saving.faults import raise_faults
from clickloop.saving.record import Noun, SavingContext
from clickloop.setup.landing import Landing, landing_faults
from clickloop.store.ledger.setup.flow_references import live_flow_with
from clickloop.store.ledger.setup.landings import LANDINGS


def _checked(_context: SavingContext, _tx: Connection, landing: Landing) -> Landing:
    landing = replace(landing, url=trimmed(landing.url))
    raise_faults(landing_faults(landing))
    return landing


def _in_use(tx: Connection, landing_id: int) -> str | None:
    return live_flow_with(tx, "landing", landing_id)


NOUN = Noun(name="landings", one="landing", find=LANDINGS.find, checked=_checked, write=LANDINGS.write, in_use=_in_use)
