"""What is to be said of a template beside what its macros are, while it is typed: the same as saving says of it."""

from collections.abc import Iterator, Mapping

import msgspec

from clickloop.diagnosis.check.finding import Kind, Place
from clickloop.diagnosis.check.records import address_findings, external_id_findings
from clickloop.macro import parse
from clickloop.pasting import INVISIBLE
from clickloop.postback.checking import RuleFault, check_request
from clickloop.postback.masking import MASK
from clickloop.postback.rule import RequestTemplate
from clickloop.postback.sending.address_guard import AddressGuard
from clickloop.setup.fault import FaultCode
from clickloop.setup.network import Network
from clickloop.setup.offer import Offer
from clickloop.setup.own_link import OwnLinks
from clickloop.setup.source_rows import V_MACROS
from clickloop.setup.web_address import address_faults


class Remark(msgspec.Struct, frozen=True):
    """One sentence and what to do. ``tone``: ``fault`` (saving refuses it), ``warning``, or ``dim`` (worth knowing)."""

    tone: str
    sentence: str
    remedy: str = ""


def source_remarks(text: str) -> tuple[Remark, ...]:
    """What to know of a template that is filled for clicks of any source, by the rows that it uses."""
    used = [f"{{{name}}}" for name in parse(text).names if name in V_MACROS]
    if not used:
        return ()
    sentence = f"What {' and '.join(used)} brings depends on the traffic source of each click: it is empty where that has no such row."
    return (Remark("dim", sentence),)


def external_id_remarks(url: str, rows: Mapping[str, str]) -> tuple[Remark, ...]:
    """Return what keeps the source from knowing the click of its postback. ``rows``: the macros of its rows, by parameter."""
    found = external_id_findings(parse(url, rows).names, Place(kind=Kind.TRAFFIC_SOURCE)) if url.strip() else ()
    return tuple(Remark("warning", finding.sentence, finding.remedy) for finding in found)


def offer_remarks(
    url: str, network: Network | None, rows: Mapping[str, str], own_hosts: frozenset[str]
) -> tuple[Remark, ...]:
    """Return what saving would refuse of an offer's address, whether our click id is in it, and whether it leads back to us."""
    return tuple(_of_offer(Offer(name="", url=url.strip()), network, rows, OwnLinks(own_hosts)))


def _of_offer(offer: Offer, network: Network | None, rows: Mapping[str, str], own_links: OwnLinks) -> Iterator[Remark]:
    url = offer.url
    for fault in address_faults("url", url, required=False):
        is_invisible = fault.code == FaultCode.CHARACTER and INVISIBLE.search(url) is not None
        if fault.code != FaultCode.MACRO_IN_HOST and not is_invisible:  # the check of its macros says both better
            yield Remark("fault", fault.message)
    for finding in address_findings(offer, network, rows, own_links) if url else ():
        yield Remark("warning", finding.sentence, finding.remedy)


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
