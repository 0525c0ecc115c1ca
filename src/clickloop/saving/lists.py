"""Saving named lists."""

import msgspec
from sqlalchemy import Connection

from clickloop.report.filter_input import grouping_of
from clickloop.report.query import Dimension, Parameter
from clickloop.saving.faults import name_faults, raise_faults
from clickloop.saving.record import Noun, SavingContext
from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.setup.named_list import NamedList, list_faults
from clickloop.store.ledger.setup.flow_references import live_flow_with
from clickloop.store.ledger.setup.lists import LISTS
from clickloop.store.ledger.setup.report_names import LedgerNames
from clickloop.store.ledger.setup.settings import read_instance
from clickloop.store.ledger.setup.traffic_sources import SOURCES

_UNSUITABLE = frozenset({Dimension.SOURCE, Dimension.MARK, Dimension.SCREENING})
"""Not chosen by a traffic source."""


def _checked(_context: SavingContext, tx: Connection, named: NamedList) -> NamedList:
    faults = list_faults(named) + name_faults("list", named.id, LISTS.find_by(tx, "name", named.name))
    if named.id or faults or named.source_id is None:
        raise_faults(faults)
        return named
    raise_faults(_owner_faults(tx, named, named.source_id))
    grouping = grouping_of(named.dimension, LedgerNames(tx))
    # By the name that reports give it, however it was typed, so that both can be matched.
    return named if grouping is None else msgspec.structs.replace(named, dimension=grouping.key)


def _owner_faults(tx: Connection, named: NamedList, source_id: int) -> list[FieldFault]:
    """Return what is wrong with the traffic source and dimension of a new list."""
    source = SOURCES.find(tx, source_id)
    if source is None or source.is_archived:
        sentence = f"There is no traffic source {source_id}, or it is archived."
        return [FieldFault("source_id", FaultCode.NOT_FOUND, sentence)]
    grouping = grouping_of(named.dimension, LedgerNames(tx))
    if grouping is None:
        sentence = f"There is no dimension or parameter “{named.dimension[:60]}”."
        return [FieldFault("dimension", FaultCode.NOT_FOUND, sentence)]
    if isinstance(grouping, Parameter) and source_id not in dict(grouping.rows):
        sentence = f"{source.name} has no parameter “{grouping.name}”."
        return [FieldFault("dimension", FaultCode.NOT_FOUND, sentence)]
    if grouping.is_time or grouping.is_of_conversions or grouping in _UNSUITABLE:
        sentence = f"A list cannot be of {grouping.key}. Choose a dimension of clicks, such as Zone or country."
        return [FieldFault("dimension", FaultCode.NOT_ALLOWED, sentence)]
    return []


def _in_use(tx: Connection, list_id: int) -> str | None:
    saved = read_instance(tx)
    if list_id in (*(saved.ip_lists or ()), *(saved.useragent_lists or ())):
        return "settings of marks"
    return live_flow_with(tx, "list", list_id)


NOUN = Noun(name="lists", one="list", find=LISTS.find, checked=_checked, write=LISTS.write, in_use=_in_use)
