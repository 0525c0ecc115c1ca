"""The entries of the lists that marks compare with, from the catalog."""

from collections.abc import Iterable, Mapping

from clickloop.click.marks.request_marks import NO_LISTS, MarkLists
from clickloop.setup.catalog import CatalogList
from clickloop.setup.instance import InstanceSettings


def mark_lists(instance: InstanceSettings, lists: Iterable[CatalogList]) -> MarkLists:
    """Return the entries of the instance's lists of addresses and user agents. An archived list, which is not in ``lists``, has none."""
    if not instance.ip_lists and not instance.useragent_lists:
        return NO_LISTS
    entries = {named.id: named.entries for named in lists}
    return MarkLists(_joined(entries, instance.ip_lists), _joined(entries, instance.useragent_lists))


def _joined(entries: Mapping[int, tuple[str, ...]], list_ids: Iterable[int]) -> tuple[str, ...]:
    return tuple(entry for list_id in list_ids for entry in entries.get(list_id, ()))
