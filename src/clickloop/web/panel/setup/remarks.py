"""Live validation of a template: the problems that saving would report, shown next to the macro findings while typing."""

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
    """A sentence and its remedy. ``tone``: ``fault`` (saving fails), ``warning``, or ``dim`` (information)."""

    tone: str
    sentence: str
    remedy: str = ""


def source_remarks(text: str) -> tuple[Remark, ...]:
    """Return a note if a template that is not tied to one source uses macros of source parameters."""
    used = [f"{{{name}}}" for name in parse(text).names if name in V_MACROS]
    if not used:
        return ()
    sentence = f"{' and '.join(used)}: the value depends on each click’s traffic source, and is empty if it has no such parameter."
    return (Remark("dim", sentence),)


def external_id_remarks(url: str, rows: Mapping[str, str]) -> tuple[Remark, ...]:
    """Return warnings if the source cannot match its postback to a click. ``rows``: the source's macros by parameter."""
    findings = (
        external_id_findings(parse(url, rows).names, CheckPlace(kind=CheckPlaceKind.TRAFFIC_SOURCE))
        if url.strip()
        else ()
    )
    return tuple(Remark("warning", finding.sentence, finding.remedy) for finding in findings)


def offer_remarks(
    url: str, network: Network | None, rows: Mapping[str, str], own_hosts: frozenset[str]
) -> tuple[Remark, ...]:
    """Return the faults that would prevent saving an offer URL, and warnings for a missing click id or a redirect loop."""
    return tuple(_offer_remarks(Offer(name="", url=url.strip()), network, rows, OwnLinks(own_hosts)))


def _offer_remarks(
    offer: Offer, network: Network | None, rows: Mapping[str, str], own_links: OwnLinks
) -> Iterator[Remark]:
    url = offer.url
    yield from _address_remarks(url)
    for finding in address_findings(offer, network, rows, own_links) if url else ():
        yield Remark("warning", finding.sentence, finding.remedy)


def landing_remarks(url: str) -> tuple[Remark, ...]:
    """Return the faults that would prevent saving the URL of a landing or a path."""
    return tuple(_address_remarks(url.strip()))


def postback_remarks(url: str, guard: AddressGuard) -> tuple[Remark, ...]:
    """Return the faults that would prevent saving a postback URL, without DNS lookups."""
    # A masked secret must not count as a fault: replace it with a harmless value.
    url = url.strip().replace(MASK, "0")
    if not url:
        return ()
    return tuple(
        Remark("fault", finding.sentence)
        for finding in check_request(RequestTemplate(url=url), guard)
        if finding.fault is not RuleFault.URL_MACRO_IN_AUTHORITY  # the macro findings explain it better
    )


def _address_remarks(url: str) -> Iterator[Remark]:
    for fault in address_faults("url", url, required=False):
        is_invisible = fault.code == FaultCode.CHARACTER and INVISIBLE.search(url) is not None
        if fault.code != FaultCode.MACRO_IN_HOST and not is_invisible:  # the macro findings explain both better
            yield Remark("fault", fault.message)
