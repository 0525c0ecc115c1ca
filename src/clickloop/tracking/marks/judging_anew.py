"""Judge the marks of past clicks anew, by the rules that are in force now. No I/O: clicks and views are passed in."""

from collections.abc import Collection
from functools import lru_cache

from clickloop.click.marks.landing_views import ReportedViews
from clickloop.click.marks.late_marks import LATE_MARKS, LateThresholds, late_marks, late_thresholds
from clickloop.click.marks.lists_in_use import mark_lists
from clickloop.click.marks.mark_correction import MarkChange
from clickloop.click.marks.marked_click import MarkedClick
from clickloop.click.marks.rate_tally import RatedClick, RateTally, RateThresholds, thresholds_of
from clickloop.click.marks.request_marks import MarkFinder, bits_of, bits_text, marks_of_request
from clickloop.click.useragent import UserAgentParser
from clickloop.clock import DAY_MS, MINUTE_MS
from clickloop.setup.instance import IpStorage
from clickloop.setup.mark import NO_MARKS, Mark, MarkMoment, marks_of, marks_text
from clickloop.tracking.marks.rules import MarkRules

BY_ADDRESS = frozenset({Mark.LISTED_IP, Mark.FREQUENT_IP, Mark.FREQUENT_CAMPAIGN, Mark.REPEAT})
"""Marks that need a visitor's whole address."""
MAX_USERAGENTS = 50_000
"""Different user agents that are remembered."""


def unjudgeable(marks: Collection[Mark], storage: IpStorage) -> frozenset[Mark]:
    """Return the marks that cannot be judged anew, because whole addresses are not stored."""
    return NO_MARKS if storage is IpStorage.FULL else BY_ADDRESS & {*marks}


class _CampaignRules:
    """The rules of a campaign, in the form that judging needs."""

    def __init__(self, rules: MarkRules, campaign_id: int, marks: frozenset[Mark]) -> None:
        settings = [setting for setting in rules.in_force(campaign_id) if setting.mark in marks]
        self.on = bits_of(settings)
        self.rates: RateThresholds = thresholds_of(settings)
        self.late: LateThresholds = late_thresholds(settings)


class PastJudge:
    """Judges clicks, which must come in the order of their ids. Marks that are not among ``marks`` stay as they are."""

    def __init__(self, rules: MarkRules, marks: Collection[Mark], views: ReportedViews) -> None:
        self.marks = frozenset(marks)
        moments = {mark.moment for mark in self.marks}
        self.has_rates = MarkMoment.SETTLING in moments
        """Whether clicks of all campaigns have to be passed in: an address is counted across them."""
        self.has_late = bool(self.marks & LATE_MARKS)
        """Whether the clicks' page events are needed."""
        self._has_request = MarkMoment.REQUEST in moments
        self._rules = rules
        self._views = views
        self._by_campaign: dict[int, _CampaignRules] = {}
        self._finder = MarkFinder(mark_lists(rules.instance, rules.lists))
        self._parse = UserAgentParser()
        self._of_useragent = lru_cache(MAX_USERAGENTS)(self._find_useragent)
        self._of_address = lru_cache(MAX_USERAGENTS)(self._finder.of_address)
        self._tally = RateTally()

    @property
    def warm_up_ms(self) -> int:
        """Return how long before the first click clicks have to be passed in, to be counted."""
        if Mark.REUSED_EXTERNAL_ID in self.marks:
            return DAY_MS
        return MINUTE_MS if self.has_rates else 0

    def judge(self, click: MarkedClick) -> MarkChange | None:
        """Return how a click's marks change; None: not at all."""
        found = self._found(click)
        if not found and not click.marks:
            return None
        has_now = _marks_of(click.marks)
        # What cannot be known any more stays as it was judged when it could.
        judged = self.marks if click.ip else self.marks - BY_ADDRESS
        gained, lost = found & judged - has_now, has_now & judged - found
        if not gained and not lost:
            return None
        return MarkChange(click.click_id, marks_text(gained), marks_text(lost))

    def _found(self, click: MarkedClick) -> frozenset[Mark]:
        rules = self._by_campaign.get(click.campaign_id)
        if rules is None:
            rules = _CampaignRules(self._rules, click.campaign_id, self.marks)
            self._by_campaign[click.campaign_id] = rules
        found = NO_MARKS
        if self._has_request and rules.on:
            bits = marks_of_request(
                rules.on,
                self._of_useragent(click.useragent),
                self._of_address(click.ip, click.asn),
                bool(click.referrer),
                click.language,
                click.country,
            )
            if bits:
                found = _marks_of(bits_text(bits))
        if self.has_rates:
            visitor = f"{click.ip} {click.useragent}" if click.ip else ""
            rated = RatedClick(click.at, click.campaign_id, click.source_id, click.external_id, click.ip, visitor)
            rates = self._tally.count(rated, rules.rates)
            if rates:
                found = found.union(rates)
        if self.has_late:
            late = late_marks(click, rules.late, has_script=self._views.had_views(click.landing_id, click.at))
            if late:
                found |= late
        return found

    def _find_useragent(self, useragent: str) -> int:
        return self._finder.of_useragent(useragent, self._parse(useragent))


_marks_of = lru_cache(4096)(marks_of)
