"""Exchange rates by day: the user's own first, beneath them those of the European Central Bank. Pure."""

from bisect import bisect_right
from collections.abc import Sequence

from clickloop.report.query import ExchangeRate
from clickloop.report.rate_text import E12


class RateTable:
    """Looks up the rate of a currency on a day: that day's, or the latest earlier one."""

    def __init__(self, into: str, rates: Sequence[ExchangeRate]) -> None:
        self._into = into
        self._days: dict[str, list[int]] = {}
        self._values: dict[str, list[int]] = {}
        for rate in sorted(rates, key=lambda one: (one.currency, one.day)):
            self._days.setdefault(rate.currency, []).append(rate.day)
            self._values.setdefault(rate.currency, []).append(rate.rate_e12)

    def rate_of(self, currency: str, day: int) -> int | None:
        """Return the value of one unit in trillionths, or None if it is not known. ``day``: since 1970-01-01, UTC."""
        if currency == self._into:
            return E12
        place = bisect_right(self._days.get(currency, ()), day)
        return (self._values[currency][place - 1] or None) if place else None


def with_rates_beneath(own: Sequence[ExchangeRate], beneath: Sequence[ExchangeRate]) -> tuple[ExchangeRate, ...]:
    """Return the user's own rates, and others for the days before a currency's first own one: from then on the user decides."""
    first: dict[str, int] = {}
    for rate in own:
        first[rate.currency] = min(rate.day, first.get(rate.currency, rate.day))
    return (*own, *(rate for rate in beneath if rate.currency not in first or rate.day < first[rate.currency]))
