"""The plan of the pages: who comes over the landing or straight to a page, and which buttons they press. Pure, from a seed."""

import enum
from random import Random

import msgspec

from clickloop.demo.browsers import HOME_NETWORKS
from clickloop.demo.plan import WEIGHTS, ConversionPattern, PlannedVisitor, SentVia, make_visitor

LANDING_COUNTRIES = ("DE", "GB")
"""Visitors from here are sent to the landing, all others directly to an offer."""
BUTTONS = 2
FIRST_OFFER = len(WEIGHTS) + 1
"""The network's number of the first button's offer. The next button's is the next one."""
PAGE_OFFERS = tuple(str(FIRST_OFFER + place) for place in range(BUTTONS))
"""The network's numbers of the buttons' offers, as they are in the offers' URLs."""
MIN_VISITORS = 60
_LANDING_NETWORKS = tuple(network for network in HOME_NETWORKS if network[0] in LANDING_COUNTRIES)
_OTHER_NETWORKS = tuple(network for network in HOME_NETWORKS if network[0] not in LANDING_COUNTRIES)


class PlannedRoute(enum.Enum):
    """The route of a visitor of the pages."""

    OVER_LANDING = enum.auto()
    """By the campaign link to the landing."""
    PAST_LANDING = enum.auto()
    """By the campaign link, but their country is sent directly to an offer."""
    STRAIGHT_TO_PAGE = enum.auto()
    """Straight to a page, without the campaign link."""


class PageVisitor(msgspec.Struct, frozen=True, kw_only=True):
    """A visitor of the pages. At least one of ``keeps_cookies`` and ``runs_scripts`` holds for visitors of the landing."""

    visitor: PlannedVisitor
    route: PlannedRoute
    keeps_cookies: bool = True
    runs_scripts: bool = True
    presses: tuple[int, ...] = ()
    """Numbers of the buttons, in the order of pressing."""
    reloads: bool = False
    """True if they reload the page."""

    @property
    def country(self) -> str:
        return self.visitor.macro_values["{geo}"]

    @property
    def views(self) -> int:
        """Return the number of landing views that count. On a page without a campaign link the first report is the click."""
        if self.route is PlannedRoute.PAST_LANDING or not self.runs_scripts:
            return 0
        return int(self.route is PlannedRoute.OVER_LANDING) + int(self.reloads)


_ROUTES = (
    PlannedRoute.OVER_LANDING,
    PlannedRoute.OVER_LANDING,
    PlannedRoute.PAST_LANDING,
    PlannedRoute.STRAIGHT_TO_PAGE,
)
_HABITS = ((True, True), (False, True), (True, False))
"""Keeps cookies, runs scripts."""
_PRESSES = ((1,), (2,), (1, 1), (2, 1), ())
_CHANNELS = (SentVia.GET, SentVia.FORM, SentVia.JSON)


def make_page_plan(visitors: int, first_number: int, seed: int = 2) -> tuple[PageVisitor, ...]:
    """Return visitors of the pages, a tenth of a number of visitors. ``first_number``: the first one's, unused by others."""
    chance = Random(seed)
    numbers = range(first_number, first_number + max(MIN_VISITORS, visitors // 10))
    return tuple(_page_visitor(number, index, chance) for index, number in enumerate(numbers))


def _page_visitor(number: int, index: int, chance: Random) -> PageVisitor:
    route = _ROUTES[index % len(_ROUTES)]
    turn = index // len(_ROUTES)
    presses = () if route is PlannedRoute.PAST_LANDING else _PRESSES[turn % len(_PRESSES)]
    reaches_offer = route is PlannedRoute.PAST_LANDING or presses
    networks = {PlannedRoute.OVER_LANDING: _LANDING_NETWORKS, PlannedRoute.PAST_LANDING: _OTHER_NETWORKS}.get(
        route, HOME_NETWORKS
    )
    converts = reaches_offer and chance.random() < 0.4
    visitor = make_visitor(number, ConversionPattern.SALE if converts else None, None, chance, networks)
    steps = tuple(msgspec.structs.replace(step, via=chance.choice(_CHANNELS)) for step in visitor.steps)
    keeps_cookies, runs_scripts = (
        _HABITS[index // 2 % len(_HABITS)] if route is PlannedRoute.OVER_LANDING else (False, True)
    )
    return PageVisitor(
        visitor=msgspec.structs.replace(visitor, steps=steps),
        route=route,
        keeps_cookies=keeps_cookies,
        runs_scripts=runs_scripts,
        presses=presses,
        reloads=runs_scripts and turn % 4 == 0,
    )
