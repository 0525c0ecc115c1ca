"""Audit the roll-ups day by day, in an endless cycle, and make those anew that differ from the facts."""

from datetime import date, timedelta

from clickloop.clock import DAY_MS, Clock
from clickloop.machine.log import log
from clickloop.store.facts.facts import FactsError
from clickloop.store.facts.rollup_facts import RollupFacts

STEPS_PER_DAY = 6
"""Audit steps between two days: comparing a day with a million facts takes about a second."""
_EPOCH = date(1970, 1, 1)


class RollupAudit:
    """A worker that compares one day at a time, the newest first. For one thread."""

    def __init__(self, rollups: RollupFacts, clock: Clock, steps_per_day: int = STEPS_PER_DAY) -> None:
        self._rollups = rollups
        self._clock = clock
        self._steps_per_day = steps_per_day
        self._steps = 0
        self._next_day: int | None = None
        self._repaired: dict[int, int] = {}
        """When a day was made anew, in Unix milliseconds."""

    def step(self) -> tuple[str, ...]:
        """Count a step and compare the next day if it is due. Return an alarm per day that was made anew in the last 24 hours."""
        self._steps += 1
        if self._steps % self._steps_per_day == 0:
            self._compare_next()
        now = self._clock()
        self._repaired = {day: at for day, at in self._repaired.items() if now - at < DAY_MS}
        return tuple(_sentence(day) for day in sorted(self._repaired))

    def _compare_next(self) -> None:
        days = self._rollups.days()
        if days is None:
            return
        first, last = days
        day = last if self._next_day is None or not first <= self._next_day <= last else self._next_day
        self._next_day = day - 1
        try:
            if differences := self._rollups.differences(day):
                log("self-audit: roll-ups differed from the facts", day=_text(day), rows=differences)
                self._rollups.rebuild(day)
                self._repaired[day] = self._clock()
        except FactsError as error:
            log("self-audit: roll-ups could not be compared", day=_text(day), error=str(error))


def _sentence(day: int) -> str:
    return (
        f"self-audit: reports of {_text(day)} may have been wrong: their roll-ups differed from the facts and were made anew; "
        "run clickloop doctor"
    )


def _text(day: int) -> str:
    return str(_EPOCH + timedelta(days=day))
