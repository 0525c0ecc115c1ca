"""Saving named lists."""

from sqlalchemy import Connection

from clickloop.saving.faults import name_faults, raise_faults
from clickloop.saving.record import Noun, SavingContext
from clickloop.setup.named_list import NamedList, list_faults
from clickloop.store.ledger.setup.flow_references import live_flow_with
from clickloop.store.ledger.setup.lists import LISTS
from clickloop.store.ledger.setup.settings import read_instance


def _checked(_context: SavingContext, tx: Connection, named: NamedList) -> NamedList:
    raise_faults(list_faults(named) + name_faults("list", named.id, LISTS.find_by(tx, "name", named.name)))
    return named


def _in_use(tx: Connection, list_id: int) -> str | None:
    saved = read_instance(tx)
    if list_id in (*(saved.ip_lists or ()), *(saved.useragent_lists or ())):
        return "settings of marks"
    return live_flow_with(tx, "list", list_id)


NOUN = Noun(name="lists", one="list", find=LISTS.find, checked=_checked, write=LISTS.write, in_use=_in_use)
