"""What a page tells after something was done: a closed list, named in the address of the next page."""

import enum


class Said(enum.StrEnum):
    """Each with the sentence that is shown."""

    CREATED = "created"
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
    Said.SAVED: "Saved.",
    Said.ARCHIVED: "Archived. Nothing was deleted: it is found under Archived and can be restored.",
    Said.RESTORED: "Restored.",
    Said.COPIED: "Copied. This is the copy: change what differs, then save.",
    Said.PAUSED: "Paused.",
    Said.RESUMED: "Resumed.",
    Said.CONVERTED: "The conversion was added.",
    Said.RESENT: "It is sent again; this page shows what becomes of it.",
    Said.CANCELLED: "Cancelled: it will not be sent.",
    Said.RERUN: "The notice was run again.",
    Said.MAPPED: "The word is mapped. Notices that came before can be run again.",
    Said.STOPPED: "Stopped. What was registered stays registered.",
    Said.EXPORT_STOPPED: "Stopped. The unfinished file is deleted.",
    Said.PROBED: "It is tried within five seconds; if it answers, all that waits is sent.",
    Said.CLOCK_CONFIRMED: "Clock confirmed. Data past its retention is deleted again.",
    Said.DAMAGE_CONFIRMED: "Damage confirmed. New damage raises a new alarm.",
    Said.REVOKED: "Revoked: it no longer works.",
    Said.REMOVED: "Removed.",
    Said.DISABLED: "Disabled. Their sessions and API tokens no longer work.",
    Said.ENABLED: "Enabled. They can sign in again.",
    Said.PASSWORD_SET: "The password was changed; your other browsers are signed out.",
    Said.SESSION_ENDED: "That browser is signed out.",
    Said.SIGNED_OUT_HIM: "Signed out everywhere.",
    Said.SIGNED_OUT: "You are signed out.",
    Said.RELEASED: "Postbacks released. Those that are due are sent now.",
    Said.SIGNED_OUT_EVERYWHERE: "All other sessions were ended.",
}


def said_of(word: str) -> Said | None:
    """The word of an address, if it is one of ours."""
    return Said(word) if word in set(Said) else None
