"""/networks: who offers come from and who tells us of conversions; what to paste into the network."""

from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Router, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.campaign.fault import FaultCode
from clickloop.campaign.network import Network, offer_url, pixel_code, pixel_note, postback_url
from clickloop.report.check.records import network_findings
from clickloop.report.masking import MASK
from clickloop.store.ledger.networks import find_network, networks_after
from clickloop.store.ledger.setup import archive_network, save_network
from clickloop.store.ledger.statuses import status_rows
from clickloop.web.api.body import CheckedBody, StrictBody, given_or
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.noting import note_change
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Page, Words, page_of, read_number_cursor
from clickloop.web.api.problem import invalid, not_found
from clickloop.web.api.rights import RIGHT
from clickloop.web.api.telling_all import tells_all
from clickloop.web.api.versions import VersionedView
from clickloop.web.api.wire import MASKED, Advice, Moment, moment_text, optional_moment_text, shown, warnings_of
from clickloop.web.from_preset import network_of_preset

NOUN = "networks"

Name = Annotated[str, Meta(description="Its name, unique among networks.", examples=["Everflow"])]
ClickIdParameter = Annotated[
    str, Meta(description="The parameter of its offer links that takes our click id.", examples=["sub1"])
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
    str, Meta(description="A secret that its notices must carry as token; empty: none is asked for.", examples=[""])
]
Addresses = Annotated[
    list[str],
    Meta(
        description="Networks in CIDR form that its notices may come from; empty: any.", examples=[["203.0.113.0/24"]]
    ),
]
RefuseDuplicates = Annotated[bool, Meta(description="Refuse a notice for a conversion that is there already.")]
TestOnly = Annotated[bool, Meta(description="Take only conversions of test clicks.")]
LifetimeDays = Annotated[int, Meta(description="How old a click may be when it converts, in days.", examples=[90])]


class NetworkUpdate(msgspec.Struct, kw_only=True):
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


class NetworkCreation(NetworkUpdate, kw_only=True):
    """A network to create. What is left out comes from the preset, if one is named."""

    name: Name
    preset: Annotated[str, Meta(description="Key of a preset from /presets/networks.", examples=["everflow"])] = ""


class NetworkView(VersionedView, kw_only=True):
    """A network."""

    id: Annotated[int, Meta(examples=[1])]
    name: Name
    preset: Annotated[str, Meta(description="The preset that it was made from; empty: none.")]
    click_id_parameter: ClickIdParameter
    offer_url_template: OfferUrlTemplate
    postback_parameters: PostbackParameters
    status_words: StatusWords
    currency: Currency
    token: Secret
    addresses: Addresses
    refuse_duplicates: RefuseDuplicates
    test_only: TestOnly
    click_lifetime_days: LifetimeDays
    postback_url: Annotated[
        str,
        Meta(
            description="To paste into the network: it calls this for each conversion.",
            examples=["https://go.example.com/postback?cid={sub1}&payout={payout}"],
        ),
    ]
    pixel_code: Annotated[str, Meta(description="HTML for a thank-you page, where a postback cannot be set.")]
    pixel_note: Annotated[str, Meta(description="What to know about the cookie that the pixel falls back to.")]
    warnings: Annotated[list[Advice], Meta(description="What will probably not do what was meant.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


class OfferLink(msgspec.Struct, kw_only=True):
    """An offer's link as the network shows it."""

    url: Annotated[str, Meta(max_length=8192, examples=["https://network.example/click?offer=1"])]


class OfferUrl(msgspec.Struct, kw_only=True):
    """The link with what the network needs."""

    url: Annotated[str, Meta(examples=["https://network.example/click?offer=1&sub1={clickid}"])]


def create_network(context: Context, data: JSONBody[NetworkCreation]) -> NetworkView:
    """Creates a network, from a preset or from what is given."""
    plain = Network(name=data.name, postback_parameters={"cid": "", "payout": "", "txid": ""})
    network = network_of_preset(data.preset) if data.preset else plain
    with context.ledger.write() as tx:
        network = save_network(tx, _changed(with_known_words(tx, network), data), context.clock())
        note_change(tx, context, NOUN, network.id, after=_view(context, network, secrets=True))
    context.on_setup_changed()
    return _view(context, network)


def list_networks(
    context: Context, limit: Limit = 50, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> Page[NetworkView]:
    """Networks in the order in which they were made."""
    after = read_number_cursor(NOUN, cursor)
    with context.ledger.read() as tx:
        found = networks_after(tx, after, limit + 1, archived=archived, words=words)
    return page_of(found, limit, NOUN, lambda network: network.id, lambda network: _view(context, network))


def read_network(context: Context, number: Id) -> NetworkView:
    """One network, archived or not."""
    with context.ledger.read() as tx:
        return _view(context, _network(tx, number))


def change_network(context: Context, number: Id, data: JSONBody[NetworkUpdate]) -> NetworkView:
    """Changes what is given and leaves the rest."""
    with context.ledger.write() as tx:
        was = context.current(_network(tx, number))
        network = save_network(tx, _changed(was, data), context.clock())
        _note(tx, context, was, network)
    context.on_setup_changed()
    return _view(context, network)


def remove_network(context: Context, number: Id) -> NetworkView:
    """Takes a network out of use; nothing is deleted. Refused while a live offer needs it."""
    with context.ledger.write() as tx:
        was = network = context.current(_network(tx, number))
        if network.archived_at is None:
            network = archive_network(tx, network, context.clock())
        _note(tx, context, was, network)
    context.on_setup_changed()
    return _view(context, network)


def restore_network(context: Context, number: Id) -> NetworkView:
    """Takes an archived network into use again."""
    with context.ledger.write() as tx:
        was = network = context.current(_network(tx, number))
        if network.archived_at is not None:
            network = save_network(tx, replace(network, archived_at=None), context.clock())
        _note(tx, context, was, network)
    context.on_setup_changed()
    return _view(context, network)


def fill_offer_url(context: Context, number: Id, data: JSONBody[OfferLink]) -> OfferUrl:
    """The network's template filled in with an offer's link; nothing is stored."""
    with context.ledger.read() as tx:
        return OfferUrl(url=offer_url(_network(tx, number).offer_url_template, data.url.strip()))


def with_known_words(tx: Connection, network: Network) -> Network:
    """Return a network made from a preset without its words for statuses that there are not here."""
    known = {row.status.key for row in status_rows(tx)}
    return replace(network, status_words={word: key for word, key in network.status_words.items() if key in known})


def _note(tx: Connection, context: ApiContext, was: Network, network: Network) -> None:
    before, after = (_view(context, one, secrets=True) for one in (was, network))
    note_change(tx, context, NOUN, network.id, before, after)


def _changed(network: Network, data: NetworkUpdate) -> Network:
    token = given_or(data.token, network.token)
    if token == MASK and network.token:
        token = network.token  # as it was shown to somebody who may not see it
    elif MASK in token:
        raise invalid("token", FaultCode.MASKED, MASKED)
    return replace(
        network,
        name=given_or(data.name, network.name),
        click_id_parameter=given_or(data.click_id_parameter, network.click_id_parameter),
        offer_url_template=given_or(data.offer_url_template, network.offer_url_template),
        postback_parameters=given_or(data.postback_parameters, network.postback_parameters),
        status_words=given_or(data.status_words, network.status_words),
        currency=given_or(data.currency, network.currency),
        token=token,
        addresses=tuple(given_or(data.addresses, list(network.addresses))),
        refuse_duplicates=given_or(data.refuse_duplicates, network.refuse_duplicates),
        test_only=given_or(data.test_only, network.test_only),
        click_lifetime_days=given_or(data.click_lifetime_days, network.click_lifetime_days),
    )


def _view(context: ApiContext, network: Network, *, secrets: bool = False) -> NetworkView:
    """``secrets``: shown whoever asks, for what masks them by itself."""
    if not secrets:
        network = masked_network(context, network)
    return NetworkView(
        id=network.id,
        version=network.version,
        name=shown(network.name),
        preset=network.preset,
        click_id_parameter=shown(network.click_id_parameter),
        offer_url_template=shown(network.offer_url_template),
        postback_parameters={shown(name): shown(macro) for name, macro in network.postback_parameters.items()},
        status_words={shown(word): key for word, key in network.status_words.items()},
        currency=network.currency,
        token=shown(network.token),
        addresses=list(network.addresses),
        refuse_duplicates=network.refuse_duplicates,
        test_only=network.test_only,
        click_lifetime_days=network.click_lifetime_days,
        postback_url=readable_code(postback_url(context.base_url, network)),
        pixel_code=readable_code(pixel_code(context.base_url, network)),
        pixel_note=pixel_note(context.base_url, network),
        warnings=warnings_of(network_findings(network)),
        created_at=moment_text(network.created_at),
        updated_at=moment_text(network.updated_at),
        archived_at=optional_moment_text(network.archived_at),
    )


def pixel_warnings(network: Network) -> list[Advice]:
    """What to know before the pixel code of a network is pasted into a page."""
    if not network.token:
        return []
    sentence = (
        f"The pixel code of {shown(network.name) or 'this network'} holds its token: whoever sees the page can read it."
    )
    remedy = "Prefer the postback URL (S2S) for this network: anyone who has the token can report conversions of click ids that they know."
    return [Advice("pixel_code", "token_in_page", sentence, remedy)]


def masked_network(context: ApiContext, network: Network) -> Network:
    """The network, its token masked for those who may not see it."""
    return replace(network, token=MASK) if network.token and not context.shows_secrets else network


def readable_code(text: str) -> str:
    """An address or HTML made of a masked network, with the mask as it looks elsewhere."""
    return shown(text).replace(quote(MASK), MASK)


def _network(tx: Connection, number: int) -> Network:
    network = find_network(tx, number)
    if network is None:
        raise not_found(f"network {number}")
    return network


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Create a network")(
            tells_all(create_network)
        ),
        get("/", sync_to_thread=True, summary="List networks")(list_networks),
        get("/{number:int}", sync_to_thread=True, summary="Read a network")(read_network),
        patch("/{number:int}", dto=CheckedBody, return_dto=None, sync_to_thread=True, summary="Change a network")(
            tells_all(change_network)
        ),
        delete("/{number:int}", status_code=200, sync_to_thread=True, summary="Archive a network")(remove_network),
        post("/{number:int}/restore", status_code=200, sync_to_thread=True, summary="Restore a network")(
            restore_network
        ),
        post(
            "/{number:int}/offer-url",
            dto=StrictBody,
            return_dto=None,
            status_code=200,
            sync_to_thread=True,
            opt={RIGHT: None},  # nothing is stored
            summary="Fill a network's template in",
        )(fill_offer_url),
    ],
    tags=["Networks"],
)
