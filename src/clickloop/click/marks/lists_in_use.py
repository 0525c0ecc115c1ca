"""The entries of the lists that marks compare with, from the catalog."""

from collections.abc import Collection

from clickloop.click.marks.request_marks import NO_LISTS, MarkLists
from clickloop.setup.catalog import Catalog
from clickloop.setup.instance import InstanceSettings


def mark_lists(catalog: Catalog, instance: InstanceSettings) -> MarkLists:
    """Return the entries of the instance's lists of addresses and user agents. An archived list has none."""
    if not instance.ip_lists and not instance.useragent_lists:
        return NO_LISTS
    return MarkLists(_entries(catalog, instance.ip_lists), _entries(catalog, instance.useragent_lists))


def _entries(catalog: Catalog, list_ids: Collection[int]) -> tuple[str, ...]:
    return tuple(entry for named in catalog.lists if named.id in list_ids for entry in named.entries)
