"""Learned weights and their evidence in words. Pure."""

from clickloop.clock import HOUR_MS, MINUTE_MS
from clickloop.learning.evidence import LearnedItem, LearnedSplit
from clickloop.learning.weights import WHOLE
from clickloop.money import amount_text
from clickloop.plural import pluralize
from clickloop.setup.learning import Goal

GOALS = {
    Goal.REVENUE_PER_VISIT: "revenue per visit",
    Goal.CONVERSIONS_PER_VISIT: "conversions per visit",
    Goal.LANDING_CTR: "landing CTR",
}


def evidence_sentence(split: LearnedSplit, item: LearnedItem) -> str:
    """Return what an item's weight rests on: ``41 conversions of 1,920 visits, 1.7%–2.6% of visits (95%)``."""
    noun = "landing click" if split.goal is Goal.LANDING_CTR else "conversion"
    low, high = value_text(split, item.low), value_text(split, item.high)
    counted = f"{pluralize(item.conversions, noun)} of {pluralize(item.visits, 'visit')}"
    revenue = (
        f" with {amount_text(item.revenue_micros)} {split.currency}" if split.goal is Goal.REVENUE_PER_VISIT else ""
    )
    return f"{counted}{revenue}; {low} to {high} per visit with 95% confidence"


def value_text(split: LearnedSplit, value: float) -> str:
    """Return a goal per visit as text: an amount, or a share in percent."""
    if split.goal is Goal.REVENUE_PER_VISIT:
        return f"{value:,.4f} {split.currency}"
    return f"{100 * value:.2f}%"


def weight_text(weight: int) -> str:
    """Return a learned weight as a share: ``61.2%``."""
    return f"{100 * weight / WHOLE:.1f}%"


def age_text(item: LearnedItem) -> str:
    """Return the age at which an item's visits count, and why."""
    if not item.delay_ms:
        return "all visits count"
    hours, minutes = divmod(item.delay_ms // MINUTE_MS, HOUR_MS // MINUTE_MS)
    age = f"{hours} h {minutes} min" if hours and minutes else f"{hours} h" if hours else f"{minutes} min"
    if not item.delay_conversions:
        return f"visits older than {age} count"
    return f"visits older than {age} count, by which 80% of {item.delay_conversions:,} conversions had come"
