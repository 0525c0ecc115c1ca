"""Setup records by part of their name, or a campaign by its link's key, for the search bar."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.names import RecordKind, names_like, names_of
from clickloop.text import escape_bytes, readable
from clickloop.web.api.context import ApiContext

MAX_MATCHES = 20
"""Maximum number of records of each kind."""
MIN_CHARACTERS = 2  # a single letter matches nearly everything
_KINDS = (
    (RecordKind.CAMPAIGN, "Campaign", "/panel/campaigns"),
    (RecordKind.OFFER, "Offer", "/panel/offers"),
    (RecordKind.LANDING, "Landing", "/panel/landings"),
    (RecordKind.FLOW, "Flow", "/panel/flows"),
    (RecordKind.LIST, "List", "/panel/lists"),
    (RecordKind.SOURCE, "Traffic source", "/panel/traffic-sources"),
    (RecordKind.NETWORK, "Network", "/panel/networks"),
    (RecordKind.RULE, "Postback rule", "/panel/postback-rules"),
)


class RecordMatch(msgspec.Struct, frozen=True):
    """A matching record and its page."""

    kind: str
    name: str
    address: str


def find_records(context: ApiContext, words: str) -> Sequence[RecordMatch]:
    """Return the campaign with this link key, and records whose name contains the text; none for a single character."""
    if len(words) < MIN_CHARACTERS:
        return ()
    text = escape_bytes(words.encode("utf-8", "surrogateescape"))
    with context.ledger.read() as tx:
        found = [
            RecordMatch(kind, readable(name), f"{address}/{number}")
            for named, kind, address in _KINDS
            for number, name in names_like(tx, named, text, MAX_MATCHES).items()
        ]
        by_key = _campaign_by_key(tx, text)
    return [*by_key, *(one for one in found if one not in by_key)]


def _campaign_by_key(tx: Connection, key: str) -> list[RecordMatch]:
    number = CAMPAIGNS.find_by(tx, "key", key)
    if number is None:
        return []
    return [
        RecordMatch(
            "Campaign", readable(names_of(tx, RecordKind.CAMPAIGN, [number])[number]), f"/panel/campaigns/{number}"
        )
    ]
