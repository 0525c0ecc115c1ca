"""The marks that a request gets before the redirect: found once per user agent and address, combined per click. Pure.

Marks are the bits of a number here: a click costs an AND with those that its campaign has on, and nearly always no more.
"""

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from clickloop.click.marks.bot_useragent import bot_useragents
from clickloop.click.marks.datacenters import is_datacenter
from clickloop.click.marks.spoken_languages import is_unusual
from clickloop.click.routing.conditions import ready_condition
from clickloop.click.useragent import Device
from clickloop.setup.condition import Condition, Operator
from clickloop.setup.mark import Mark, MarkMoment, MarkSetting

REQUEST_MARKS = tuple(mark for mark in Mark if mark.moment is MarkMoment.REQUEST)
"""The marks that rules can use, in the order of their bits."""
_BITS = {mark: 1 << place for place, mark in enumerate(REQUEST_MARKS)}
_BOT, _LISTED_USERAGENT = _BITS[Mark.BOT_USERAGENT], _BITS[Mark.LISTED_USERAGENT]
_DATACENTER, _LISTED_IP = _BITS[Mark.DATACENTER], _BITS[Mark.LISTED_IP]
_UNKNOWN_DEVICE = _BITS[Mark.UNKNOWN_DEVICE]
NO_REFERRER = _BITS[Mark.NO_REFERRER]
LANGUAGE_COUNTRY = _BITS[Mark.LANGUAGE_COUNTRY]


class MarkLists(msgspec.Struct, frozen=True):
    """The entries of the user's lists: addresses with CIDR ranges, and parts of user agents."""

    ips: tuple[str, ...] = ()
    useragents: tuple[str, ...] = ()


NO_LISTS = MarkLists()


class MarkFinder:
    """Finds the marks of user agents and addresses, for all campaigns. Entries that cannot be compared are left out."""

    def __init__(self, lists: MarkLists = NO_LISTS) -> None:
        self.lists = lists
        self._bots = bot_useragents()
        self._is_listed_ip = (
            ready_condition(Condition(field="ip", op=Operator.IN), lists.ips).holds if lists.ips else None
        )
        self._is_listed_useragent = (
            ready_condition(Condition(field="useragent", op=Operator.CONTAINS), lists.useragents).holds
            if lists.useragents
            else None
        )

    def of_useragent(self, useragent: str, device: Device) -> int:
        """Return the marks of a user agent with its parsed device. Takes some 50 µs."""
        marks = _BOT if device.screening is not None or useragent in self._bots else 0
        if not device.kind and not device.browser:
            marks |= _UNKNOWN_DEVICE
        if self._is_listed_useragent is not None and self._is_listed_useragent(useragent):
            marks |= _LISTED_USERAGENT
        return marks

    def of_address(self, ip: str, asn: str) -> int:
        """Return the marks of a whole address and the number of its network, which is empty if unknown."""
        marks = _DATACENTER if is_datacenter(asn) else 0
        if self._is_listed_ip is not None and self._is_listed_ip(ip):
            marks |= _LISTED_IP
        return marks


def bits_of(settings: Iterable[MarkSetting]) -> int:
    """Return the request marks that are on."""
    return sum(_BITS[setting.mark] for setting in settings if setting.on and setting.mark in _BITS)


def marks_of_request(on: int, useragent: int, address: int, has_referrer: bool, language: str, country: str) -> int:
    """Return the marks of a request. ``on``: those of the campaign. ``useragent``, ``address``: of ``MarkFinder``."""
    found = useragent | address
    if not has_referrer:
        found |= NO_REFERRER
    if on & LANGUAGE_COUNTRY and is_unusual(language, country):
        found |= LANGUAGE_COUNTRY
    return on & found


@lru_cache(maxsize=1 << len(REQUEST_MARKS))
def bits_text(bits: int) -> str:
    """Return marks in the form of ``Click.marks``, in the order of the closed list."""
    return ",".join(mark.value for mark, bit in _BITS.items() if bits & bit)
