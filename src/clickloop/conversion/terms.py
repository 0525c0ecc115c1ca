"""The terms under which a notice is attributed: what the user set for the network, the offer and the instance."""

import enum
import hmac
import ipaddress
from functools import lru_cache

import msgspec

from clickloop.conversion.status import StatusTable
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


NO_NETWORK = Network(name="")
"""The terms for a click without a network: no restrictions."""
NO_OFFER = Offer(name="", url="")


class CurrencySource(enum.StrEnum):
    """Where the currency of an amount without one comes from, in order of precedence. A closed list."""

    OFFER = "offer"
    NETWORK = "network"
    INSTANCE = "instance"


class NoticeTerms(msgspec.Struct, frozen=True):
    """The set-up that applies to one notice."""

    network: Network
    offer: Offer
    statuses: StatusTable
    currency: str
    """The instance's currency."""

    @property
    def default_currency(self) -> str:
        """The currency of an amount that names none: the offer's, else the network's, else the instance's."""
        return self.offer.currency or self.network.currency or self.currency

    @property
    def currency_giver(self) -> CurrencySource:
        """Where the default currency comes from."""
        if self.offer.currency:
            return CurrencySource.OFFER
        return CurrencySource.NETWORK if self.network.currency else CurrencySource.INSTANCE


def accepts_token(network: Network, token: str) -> bool:
    """Return whether a token is the network's, in constant time; True if the network has none."""
    return not network.token or hmac.compare_digest(network.token.encode(), token.encode())


def accepts_address(network: Network, ip: str) -> bool:
    """Return whether an address is on the network's list; True if the list is empty."""
    return not network.addresses or _is_listed(ip, network.addresses)


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
    """Parse a list of ranges; invalid ones are skipped and match nothing."""
    found = []
    for text in addresses:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            continue
    return tuple(found)
