"""Flash messages: what the previous page did, as a closed list; the next page's query names the message."""

import re

from clickloop.explained import Explained


class FlashMessage(Explained):
    """A flash message and its sentence."""

    CREATED = "created", "Created."
    FILLED_IN = "filled-in", "Created. The network’s click ID parameter was added to the URL."
    SAVED = "saved", "Saved."
    ARCHIVED = "archived", "Archived. Nothing was deleted; you can restore it under Archived."
    RESTORED = "restored", "Restored."
    COPIED = "copied", "Copied. This is the copy: edit it, then save."
    PAUSED = "paused", "Paused."
    RESUMED = "resumed", "Resumed."
    UNIQUENESS_RESET = "uniqueness_reset", "Uniqueness reset. Every visitor’s next click will be unique."
    COST_ENTERED = "cost-entered", "Entered. It takes effect within seconds."
    COST_UNDONE = "cost-undone", "Undone. The cost beneath counts again within seconds."
    CONVERTED = "converted", "Conversion registered."
    RESENT = "resent", "Sent again. This page shows the result."
    CANCELLED = "cancelled", "Cancelled. It will not be sent."
    RERUN = "rerun", "Reprocessed."
    MAPPED = "mapped", "Word mapped. You can now reprocess earlier conversions."
    STOPPED = "stopped", "Stopped. Conversions registered so far are kept."
    EXPORT_STOPPED = "export-stopped", "Stopped. The unfinished file was deleted."
    MARKS_STOPPED = "marks-stopped", "Stopped. Marks changed so far stay until you undo them."
    BACKTEST_STOPPED = "backtest-stopped", "Stopped. It has no result."
    PROBED = "probed", "Trying the receiver within five seconds. If it answers, everything that is waiting is sent."
    CLOCK_CONFIRMED = "clock-confirmed", "Clock confirmed. Expired data is deleted again."
    DAMAGE_CONFIRMED = "damage-confirmed", "Damage confirmed. New damage raises a new alarm."
    REVOKED = "revoked", "Token revoked. It no longer works."
    REMOVED = "removed", "Removed."
    DISABLED = "disabled", "Disabled. Their sessions and API tokens no longer work."
    ENABLED = "enabled", "Enabled. They can sign in again."
    PASSWORD_SET = "password-set", "Password changed. Your other browsers have been signed out."
    SESSION_ENDED = "session-ended", "That browser has been signed out."
    USER_SIGNED_OUT = "user-signed-out", "User signed out everywhere."
    SIGNED_OUT = "signed-out", "You are signed out."
    RELEASED = "released", "Postbacks released. Those that are due are sent now."
    SIGNED_OUT_EVERYWHERE = "signed-out-everywhere", "All your other browsers have been signed out."


def flash_message_of(word: str) -> FlashMessage | None:
    """Return the message of a query's word, None for an unknown word."""
    return FlashMessage(word) if word in set(FlashMessage) else None


IGNORABLE = re.compile(r"[a-z_]{1,40}")
"""Parameter names that a page may report as ignored: strangers can put any text into a link."""
_IGNORED = "ignored-"


def ignored_word(names: frozenset[str]) -> str:
    """Return the query word that lists the parameters that were dropped as unreadable."""
    return _IGNORED + ",".join(sorted(names))


def ignored_in(word: str) -> frozenset[str]:
    """Return the parameters that such a word lists; none for any other word."""
    names = word.removeprefix(_IGNORED).split(",") if word.startswith(_IGNORED) else []
    return frozenset(name for name in names if IGNORABLE.fullmatch(name))
