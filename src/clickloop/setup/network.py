"""The network: whom offers come from and who tells us of conversions; its postback URL and pixel to copy."""

import html
import ipaddress
from collections.abc import Mapping
from itertools import islice
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.setup.fault import Fault, FaultCode, currency_faults, text_faults
from clickloop.setup.record import OneLine, RecordFields, line_faults
from clickloop.setup.web_address import address_faults

NOTICE_PARAMETERS = ("cid", "payout", "currency", "status", "txid")
"""The parameters of our postback URL in the order in which it shows them; further ones follow."""


NETWORK_URL = "{url}"
"""In a network's template for offer addresses: the link as the network shows it."""
MAX_PARAMETERS = 100  # as many as are read of a notice
MAX_ADDRESSES = 1_000  # each notice's address is compared with them
"""No more are looked at: it is done while nobody else may write to the ledger."""


Name = Annotated[
    str, OneLine(200, required=True), Meta(description="Its name, unique among networks.", examples=["Everflow"])
]
Preset = Annotated[str, Meta(description="The preset that it was made from; empty: none.")]
ClickIdParameter = Annotated[
    str,
    OneLine(200),
    Meta(description="The parameter of its offer links that takes our click id.", examples=["sub1"]),
]
OfferUrlTemplate = Annotated[
    str,
    Meta(
        description="What its offer links become: {url} at the beginning is the link as the network shows it, our macros behind it.",
        examples=["{url}&sub1={clickid}"],
    ),
]
PostbackParameters = Annotated[
    dict[str, str],
    Meta(
        description="Our parameter (cid, payout, status, txid, currency, param1 …) and the network's macro for it.",
        examples=[{"cid": "{sub1}", "payout": "{payout}", "txid": "{transaction_id}"}],
    ),
]
StatusWords = Annotated[
    dict[str, str],
    Meta(
        description="Its own status words, in any case, each with the key of our status; they take precedence over the common ones.",
        examples=[{"1": "sale", "2": "hold", "3": "rejected"}],
    ),
]
Currency = Annotated[
    str,
    Meta(description="Currency of its payouts (ISO 4217); empty: as the notice or the offer says.", examples=["USD"]),
]
Secret = Annotated[
    str,
    OneLine(200),
    Meta(description="A secret that its notices must carry as token; empty: none is asked for.", examples=[""]),
]
Addresses = Annotated[
    tuple[str, ...],
    Meta(
        description="Networks in CIDR form that its notices may come from; empty: any.", examples=[["203.0.113.0/24"]]
    ),
]
RefuseDuplicates = Annotated[bool, Meta(description="Refuse a notice for a conversion that is there already.")]
TestOnly = Annotated[bool, Meta(description="Take only conversions of test clicks.")]
LifetimeDays = Annotated[int, Meta(description="How old a click may be when it converts, in days.", examples=[90])]


class NetworkFields(RecordFields, frozen=True, kw_only=True):
    """What record and view of a network share."""

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
    """What to change of a network; what is left out stays."""

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
    """A network to create. What is left out comes from the preset, if one is named."""

    name: Name
    preset: Annotated[str, Meta(description="Key of a preset from /presets/networks.", examples=["everflow"])] = ""


def network_faults(network: Network) -> list[Fault]:
    """Everything that is wrong with a network, but whether its name is taken."""
    faults = line_faults(network) + _template_faults("offer_url_template", network.offer_url_template)
    faults += currency_faults("currency", network.currency)
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
