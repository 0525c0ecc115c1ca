"""The destinations of a campaign: offers, landings, URLs and the fallback, with their URLs parsed for filling in macros."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from clickloop.click.click import Click
from clickloop.click.click_json import click_json
from clickloop.click.click_values import SetupNames, setup_values
from clickloop.macro import EncodingContext, Template, parse
from clickloop.setup.catalog import CatalogCampaign, CatalogLanding, CatalogOffer
from clickloop.setup.redirect import PassQuery, RedirectMode
from clickloop.setup.source_rows import ROW_FIELDS, ROW_MACROS, V_ROWS, row_macros

_LINK_FIELDS = {"clickid": "click_id", "externalid": "external_id"} | {
    ROW_MACROS[number]: ROW_FIELDS[number] for number in V_ROWS
}
"""Macro → field of the click that holds its value unchanged, once the link has been parsed."""
CLICK_ID_PARAMETER = "cid"


class PathPlace(msgspec.Struct, frozen=True, gc=False):
    """The place of a path in its flow and rule, with its settings. All ids are 0 for the fallback."""

    flow_id: int = 0
    flow_version: int = 0
    rule_id: int = 0
    path_id: int = 0
    rule_name: str = ""
    path_name: str = ""
    redirect: RedirectMode = RedirectMode.FOUND
    pass_query: PassQuery = PassQuery.NONE
    routing_state: int = 0
    """Version of the routing state, if it affects the flow."""
    instead_of: int = 0
    """The path's own offer, whose cap is reached."""


class RedirectTarget(msgspec.Struct, frozen=True, gc=False):
    """A prepared destination. ``template`` is its parsed URL, or None for a 404."""

    place: PathPlace
    landing_id: int
    offer_id: int
    """0 for a landing, a URL and the fallback."""
    network_id: int
    template: Template | None
    source: Template
    """The parsed URL before any macro was filled in."""
    setup: SetupNames
    json: bytes
    """The target's fragment of the click's JSON."""
    quick: Template | None
    """The template with fields of the click as names, if the link alone provides all of them. See ``_LINK_FIELDS``."""
    passes_query: bool
    """Whether parameters of the link are passed on."""


class Destination:
    """A destination of a path. It is prepared for its first visitor, since most of a flow's thousands may never get one."""

    __slots__ = ("_prepare", "_target", "campaign_id", "id", "place")

    def __init__(
        self, place: PathPlace, prepare: Callable[[], RedirectTarget], campaign_id: int = 0, item_id: int = 0
    ) -> None:
        self.place = place
        self.id = item_id
        """The landing's or the offer's; 0 for a URL or a 404."""
        self.campaign_id = campaign_id
        """The campaign whose flow the visitor continues along; 0 if none."""
        self._prepare = prepare
        self._target: RedirectTarget | None = None

    @property
    def target(self) -> RedirectTarget:
        """Return the destination, prepared."""
        target = self._target
        if target is None:
            target = self._target = self._prepare()
        return target


class Destinations:
    """Prepares the destinations of one campaign's visitors."""

    def __init__(self, campaign: CatalogCampaign) -> None:
        self._campaign = campaign
        self._rows = row_macros(campaign.rows)

    def offer(self, place: PathPlace, offer: CatalogOffer) -> RedirectTarget:
        """Return an offer as the destination of a path."""
        names = self._names(place, offer_name=offer.name, network_name=offer.network_name)
        return self._target(place, offer.url, names, offer_id=offer.id, network_id=offer.network_id)

    def landing(self, place: PathPlace, landing: CatalogLanding) -> RedirectTarget:
        """Return a landing as the destination of a path, with the click id appended to its URL unless it is already there."""
        url = with_click_id(landing.url) if landing.append_click_id else landing.url
        return self._target(place, url, self._names(place, landing_name=landing.name), landing_id=landing.id)

    def url(self, place: PathPlace, url: str) -> RedirectTarget:
        """Return a URL as the destination of a path, or as the fallback."""
        return self._target(place, url, self._names(place))

    def nothing(self, place: PathPlace) -> RedirectTarget:
        """Return the destination of a path to a 404."""
        return self._target(place, "", self._names(place))

    def _names(self, place: PathPlace, **names: str) -> SetupNames:
        campaign = self._campaign
        return SetupNames(
            campaign_key=campaign.key,
            campaign_name=campaign.name,
            source_name=campaign.source_name,
            rule_name=place.rule_name,
            path_name=place.path_name,
            **names,
        )

    def _target(
        self,
        place: PathPlace,
        url: str,
        names: SetupNames,
        *,
        landing_id: int = 0,
        offer_id: int = 0,
        network_id: int = 0,
    ) -> RedirectTarget:
        """Return a target whose URL has every macro filled in that does not depend on the click."""
        fields: dict[str, Any] = {
            "campaign_id": self._campaign.id,
            "source_id": self._campaign.source_id,
            "flow_id": place.flow_id,
            "flow_version": place.flow_version,
            "rule_id": place.rule_id,
            "path_id": place.path_id,
            "landing_id": landing_id,
            "offer_id": offer_id,
            "network_id": network_id,
            "instead_of": place.instead_of,
            "routing_state": place.routing_state,
        }
        template = quick = None
        source = parse(_ascii(url), self._rows)
        if url:
            any_click = Click(click_id="", at=0, **fields)
            template = source.filled(setup_values(any_click, names), EncodingContext.URL)
            if _LINK_FIELDS.keys() | {"cost", "now"} >= set(template.names):
                quick = template.renamed(_LINK_FIELDS)
        json = click_json(**{name: value or "" for name, value in fields.items()})
        return RedirectTarget(
            place,
            landing_id,
            offer_id,
            network_id,
            template,
            source,
            names,
            json,
            quick,
            place.pass_query is not PassQuery.NONE,
        )


def fallback_template(url: str) -> Template | None:
    """Return the instance's fallback URL without a campaign, all of whose macros are empty; None if there is none."""
    return parse(_ascii(url)) if url else None


def with_click_id(url: str) -> str:
    """Return a landing's URL with ``cid={clickid}`` appended, before a fragment, unless it already contains the click id."""
    if "{clickid" in url.lower():
        return url
    before, hash_sign, fragment = url.partition("#")
    joint = "" if before.endswith(("?", "&")) else "&" if "?" in before else "?"
    return f"{before}{joint}{CLICK_ID_PARAMETER}={{clickid}}{hash_sign}{fragment}"


def _ascii(url: str) -> str:
    """Return the URL with every character that is invalid in a header percent-encoded; macros and escapes stay."""
    return quote(url, safe="!#$%&'()*+,/:;=?@[]~{}|^\"<>`\\ ").replace(" ", "%20")
