"""Judge the marks of past clicks anew, by the rules that are in force now. No I/O: clicks and views are passed in."""

from collections.abc import Collection
from functools import lru_cache

from clickloop.click.late_marks import LATE_MARKS, LateThresholds, late_marks, late_thresholds
from clickloop.click.marked_click import MarkChange, MarkedClick, ReportedViews
from clickloop.click.marks.campaign_marks import CampaignMarks
from clickloop.click.marks.past_marks import PastMarks
from clickloop.clock import DAY_MS, MINUTE_MS
from clickloop.setup.instance import IpStorage
from clickloop.setup.mark import NO_MARKS, Mark, MarkMoment, marks_of, marks_text
from clickloop.tracking.marks.rules import MarkRules

BY_ADDRESS = frozenset({Mark.LISTED_IP, Mark.FREQUENT_IP, Mark.FREQUENT_CAMPAIGN, Mark.REPEAT})
"""Marks that need a visitor's whole address."""


def unjudgeable(marks: Collection[Mark], storage: IpStorage) -> frozenset[Mark]:
    """Return the marks that cannot be judged anew, because whole addresses are not stored."""
    return NO_MARKS if storage is IpStorage.FULL else BY_ADDRESS & {*marks}


class PastJudge:
    """Judges clicks, which must come in the order of their ids. Marks that are not among ``marks`` stay as they are."""

    def __init__(self, rules: MarkRules, marks: Collection[Mark], views: ReportedViews) -> None:
        self.marks = frozenset(marks)
        self.has_rates = any(mark.moment is MarkMoment.SETTLING for mark in self.marks)
        """Whether clicks of all campaigns have to be passed in: an address is counted across them."""
        self.has_late = bool(self.marks & LATE_MARKS)
        """Whether the clicks' page events are needed."""
        self._rules = rules
        self._views = views
        self._late: dict[int, LateThresholds] = {}
        earlier = self.marks - LATE_MARKS
        compiled = CampaignMarks(rules.instance, rules.campaigns, rules.lists)
        self._past = PastMarks(compiled, earlier) if earlier else None

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
        found = _as_marks(self._past.marks_of(click)) if self._past is not None else NO_MARKS
        if not self.has_late:
            return found
        late = self._late.get(click.campaign_id)
        if late is None:
            settings = self._rules.in_force(click.campaign_id)
            late = late_thresholds([setting for setting in settings if setting.mark in self.marks])
            self._late[click.campaign_id] = late
        return found | late_marks(click, late, has_script=self._views.had_views(click.landing_id, click.at))


_marks_of = lru_cache(4096)(marks_of)


@lru_cache(4096)
def _as_marks(words: frozenset[str]) -> frozenset[Mark]:
    return marks_of(",".join(words))
