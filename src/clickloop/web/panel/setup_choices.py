"""What the editors of the set-up offer to choose from: names of live records by number, and tags in one line."""

from collections.abc import Collection, Mapping

from sqlalchemy import Table

from clickloop.octets import readable
from clickloop.store.ledger import finding
from clickloop.store.ledger.tables import campaigns, networks, offers, traffic_sources
from clickloop.web.api.context import ApiContext

MOST_CHOICES = 500
"""Beyond so many records a field takes the number instead of a choice."""

SOURCES, NETWORKS, OFFERS, CAMPAIGNS = traffic_sources, networks, offers, campaigns

Choices = list[tuple[int, str]]
"""Number and name, by name."""


def choices(context: ApiContext, table: Table, also: Collection[int | None] = ()) -> Choices:
    """Live records to choose from, and those that are chosen ``also``, live or not."""
    with context.ledger.read() as tx:
        found = finding.live_names(tx, table, MOST_CHOICES)
        found |= finding.names_of(tx, table, {number for number in also if number and number not in found})
    return sorted(_shown(found).items(), key=lambda item: item[1].casefold())


def names(context: ApiContext, table: Table, numbers: Collection[int | None]) -> dict[int, str]:
    """The names of records by number."""
    with context.ledger.read() as tx:
        return _shown(finding.names_of(tx, table, {number for number in numbers if number}))


def tags_in_use(context: ApiContext, table: Table) -> list[str]:
    """Every tag of live records."""
    with context.ledger.read() as tx:
        return [readable(tag) for tag in finding.tags_in_use(tx, table)]


def tags_of(line: object) -> list[str]:
    """The tags that somebody wrote in one line, between commas; a list stays one."""
    if isinstance(line, list):
        return [str(tag) for tag in line]
    return [tag.strip() for tag in str(line or "").split(",") if tag.strip()]


def number_of(text: object) -> int | None:
    """The number that a field holds, if it is one."""
    word = str(text or "").strip()
    return int(word) if word.isdecimal() and len(word) <= 9 else None


def _shown(found: Mapping[int, str]) -> dict[int, str]:
    return {number: readable(name) for number, name in found.items()}
