"""Pass parameters of the campaign link on to landings and offers, where ad platforms' tags need their click ids."""

from collections.abc import Collection
from urllib.parse import quote, unquote_plus

from clickloop.click.query import MAX_PAIRS
from clickloop.setup.redirect import PassQuery

MAX_PASSED_BYTES = 4_000  # added to a URL

PLATFORM_CLICK_IDS = frozenset(
    {
        "dclid",  # Google Campaign Manager
        "epik",  # Pinterest
        "fbclid",  # Meta
        "gbraid",  # Google Ads, app to web on iOS
        "gclid",  # Google Ads
        "gclsrc",  # Google Ads, where the click comes from
        "li_fat_id",  # LinkedIn
        "msclkid",  # Microsoft Advertising
        "rdt_cid",  # Reddit
        "sccid",  # Snap, which writes ScCid
        "tblci",  # Taboola
        "ttclid",  # TikTok
        "twclid",  # X
        "wbraid",  # Google Ads, web to app on iOS
        "yclid",  # Yandex
    }
)
"""Parameters in which ad platforms carry their click ids, in lower case."""


def click_id_names(further: Collection[str]) -> frozenset[str]:
    """Return the parameters that carry click ids: the common ones, and the user's."""
    return PLATFORM_CLICK_IDS | frozenset(further)


def with_passed_query(
    location: str, query: bytes, passing: PassQuery, names: Collection[str] = PLATFORM_CLICK_IDS
) -> str:
    """Return a URL with the parameters of a campaign link's query added unchanged, before the fragment.

    A parameter that is already in the URL keeps the value that the user gave it there. Parameters that would add more than
    ``MAX_PASSED_BYTES`` are left out.
    """
    if passing is PassQuery.NONE or not query:
        return location
    before, hash_sign, fragment = location.partition("#")
    present = {_name(pair) for pair in before.partition("?")[2].encode().split(b"&")}
    added: list[str] = []
    room = MAX_PASSED_BYTES
    for pair in first_pairs(query):
        name = _name(pair)
        if not name or name in present or (passing is PassQuery.CLICK_IDS and name not in names) or len(pair) >= room:
            continue
        # Encodes raw bytes; existing escapes stay.
        text = quote(pair, safe="!$'()*+,/:;=?@[]~%&-._")
        if len(text) >= room:
            continue
        room -= len(text) + 1
        present.add(name)
        added.append(text)
    if not added:
        return location
    joint = "" if before.endswith(("?", "&")) else "&" if "?" in before else "?"
    return f"{before}{joint}{'&'.join(added)}{hash_sign}{fragment}"


def first_pairs(query: bytes) -> list[bytes]:
    """Return the parameters of a query, as many as are read of any link: each costs time."""
    return query.split(b"&", MAX_PAIRS)[:MAX_PAIRS]


def _name(pair: bytes) -> str:
    """Return a parameter's name in lower case; empty if it has none."""
    return unquote_plus(pair.partition(b"=")[0][:200].decode("utf-8", "replace")).lower()
