"""The result of a test click: the loop is closed once its conversion came in and the traffic source got the postback."""

from collections.abc import Sequence

import msgspec

from clickloop.logs.postback_view import PostbackView
from clickloop.postback.state import PostbackState

_IN_PROGRESS = (PostbackState.WAITING, PostbackState.SENDING, PostbackState.PAUSED)


class LoopVerdict(msgspec.Struct, frozen=True):
    """The result of a test. ``tone``: ``good``, ``warn`` or empty; ``address``: the page to correct or watch it."""

    tone: str
    title: str
    sentence: str
    address: str = ""
    link: str = ""

    @property
    def works(self) -> bool:
        """Return whether the loop is closed."""
        return self.tone == "good"


def loop_verdict(postbacks: Sequence[PostbackView], source_id: int, rule_id: int | None) -> LoopVerdict:
    """Return the result for a converted test click's postbacks, newest first. ``rule_id``: the source's postback URL."""
    own = [one for one in postbacks if one.rule_id == rule_id]
    if not own:
        return LoopVerdict(
            "warn",
            "The loop is not closed yet",
            "The conversion was registered, but its traffic source has no postback URL, so nothing was reported.",
            f"/panel/traffic-sources/{source_id}",
            "Add a postback URL",
        )
    delivered = next((one for one in own if one.state is PostbackState.DELIVERED), None)
    if delivered is not None:
        return LoopVerdict(
            "good",
            "Your loop works",
            f"The click was recorded, its conversion came in, and the traffic source answered the postback with "
            f"{delivered.last_status_code}.",
            f"/panel/postbacks/{delivered.postback_id}",
            "See the postback",
        )
    last = own[0]
    address = f"/panel/postbacks/{last.postback_id}"
    if last.state in _IN_PROGRESS:
        tried = (
            f"The last attempt failed: {last.last_error or last.last_status_code}. It will be retried."
            if last.attempts
            else ""
        )
        return LoopVerdict("", "The postback is on its way", last.paused_text or tried, address, "Watch it")
    why = last.reason_text or last.last_error or f"The source answered {last.last_status_code}."
    sentence = f"The conversion was registered, but its postback was {last.state}. {why}"
    return LoopVerdict("warn", "The loop is not closed yet", sentence, address, "See why")
