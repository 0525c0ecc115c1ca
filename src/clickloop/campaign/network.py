"""The network: whom offers come from and who tells us of conversions; its postback URL and pixel to copy."""

import html
import ipaddress
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from clickloop.campaign.fault import Fault, FaultCode, currency_faults, text_faults
from clickloop.campaign.web_address import address_faults

NOTICE_PARAMETERS = ("cid", "payout", "currency", "status", "txid")
"""The parameters of our postback URL in the order in which it shows them; further ones follow."""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """An affiliate network or advertiser."""

    id: int = 0
    name: str
    preset: str = ""
    click_id_parameter: str = ""
    """The parameter of its offer links that takes our click id, such as ``sub1``."""
    offer_url_template: str = ""
    postback_parameters: dict[str, str] = {}
    """Our notice parameter → the network's macro for it."""
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


def network_faults(network: Network) -> list[Fault]:
    """Everything that is wrong with a network, but whether its name is taken."""
    faults = text_faults("name", network.name, 200, required=True)
    faults += text_faults("click_id_parameter", network.click_id_parameter, 200)
    faults += address_faults("offer_url_template", network.offer_url_template, required=False)
    faults += currency_faults("currency", network.currency) + text_faults("token", network.token, 200)
    for parameter, macro in network.postback_parameters.items():
        place = f"postback_parameters.{parameter[:50]}"
        faults += text_faults(place, parameter, 200, required=True) + text_faults(place, macro, 1000)
    if len(network.postback_parameters) > 100:
        faults.append(Fault("postback_parameters", FaultCode.TOO_MANY, "At most 100 parameters are kept."))
    if len(network.addresses) > 1000:
        faults.append(Fault("addresses", FaultCode.TOO_MANY, "At most 1000 addresses are kept."))
    for position, address in enumerate(network.addresses):
        faults += _cidr_faults(f"addresses[{position}]", address)
    if not 1 <= network.click_lifetime_days <= 3650:
        sentence = f"The lifetime is {network.click_lifetime_days} days, 1 to 3650 is expected."
        faults.append(Fault("click_lifetime_days", FaultCode.OUT_OF_RANGE, sentence))
    return faults


def postback_url(base_url: str, network: Network) -> str:
    """The URL to paste into the network: our door with its macros, unencoded, as networks replace them before they send."""
    return f"{base_url}/postback?{_notice_query(network.postback_parameters, network.token)}"


def pixel_code(base_url: str, network: Network) -> str:
    """The HTML to paste into the network's or shop's thank-you page. The click id comes from the visitor's cookie."""
    parameters = {name: macro for name, macro in network.postback_parameters.items() if name != "cid"}
    query = _notice_query(parameters, network.token)
    address = f"{base_url}/pixel.gif" + (f"?{query}" if query else "")
    return f'<img src="{html.escape(address)}" width="1" height="1" alt="" style="display:none">'


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
