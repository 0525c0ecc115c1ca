"""Judge recorded clicks anew, by the settings and lists of today. Pure.

Give the clicks of all campaigns in the order of their times, as they were counted; some at the beginning may only be counted.
"""

from collections.abc import Collection
from typing import Protocol, TypeVar

from clickloop.click.marks.campaign_marks import CampaignMarks
from clickloop.click.marks.rate_tally import RatedClick, RateTally
from clickloop.click.marks.request_marks import MarkFinder, marks_in, marks_of_request, marks_text
from clickloop.click.useragent import Device
from clickloop.setup.mark import Mark, MarkMoment

_BY_ADDRESS = frozenset({Mark.LISTED_IP, Mark.FREQUENT_IP, Mark.FREQUENT_CAMPAIGN, Mark.REPEAT})
"""Marks that only a whole address shows."""
_MAX_REMEMBERED = 50_000  # user agents and addresses come again and again


class RecordedClick(Protocol):
    """The fields of a recorded click by which marks are judged: ``report.marked_click.MarkedClick``."""

    @property
    def at(self) -> int: ...
    @property
    def campaign_id(self) -> int: ...
    @property
    def source_id(self) -> int: ...
    @property
    def ip(self) -> str: ...
    @property
    def useragent(self) -> str: ...
    @property
    def referrer(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def country(self) -> str: ...
    @property
    def asn(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def browser(self) -> str: ...
    @property
    def external_id(self) -> str: ...
    @property
    def marks(self) -> str: ...


class PastMarks:
    """Judges clicks that count. Marks that cannot be judged from what was stored stay as they are, and so do late ones."""

    def __init__(self, marks: CampaignMarks, judged: Collection[Mark] = tuple(Mark)) -> None:
        """``judged``: the marks to judge; the others stay."""
        late = {mark for mark in Mark if mark.moment is MarkMoment.LATER}
        unknown = set() if marks.keeps_addresses else _BY_ADDRESS
        self._judged = frozenset(mark.value for mark in judged if mark not in late and mark not in unknown)
        self._marks = marks
        self._finder = MarkFinder(marks.lists)
        self._tally = RateTally()
        self._useragents: dict[tuple[str, str, str], int] = {}
        self._addresses: dict[tuple[str, str], int] = {}

    def marks_of(self, click: RecordedClick) -> frozenset[str]:
        """Count a click, and return all marks that it has from now on."""
        found = marks_of_request(
            self._marks.request_marks(click.campaign_id),
            self._of_useragent(click),
            self._of_address(click),
            bool(click.referrer),
            click.language,
            click.country,
        )
        visitor = f"{click.ip} {click.useragent}" if click.ip else ""
        rated = RatedClick(click.at, click.campaign_id, click.source_id, click.external_id, click.ip, visitor)
        rates = self._tally.count(rated, self._marks.thresholds(click.campaign_id))
        judged = marks_in(marks_text(found)) | {mark.value for mark in rates}
        return (judged & self._judged) | (marks_in(click.marks) - self._judged)

    def _of_useragent(self, click: RecordedClick) -> int:
        key = click.useragent, click.device, click.browser
        found = self._useragents.get(key)
        if found is None:
            found = self._finder.of_useragent(click.useragent, Device(kind=click.device, browser=click.browser))
            _remember(self._useragents, key, found)
        return found

    def _of_address(self, click: RecordedClick) -> int:
        key = click.ip, click.asn
        found = self._addresses.get(key)
        if found is None:
            found = self._finder.of_address(click.ip, click.asn)
            _remember(self._addresses, key, found)
        return found


_Key = TypeVar("_Key")


def _remember(cache: dict[_Key, int], key: _Key, value: int) -> None:
    if len(cache) >= _MAX_REMEMBERED:
        cache.clear()
    cache[key] = value
