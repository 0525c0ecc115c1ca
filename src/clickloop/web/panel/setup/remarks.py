"""Remarks on a template while it is typed, beside its macro findings: what saving would report."""

from collections.abc import Iterator, Mapping

import msgspec

from clickloop.diagnosis.check.finding import CheckPlace, CheckPlaceKind
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
    """A sentence and its remedy. ``tone``: ``fault`` (saving refuses it), ``warning``, or ``dim`` (for information)."""

    tone: str
    sentence: str
    remedy: str = ""


def source_remarks(text: str) -> tuple[Remark, ...]:
    """Return a note for a template used with any source that has macros of source rows."""
    used = [f"{{{name}}}" for name in parse(text).names if name in V_MACROS]
    if not used:
        return ()
    sentence = f"{' and '.join(used)}: the value depends on each click’s traffic source, and is empty if it has no such parameter."
    return (Remark("dim", sentence),)


def external_id_remarks(url: str, rows: Mapping[str, str]) -> tuple[Remark, ...]:
    """Return warnings if the source cannot match its postback to a click. ``rows``: macros of its rows, by parameter."""
    found = (
        external_id_findings(parse(url, rows).names, CheckPlace(kind=CheckPlaceKind.TRAFFIC_SOURCE))
        if url.strip()
        else ()
    )
    return tuple(Remark("warning", finding.sentence, finding.remedy) for finding in found)


def offer_remarks(
    url: str, network: Network | None, rows: Mapping[str, str], own_hosts: frozenset[str]
) -> tuple[Remark, ...]:
    """Return what saving would refuse in an offer URL, and warnings: no click ID, or a link back to this tracker."""
    return tuple(_of_offer(Offer(name="", url=url.strip()), network, rows, OwnLinks(own_hosts)))


def _of_offer(offer: Offer, network: Network | None, rows: Mapping[str, str], own_links: OwnLinks) -> Iterator[Remark]:
    url = offer.url
    for fault in address_faults("url", url, required=False):
        is_invisible = fault.code == FaultCode.CHARACTER and INVISIBLE.search(url) is not None
        if fault.code != FaultCode.MACRO_IN_HOST and not is_invisible:  # the macro findings explain both better
            yield Remark("fault", fault.message)
    for finding in address_findings(offer, network, rows, own_links) if url else ():
        yield Remark("warning", finding.sentence, finding.remedy)


def postback_remarks(url: str, guard: AddressGuard) -> tuple[Remark, ...]:
    """Return what saving would refuse in a postback URL, without DNS lookups; a masked secret is replaced by a harmless value."""
    url = url.strip().replace(MASK, "0")
    if not url:
        return ()
    return tuple(
        Remark("fault", found.sentence)
        for found in check_request(RequestTemplate(url=url), guard)
        if found.fault is not RuleFault.URL_MACRO_IN_AUTHORITY  # the macro findings explain it better
    )
