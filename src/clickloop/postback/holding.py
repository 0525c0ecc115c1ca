"""Holding: why something that waits is not tried for now, though its moment has come. A closed list."""

from clickloop.explained import Explained


class Hold(Explained):
    """Who holds a waiting postback back. It is shown as paused, and waiting so costs no attempt."""

    RULE_PAUSED = (
        "rule_paused",
        (
            "Its rule is paused because the receiver answered 410 Gone. Correct the rule's URL if it is wrong, then resume the "
            "rule. One postback is sent first, then the others."
        ),
    )
    RECEIVER_PAUSED = (
        "receiver_paused",
        "Its receiver is paused because it kept failing. Clickloop probes it and continues when it answers.",
    )


def hold_of(rule_paused_at: int | None, receiver_paused_at: int | None) -> Hold | None:
    """What holds a waiting postback back; the rule first, for it needs somebody to act."""
    if rule_paused_at is not None:
        return Hold.RULE_PAUSED
    return Hold.RECEIVER_PAUSED if receiver_paused_at is not None else None
