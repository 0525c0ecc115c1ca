"""Records of the setup by a part of their name, or a campaign by the key of its link, for the search in the top bar."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.names import Named, names_like, names_of
from clickloop.text import readable, text_of
from clickloop.web.api.context import ApiContext

MAX_FOUND = 20
"""Records of each kind."""
MIN_CHARACTERS = 2  # one letter finds nearly everything
_KINDS = (
    (Named.CAMPAIGN, "Campaign", "/panel/campaigns"),
    (Named.OFFER, "Offer", "/panel/offers"),
    (Named.SOURCE, "Traffic source", "/panel/traffic-sources"),
    (Named.NETWORK, "Network", "/panel/networks"),
    (Named.RULE, "Postback rule", "/panel/postback-rules"),
)


class FoundRecord(msgspec.Struct, frozen=True):
    """A record whose name matches, and its page."""

    kind: str
    name: str
    address: str


def find_records(context: ApiContext, words: str) -> Sequence[FoundRecord]:
    """Return the records whose names hold this text in any case, and the campaign whose link it is; none for a single character."""
    if len(words) < MIN_CHARACTERS:
        return ()
    text = text_of(words.encode("utf-8", "surrogateescape"))
    with context.ledger.read() as tx:
        found = [
            FoundRecord(kind, readable(name), f"{address}/{number}")
            for named, kind, address in _KINDS
            for number, name in names_like(tx, named, text, MAX_FOUND).items()
        ]
        of_key = _of_key(tx, text)
    return [*of_key, *(one for one in found if one not in of_key)]


def _of_key(tx: Connection, key: str) -> list[FoundRecord]:
    number = CAMPAIGNS.find_by(tx, "key", key)
    if number is None:
        return []
    return [
        FoundRecord("Campaign", readable(names_of(tx, Named.CAMPAIGN, [number])[number]), f"/panel/campaigns/{number}")
    ]
