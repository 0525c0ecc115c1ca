"""A short summary of a postback rule's conditions, for lists."""

from clickloop.postback.rule import Trigger
from clickloop.web.api.setup import postback_rules as api
from clickloop.web.panel.frame.durations import duration_text


def conditions_summary(view: api.PostbackRuleView) -> list[str]:
    """Return the conditions of a rule, a few words each."""
    conditions = view.conditions
    if conditions.trigger is Trigger.ALARM:
        return ["alarms of this tracker"]
    if conditions.trigger is Trigger.VIEW:
        return ["scheduled views"]
    parts = [", ".join(conditions.statuses) or "all but rejected"]
    if conditions.trigger is Trigger.STATUS:
        parts.append("every change of status")
    if conditions.only_first:
        parts.append("first conversion of a click")
    if conditions.minimum_payout is not None:
        parts.append(f"payout from {conditions.minimum_payout}")
    if conditions.every_nth > 1:
        parts.append(f"1 in {conditions.every_nth}")
    if conditions.delay_seconds:
        parts.append(f"after {duration_text(conditions.delay_seconds)}")
    if conditions.payout_percent != 100:
        parts.append(f"{conditions.payout_percent}% of the payout")
    return parts
