"""The reasons why a waiting postback is paused."""

from clickloop.explained import Explained


class PauseReason(Explained):
    """The reason why a waiting postback is paused. Being paused costs no attempt."""

    RULE_PAUSED = (
        "rule_paused",
        (
            "The rule is paused because the receiver answered 410 Gone. Correct the rule's URL if it is wrong, then resume the "
            "rule. One postback is sent first, then the others."
        ),
    )
    RECEIVER_PAUSED = (
        "receiver_paused",
        "The receiver is paused because it kept failing. Clickloop probes it and continues when it answers.",
    )


def pause_reason(rule_paused_at: int | None, receiver_paused_at: int | None) -> PauseReason | None:
    """Return why a waiting postback is paused, the rule first because only a user can resume it; None if it is not."""
    if rule_paused_at is not None:
        return PauseReason.RULE_PAUSED
    return PauseReason.RECEIVER_PAUSED if receiver_paused_at is not None else None
