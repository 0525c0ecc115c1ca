"""The result of a backtest: clicks that would go elsewhere, and their revenue. Records only."""

import enum

import msgspec

from clickloop.report.click_rows import MoneySum


class ClickSum(msgspec.Struct, frozen=True):
    """Clicks with their conversions and money. Currencies are summed separately, since no rate is guessed."""

    clicks: int = 0
    conversions: int = 0
    money: tuple[MoneySum, ...] = ()


class MoveLevel(enum.StrEnum):
    """The part in which the recorded route and the new one differ."""

    RULE = "rule"
    PATH = "path"
    LANDING = "landing"
    OFFER = "offer"


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Clicks whose route would differ. A name is empty for none; an id is 0 for none and for unsaved parts."""

    level: MoveLevel
    from_id: int
    from_name: str
    to_id: int
    to_name: str
    sum: ClickSum


class UnjudgedField(msgspec.Struct, frozen=True):
    """A field whose value some clicks did not store. Conditions on it compared an unknown value."""

    field: str
    clicks: int


class BacktestResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of replaying recorded clicks along a flow."""

    all: ClickSum = ClickSum()
    moved: ClickSum = ClickSum()
    """Clicks with another destination: landing, offer, URL, 404 or fallback."""
    without_draw: int = 0
    """Clicks for which nothing was drawn. Their draw is derived from the click id, so chance alone moves some of them."""
    returning: int = 0
    """Clicks that were decided by what the visitor's cookie remembered when they were recorded. Along the flow it may remember more."""
    unjudged: tuple[UnjudgedField, ...] = ()
    moves: tuple[Move, ...] = ()
    """Per level, the ones with the most clicks first."""
    omitted: int = 0
    """Number of moves that are not listed, those with the fewest clicks."""
