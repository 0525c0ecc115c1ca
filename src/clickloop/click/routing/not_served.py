"""Offers, landings and URLs of a flow that serve no visitors, each with the reason."""

import msgspec

from clickloop.explained import Explained
from clickloop.setup.flow import PathTarget


class NotServedReason(Explained):
    """The reason why a campaign sends no visitors to one of its offers."""

    CAMPAIGN_PAUSED = "campaign_paused", "The campaign is paused."
    OFFER_GONE = "offer_gone", "The offer is archived or does not exist."
    LANDING_GONE = "landing_gone", "The landing is archived or does not exist."
    CAMPAIGN_GONE = "campaign_gone", "The campaign that the path leads to is paused, archived or does not exist."
    NO_WEIGHT = "no_weight", "Its weight in the campaign is 0."
    CAPPED = "capped", "Its cap is reached, and no other offer takes its visitors."
    LOOPS = "loops", "Its URL is a campaign link of this tracker, which would redirect visitors in a loop."


class NotServed(msgspec.Struct, frozen=True, gc=False):
    """An offer, landing, URL or campaign of a path to which its campaign sends no visitors. ``id`` 0: a URL."""

    kind: PathTarget
    id: int
    path_id: int
    reason: NotServedReason
