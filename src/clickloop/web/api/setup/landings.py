"""/landings: pages of the user's between the ad and the offer."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.log_filter import MAX_ID
from clickloop.logs.page import Page
from clickloop.logs.view import view_of
from clickloop.saving import landings as saving
from clickloop.saving.campaigns import NOUN as CAMPAIGN_NOUN
from clickloop.setup.campaign import base_of
from clickloop.setup.landing import (
    Landing,
    LandingChange,
    LandingFields,
    Name,
    NewLanding,
    button_links,
    changed_landing,
    track_code,
)
from clickloop.setup.record import copied_name
from clickloop.store.ledger.setup.landings import landings_after
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Limit, Tag, Words
from clickloop.web.api.setup.records import Records, record_routes

NOUN = saving.NOUN.name


class LandingView(LandingFields, frozen=True, kw_only=True):
    """A landing."""

    created_at: Moment
    updated_at: Moment
    archived_at: Moment | None


class LandingCloning(msgspec.Struct, kw_only=True):
    """Options of a copy."""

    name: (
        Annotated[Name, Meta(description="Name of the copy. Omit to use the original name followed by (copy).")]
        | UnsetType
    ) = UNSET


class LandingCodes(msgspec.Struct, kw_only=True):
    """Links and code to paste into a landing's page."""

    links: Annotated[
        list[str],
        Meta(description="Link of each button, in order.", examples=[["https://go.example.com/click/1"]]),
    ]
    script: Annotated[
        str,
        Meta(
            description="HTML that counts views of the page and gives its links the click ID where cookies are blocked."
        ),
    ]


CampaignId = Annotated[
    int | None,
    QueryParameter(
        ge=1, le=MAX_ID, description="The campaign whose domain and key the code uses. Omit for the instance's."
    ),
]


def create_landing(context: Context, data: JSONBody[NewLanding]) -> LandingView:
    """Create a landing."""
    return LANDINGS.create(context, lambda _tx: changed_landing(Landing(name=data.name, url=data.url), data))


def list_landings(
    context: Context,
    limit: Limit = 50,
    cursor: Cursor = "",
    archived: Archived = False,
    words: Words = "",
    tag: Tag = "",
) -> Page[LandingView]:
    """List landings in order of creation."""
    return LANDINGS.page(context, limit, cursor, partial(landings_after, archived=archived, words=words, tag=tag))


def read_landing(context: Context, number: Id) -> LandingView:
    """Return a landing, archived or not."""
    return LANDINGS.read(context, number)


def change_landing(context: Context, number: Id, data: JSONBody[LandingChange]) -> LandingView:
    """Change the given fields. Omitted fields stay unchanged."""
    return LANDINGS.change(context, number, lambda _tx, landing: changed_landing(landing, data))


def remove_landing(context: Context, number: Id) -> LandingView:
    """Archive a landing. Nothing is deleted. Fails while a live flow uses it."""
    return LANDINGS.archive(context, number)


def restore_landing(context: Context, number: Id) -> LandingView:
    """Restore an archived landing."""
    return LANDINGS.restore(context, number)


def clone_landing(context: Context, number: Id, data: JSONBody[LandingCloning]) -> LandingView:
    """Copy a landing. No flow uses the copy yet."""

    def copy(tx: Connection) -> Landing:
        landing = saving.NOUN.get(tx, number)
        name = copied_name(landing.name) if data.name is UNSET else data.name
        return replace(landing, id=0, version=0, name=name, archived_at=None)

    return LANDINGS.create(context, copy)


def read_landing_codes(context: Context, number: Id, campaign_id: CampaignId = None) -> LandingCodes:
    """Return the links of the landing's buttons, and the script for its page."""
    with context.ledger.read() as tx:
        landing = saving.NOUN.get(tx, number)
        campaign = None if campaign_id is None else CAMPAIGN_NOUN.get(tx, campaign_id)
    base_url = base_of(context.base_url, campaign.domain if campaign else "")
    return LandingCodes(
        links=button_links(base_url, landing.buttons), script=track_code(base_url, campaign.key if campaign else "")
    )


def _views(_context: ApiContext, _tx: Connection, landings: Sequence[Landing]) -> list[LandingView]:
    return [view_of(LandingView, landing) for landing in landings]


LANDINGS = Records(saving.NOUN, _views)


router = Router(
    f"/{NOUN}",
    route_handlers=[
        *record_routes(
            "a landing",
            "landings",
            create=create_landing,
            show_list=list_landings,
            read=read_landing,
            change=change_landing,
            archive=remove_landing,
            restore=restore_landing,
        ),
        post("/{number:int}/clone", sync_to_thread=True, summary="Clone a landing")(clone_landing),
        get("/{number:int}/codes", sync_to_thread=True, summary="Get a landing's links and code")(read_landing_codes),
    ],
    tags=["Landings"],
)
