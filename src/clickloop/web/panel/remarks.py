"""What is to be said of a template beside what its macros are, while it is typed: the same as saving says of it."""

from collections.abc import Iterator

import msgspec

from clickloop.campaign.fault import FaultCode
from clickloop.campaign.web_address import address_faults
from clickloop.macro import parse
from clickloop.macro.known import TOKENS
from clickloop.pasting import INVISIBLE
from clickloop.postback.address_guard import AddressGuard
from clickloop.postback.checking import RuleFault, check_request
from clickloop.postback.rule import RequestTemplate
from clickloop.report.masking import MASK
from clickloop.web.api.offers import click_id_missing, leads_back

ROW_MACROS = frozenset(f"token{number}" for number in range(1, TOKENS + 1))
"""The macros of V1 … V30."""


class Remark(msgspec.Struct, frozen=True):
    """One sentence and what to do. ``tone``: ``fault`` (saving refuses it), ``warning``, or ``dim`` (worth knowing)."""

    tone: str
    sentence: str
    remedy: str = ""


def source_remarks(text: str) -> tuple[Remark, ...]:
    """What to know of a template that is filled for clicks of any source, by the rows that it uses."""
    used = [f"{{{name}}}" for name in parse(text).names if name in ROW_MACROS]
    if not used:
        return ()
    sentence = f"What {' and '.join(used)} brings depends on the traffic source of each click: it is empty where that has no such row."
    return (Remark("dim", sentence),)


def offer_remarks(url: str, parameter: str, own_hosts: frozenset[str]) -> tuple[Remark, ...]:
    """Return what saving would refuse of an offer's address, whether our click id is in it, and whether it leads back to us.

    ``parameter``: its network's for the click id.
    """
    return tuple(_of_offer(url.strip(), parameter, own_hosts))


def _of_offer(url: str, parameter: str, own_hosts: frozenset[str]) -> Iterator[Remark]:
    for fault in address_faults("url", url, required=False):
        is_invisible = fault.code == FaultCode.CHARACTER and INVISIBLE.search(url) is not None
        if fault.code != FaultCode.MACRO_IN_HOST and not is_invisible:  # the check of its macros says both better
            yield Remark("fault", fault.message)
    for advice in (click_id_missing(url, parameter), leads_back(url, own_hosts)) if url else ():
        if advice is not None:
            yield Remark("warning", advice.message, advice.remedy)


def postback_remarks(url: str, guard: AddressGuard) -> tuple[Remark, ...]:
    """What saving would refuse of a postback's URL. No name is looked up; what is masked stands for something harmless."""
    url = url.strip().replace(MASK, "0")
    if not url:
        return ()
    return tuple(
        Remark("fault", found.sentence)
        for found in check_request(RequestTemplate(url=url), guard)
        if found.fault is not RuleFault.URL_MACRO_IN_AUTHORITY  # which the check of its macros says better
    )
