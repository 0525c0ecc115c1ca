"""Records of the simulated partners and visitors."""

import enum

import msgspec

from clickloop.conversion.notice import RefusalReason
from clickloop.conversion.notice_log import NoticeOutcome
from clickloop.demo.page_plan import PageVisitor
from clickloop.demo.plan import ConversionStep, PlannedVisitor
from clickloop.demo.standins import NetworkVisit, ReceivedPostback


class CampaignVisit(msgspec.Struct, frozen=True):
    """A visitor's redirect. ``click_id`` is the one in the redirect's URL; empty if there was no redirect."""

    visitor: PlannedVisitor
    status_code: int
    click_id: str
    cookie: str


class ArrivalPlace(enum.StrEnum):
    """The place where a visitor of the pages first arrived."""

    LANDING = "landing"
    OFFER = "offer"
    PAGE = "page"
    """The page that is tracked directly."""
    NOWHERE = "nowhere"


class ButtonPress(msgspec.Struct, frozen=True):
    """A press on a button, and where it led: the offer's number at the network, and the click id in its URL."""

    button: int
    offer: str
    click_id: str


class PageVisit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit of a visitor of the pages, from the ad to the last button."""

    planned: PageVisitor
    place: ArrivalPlace
    click_id: str
    """The one in the redirect's URL or in the answer to the script; empty if there was none."""
    offer: str = ""
    """The offer's number of a visitor who was sent directly to one."""
    presses: tuple[ButtonPress, ...] = ()
    views: int = 0
    """Number of reports of the page's script for this click."""


class SentNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice sent to the tracker, its expected outcome, and the response. ``outcome_header``: X-Clickloop-Outcome, if sent."""

    name: str
    outcome: NoticeOutcome
    reason: RefusalReason | None
    status_code: int
    outcome_header: str | None = None


class SentStep(msgspec.Struct, frozen=True):
    """A conversion step as sent to the tracker for a click, in the order of sending."""

    click_id: str
    step: ConversionStep


class ObservedTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the simulated partners recorded."""

    visits: tuple[CampaignVisit, ...]
    page_visits: tuple[PageVisit, ...] = ()
    """Visits of the pages. Their conversions are among ``sent`` and ``sent_steps``."""
    arrivals: tuple[NetworkVisit, ...]
    page_arrivals: tuple[NetworkVisit, ...] = ()
    sent: tuple[SentNotice, ...]
    sent_steps: tuple[SentStep, ...]
    calls: tuple[ReceivedPostback, ...]
    own_calls: tuple[ReceivedPostback, ...]
    source_rule_id: int
    own_rule_id: int
    weights: tuple[int, ...]
    """Weights of the offers, in the order of their numbers."""

    @property
    def external_ids(self) -> dict[str, bytes]:
        """Return the external id of each click."""
        ids = {visit.click_id: visit.visitor.external_id for visit in self.visits}
        return ids | {visit.click_id: visit.planned.visitor.external_id for visit in self.page_visits}
