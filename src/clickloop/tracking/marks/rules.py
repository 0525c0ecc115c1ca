"""The rules that marks are judged by now: the settings of the instance and of each campaign, and the lists in use."""

import hashlib
from collections.abc import Callable, Mapping

import msgspec
from sqlalchemy import Connection

from clickloop.setup.catalog import CatalogList
from clickloop.setup.flow import FlowReferences
from clickloop.setup.instance import InstanceSettings
from clickloop.setup.mark import MarkSetting, marks_in_force
from clickloop.store.ledger.ledger import Ledger
from clickloop.store.ledger.setup.campaigns import marks_of_campaigns
from clickloop.store.ledger.setup.catalog import read_catalog_of
from clickloop.store.ledger.setup.settings import read_instance


class MarkRules(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of marks, and the entries of the lists that they name."""

    instance: InstanceSettings
    campaigns: Mapping[int, tuple[MarkSetting, ...]]
    """Those of campaigns that differ from the instance's, of archived ones, too."""
    lists: tuple[CatalogList, ...] = ()

    def in_force(self, campaign_id: int) -> tuple[MarkSetting, ...]:
        """Return the settings of every mark in a campaign."""
        return marks_in_force(self.instance.marks, self.campaigns.get(campaign_id, ()))

    def digest(self) -> str:
        """Return a digest that differs if clicks may be judged differently."""
        judged_by = (
            self.instance.marks,
            self.instance.ip_lists,
            self.instance.useragent_lists,
            {str(id_): marks for id_, marks in sorted(self.campaigns.items())},
            self.lists,
        )
        return hashlib.sha256(msgspec.json.encode(judged_by, order="deterministic")).hexdigest()[:32]


def rules_reader(ledger: Ledger, started: InstanceSettings) -> Callable[[], MarkRules]:
    """Return a function that reads the rules. ``started``: the settings that the tracker was started with."""

    def read() -> MarkRules:
        with ledger.read() as tx:
            return read_rules(tx, started)

    return read


def read_rules(tx: Connection, started: InstanceSettings) -> MarkRules:
    """Return the rules that are in force."""
    instance = read_instance(tx).over(started)
    named = FlowReferences(lists=frozenset({*instance.ip_lists, *instance.useragent_lists}))
    lists = read_catalog_of(tx, (), (), named).lists if named.lists else ()
    return MarkRules(
        instance=instance,
        campaigns=marks_of_campaigns(tx),
        lists=tuple(sorted(lists, key=lambda one: one.id)),
    )
