"""Routing: from a campaign's key to the visitor's offer. Pure: chance is passed in."""

from bisect import bisect_right
from itertools import accumulate
from urllib.parse import quote

import msgspec

from clickloop.click.click import Click
from clickloop.click.click_json import click_json
from clickloop.click.click_values import SetupNames, setup_values
from clickloop.explained import Explained
from clickloop.macro import EncodingContext, Template, parse
from clickloop.setup.catalog import Catalog, CatalogCampaign, CatalogOffer, CatalogShare
from clickloop.setup.own_link import OwnLinks
from clickloop.setup.source_rows import ROW_FIELDS, ROW_MACROS, V_ROWS, row_macros

_LINK_FIELDS = {"clickid": "click_id", "externalid": "external_id"} | {
    ROW_MACROS[number]: ROW_FIELDS[number] for number in V_ROWS
}
"""Macro → field of the click that holds its value unchanged, once the link has been parsed."""


class NotServedReason(Explained):
    """The reason why a campaign sends no visitors to one of its offers."""

    CAMPAIGN_PAUSED = "campaign_paused", "The campaign is paused."
    OFFER_GONE = "offer_gone", "The offer is archived or does not exist."
    NO_WEIGHT = "no_weight", "The offer's weight in the campaign is 0."
    LOOPS = "loops", "The offer's URL is a campaign link of this tracker, which would redirect visitors in a loop."


class NotServedOffer(msgspec.Struct, frozen=True, gc=False):
    """An offer to which its campaign sends no visitors."""

    offer_id: int
    reason: NotServedReason


class RedirectTarget(msgspec.Struct, frozen=True, gc=False):
    """A redirect target, prepared: an offer, or the fallback with ``offer_id`` 0. ``template`` is its parsed URL."""

    offer_id: int
    network_id: int
    template: Template
    setup: SetupNames
    json: bytes
    """The target's fragment of the click's JSON."""
    quick: Template | None
    """The template over fields of the click, if it needs nothing but what is in the link. See ``_LINK_FIELDS``."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """A campaign, prepared for routing. ``fields``: link parameter, as written and in lower case → field of the click.

    ``cumulative``: running totals of the targets' weights.
    """

    campaign: CatalogCampaign
    fields: dict[str, str]
    targets: tuple[RedirectTarget, ...]
    cumulative: tuple[int, ...]
    fallback: RedirectTarget | None
    json: bytes
    """The campaign's fragment of the click's JSON, for clicks without a target."""
    left_out: tuple[NotServedOffer, ...] = ()

    def choose(self, chance: float) -> RedirectTarget | None:
        """Return the target for a draw from [0, 1), by weight; without targets the fallback, or None if there is none."""
        targets = self.targets
        if len(targets) == 1:
            return targets[0]
        if not targets:
            return self.fallback
        return targets[bisect_right(self.cumulative, chance * self.cumulative[-1])]


class Routes:
    """All campaigns of a catalog by key. Effectively immutable: a campaign is prepared on its first use."""

    def __init__(self, catalog: Catalog, fallback_url: str) -> None:
        self._campaigns = {campaign.key.encode(): campaign for campaign in catalog.campaigns}
        self._offers = {offer.id: offer for offer in catalog.offers}
        self._own_links = OwnLinks(catalog.own_hosts)
        self._fallback_url = fallback_url
        self._routes: dict[bytes, Route] = {}

    def __len__(self) -> int:
        return len(self._campaigns)

    def find(self, key: bytes) -> Route | None:
        """Return the route of a campaign key, or None if there is no such campaign."""
        route = self._routes.get(key)
        if route is None:
            campaign = self._campaigns.get(key)
            if campaign is None:
                return None
            route = self._routes[key] = self._prepare(campaign)
        return route

    def _prepare(self, campaign: CatalogCampaign) -> Route:
        rows = row_macros(campaign.rows)
        targets, weights, left_out = [], [], []
        for share in campaign.shares:
            offer = self._offers.get(share.offer_id)
            reason = self._left_out(campaign, share, offer)
            if reason is not None or offer is None:
                left_out.append(NotServedOffer(share.offer_id, reason or NotServedReason.OFFER_GONE))
                continue
            setup = SetupNames(
                campaign_key=campaign.key,
                campaign_name=campaign.name,
                source_name=campaign.source_name,
                offer_name=offer.name,
                network_name=offer.network_name,
            )
            targets.append(_target(campaign, offer.id, offer.network_id, offer.url, rows, setup))
            weights.append(share.weight)
        fallback_url = self._fallback_url_of(campaign)
        setup = SetupNames(campaign_key=campaign.key, campaign_name=campaign.name, source_name=campaign.source_name)
        return Route(
            campaign=campaign,
            fields={
                name: ROW_FIELDS[row.number]
                for row in campaign.rows
                if row.tracked
                for name in (row.parameter, row.parameter.lower())
            },
            targets=tuple(targets),
            cumulative=tuple(accumulate(weights)),
            fallback=_target(campaign, 0, 0, fallback_url, rows, setup) if fallback_url else None,
            json=click_json(campaign_id=campaign.id, source_id=campaign.source_id),
            left_out=tuple(left_out),
        )

    def _left_out(
        self, campaign: CatalogCampaign, share: CatalogShare, offer: CatalogOffer | None
    ) -> NotServedReason | None:
        """Return why an offer gets no visitors from a campaign, or None if it does."""
        if not campaign.active:
            return NotServedReason.CAMPAIGN_PAUSED
        if offer is None:
            return NotServedReason.OFFER_GONE
        if share.weight <= 0:
            return NotServedReason.NO_WEIGHT
        return NotServedReason.LOOPS if self._own_links.key_in(offer.url) is not None else None

    def _fallback_url_of(self, campaign: CatalogCampaign) -> str:
        """Return the campaign's fallback URL, or else the instance's, ignoring one that leads back to the campaign."""
        for url in (campaign.fallback_url, self._fallback_url):
            if url and not self._returns(url, campaign.key):
                return url
        return ""

    def _returns(self, url: str, key: str) -> bool:
        """Return whether a URL leads back to the campaign with this key, directly or through other campaigns' fallback URLs."""
        seen = {key}
        while (found := self._own_links.key_in(url)) is not None:
            if found in seen:
                return True
            seen.add(found)
            following = self._campaigns.get(found.encode())
            if following is None or any(
                self._left_out(following, share, self._offers.get(share.offer_id)) is None for share in following.shares
            ):
                return False
            url = following.fallback_url or self._fallback_url
        return False


def _target(
    campaign: CatalogCampaign, offer_id: int, network_id: int, url: str, rows: dict[str, str], setup: SetupNames
) -> RedirectTarget:
    """Return a target whose URL has every macro filled in that does not depend on the click."""
    any_click = Click(
        click_id="",
        at=0,
        campaign_id=campaign.id,
        source_id=campaign.source_id,
        offer_id=offer_id,
        network_id=network_id,
    )
    template = parse(_ascii(url), rows).filled(setup_values(any_click, setup), EncodingContext.URL)
    return RedirectTarget(
        offer_id,
        network_id,
        template,
        setup,
        click_json(campaign_id=campaign.id, source_id=campaign.source_id, offer_id=offer_id, network_id=network_id),
        template.renamed(_LINK_FIELDS) if _LINK_FIELDS.keys() | {"cost", "now"} >= set(template.names) else None,
    )


def _ascii(url: str) -> str:
    """Return the URL with every character that is invalid in a header percent-encoded; macros and escapes stay."""
    return quote(url, safe="!#$%&'()*+,/:;=?@[]~{}|^\"<>`\\ ").replace(" ", "%20")
