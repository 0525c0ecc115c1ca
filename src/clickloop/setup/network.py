"""The affiliate network: provides offers and reports conversions. Its postback URL and pixel code."""

import html
import ipaddress
from collections.abc import Mapping
from itertools import islice
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.setup.fault import FaultCode, FieldFault, currency_faults, text_faults
from clickloop.setup.record import OneLine, RecordFields, line_faults
from clickloop.setup.web_address import address_faults

NOTICE_PARAMETERS = ("cid", "payout", "currency", "status", "txid")
"""The first parameters of our postback URL, in order; others follow."""


NETWORK_URL = "{url}"
"""In a network's offer URL template: the link as the network shows it."""
MAX_PARAMETERS = 100  # as many as are read from a notice
MAX_ADDRESSES = 1_000  # each notice's address is compared with them, while the ledger is locked for writing


Name = Annotated[
    str, OneLine(200, required=True), Meta(description="Name, unique among networks.", examples=["Everflow"])
]
Preset = Annotated[str, Meta(description="The preset that it was created from; empty if none.")]
ClickIdParameter = Annotated[
    str,
    OneLine(200),
    Meta(description="Parameter of the network's offer links for our click ID.", examples=["sub1"]),
]
OfferUrlTemplate = Annotated[
    str,
    Meta(
        description="Template of offer URLs: {url} at the beginning stands for the network's link, followed by our macros.",
        examples=["{url}&sub1={clickid}"],
    ),
]
PostbackParameters = Annotated[
    dict[str, str],
    Meta(
        description="The network's macro for each of our parameters (cid, payout, status, txid, currency, param1 …).",
        examples=[{"cid": "{sub1}", "payout": "{payout}", "txid": "{transaction_id}"}],
    ),
]
StatusWords = Annotated[
    dict[str, str],
    Meta(
        description="Key of our status for each of the network's status words, ignoring case. These override the common words.",
        examples=[{"1": "sale", "2": "hold", "3": "rejected"}],
    ),
]
Currency = Annotated[
    str,
    Meta(
        description="Payout currency (ISO 4217). Leave empty to use that of the incoming postback or the offer.",
        examples=["USD"],
    ),
]
Secret = Annotated[
    str,
    OneLine(200),
    Meta(description="Secret that incoming postbacks must send as token. Leave empty to require none.", examples=[""]),
]
Addresses = Annotated[
    tuple[str, ...],
    Meta(
        description="Allowed IP addresses or CIDR ranges of incoming postbacks. Leave empty to allow any.",
        examples=[["203.0.113.0/24"]],
    ),
]
RefuseDuplicates = Annotated[bool, Meta(description="Refuse incoming postbacks for conversions that already exist.")]
TestOnly = Annotated[bool, Meta(description="Accept only conversions of test clicks.")]
LifetimeDays = Annotated[int, Meta(description="Conversion window: maximum age of a click, in days.", examples=[90])]


class NetworkFields(RecordFields, frozen=True, kw_only=True):
    """The fields that a network's record and view share."""

    name: Name
    preset: Preset = ""
    click_id_parameter: ClickIdParameter = ""
    offer_url_template: OfferUrlTemplate = ""
    postback_parameters: PostbackParameters = msgspec.field(default_factory=dict)
    status_words: StatusWords = msgspec.field(default_factory=dict)
    currency: Currency = ""
    token: Secret = ""
    addresses: Addresses = ()
    refuse_duplicates: RefuseDuplicates = False
    test_only: TestOnly = False
    click_lifetime_days: LifetimeDays = 90


class Network(NetworkFields, frozen=True, kw_only=True):
    """An affiliate network or advertiser."""

    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None


class NetworkChange(msgspec.Struct, kw_only=True):
    """Changes of a network. Fields left out stay as they are."""

    name: Name | UnsetType = UNSET
    click_id_parameter: ClickIdParameter | UnsetType = UNSET
    offer_url_template: OfferUrlTemplate | UnsetType = UNSET
    postback_parameters: PostbackParameters | UnsetType = UNSET
    status_words: StatusWords | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    token: Secret | UnsetType = UNSET
    addresses: Addresses | UnsetType = UNSET
    refuse_duplicates: RefuseDuplicates | UnsetType = UNSET
    test_only: TestOnly | UnsetType = UNSET
    click_lifetime_days: LifetimeDays | UnsetType = UNSET


class NewNetwork(NetworkChange, kw_only=True):
    """A network to create. Fields left out come from the preset, if there is one."""

    name: Name
    preset: Annotated[str, Meta(description="Key of a preset from /presets/networks.", examples=["everflow"])] = ""


def network_faults(network: Network) -> list[FieldFault]:
    """Return everything wrong with a network, except a taken name."""
    faults = line_faults(network) + _template_faults("offer_url_template", network.offer_url_template)
    faults += currency_faults("currency", network.currency)
    for parameter, macro in islice(network.postback_parameters.items(), MAX_PARAMETERS):
        field = f"postback_parameters.{parameter[:50]}"
        faults += text_faults(field, parameter, 200, required=True) + text_faults(field, macro, 1000)
    if len(network.postback_parameters) > MAX_PARAMETERS:
        sentence = f"The maximum is {MAX_PARAMETERS} parameters."
        faults.append(FieldFault("postback_parameters", FaultCode.TOO_MANY, sentence))
    if len(network.addresses) > MAX_ADDRESSES:
        faults.append(FieldFault("addresses", FaultCode.TOO_MANY, f"The maximum is {MAX_ADDRESSES} addresses."))
    for position, address in enumerate(network.addresses[:MAX_ADDRESSES]):
        faults += _cidr_faults(f"addresses[{position}]", address)
    if not 1 <= network.click_lifetime_days <= 3650:
        sentence = f"The conversion window is {network.click_lifetime_days} days. It must be 1 to 3650."
        faults.append(FieldFault("click_lifetime_days", FaultCode.OUT_OF_RANGE, sentence))
    return faults


def offer_url(template: str, link: str) -> str:
    """Return a network's offer link, extended by the query in the network's template.

    A parameter that the link already has is filled in if it is empty, and otherwise left. A template without ``{url}`` is
    returned as a first draft of the URL if there is no link.
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
        positions = [at for at, pair in enumerate(pairs) if pair.partition("=")[0] == name]
        if not positions:
            pairs.append(added)
        elif value and pairs[positions[0]] in (name, f"{name}="):
            pairs[positions[0]] = added
    return f"{path}{'?' if pairs or question else ''}{'&'.join(pairs)}{sharp}{fragment}"


def _template_faults(field: str, template: str) -> list[FieldFault]:
    if NETWORK_URL in template[1:]:
        sentence = (
            "Write {url} once, at the beginning. It stands for the network's link; what follows is added to its query."
        )
        return [FieldFault(field, FaultCode.NOT_ALLOWED, sentence)]
    example = offer_url(template, "https://offer.example/") if template.startswith(NETWORK_URL) else template
    return address_faults(field, example, required=False)


def postback_url(base_url: str, network: Network) -> str:
    """Return the URL to paste into the network: our endpoint with the network's macros, unencoded, so that the network replaces
    them.

    If the macro for our click id is unknown, ``cid=`` is empty.
    """
    return f"{base_url}/postback?{_notice_query({'cid': '', **network.postback_parameters}, network.token)}"


def pixel_code(base_url: str, network: Network) -> str:
    """Return the HTML to paste into the thank-you page of a network or shop.

    It contains the network's click id macro, if known, because many browsers do not send the visitor's cookie.
    """
    parameters = {name: macro for name, macro in network.postback_parameters.items() if name != "cid" or macro}
    query = _notice_query(parameters, network.token)
    address = f"{base_url}/pixel.gif" + (f"?{query}" if query else "")
    return f'<img src="{html.escape(address)}" width="1" height="1" alt="" style="display:none">'


def pixel_note(base_url: str, network: Network) -> str:
    """Return a note about the pixel's cookie, to show with the code."""
    first = "The click ID is read from cid, or from the visitor's cookie when cid is empty. "
    if not network.postback_parameters.get("cid"):
        first = "The code has no macro for cid, so it needs the visitor's cookie. "
    if base_url.startswith("https://"):
        return first + (
            "On other sites that cookie is blocked by Safari, Firefox, Brave and Chrome's incognito mode, and wherever "
            "third-party cookies are switched off."
        )
    return first + (
        "Over plain http the cookie only works on pages of this site. Over https it also works on other sites, in browsers that "
        "allow third-party cookies."
    )


def _notice_query(parameters: Mapping[str, str], token: str) -> str:
    first = [name for name in NOTICE_PARAMETERS if name in parameters]
    order = first + [name for name in parameters if name not in first]
    pairs = [f"{quote(name, safe='')}={parameters[name]}" for name in order]
    if token:
        pairs.append(f"token={quote(token, safe='')}")
    return "&".join(pairs)


def _cidr_faults(field: str, text: str) -> list[FieldFault]:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        sentence = f"{text[:60]!r} is not an IP address or a CIDR range such as 203.0.113.0/24."
        return [FieldFault(field, FaultCode.NOT_A_NETWORK_ADDRESS, sentence)]
    return []
