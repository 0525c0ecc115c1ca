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
"""What a notice is held to whose click is of no network: nothing."""
NO_OFFER = Offer(name="", url="")


class CurrencyGiver(enum.StrEnum):
    """Who can say which currency an amount without one is in, in the order in which they are asked. A closed list."""

    OFFER = "offer"
    NETWORK = "network"
    INSTANCE = "instance"


class Terms(msgspec.Struct, frozen=True):
    """All that is set up and bears on one notice."""

    network: Network
    offer: Offer
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


def accepts_token(network: Network, token: str) -> bool:
    """Return whether a token is the network's, in a time that tells nothing about it; any, where none is set."""
    return not network.token or hmac.compare_digest(network.token.encode(), token.encode())


def accepts_address(network: Network, ip: str) -> bool:
    """Return whether an address is on the network's list; any, where the list is empty."""
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
    """The ranges of a list; a text that is none matches nobody."""
    found = []
    for text in addresses:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            continue
    return tuple(found)
