"""The terms under which a notice is attributed: what the user set for the network, the offer and the instance."""

import enum
import hmac
import ipaddress
from functools import lru_cache

import msgspec

from clickloop.conversion.status import StatusTable

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class NetworkTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a network is held to. Without one, nothing is."""

    currency: str = ""
    token: str = ""
    """The secret that its notices carry; empty: none."""
    addresses: tuple[str, ...] = ()
    """Addresses or CIDR ranges that its notices may come from; empty: any."""
    refuse_duplicates: bool = False
    test_only: bool = False
    click_lifetime_days: int = 90
    status_words: dict[str, str] = {}
    """Its own words, in the form of ``word_key``, and the key of the status that each stands for."""

    def accepts_token(self, token: str) -> bool:
        """Whether a token is the network's, in a time that tells nothing about it; any, where none is set."""
        return not self.token or hmac.compare_digest(self.token.encode(), token.encode())

    def accepts_address(self, ip: str) -> bool:
        """Whether an address is on the network's list; any, where the list is empty."""
        return not self.addresses or _is_listed(ip, self.addresses)


class OfferTerms(msgspec.Struct, frozen=True):
    """What an offer pays where a notice does not say it."""

    payout_micros: int | None = None
    currency: str = ""


class CurrencyGiver(enum.StrEnum):
    """Who can say which currency an amount without one is in, in the order in which they are asked. A closed list."""

    OFFER = "offer"
    NETWORK = "network"
    INSTANCE = "instance"


class Terms(msgspec.Struct, frozen=True):
    """All that is set up and bears on one notice."""

    network: NetworkTerms
    offer: OfferTerms
    statuses: StatusTable
    currency: str
    """Of the instance."""

    @property
    def default_currency(self) -> str:
        """The currency of an amount that names none: the offer's, else the network's, else the instance's."""
        return self.offer.currency or self.network.currency or self.currency

    @property
    def currency_giver(self) -> CurrencyGiver:
        """Whose currency the default one is."""
        if self.offer.currency:
            return CurrencyGiver.OFFER
        return CurrencyGiver.NETWORK if self.network.currency else CurrencyGiver.INSTANCE


def _is_listed(ip: str, addresses: tuple[str, ...]) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in _networks(addresses))


@lru_cache(maxsize=256)
def _networks(addresses: tuple[str, ...]) -> tuple[IpNetwork, ...]:
    """The ranges of a list; a text that is none matches nobody."""
    found = []
    for text in addresses:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            continue
    return tuple(found)
