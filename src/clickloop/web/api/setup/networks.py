"""/networks: where offers and conversions come from, and the code to paste there."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.diagnosis.check.records import network_findings
from clickloop.logs.page import Page
from clickloop.logs.view import view_of
from clickloop.postback.masking import MASK
from clickloop.saving import networks as saving
from clickloop.setup.network import (
    Network,
    NetworkChange,
    NetworkFields,
    NewNetwork,
    offer_url,
    pixel_code,
    pixel_note,
    postback_url,
)
from clickloop.store.ledger.setup import networks as ledger
from clickloop.text import readable
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Words
from clickloop.web.api.rights import RIGHT
from clickloop.web.api.setup.records import Records, record_routes
from clickloop.web.api.wire import Advice, warnings_of

NOUN = saving.NOUN.name


class NetworkView(NetworkFields, frozen=True, kw_only=True):
    """A network."""

    postback_url: Annotated[
        str,
        Meta(
            description="URL to paste into the network, which calls it for each conversion.",
            examples=["https://go.example.com/postback?cid={sub1}&payout={payout}"],
        ),
    ]
    pixel_code: Annotated[
        str, Meta(description="HTML for a thank-you page, for use when the network has no postbacks.")
    ]
    pixel_note: Annotated[str, Meta(description="Note about the cookie that the pixel falls back to.")]
    warnings: Annotated[list[Advice], Meta(description="Likely mistakes. They do not prevent saving.")]
    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


class OfferLink(msgspec.Struct, kw_only=True):
    """An offer's link as copied from the network."""

    url: Annotated[str, Meta(max_length=8192, examples=["https://network.example/click?offer=1"])]


class OfferUrl(msgspec.Struct, kw_only=True):
    """The completed link."""

    url: Annotated[str, Meta(examples=["https://network.example/click?offer=1&sub1={clickid}"])]


def create_network(context: Context, data: JSONBody[NewNetwork]) -> NetworkView:
    """Create a network from a preset or from the given fields."""
    return NETWORKS.create(context, lambda tx: saving.new_network(tx, data))


def list_networks(
    context: Context, limit: Limit = 50, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> Page[NetworkView]:
    """List networks in order of creation."""
    narrowed = partial(ledger.NETWORKS.after, archived=archived, words=words)
    return NETWORKS.page(context, limit, cursor, narrowed)


def read_network(context: Context, number: Id) -> NetworkView:
    """Return a network, archived or not."""
    return NETWORKS.read(context, number)


def change_network(context: Context, number: Id, data: JSONBody[NetworkChange]) -> NetworkView:
    """Change the given fields. Omitted fields stay unchanged."""
    return NETWORKS.change(context, number, lambda _tx, network: saving.changed_network(network, data))


def remove_network(context: Context, number: Id) -> NetworkView:
    """Archive a network. Nothing is deleted. Fails while a live offer uses it."""
    return NETWORKS.archive(context, number)


def restore_network(context: Context, number: Id) -> NetworkView:
    """Restore an archived network."""
    return NETWORKS.restore(context, number)


def fill_offer_url(context: Context, number: Id, data: JSONBody[OfferLink]) -> OfferUrl:
    """Fill an offer's link into the network's URL template. Nothing is stored."""
    with context.ledger.read() as tx:
        return OfferUrl(url=offer_url(saving.NOUN.get(tx, number).offer_url_template, data.url.strip()))


def _views(context: ApiContext, _tx: Connection, networks: Sequence[Network]) -> list[NetworkView]:
    return [_view(context, masked_network(context, network)) for network in networks]


def _view(context: ApiContext, network: Network) -> NetworkView:
    return view_of(
        NetworkView,
        network,
        postback_url=readable_code(postback_url(context.base_url, network)),
        pixel_code=readable_code(pixel_code(context.base_url, network)),
        pixel_note=pixel_note(context.base_url, network),
        warnings=warnings_of(network_findings(network)),
    )


NETWORKS = Records(saving.NOUN, _views)


def pixel_warnings(network: Network) -> list[Advice]:
    """Return the warning to show before a pixel code is pasted into a page."""
    if not network.token:
        return []
    sentence = f"The pixel code of {readable(network.name) or 'this network'} contains its token, visible to anyone who opens the page."
    remedy = "Prefer the postback URL (S2S): anyone with the token can report conversions for click IDs they know."
    return [Advice("pixel_code", "token_in_page", sentence, remedy)]


def masked_network(context: ApiContext, network: Network) -> Network:
    """Return the network, its token masked for users who may not see it."""
    return replace(network, token=MASK) if network.token and not context.shows_secrets else network


def readable_code(text: str) -> str:
    """Return a URL or HTML of a masked network with the mask unquoted, as it looks elsewhere."""
    return readable(text).replace(quote(MASK), MASK)


router = Router(
    f"/{NOUN}",
    route_handlers=[
        *record_routes(
            "a network",
            "networks",
            create=create_network,
            show_list=list_networks,
            read=read_network,
            change=change_network,
            archive=remove_network,
            restore=restore_network,
        ),
        post(
            "/{number:int}/offer-url",
            status_code=200,
            sync_to_thread=True,
            opt={RIGHT: None},  # stores nothing
            summary="Fill in a network's URL template",
        )(fill_offer_url),
    ],
    tags=["Networks"],
)
