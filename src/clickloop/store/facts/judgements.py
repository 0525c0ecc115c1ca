"""What settling decides about clicks beyond what their lines say, and the visitors that it has seen."""

import msgspec


class ClickJudgement(msgspec.Struct, frozen=True, gc=False):
    """A change of a click's line. None: as the line says."""

    click_id: str
    unique: bool | None = None
    marks: str | None = None


class SeenVisitor(msgspec.Struct, frozen=True, gc=False):
    """A visitor's latest unique click on a campaign. ``visitor``: their hash, or the fingerprint of their cookie, 60 bits."""

    visitor: int
    campaign_id: int
    epoch: int
    """The campaign's ``unique_epoch`` at the click."""
    at: int
    """Unix milliseconds."""


class Judgements(msgspec.Struct, frozen=True, gc=False):
    """The judgements on the clicks of some segments. ``seen``: by the name of the segment that has the click."""

    clicks: tuple[ClickJudgement, ...] = ()
    seen: tuple[tuple[str, SeenVisitor], ...] = ()


NO_JUDGEMENTS = Judgements()
