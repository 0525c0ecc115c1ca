"""What the editors of the set-up offer to choose from: names of live records by number, and tags in one line."""

from collections.abc import Collection, Mapping

from clickloop.conversion.status import OTHER
from clickloop.store.ledger.schema.tables import campaigns, offers
from clickloop.store.ledger.setup import names as ledger_names
from clickloop.store.ledger.setup.conditions import tags_in_use
from clickloop.store.ledger.setup.names import Named
from clickloop.store.ledger.setup.statuses import status_rows
from clickloop.text import readable
from clickloop.web.api.context import ApiContext

MAX_CHOICES = 500
"""Maximum number of records in a choice; beyond it a field takes the number."""

_TAGGED = {Named.OFFER: offers, Named.CAMPAIGN: campaigns}

Choices = list[tuple[int, str]]
"""Number and name, by name."""


def choices(context: ApiContext, kind: Named, also: Collection[int | None] = ()) -> Choices:
    """Live records to choose from, and those that are chosen ``also``, live or not."""
    with context.ledger.read() as tx:
        found = ledger_names.live_names(tx, kind, MAX_CHOICES)
        missing = {number for number in also if number and number not in found}
        found |= ledger_names.names_of(tx, kind, missing)
    return sorted(_shown(found).items(), key=lambda item: item[1].casefold())


def only(found: Choices) -> int | None:
    """The number of the only one that there is; None where there are several or none."""
    return found[0][0] if len(found) == 1 else None


def names(context: ApiContext, kind: Named, numbers: Collection[int | None]) -> dict[int, str]:
    """The names of records by number."""
    with context.ledger.read() as tx:
        return _shown(ledger_names.names_of(tx, kind, {number for number in numbers if number}))


def tags_to_choose(context: ApiContext, kind: Named) -> list[str]:
    """Every tag of live offers or campaigns."""
    with context.ledger.read() as tx:
        return [readable(tag) for tag in tags_in_use(tx, _TAGGED[kind])]


def status_choices(context: ApiContext) -> list[tuple[str, str]]:
    """Keys and names of the statuses that a conversion can be given: all but the one for unknown words."""
    with context.ledger.read() as tx:
        rows = status_rows(tx)
    return [(row.status.key, readable(row.status.name)) for row in rows if row.status.key != OTHER.key]


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
