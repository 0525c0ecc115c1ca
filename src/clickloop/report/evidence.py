"""What came lately of campaigns, rules and networks, as the stores count it for the check of the chain."""

import msgspec

from clickloop.conversion.notice import RefusalReason


class Clicks(msgspec.Struct, frozen=True, kw_only=True):
    """The recent clicks of a campaign that count: how many, how many without a usable external id or a readable cost."""

    recent: int = 0
    without_external_id: int = 0
    unreplaced: int = 0
    cost_unreadable: int = 0
    last_at: int | None = None


class RuleEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a rule's postbacks lately."""

    rule_id: int
    delivered: int = 0
    failed: int = 0
    last_error: str = ""
    """Of the last attempt of one that failed."""


class RefusedNotices(msgspec.Struct, frozen=True, kw_only=True):
    """How many notices were refused lately for a reason. ``network_id`` is 0 where none is known."""

    reason: RefusalReason
    network_id: int = 0
    count: int
    last_at: int
