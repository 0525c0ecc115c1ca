"""What a page tells after something was done: a closed list, named in the address of the next page."""

import enum
import re


class Said(enum.StrEnum):
    """Each with the sentence that is shown."""

    CREATED = "created"
    FILLED_IN = "filled-in"
    SAVED = "saved"
    ARCHIVED = "archived"
    RESTORED = "restored"
    COPIED = "copied"
    PAUSED = "paused"
    RESUMED = "resumed"
    CONVERTED = "converted"
    RESENT = "resent"
    CANCELLED = "cancelled"
    RERUN = "rerun"
    MAPPED = "mapped"
    REVOKED = "revoked"
    PROBED = "probed"
    CLOCK_CONFIRMED = "clock-confirmed"
    DAMAGE_CONFIRMED = "damage-confirmed"
    STOPPED = "stopped"
    EXPORT_STOPPED = "export-stopped"
    REMOVED = "removed"
    DISABLED = "disabled"
    ENABLED = "enabled"
    PASSWORD_SET = "password-set"  # noqa: S105 – the word, not a secret
    SESSION_ENDED = "session-ended"
    SIGNED_OUT_HIM = "signed-out-him"
    SIGNED_OUT = "signed-out"
    RELEASED = "released"
    SIGNED_OUT_EVERYWHERE = "signed-out-everywhere"

    @property
    def sentence(self) -> str:
        """The same for people."""
        return _SENTENCES[self]


_SENTENCES = {
    Said.CREATED: "Created.",
    Said.FILLED_IN: "Created. The network’s click id parameter was added to the URL.",
    Said.SAVED: "Saved.",
    Said.ARCHIVED: "Archived. Nothing was deleted; you can restore it under Archived.",
    Said.RESTORED: "Restored.",
    Said.COPIED: "Copied. This is the copy: edit it, then save.",
    Said.PAUSED: "Paused.",
    Said.RESUMED: "Resumed.",
    Said.CONVERTED: "The conversion was registered.",
    Said.RESENT: "Sent again. This page shows the result.",
    Said.CANCELLED: "Cancelled: it will not be sent.",
    Said.RERUN: "Reprocessed.",
    Said.MAPPED: "The word is mapped. Earlier conversions can be reprocessed.",
    Said.STOPPED: "Stopped. Conversions registered so far stay.",
    Said.EXPORT_STOPPED: "Stopped. The unfinished file is deleted.",
    Said.PROBED: "It is tried within five seconds. If it answers, everything that is waiting is sent.",
    Said.CLOCK_CONFIRMED: "Clock confirmed. Data past its retention is deleted again.",
    Said.DAMAGE_CONFIRMED: "Damage confirmed. New damage raises a new alarm.",
    Said.REVOKED: "Revoked: it no longer works.",
    Said.REMOVED: "Removed.",
    Said.DISABLED: "Disabled. Their sessions and API tokens no longer work.",
    Said.ENABLED: "Enabled. They can sign in again.",
    Said.PASSWORD_SET: "The password was changed; your other browsers are signed out.",
    Said.SESSION_ENDED: "That browser is signed out.",
    Said.SIGNED_OUT_HIM: "They are signed out everywhere.",
    Said.SIGNED_OUT: "You are signed out.",
    Said.RELEASED: "Postbacks released. Those that are due are sent now.",
    Said.SIGNED_OUT_EVERYWHERE: "All other sessions were ended.",
}


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
