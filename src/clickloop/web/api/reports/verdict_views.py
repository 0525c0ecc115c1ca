"""The view of a verdict on a report's row."""

from typing import Annotated

import msgspec
from msgspec import Meta

from clickloop.report.verdict import Verdict
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.tracking.reports.exporting import misses_text


class VerdictView(msgspec.Struct, kw_only=True):
    """The verdict on a row, judged by clicks that are old enough to have converted."""

    misses: Annotated[str, Meta(description="Probability that it misses the target, in percent.", examples=["97.3"])]
    clicks_needed: Annotated[
        int | None,
        Meta(
            description="Further clicks until the probability is above 95 or below 5 %, if they convert as before. 0: it is. Null: more "
            "than ten million."
        ),
    ]
    at_stake: Annotated[
        MoneyText, Meta(description="Cost above what the target allows for its revenue or conversions so far.")
    ]


def verdict_view(verdict: Verdict | None, currency: str) -> VerdictView | None:
    """Return the view of a verdict."""
    if verdict is None:
        return None
    return VerdictView(
        misses=misses_text(verdict),
        clicks_needed=verdict.clicks_needed,
        at_stake=money_text(verdict.at_stake_micros, currency),
    )
