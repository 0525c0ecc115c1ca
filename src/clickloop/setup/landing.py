"""The landing: a page between the ad and the offer, with one or more buttons."""

import html
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.setup.fault import FaultCode, FieldFault
from clickloop.setup.record import OneLine, RecordFields, Tags, line_faults, with_changes
from clickloop.setup.tags import clean_tags, tag_faults
from clickloop.setup.web_address import address_faults

MAX_BUTTONS = 50  # more offers than a visitor compares

Name = Annotated[str, OneLine(200, required=True), Meta(description="Landing name.", examples=["Quiz A"])]
Url = Annotated[
    str,
    Meta(
        description="Where visitors are sent; macros are filled in.",
        examples=["https://pages.example/quiz?zone={v1}"],
    ),
]
Buttons = Annotated[
    int,
    Meta(description="Number of buttons that lead to offers (/click/1, /click/2 …).", examples=[1]),
]
AppendsClickId = Annotated[
    bool,
    Meta(
        description="true appends cid={clickid} unless the URL already contains {clickid}, so that /click works where cookies are blocked."
    ),
]


class LandingFields(RecordFields, frozen=True, kw_only=True):
    """The fields that a landing's record and view share."""

    name: Name
    url: Url
    buttons: Buttons = 1
    append_click_id: AppendsClickId = True
    tags: Tags = ()


class Landing(LandingFields, frozen=True, kw_only=True):
    """A landing. ``url`` is a template."""

    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None


class LandingChange(msgspec.Struct, kw_only=True):
    """Changes of a landing. Fields left out stay as they are."""

    name: Name | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    buttons: Buttons | UnsetType = UNSET
    append_click_id: AppendsClickId | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET


class NewLanding(LandingChange, kw_only=True):
    """A landing to create."""

    name: Name
    url: Url


def changed_landing(landing: Landing, change: LandingChange) -> Landing:
    """Return the landing with a change."""
    others: dict[str, object] = {} if change.tags is UNSET else {"tags": clean_tags(change.tags)}
    return with_changes(landing, change, **others)


def landing_faults(landing: Landing) -> list[FieldFault]:
    """Return everything wrong with a landing."""
    faults = line_faults(landing) + address_faults("url", landing.url, required=True)
    if not 1 <= landing.buttons <= MAX_BUTTONS:
        sentence = f"A landing has 1 to {MAX_BUTTONS} buttons."
        faults.append(FieldFault("buttons", FaultCode.OUT_OF_RANGE, sentence))
    return faults + tag_faults(landing.tags)


def button_links(base_url: str, buttons: int) -> list[str]:
    """Return the link of each button, the first button's first."""
    return [f"{base_url}/click/{number}" for number in range(1, buttons + 1)]


def track_code(base_url: str, campaign_key: str = "") -> str:
    """Return the script to paste into the landing's page.

    With a campaign's key the page also counts visitors who come straight to it, without the campaign link.
    """
    of_campaign = f' data-campaign="{html.escape(campaign_key)}"' if campaign_key else ""
    return f'<script src="{html.escape(base_url)}/track.js"{of_campaign} async></script>'
