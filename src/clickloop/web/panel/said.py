"""What a page tells after something was done: a closed list, named in the address of the next page."""

from clickloop.explained import Explained


class Said(Explained):
    """Each with the sentence that is shown."""

    CREATED = "created", "Created."
    SAVED = "saved", "Saved."
    ARCHIVED = "archived", "Archived. Nothing was deleted: it is found under Archived and can be restored."
    RESTORED = "restored", "Restored."
    COPIED = "copied", "Copied. This is the copy: change what differs, then save."
    PAUSED = "paused", "Paused."
    RESUMED = "resumed", "Resumed."
    CONVERTED = "converted", "The conversion was added."
    RESENT = "resent", "It is sent again; this page shows what becomes of it."
    CANCELLED = "cancelled", "Cancelled: it will not be sent."
    RERUN = "rerun", "The notice was run again."
    MAPPED = "mapped", "The word is mapped. Notices that came before can be run again."
    REVOKED = "revoked", "Revoked: it no longer works."
    PROBED = "probed", "It is tried within five seconds; if it answers, all that waits is sent."
    CLOCK_CONFIRMED = "clock-confirmed", "Clock confirmed. Data past its retention is deleted again."
    DAMAGE_CONFIRMED = "damage-confirmed", "Damage confirmed. New damage raises a new alarm."
    STOPPED = "stopped", "Stopped. What was registered stays registered."
    EXPORT_STOPPED = "export-stopped", "Stopped. The unfinished file is deleted."
    REMOVED = "removed", "Removed."
    DISABLED = "disabled", "Disabled. Their sessions and API tokens no longer work."
    ENABLED = "enabled", "Enabled. They can sign in again."
    PASSWORD_SET = "password-set", "The password was changed; your other browsers are signed out."
    SESSION_ENDED = "session-ended", "That browser is signed out."
    SIGNED_OUT_HIM = "signed-out-him", "Signed out everywhere."
    SIGNED_OUT = "signed-out", "You are signed out."
    RELEASED = "released", "Postbacks released. Those that are due are sent now."
    SIGNED_OUT_EVERYWHERE = "signed-out-everywhere", "All other sessions were ended."


def said_of(word: str) -> Said | None:
    """The word of an address, if it is one of ours."""
    return Said(word) if word in set(Said) else None
