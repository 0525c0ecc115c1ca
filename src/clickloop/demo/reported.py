"""The tracker's reports, as far as the demo reads its API."""

from decimal import Decimal

import msgspec

from clickloop.postback.state import PostbackState


class ApiMoney(msgspec.Struct, frozen=True):
    """Money in the API's responses."""

    amount: str
    currency: str

    @property
    def micros(self) -> int:
        """Return the amount in millionths."""
        return int(Decimal(self.amount or "0").scaleb(6))


class ApiClick(msgspec.Struct, frozen=True):
    """A click in the API's responses."""

    click_id: str
    external_id: str
    cost: ApiMoney
    screening: str
    device: str
    country: str
    campaign_id: int


class ApiNotice(msgspec.Struct, frozen=True):
    """A notice in the API's responses."""

    notice_id: str
    channel: str
    outcome: str
    reason: str | None
    flags: list[str]


class ApiStatus(msgspec.Struct, frozen=True):
    """A conversion's status in the API's responses."""

    key: str
    name: str
    counts_as: str


class ApiConversion(msgspec.Struct, frozen=True):
    """A conversion in the API's responses."""

    conversion_id: str
    click_id: str
    txid: str
    status: ApiStatus
    payout: ApiMoney
    offer_id: int


class ApiPostback(msgspec.Struct, frozen=True):
    """A postback in the API's responses."""

    postback_id: str
    conversion_id: str
    version: int
    rule_id: int
    rule_name: str
    click_id: str
    state: PostbackState
    reason: str | None
    attempts: int


class ApiKey(msgspec.Struct, frozen=True):
    """The value of a dimension that a report's row is of."""

    value: str
    name: str


class ApiFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a report's row."""

    clicks: int
    landing_views: int
    landing_clicks: int
    offer_visits: int
    conversions: int


class ApiReportRow(msgspec.Struct, frozen=True):
    """A row of a report."""

    keys: tuple[ApiKey, ...]
    figures: ApiFigures


class ApiRouteFlow(msgspec.Struct, frozen=True):
    """A flow on a visitor's route. ``rule_name``: the rule that took the visitor; empty: the default paths did."""

    rule_name: str


class ApiRoute(msgspec.Struct, frozen=True):
    """A click's explained route. ``agrees``: whether its stored values lead to the same destination today."""

    agrees: bool
    flows: tuple[ApiRouteFlow, ...]


class PageData(msgspec.Struct, frozen=True, kw_only=True):
    """The tracker's reports of the campaigns with pages."""

    clicks: tuple[ApiClick, ...]
    by_country: tuple[ApiReportRow, ...]
    """The campaign's report by country and landing."""
    by_offer: tuple[ApiReportRow, ...]
    """The report of both campaigns by offer."""
    by_path: tuple[ApiReportRow, ...]
    """The report of both campaigns by campaign and path."""
    routes: dict[str, ApiRoute]
    """The explained routes of some clicks."""

    @property
    def page_events(self) -> int:
        """Return the number of landing views and landing clicks that are counted."""
        return sum(row.figures.landing_views + row.figures.landing_clicks for row in self.by_path)


class TrackerData(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the tracker reports of the campaign without pages, and all that it reports of conversions."""

    clicks: tuple[ApiClick, ...]
    notices: tuple[ApiNotice, ...]
    conversions: tuple[ApiConversion, ...]
    postbacks: tuple[ApiPostback, ...]
