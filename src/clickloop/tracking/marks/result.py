"""What a rerun of marks changes: the result of its preview. Records only."""

from collections.abc import Iterable

import msgspec

from clickloop.click.marks.mark_correction import MarkChange
from clickloop.click.marks.marked_click import MarkedClick
from clickloop.report.click_rows import ConversionSum, MoneySum
from clickloop.setup.mark import Mark, marks_of

MAX_CAMPAIGNS = 50
"""Campaigns that a result lists, those with the most changed clicks."""


class MarkTally(msgspec.Struct, frozen=True):
    """How many clicks gain and lose a mark, and have it before."""

    mark: Mark
    before: int = 0
    gained: int = 0
    lost: int = 0


class CampaignTally(msgspec.Struct, frozen=True, kw_only=True):
    """The changed clicks of a campaign, and their money."""

    campaign_id: int
    changed: int
    newly_marked: int
    """Clicks that were clean."""
    newly_clean: int
    conversions: int
    money: tuple[MoneySum, ...] = ()


class RerunResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of judging marks anew."""

    judged: int
    changed: int
    clean_before: int
    clean_after: int
    marks: tuple[MarkTally, ...]
    campaigns: tuple[CampaignTally, ...]
    omitted: int = 0
    """Number of campaigns with changed clicks that are not listed."""
    rules: str
    """Digest of the rules that it was judged by."""


class _Campaign:
    """The running tally of a campaign."""

    def __init__(self) -> None:
        self.changed = self.newly_marked = self.newly_clean = self.conversions = 0
        self.money: dict[str, list[int]] = {}

    def add_money(self, currency: str, place: int, micros: int) -> None:
        """Add an amount."""
        if micros:
            self.money.setdefault(currency, [0, 0, 0])[place] += micros


class RerunTally:
    """Adds up what a rerun changes."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self.judged = self.changed = self._clean_before = self._clean_after = 0
        self._marks = {mark: [0, 0, 0] for mark in Mark if mark in set(marks)}
        self._campaigns: dict[int, _Campaign] = {}

    def add(self, click: MarkedClick, change: MarkChange | None, earned: Iterable[ConversionSum]) -> None:
        """Add a click, and its conversions if it changes."""
        self.judged += 1
        if not click.marks:
            self._clean_before += 1
        before = marks_of(click.marks) if click.marks else ()
        for mark in before:
            if mark in self._marks:
                self._marks[mark][0] += 1
        if change is None:
            self._clean_after += not click.marks
            return
        gained, lost = marks_of(change.gained), marks_of(change.lost)
        for mark in gained:
            self._marks[mark][1] += 1
        for mark in lost:
            self._marks[mark][2] += 1
        is_clean = not gained and lost.issuperset(before)
        self._clean_after += is_clean
        self.changed += 1
        campaign = self._campaigns.setdefault(click.campaign_id, _Campaign())
        campaign.changed += 1
        campaign.newly_marked += not click.marks
        campaign.newly_clean += is_clean
        campaign.add_money(click.currency, 0, click.cost_micros)
        for sums in earned:
            campaign.conversions += sums.conversions
            campaign.add_money(sums.currency, 1, sums.revenue_micros)
            campaign.add_money(sums.currency, 2, sums.pending_micros)

    def result(self, rules: str) -> RerunResult:
        """Return the sums."""
        largest = sorted(self._campaigns.items(), key=lambda pair: (-pair[1].changed, pair[0]))
        return RerunResult(
            judged=self.judged,
            changed=self.changed,
            clean_before=self._clean_before,
            clean_after=self._clean_after,
            marks=tuple(MarkTally(mark, *counts) for mark, counts in self._marks.items()),
            campaigns=tuple(
                CampaignTally(
                    campaign_id=id_,
                    changed=one.changed,
                    newly_marked=one.newly_marked,
                    newly_clean=one.newly_clean,
                    conversions=one.conversions,
                    money=tuple(MoneySum(currency, *sums) for currency, sums in sorted(one.money.items())),
                )
                for id_, one in largest[:MAX_CAMPAIGNS]
            ),
            omitted=max(0, len(largest) - MAX_CAMPAIGNS),
            rules=rules,
        )
