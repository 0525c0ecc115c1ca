"""Distribution that learns: the weights of a path's landings and offers follow what they earn."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.setup.fault import FaultCode, FieldFault

MAX_WINDOW_HOURS = 24 * 90
MAX_LEAST_SHARE = 50


class ItemKind(enum.StrEnum):
    """What a path chooses among."""

    LANDINGS = "landings"
    OFFERS = "offers"

    @property
    def noun(self) -> str:
        """Return the word for one of them."""
        return self.value.removesuffix("s")


class Goal(enum.StrEnum):
    """What a learning path aims for."""

    REVENUE_PER_VISIT = "revenue_per_visit"
    CONVERSIONS_PER_VISIT = "conversions_per_visit"
    LANDING_CTR = "landing_ctr"
    """Landing clicks per visit; for landings only."""


class Learning(msgspec.Struct, frozen=True, kw_only=True):
    """How a path learns."""

    goal: Annotated[Goal, Meta(description="What is compared.")] = Goal.REVENUE_PER_VISIT
    window_hours: Annotated[int, Meta(description="Hours of visits that count.", examples=[72])] = 72
    least_share: Annotated[int, Meta(description="Least share of each item, in percent.", examples=[5])] = 5
    delay_hours: (
        Annotated[int, Meta(description="Age in hours at which a visit counts. null: learned from the conversions.")]
        | None
    ) = None
    frozen: Annotated[bool, Meta(description="When true, the weights stay as they are.")] = False


def learning_faults(at: str, learning: Learning, items: int) -> list[FieldFault]:
    """Return what is wrong with a path's learning. ``items``: the larger number of its landings or offers with a weight."""
    faults = [
        FieldFault(
            f"{at}.{field}", FaultCode.OUT_OF_RANGE, f"The {name} is {value}{unit}. It must be {least} to {most}."
        )
        for field, name, value, unit, least, most in (
            ("window_hours", "window", learning.window_hours, " hours", 1, MAX_WINDOW_HOURS),
            ("least_share", "least share", learning.least_share, "%", 0, MAX_LEAST_SHARE),
            ("delay_hours", "age", learning.delay_hours or 0, " hours", 0, MAX_WINDOW_HOURS),
        )
        if not least <= value <= most
    ]
    if not faults and items * learning.least_share > 100:
        sentence = (
            f"{items} items with at least {learning.least_share}% each are more than 100%. "
            f"The least share can be at most {100 // items}%."
        )
        faults.append(FieldFault(f"{at}.least_share", FaultCode.OUT_OF_RANGE, sentence))
    return faults
