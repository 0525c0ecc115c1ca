"""The network: whom offers come from and who tells us of conversions; its postback URL and pixel to copy."""

import html
import ipaddress
from collections.abc import Mapping
from itertools import islice
from urllib.parse import quote

import msgspec

from clickloop.campaign.fault import Fault, FaultCode, currency_faults, text_faults
from clickloop.campaign.web_address import address_faults

NOTICE_PARAMETERS = ("cid", "payout", "currency", "status", "txid")
"""The parameters of our postback URL in the order in which it shows them; further ones follow."""

NETWORK_URL = "{url}"
"""In a network's template for offer addresses: the link as the network shows it."""
MAX_PARAMETERS = 100
MAX_ADDRESSES = 1_000
"""No more are looked at: it is done while nobody else may write to the ledger."""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """An affiliate network or advertiser."""

    id: int = 0
    name: str
    preset: str = ""
    click_id_parameter: str = ""
    """The parameter of its offer links that takes our click id, such as ``sub1``."""
    offer_url_template: str = ""
    """What its offer links become: ``{url}`` at the beginning is the link as the network shows it, our macros behind it."""
    postback_parameters: dict[str, str] = {}
    """Our notice parameter → the network's macro for it."""
    status_words: dict[str, str] = {}
    """Its own words for statuses → the key of our status. They count before the words that all networks share."""
    currency: str = ""
    """The currency of its payouts; empty: as offer, notice or instance say."""
    token: str = ""
    """The secret that its notices must carry; empty: none."""
    addresses: tuple[str, ...] = ()
    """CIDR texts that its notices may come from; empty: any."""
    refuse_duplicates: bool = False
    test_only: bool = False
    click_lifetime_days: int = 90
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None
    version: int = 0
    """See ``store.ledger.versions``; 0: not saved yet."""


def network_faults(network: Network) -> list[Fault]:
    """Everything that is wrong with a network, but whether its name is taken."""
    faults = text_faults("name", network.name, 200, required=True)
    faults += text_faults("click_id_parameter", network.click_id_parameter, 200)
    faults += _template_faults("offer_url_template", network.offer_url_template)
    faults += currency_faults("currency", network.currency) + text_faults("token", network.token, 200)
    for parameter, macro in islice(network.postback_parameters.items(), MAX_PARAMETERS):
        place = f"postback_parameters.{parameter[:50]}"
        faults += text_faults(place, parameter, 200, required=True) + text_faults(place, macro, 1000)
    if len(network.postback_parameters) > MAX_PARAMETERS:
        sentence = f"At most {MAX_PARAMETERS} parameters are kept."
        faults.append(Fault("postback_parameters", FaultCode.TOO_MANY, sentence))
    if len(network.addresses) > MAX_ADDRESSES:
        faults.append(Fault("addresses", FaultCode.TOO_MANY, f"At most {MAX_ADDRESSES} addresses are kept."))
    for position, address in enumerate(network.addresses[:MAX_ADDRESSES]):
        faults += _cidr_faults(f"addresses[{position}]", address)
    if not 1 <= network.click_lifetime_days <= 3650:
        sentence = f"The lifetime is {network.click_lifetime_days} days, 1 to 3650 is expected."
        faults.append(Fault("click_lifetime_days", FaultCode.OUT_OF_RANGE, sentence))
    return faults


def offer_url(template: str, link: str) -> str:
    """The link of an offer as a network shows it, with what the network's template adds to its query.

    A parameter that the link has already is filled where it is empty and left where it is not. A template without ``{url}`` stands
    for the whole address, to begin with where there is no link yet.
    """
    if not template.startswith(NETWORK_URL):
        return link or template
    if not link:
        return ""
    addition = template[len(NETWORK_URL) :]
    if addition[:1] not in ("?", "&"):
        return link + addition
    address, sharp, fragment = link.partition("#")
    path, question, query = address.partition("?")
    pairs = [pair for pair in query.split("&") if pair]
    for added in addition[1:].split("&"):
        name, _, value = added.partition("=")
        if not name:
            continue
        there = [at for at, pair in enumerate(pairs) if pair.partition("=")[0] == name]
        if not there:
            pairs.append(added)
        elif value and pairs[there[0]] in (name, f"{name}="):
            pairs[there[0]] = added
    return f"{path}{'?' if pairs or question else ''}{'&'.join(pairs)}{sharp}{fragment}"


def _template_faults(field: str, template: str) -> list[Fault]:
    if NETWORK_URL in template[1:]:
        sentence = "{url} stands once and at the beginning: the network's link, behind it what is added to its query."
        return [Fault(field, FaultCode.NOT_ALLOWED, sentence)]
    example = offer_url(template, "https://offer.example/") if template.startswith(NETWORK_URL) else template
    return address_faults(field, example, required=False)


def postback_url(base_url: str, network: Network) -> str:
    """The URL to paste into the network: our door with its macros, unencoded, as networks replace them before they send.

    Where it is not known which macro carries our click id, ``cid=`` shows the place for it.
    """
    return f"{base_url}/postback?{_notice_query({'cid': '', **network.postback_parameters}, network.token)}"


def pixel_code(base_url: str, network: Network) -> str:
    """Return the HTML to paste into the network's or shop's thank-you page.

    It carries the network's click id macro first; the visitor's cookie is the second choice, as many browsers do not send it.
    """
    parameters = {name: macro for name, macro in network.postback_parameters.items() if name != "cid" or macro}
    query = _notice_query(parameters, network.token)
    address = f"{base_url}/pixel.gif" + (f"?{query}" if query else "")
    return f'<img src="{html.escape(address)}" width="1" height="1" alt="" style="display:none">'


def pixel_note(base_url: str, network: Network) -> str:
    """Return what to know of the pixel's cookie, for the page that shows the code."""
    first = "The click id is read from cid, or from the visitor's cookie when cid is empty. "
    if not network.postback_parameters.get("cid"):
        first = "The code has no macro for cid, so it needs the visitor's cookie. "
    if base_url.startswith("https://"):
        return first + (
            "On other sites that cookie is blocked by Safari, Firefox, Brave and Chrome's incognito mode, and wherever third-party cookies "
            "are switched off."
        )
    return first + (
        "Over plain http the cookie only works on pages of this site. Over https it also works on other sites, in browsers that allow "
        "third-party cookies."
    )


def _notice_query(parameters: Mapping[str, str], token: str) -> str:
    first = [name for name in NOTICE_PARAMETERS if name in parameters]
    order = first + [name for name in parameters if name not in first]
    pairs = [f"{quote(name, safe='')}={parameters[name]}" for name in order]
    if token:
        pairs.append(f"token={quote(token, safe='')}")
    return "&".join(pairs)


def _cidr_faults(field: str, text: str) -> list[Fault]:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        sentence = f"{text[:60]!r} is not an address or a network in CIDR form such as 203.0.113.0/24."
        return [Fault(field, FaultCode.NOT_A_NETWORK_ADDRESS, sentence)]
    return []
