"""/test-clicks: real clicks and conversions that are marked as tests and left out of reports."""

from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import Router, get, post
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from clickloop.click.click_log import ClickFilter, ScreeningFilter
from clickloop.click.trial_mark import TEST_MARK_MS
from clickloop.clock import DAY_MS, Moment, iso_text
from clickloop.diagnosis.simulation_input import parameter_faults
from clickloop.diagnosis.trial_link import example_parameters, trial_link
from clickloop.log_filter import MAX_ID
from clickloop.logs.click_view import ClickView, click_view
from clickloop.logs.page import Page, page_of, read_cursor
from clickloop.saving.faults import raise_faults
from clickloop.setup.network import Network
from clickloop.setup.reading import value_or
from clickloop.store.ledger.setup.campaigns import CAMPAIGNS
from clickloop.store.ledger.setup.networks import NETWORKS
from clickloop.store.ledger.setup.traffic_sources import SOURCES
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Cursor, Limit
from clickloop.web.api.problem import not_found

NOUN = "test-clicks"
SHOWN_MS = DAY_MS
"""Maximum age of the test clicks in the list."""


CampaignParameter = Annotated[
    int | None, QueryParameter(ge=0, le=MAX_ID, description="Return only test clicks of this campaign.")
]


class TestLinkBody(msgspec.Struct, kw_only=True):
    """A test link to create."""

    campaign_id: Annotated[int, Meta(ge=1, le=MAX_ID, description="Campaign to test.")]
    parameters: Annotated[
        dict[str, str] | UnsetType,
        Meta(
            description="Query parameters as the source would send them. Omit to use an example for each tracked parameter. Use a "
            "click ID issued by the source itself to have the source accept the postback.",
            examples=[{"external_id": "abc"}],
        ),
    ] = UNSET


class TestLinkView(msgspec.Struct, kw_only=True):
    """A campaign link that marks its clicks as tests."""

    url: Annotated[str, Meta(description="Open it in a browser: it records a click and redirects like any other link.")]
    valid_until: Annotated[Moment, Meta(description="Clicks after this time count like any other click.")]


def make_test_link(context: Context, data: JSONBody[TestLinkBody]) -> TestLinkView:
    """Create a link whose clicks, and their conversions, are marked as tests.

    A test click takes the same path as any other click, through the public endpoint and the journal. Postbacks of its
    conversions are sent unless the conversion disables them, because delivery is what you are testing. Reports leave both out.
    """
    with context.ledger.read() as tx:
        campaign = CAMPAIGNS.find(tx, data.campaign_id)
        if campaign is None or campaign.is_archived:
            raise not_found(f"live campaign {data.campaign_id}")
        source = SOURCES.find(tx, campaign.source_id)
    assert source is not None, f"campaign {campaign.id} names a traffic source that is not in the ledger"
    parameters = value_or(data.parameters, example_parameters(source))
    raise_faults(parameter_faults(parameters))
    now_ms = context.clock()
    url = trial_link(campaign, parameters, context.base_url, context.click_ids, now_ms)
    return TestLinkView(url=url, valid_until=iso_text(now_ms + TEST_MARK_MS))


def list_test_clicks(
    context: Context, limit: Limit = 50, cursor: Cursor = "", campaign_id: CampaignParameter = None
) -> Page[ClickView]:
    """List the test clicks of the last 24 hours, newest first."""
    wanted = ClickFilter(
        campaign_id=campaign_id, screening=ScreeningFilter.TEST, since=iso_text(context.clock() - SHOWN_MS)
    )
    found = context.facts.clicks_page(wanted, limit + 1, read_cursor(NOUN, cursor))
    return page_of(found, limit, NOUN, lambda click: click.click_id, click_view)


def network_notice_url(context: ApiContext, network: Network | None, click_id: str, values: dict[str, str]) -> str:
    """Return the postback URL as the network would call it for a click, with the non-empty ``values`` as further parameters."""
    pairs = {"cid": click_id, **values, "token": network.token if network and context.shows_secrets else ""}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items() if value)
    return f"{context.base_url}/postback?{query}"


def network_of(context: ApiContext, network_id: int) -> Network | None:
    """Return the network of a click; None for ``network_id`` 0."""
    with context.ledger.read() as tx:
        return NETWORKS.find(tx, network_id) if network_id else None


router = Router(
    f"/{NOUN}",
    route_handlers=[
        post("/", sync_to_thread=True, summary="Create a test link")(make_test_link),
        get("/", sync_to_thread=True, summary="List test clicks")(list_test_clicks),
    ],
    tags=["Diagnosis"],
)
