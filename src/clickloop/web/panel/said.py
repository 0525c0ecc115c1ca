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
    STOPPED = "stopped"
    SIGNED_OUT = "signed-out"
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
    Said.CONVERTED: "The conversion was taken in.",
    Said.RESENT: "It is sent again; this page shows what becomes of it.",
    Said.CANCELLED: "Cancelled: it will not be sent.",
    Said.RERUN: "The notice was run again.",
    Said.MAPPED: "The word is mapped. Notices that came before can be run again.",
    Said.STOPPED: "Stopped. What is registered stays so.",
    Said.PROBED: "It is tried within five seconds; if it answers, all that waits is sent.",
    Said.REVOKED: "Revoked: it is valid no more.",
    Said.SIGNED_OUT: "You are signed out.",
    Said.SIGNED_OUT_EVERYWHERE: "All other sessions were ended.",
}


def said_of(word: str) -> Said | None:
    """The word of an address, if it is one of ours."""
    return Said(word) if word in set(Said) else None
