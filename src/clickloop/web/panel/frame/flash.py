"""What a page tells after something was done: a closed list, named in the address of the next page."""

import re

from clickloop.explained import Explained


class Said(Explained):
    """Each with the sentence that is shown."""

    CREATED = "created", "Created."
    FILLED_IN = "filled-in", "Created. The network’s click id parameter was added to the URL."
    SAVED = "saved", "Saved."
    ARCHIVED = "archived", "Archived. Nothing was deleted; you can restore it under Archived."
    RESTORED = "restored", "Restored."
    COPIED = "copied", "Copied. This is the copy: edit it, then save."
    PAUSED = "paused", "Paused."
    RESUMED = "resumed", "Resumed."
    CONVERTED = "converted", "The conversion was registered."
    RESENT = "resent", "Sent again. This page shows the result."
    CANCELLED = "cancelled", "Cancelled: it will not be sent."
    RERUN = "rerun", "Reprocessed."
    MAPPED = "mapped", "The word is mapped. Earlier conversions can be reprocessed."
    STOPPED = "stopped", "Stopped. Conversions registered so far stay."
    EXPORT_STOPPED = "export-stopped", "Stopped. The unfinished file is deleted."
    PROBED = "probed", "It is tried within five seconds. If it answers, everything that is waiting is sent."
    CLOCK_CONFIRMED = "clock-confirmed", "Clock confirmed. Data past its retention is deleted again."
    DAMAGE_CONFIRMED = "damage-confirmed", "Damage confirmed. New damage raises a new alarm."
    REVOKED = "revoked", "Revoked: it no longer works."
    REMOVED = "removed", "Removed."
    DISABLED = "disabled", "Disabled. Their sessions and API tokens no longer work."
    ENABLED = "enabled", "Enabled. They can sign in again."
    PASSWORD_SET = "password-set", "The password was changed; your other browsers are signed out."
    SESSION_ENDED = "session-ended", "That browser is signed out."
    SIGNED_OUT_HIM = "signed-out-him", "They are signed out everywhere."
    SIGNED_OUT = "signed-out", "You are signed out."
    RELEASED = "released", "Postbacks released. Those that are due are sent now."
    SIGNED_OUT_EVERYWHERE = "signed-out-everywhere", "All other sessions were ended."


def said_of(word: str) -> Said | None:
    """The word of an address, if it is one of ours."""
    return Said(word) if word in set(Said) else None


IGNORABLE = re.compile(r"[a-z_]{1,40}")
"""Names of parameters that a page can say it ignores."""
_IGNORED = "ignored-"


def ignored_word(names: frozenset[str]) -> str:
    """Return the word for an address that says which of its parameters were left out, since they cannot be read."""
    return _IGNORED + ",".join(sorted(names))


def ignored_in(word: str) -> frozenset[str]:
    """Return the parameters that such a word names; none for any other word."""
    names = word.removeprefix(_IGNORED).split(",") if word.startswith(_IGNORED) else []
    return frozenset(name for name in names if IGNORABLE.fullmatch(name))
