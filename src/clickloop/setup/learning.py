"""Distribution that learns: the weights of a path's landings and offers follow what they earn."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

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
