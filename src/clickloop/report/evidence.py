"""Recent activity of campaigns, rules and networks, counted by the stores as evidence for the configuration check."""

from collections.abc import Mapping

import msgspec

from clickloop.conversion.notice import RefusalReason


class ClickEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of a campaign's recent counted clicks, and of those without a usable external id or a readable cost."""

    recent: int = 0
    without_external_id: int = 0
    unreplaced: int = 0
    cost_unreadable: int = 0
    marks: Mapping[str, int] = {}
    """Number of these clicks with each mark."""
    last_at: int | None = None


class LandingEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of a landing's recent landing clicks, and of those whose page had an older click id than the visitor's latest."""

    landing_id: int
    landing_clicks: int
    with_old_click_id: int


class RuleEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Outcomes of a rule's recent postbacks."""

    rule_id: int
    delivered: int = 0
    failed: int = 0
    last_error: str = ""
    """The error of the last attempt of a failed postback."""


class RefusedNotices(msgspec.Struct, frozen=True, kw_only=True):
    """The number of notices recently refused for a reason. ``network_id`` is 0 if the network is unknown."""

    reason: RefusalReason
    network_id: int = 0
    count: int
    last_at: int
