"""Choices in forms: names of live records, tags, statuses, time zones; and parameters of pages that choose a record."""

from collections.abc import Collection, Mapping
from typing import Annotated

import msgspec
from litestar.params import QueryParameter

from clickloop.conversion.status import OTHER
from clickloop.log_filter import MAX_ID
from clickloop.setup.instance import time_zones
from clickloop.store.ledger.schema.tables import campaigns, flows, landings, offers
from clickloop.store.ledger.setup import names as ledger_names
from clickloop.store.ledger.setup.conditions import tags_in_use
from clickloop.store.ledger.setup.flow_references import live_flows_with
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.store.ledger.setup.statuses import status_rows
from clickloop.text import readable
from clickloop.web.api.context import ApiContext

OptionalId = Annotated[int | None, QueryParameter(ge=1, le=MAX_ID)]
IdFilter = Annotated[str, QueryParameter(max_length=10)]
"""A record's number as a filter form sends it; empty: all."""
PresetKey = Annotated[str, QueryParameter(name="preset", max_length=100)]

MAX_SHOWN_USES = 20
MAX_CHOICES = 500
"""Maximum number of records in a choice; beyond that, the campaign editor takes the number instead."""

_TAGGED = {
    RecordKind.OFFER: offers,
    RecordKind.CAMPAIGN: campaigns,
    RecordKind.LANDING: landings,
    RecordKind.FLOW: flows,
}

Choices = list[tuple[int, str]]
"""Number and name, sorted by name."""


def choices(context: ApiContext, kind: RecordKind, also: Collection[int | None] = ()) -> Choices:
    """Return live records to choose from. ``also``: numbers to include even if archived."""
    with context.ledger.read() as tx:
        found = ledger_names.live_names(tx, kind, MAX_CHOICES)
        missing = {number for number in also if number and number not in found}
        found |= ledger_names.names_of(tx, kind, missing)
    return sorted(_shown(found).items(), key=lambda item: item[1].casefold())


def only(pairs: Choices) -> int | None:
    """Return the number of the only choice; None if there are several or none."""
    return pairs[0][0] if len(pairs) == 1 else None


def names(context: ApiContext, kind: RecordKind, numbers: Collection[int | None]) -> dict[int, str]:
    with context.ledger.read() as tx:
        return _shown(ledger_names.names_of(tx, kind, {number for number in numbers if number}))


class FlowUses(msgspec.Struct, frozen=True):
    """The flows that name a record: link and name of each, the first few of many."""

    shown: tuple[tuple[str, str], ...]
    more: bool


def flow_uses(context: ApiContext, kind: str, number: int) -> FlowUses:
    """Return the live flows that name a landing or list."""
    with context.ledger.read() as tx:
        found = live_flows_with(tx, kind, number, MAX_SHOWN_USES + 1)
    shown = tuple(
        (
            f"/panel/campaigns/{use.campaign_id}/flow" if use.campaign_id else f"/panel/flows/{use.flow_id}",
            readable(use.name),
        )
        for use in found[:MAX_SHOWN_USES]
    )
    return FlowUses(shown, len(found) > MAX_SHOWN_USES)


def tags_to_choose(context: ApiContext, kind: RecordKind) -> list[str]:
    """Return every tag of live offers, landings or campaigns."""
    with context.ledger.read() as tx:
        return [readable(tag) for tag in tags_in_use(tx, _TAGGED[kind])]


def status_choices(context: ApiContext) -> list[tuple[str, str]]:
    """Return the keys and names of the statuses that a user can choose: all but the one for unknown words."""
    with context.ledger.read() as tx:
        rows = status_rows(tx)
    return [(row.status.key, readable(row.status.name)) for row in rows if row.status.key != OTHER.key]


def tags_of(line: object) -> list[str]:
    """Return the tags of a comma-separated line; a list stays one."""
    if isinstance(line, list):
        return [str(tag) for tag in line]
    return [tag.strip() for tag in str(line or "").split(",") if tag.strip()]


def number_of(text: object) -> int | None:
    """Return the number in a field, None if it holds none."""
    word = str(text or "").strip()
    return int(word) if word.isdecimal() and len(word) <= 9 else None


def zone_choices() -> list[tuple[str, str]]:
    """Return every time zone with its display name."""
    return [(zone, zone.replace("_", " ")) for zone in time_zones()]


def _shown(found: Mapping[int, str]) -> dict[int, str]:
    return {number: readable(name) for number, name in found.items()}
