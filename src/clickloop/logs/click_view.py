"""A click as the API, the panel and exports show it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.click.click import Click
from clickloop.clock import Moment
from clickloop.logs.view import view_of
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.setup.source_rows import V_ROWS
from clickloop.text import readable


class ClickView(msgspec.Struct, kw_only=True):
    """A click as it was recorded. An empty text is unknown; an id of 0 is none."""

    click_id: Annotated[str, Meta(examples=["01kaqj6z8m4x2c9v7b5n3t1w0y"])]
    at: Moment
    campaign_id: int
    source_id: int
    flow_id: Annotated[int, Meta(description="The flow that decided.")]
    rule_id: Annotated[int, Meta(description="The flow's rule that took the visitor; 0 for a default path.")]
    path_id: int
    landing_id: int
    offer_id: Annotated[
        int, Meta(description="0 for a visitor sent to a landing, whose landing clicks have an offer each.")
    ]
    instead_of: Annotated[
        int, Meta(description="The offer whose cap was reached, so that the visitor went to this one. 0: none.")
    ]
    network_id: int
    external_id: Annotated[str, Meta(description="The source's click ID.")]
    cost: MoneyText
    target: Annotated[str, Meta(description="Where the visitor was sent.")]
    domain: str
    ip: str
    country: str
    region: Annotated[str, Meta(description="ISO 3166-2.", examples=["US-CA"])]
    city: str
    isp: str
    asn: Annotated[str, Meta(description="Number of the autonomous system.", examples=["21928"])]
    connection: Annotated[str, Meta(description="mobile, broadband, corporate, dialup or satellite.")]
    language: str
    useragent: str
    referrer: str
    device: str
    brand: str
    model: str
    os: str
    os_version: str
    browser: str
    browser_version: str
    unique: bool
    seen: Annotated[
        str,
        Meta(
            description="What the visitor's cookie remembered, if the campaign's bind or rotation used it: bind, rotation, paths, landing "
            "and offer to get again, then paths, landings and offers seen before. Empty if nothing.",
            examples=["path;unseen;12;;;12,15;3;"],
        ),
    ]
    screening: Annotated[str, Meta(description="Why it is not counted. Empty for a click that is.")]
    flags: Annotated[list[str], Meta(description="What is unusual about it.")]
    marks: Annotated[
        list[str],
        Meta(description="Marks of suspicious traffic, those it has now.", examples=[["datacenter", "repeat"]]),
    ]
    parameters: Annotated[
        dict[str, str], Meta(description="V1 to V30, those that are not empty.", examples=[{"v1": "42"}])
    ]


def click_view(click: Click) -> ClickView:
    """Return the view of a click."""
    values = {f"v{number}": getattr(click, f"v{number}") for number in V_ROWS}
    return view_of(
        ClickView,
        click,
        cost=money_text(click.cost_micros, click.cost_currency),
        flags=click.flags.split(",") if click.flags else [],
        marks=click.marks.split(",") if click.marks else [],
        parameters={name: readable(value) for name, value in values.items() if value},
    )
