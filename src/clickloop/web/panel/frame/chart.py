"""Charts as SVG, drawn on the server: zero-based, with round ticks, values on hover and a table for screen readers.

Colours and lines come from classes of the style sheet, so charts follow dark mode. Each chart is drawn wide and narrow, and the
style sheet shows the one that fits: text keeps its size on a phone.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec
from markupsafe import Markup, escape

MAX_TICKS = 5  # more labels would touch on a phone
_STEPS = (1, 2, 5, 10)


class SeriesKind(StrEnum):
    """How a series is drawn."""

    LINE = "line"
    BARS = "bars"


class Series(msgspec.Struct, frozen=True):
    """A series of values, None where there is a gap. ``faint``: a comparison, drawn dashed."""

    name: str
    values: tuple[int | None, ...]
    kind: SeriesKind = SeriesKind.LINE
    faint: bool = False


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A chart; every series has one value per point."""

    title: str
    points: tuple[str, ...]
    """Axis labels."""
    point_names: tuple[str, ...] = ()
    """Full names for hover and table; empty: same as ``points``."""
    series: tuple[Series, ...]
    shown: Callable[[int], str]
    """Formats a value for hover and table."""
    tick: Callable[[int], str]
    """Formats a value for the axis, short."""
    unit: int = 1
    """Value of one displayed unit, such as 1,000,000 for micros; ticks are round amounts of it."""
    whole: bool = True
    """Whether fractions of a unit make no sense, as for counts."""


class _Size(msgspec.Struct, frozen=True):
    """Dimensions of a drawing, in pixels at its natural width. ``labels``: maximum number of axis labels."""

    name: str
    width: int
    height: int
    left: int
    labels: int
    right: int = 8
    top: int = 10
    bottom: int = 24


_SIZES = (_Size("wide", 1040, 260, 56, 12), _Size("narrow", 340, 220, 46, 4))


class _Plane(msgspec.Struct, frozen=True):
    """The mapping from points and values to coordinates."""

    size: _Size
    count: int
    low: int
    high: int

    def x(self, place: int) -> float:
        """Return the centre of a point."""
        return self.size.left + (place + 0.5) * self.slot

    def y(self, value: int) -> float:
        """Return the vertical position of a value."""
        inner = self.size.height - self.size.top - self.size.bottom
        return self.size.top + inner * (self.high - value) / (self.high - self.low)

    @property
    def slot(self) -> float:
        """Width of a point."""
        return (self.size.width - self.size.left - self.size.right) / max(1, self.count)


def draw(chart: Chart) -> Markup:
    """Return the chart as an HTML figure."""
    ticks = round_ticks(chart)
    drawings = Markup("").join(_drawing(chart, size, ticks) for size in _SIZES)
    legend = _legend(chart.series) if len(chart.series) > 1 else Markup("")
    return Markup('<figure class="chart">{}{}{}</figure>').format(drawings, legend, _table(chart))


def round_ticks(chart: Chart) -> tuple[int, ...]:
    """Return evenly spaced round values that span zero and every value of the chart."""
    values = [value for series in chart.series for value in series.values if value is not None]
    low, high = min([0, *values]), max([0, *values])
    step = _step(high - low, chart)
    first = low // step
    last = max(-(-high // step), first + 1)
    return tuple(step * place for place in range(first, last + 1))


def _step(extent: int, chart: Chart) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, … units (or hundredths of one) that needs at most MAX_TICKS ticks."""
    least = chart.unit if chart.whole else max(1, chart.unit // 100)
    power = least
    while True:
        for factor in _STEPS:
            step = power * factor
            if step * (MAX_TICKS - 1) >= extent:
                return step
        power *= 10


def _drawing(chart: Chart, size: _Size, ticks: tuple[int, ...]) -> Markup:
    plane = _Plane(size, len(chart.points), ticks[0], ticks[-1])
    parts = [_grid(chart, plane, ticks), _axis(chart, plane)]
    colours = {id(series): place % 5 + 1 for place, series in enumerate(chart.series)}
    bars = [series for series in chart.series if series.kind is SeriesKind.BARS]
    parts += [_bars(series, place, len(bars), plane, colours[id(series)]) for place, series in enumerate(bars)]
    lines = [series for series in chart.series if series.kind is SeriesKind.LINE]
    parts += [_line(series, plane, colours[id(series)], filled=place == 0) for place, series in enumerate(lines)]
    parts += [_slot(chart, place, plane, lines, colours) for place in range(len(chart.points))]
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}" preserveAspectRatio="xMidYMid meet">{}</svg>'
    ).format(size.name, size.width, size.height, chart.title, Markup("").join(parts))


def _grid(chart: Chart, plane: _Plane, ticks: tuple[int, ...]) -> Markup:
    size = plane.size
    lines = [
        Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="tick" x="{}" y="{}">{}</text>').format(
            "zero" if tick == 0 else "grid",
            size.left,
            size.width - size.right,
            _px(plane.y(tick)),
            _px(plane.y(tick)),
            size.left - 8,
            _px(plane.y(tick) + 4),
            chart.tick(tick),
        )
        for tick in ticks
    ]
    return Markup("").join(lines)


def _axis(chart: Chart, plane: _Plane) -> Markup:
    """Return the axis labels: evenly spaced, as many as fit."""
    every = max(1, -(-len(chart.points) // plane.size.labels))
    labels = [
        Markup('<text class="label" x="{}" y="{}">{}</text>').format(
            _px(plane.x(place)), plane.size.height - 6, chart.points[place]
        )
        for place in range(0, len(chart.points), every)
    ]
    return Markup("").join(labels)


def _line(series: Series, plane: _Plane, colour: int, *, filled: bool) -> Markup:
    """Return a line, broken at gaps. ``filled``: with the area down to zero."""
    parts = []
    for run in _runs(series.values):
        path = "L".join(f"{_px(plane.x(place))} {_px(plane.y(value))}" for place, value in run)
        if filled and not series.faint:
            zero, first, last = _px(plane.y(0)), _px(plane.x(run[0][0])), _px(plane.x(run[-1][0]))
            parts.append(
                Markup('<path class="area s{}" d="M{}L{} {}L{} {}Z"/>').format(colour, path, last, zero, first, zero)
            )
        kind = " faint" if series.faint else ""
        parts.append(Markup('<path class="line s{}{}" d="M{}"/>').format(colour, kind, path))
        if len(run) == 1:
            parts.append(_dot(plane, run[0], colour, "alone"))
    return Markup("").join(parts)


def _runs(values: Sequence[int | None]) -> list[list[tuple[int, int]]]:
    """Return the runs of values between gaps, each value with its index."""
    runs: list[list[tuple[int, int]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((place, value))
    return [run for run in runs if run]


def _bars(series: Series, place: int, of: int, plane: _Plane, colour: int) -> Markup:
    """Return bars from zero. ``place`` of ``of``: position among several series, which stand side by side."""
    wide = min(48.0, plane.slot * 0.72) / of
    zero = plane.y(0)
    bars = [
        Markup('<rect class="bar s{}" x="{}" y="{}" width="{}" height="{}" rx="1.5"/>').format(
            colour,
            _px(plane.x(point) + (place - of / 2) * wide),
            _px(min(zero, plane.y(value))),
            _px(max(1.0, wide - 1)),
            _px(abs(zero - plane.y(value))),
        )
        for point, value in enumerate(series.values)
        if value
    ]
    return Markup("").join(bars)


def _slot(chart: Chart, place: int, plane: _Plane, lines: Sequence[Series], colours: dict[int, int]) -> Markup:
    """Return a point's hover area: its values, a guide and dots on the lines."""
    size = plane.size
    dots = [
        _dot(plane, (place, value), colours[id(series)])
        for series in lines
        if (value := series.values[place]) is not None
    ]
    return Markup(
        '<g class="slot"><title>{}</title><rect class="hit" x="{}" y="{}" width="{}" height="{}"/>'
        '<line class="guide" x1="{}" x2="{}" y1="{}" y2="{}"/>{}</g>'
    ).format(
        _point_text(chart, place),
        _px(plane.x(place) - plane.slot / 2),
        size.top,
        _px(plane.slot),
        size.height - size.top - size.bottom,
        _px(plane.x(place)),
        _px(plane.x(place)),
        size.top,
        size.height - size.bottom,
        Markup("").join(dots),
    )


def _dot(plane: _Plane, at: tuple[int, int], colour: int, kind: str = "dot") -> Markup:
    place, value = at
    return Markup('<circle class="{} s{}" cx="{}" cy="{}" r="3.5"/>').format(
        kind, colour, _px(plane.x(place)), _px(plane.y(value))
    )


def _point_text(chart: Chart, place: int) -> str:
    """Return the hover text of a point: its name and a line per series."""
    name = (chart.point_names or chart.points)[place]
    values = ((series.name, series.values[place]) for series in chart.series)
    return "\n".join([name, *(f"{of}: {'–' if value is None else chart.shown(value)}" for of, value in values)])


def _legend(series: Sequence[Series]) -> Markup:
    items = [
        Markup(
            '<li><svg viewBox="0 0 20 10" aria-hidden="true"><path class="line s{}{}" d="M1 5L19 5"/></svg>{}</li>'
        ).format(place % 5 + 1, " faint" if one.faint else "", one.name)
        for place, one in enumerate(series)
    ]
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def _table(chart: Chart) -> Markup:
    """Return the values as a table for screen readers."""
    heads = Markup("").join(Markup('<th scope="col">{}</th>').format(series.name) for series in chart.series)
    names = chart.point_names or chart.points
    rows = [
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            names[place],
            Markup("").join(
                Markup("<td>{}</td>").format("–" if (value := series.values[place]) is None else chart.shown(value))
                for series in chart.series
            ),
        )
        for place in range(len(names))
    ]
    return Markup(
        '<div class="unseen"><table><caption>{}</caption><thead><tr><td></td>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(escape(chart.title), heads, Markup("").join(rows))


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
