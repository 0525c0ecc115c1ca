"""/test-clicks: real clicks and conversions that are marked as tests and kept out of reports."""

import secrets
from typing import Annotated
from urllib.parse import quote, quote_from_bytes

import msgspec
from litestar import Router, get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import Connection

from clickloop.click.click_log import ClickFilter, ScreeningFilter
from clickloop.click.trial_mark import TEST_MARK_MS, TEST_PARAMETER, new_mark
from clickloop.clock import DAY_MS, Moment
from clickloop.log_filter import MAX_ID
from clickloop.logs.click_view import ClickView, click_view
from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.setup.campaign import Campaign, base_of
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError
from clickloop.setup.network import Network
from clickloop.setup.reading import given_or
from clickloop.setup.traffic_source import COST, EXTERNAL_ID, TrafficSource
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.traffic_sources import SOURCES
from clickloop.text import octets_of
from clickloop.web.api.body import StrictBody
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.simulate import MAX_PARAMETERS, MAX_VALUE_LENGTH
from clickloop.web.api.paging import Cursor, Limit
from clickloop.web.api.problem import not_found
from clickloop.web.api.wire import moment_text

NOUN = "test-clicks"
SHOWN_MS = DAY_MS
"""Maximum age of the test clicks in the list."""


OfCampaign = Annotated[int | None, QueryParameter(ge=0, le=MAX_ID, description="Only of the record with this number.")]


class TestLinkBody(msgspec.Struct, kw_only=True):
    """What to make a test link for."""

    campaign_id: Annotated[int, Meta(ge=1, le=MAX_ID, description="The campaign that is tried.")]
    parameters: Annotated[
        dict[str, str] | UnsetType,
        Meta(
            description="What the source would have put into the link; left out: an example for each row. A click id that the "
            "source itself has given makes it accept the postback.",
            examples=[{"external_id": "abc"}],
        ),
    ] = UNSET


class TestLinkView(msgspec.Struct, kw_only=True):
    """A campaign link that marks its click as a test."""

    url: Annotated[str, Meta(description="To open in a browser: it is recorded, and redirects, like any other click.")]
    valid_until: Annotated[Moment, Meta(description="Then its clicks count like all others.")]


def make_test_link(context: Context, data: JSONBody[TestLinkBody]) -> TestLinkView:
    """Makes a link whose clicks, and their conversions, are marked as tests.

    The click takes the way of all clicks, through the public door and the journal, and the postbacks of its conversions are
    sent, unless the conversion says otherwise: that the source gets them is what is tried. Reports count neither.
    """
    with context.ledger.read() as tx:
        campaign, source = _campaign(tx, data.campaign_id)
    parameters = given_or(data.parameters, example_parameters(source))
    _refuse_long(parameters)
    now_ms = context.clock()
    parameters = {**parameters, TEST_PARAMETER: new_mark(context.click_ids, campaign.key, now_ms)}
    pairs = [
        f"{quote_from_bytes(octets_of(name), safe='')}={quote_from_bytes(octets_of(value), safe='')}"
        for name, value in parameters.items()
        if name and (value or name == EXTERNAL_ID)
    ]
    url = f"{base_of(context.base_url, campaign.domain)}/c/{campaign.key}?{'&'.join(pairs)}"
    return TestLinkView(url=url, valid_until=moment_text(now_ms + TEST_MARK_MS))


def list_test_clicks(
    context: Context, limit: Limit = 50, cursor: Cursor = "", campaign_id: OfCampaign = None
) -> Page[ClickView]:
    """The test clicks of the last day, the newest first."""
    wanted = ClickFilter(
        campaign_id=campaign_id, screening=ScreeningFilter.TEST, since=moment_text(context.clock() - SHOWN_MS)
    )
    found = context.facts.clicks_page(wanted, limit + 1, read_cursor(NOUN, cursor))
    return page_of(found, limit, NOUN, lambda click: click.click_id, click_view)


def example_parameters(source: TrafficSource) -> dict[str, str]:
    """An invented value for each tracked row of a source; every test has an external id of its own."""
    usual = {EXTERNAL_ID: f"test-{secrets.token_hex(4)}", COST: "0.01"}
    return {
        row.parameter: usual.get(row.parameter, f"example-{row.parameter}")
        for row in source.parameters
        if row.tracked and (row.placeholder or row.parameter == EXTERNAL_ID)
    }


def network_notice_url(context: ApiContext, network: Network | None, click_id: str, values: dict[str, str]) -> str:
    """The postback URL as the network would call it for a click; ``values`` for the other parameters, empty ones left out."""
    pairs = {"cid": click_id, **values, "token": network.token if network and context.shows_secrets else ""}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items() if value)
    return f"{context.base_url}/postback?{query}"


def network_of(context: ApiContext, network_id: int) -> Network | None:
    """The network of a click, if it has one."""
    with context.ledger.read() as tx:
        return NETWORKS.find(tx, network_id) if network_id else None


def _campaign(tx: Connection, number: int) -> tuple[Campaign, TrafficSource]:
    campaign = CAMPAIGNS.find(tx, number)
    if campaign is None or campaign.archived_at is not None:
        raise not_found(f"live campaign {number}")
    source = SOURCES.find(tx, campaign.source_id)
    assert source is not None, f"campaign {number} names a traffic source that is not in the ledger"
    return campaign, source


def _refuse_long(parameters: dict[str, str]) -> None:
    faults = [
        Fault(f"parameters.{name[:50]}", FaultCode.TOO_LONG, f"At most {MAX_VALUE_LENGTH} characters are taken.")
        for name, value in parameters.items()
        if len(name) + len(value) > MAX_VALUE_LENGTH
    ]
    if len(parameters) > MAX_PARAMETERS:
        faults.append(Fault("parameters", FaultCode.TOO_MANY, f"At most {MAX_PARAMETERS} are taken."))
    if faults:
        raise InvalidInputError(tuple(faults))


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", dto=StrictBody, return_dto=None, sync_to_thread=True, summary="Make a test link")(make_test_link),
        get("/", sync_to_thread=True, summary="List test clicks")(list_test_clicks),
    ],
    tags=["Diagnosis"],
)
