"""Judging clicks while they are settled: which are unique, and the marks that only the order of clicks shows.

A visitor's cookie decides at the edge whether a click is unique. Without one, the first click within the campaign's window is unique,
and the others of the same daily hash are not. That window is a day at most, because hashes change daily and are kept for two days.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import msgspec

from clickloop.clock import DAY_MS
from clickloop.setup.returning import DEFAULT_UNIQUE_SECONDS, UniqueBy
from clickloop.store.facts.judgements import ClickJudgement, Judgements, SeenVisitor

_MAX_WINDOW_MS = DAY_MS
_INSTANCE = UniqueBy.INSTANCE.value


class ClickLine(msgspec.Struct, frozen=True, gc=False):
    """The parts of a journal line that judgements depend on; see ``tracking.take.add_uniqueness`` for those that no click has."""

    click_id: str
    at: int
    campaign_id: int
    source_id: int = 0
    ip: str = ""
    external_id: str = ""
    marks: str = ""
    screening: str = ""
    unique: bool = False
    """Whether the click is unique by the visitor's cookie, or the lack of one."""
    unique_epoch: int = 0
    unique_within: int = DEFAULT_UNIQUE_SECONDS
    unique_by: str = ""
    """A value of ``UniqueBy``; empty for the default."""
    visitor: str = ""
    """The visitor's hash of the click's day, as hexadecimal digits."""
    visitor_before: str = ""
    """Their hash of the day before."""
    cookie: str = ""
    """The fingerprint of the visitor's cookie, if it decided that the click is unique."""


class SeenVisitors(Protocol):
    """The facts, as far as the judge reads them."""

    def seen_visitors(self, visitors: Collection[int], since: int, until: int) -> list[SeenVisitor]:
        """Return the latest unique click of each of these visitors, by campaign and epoch, in a period (Unix milliseconds)."""
        ...


class ClickTally(Protocol):
    """Counts clicks in the order of their times, and marks them."""

    def start_before(self, at: int) -> None:
        """Count anew what the facts have of the time before a moment (Unix milliseconds): after a start or a failed load."""
        ...

    def marks_of(self, click: ClickLine) -> str | None:
        """Count a click. Return all its marks, separated by commas, or None if they are as its line says."""
        ...


class ClickJudge:
    """Judges batches of clicks. One thread at a time.

    It keeps nothing about visitors: they are in the facts, in the transaction of their clicks. A tally lives in memory; it starts anew
    whenever a batch was judged and not loaded.
    """

    def __init__(self, facts: SeenVisitors, tally: ClickTally | None = None) -> None:
        self._facts = facts
        self._tally = tally
        self._is_tally_current = False

    def judge(self, segments: Iterable[tuple[str, Sequence[bytes]]]) -> Judgements:
        """Return the judgements on the clicks of segments, given by name and lines. Call ``loaded`` when they are in the facts."""
        clicks = sorted(_clicks_of(segments), key=_moment)
        if not clicks:
            return Judgements()
        if self._tally is not None and not self._is_tally_current:
            self._tally.start_before(clicks[0][0].at)
        self._is_tally_current = False
        uniques = _UniqueClicks(self._facts, clicks)
        judged = {}
        for click, segment in clicks:
            is_repeated = not click.screening and click.unique and not uniques.add(click, segment)
            marks = self._tally.marks_of(click) if self._tally is not None else None
            if is_repeated or marks is not None:
                judged[click.click_id] = ClickJudgement(click.click_id, False if is_repeated else None, marks)
        return Judgements(tuple(judged.values()), tuple(uniques.new))

    def loaded(self) -> None:
        """Take note that all clicks judged last are in the facts."""
        self._is_tally_current = True


_decode = msgspec.json.Decoder(ClickLine).decode


def _clicks_of(segments: Iterable[tuple[str, Sequence[bytes]]]) -> Iterable[tuple[ClickLine, str]]:
    """Yield the clicks with the names of their segments. Lines that are not clicks are left to the facts, which refuse them."""
    for name, lines in segments:
        for line in lines:
            try:
                yield _decode(line), name
            except msgspec.DecodeError:
                continue


def _moment(pair: tuple[ClickLine, str]) -> tuple[int, str]:
    return pair[0].at, pair[0].click_id


class _UniqueClicks:
    """The unique clicks of the visitors of a batch: those in the facts, and those found since. ``new``: with their segments."""

    def __init__(self, facts: SeenVisitors, clicks: Sequence[tuple[ClickLine, str]]) -> None:
        self.new: list[tuple[str, SeenVisitor]] = []
        self._seen: dict[int, list[SeenVisitor]] = {}
        visitors = {
            visitor
            for click, _ in clicks
            if click.unique and not click.screening
            for visitor in (_number(click.cookie), _number(click.visitor), _number(click.visitor_before))
            if visitor
        }
        if visitors:
            since, until = clicks[0][0].at - _MAX_WINDOW_MS, clicks[-1][0].at + _MAX_WINDOW_MS
            for one in facts.seen_visitors(visitors, since, until):
                self._seen.setdefault(one.visitor, []).append(one)

    def add(self, click: ClickLine, segment: str) -> bool:
        """Return whether a click that is unique as far as the cookie goes is unique indeed, and remember it if it is."""
        cookie, visitor = _number(click.cookie), _number(click.visitor)
        # A cookie that knows the visitor's campaigns is better evidence than an address shared with others.
        own = (cookie,) if cookie else (visitor, _number(click.visitor_before))
        since = self._seen_at(click, [one for number in own for one in self._seen.get(number, ())])
        if since is not None and click.unique_by != _INSTANCE:
            return False
        if since is None or not self._knows(click, own):
            for number in (cookie, visitor):
                if number:
                    seen = SeenVisitor(
                        number, click.campaign_id, click.unique_epoch, click.at if since is None else since
                    )
                    self._seen.setdefault(number, []).append(seen)
                    self.new.append((segment, seen))
        return since is None

    def _seen_at(self, click: ClickLine, found: Sequence[SeenVisitor]) -> int | None:
        """Return when the visitor's unique click was in whose window a click falls, or None."""
        window = min(click.unique_within * 1000 or _MAX_WINDOW_MS, _MAX_WINDOW_MS)
        if click.unique_by == _INSTANCE:
            epochs = [one.epoch for one in found if one.campaign_id == click.campaign_id]
            if epochs and click.unique_epoch not in epochs:
                return None  # since the visitor's clicks on this campaign its uniqueness was reset
            moments = [one.at for one in found]
        else:
            moments = [
                one.at for one in found if one.campaign_id == click.campaign_id and one.epoch == click.unique_epoch
            ]
        # Also later ones: another edge's click may have been settled first.
        return max((at for at in moments if abs(click.at - at) < window), default=None)

    def _knows(self, click: ClickLine, visitors: Iterable[int]) -> bool:
        """Return whether a visitor's row has the campaign and the epoch of a click, so that a reset will be noticed."""
        return any(
            one.campaign_id == click.campaign_id and one.epoch == click.unique_epoch
            for number in visitors
            for one in self._seen.get(number, ())
        )


def _number(digits: str) -> int:
    """Return a hash or fingerprint as a number of up to 60 bits; 0 if there is none."""
    try:
        return int(digits[:15], 16) if digits else 0
    except ValueError:
        return 0
