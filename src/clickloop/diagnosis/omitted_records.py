"""The older records of a click that its trace leaves out."""

import msgspec


class OmittedRecords(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of a click's older records that its trace omits: anyone with a click id can send any number of notices for it."""

    page_events: bool = False
    """Whether page events are omitted."""
    notices: int = 0
    conversions: int = 0
    changes: bool = False
    """Whether changes of its conversions are omitted."""
    postbacks: int = 0

    def __bool__(self) -> bool:
        return bool(self.page_events or self.notices or self.conversions or self.changes or self.postbacks)

    @property
    def sentence(self) -> str:
        counts = {"incoming postbacks": self.notices, "conversions": self.conversions, "postbacks": self.postbacks}
        parts = [f"{count} older {noun}" for noun, count in counts.items() if count]
        parts += ["older changes of conversions"] if self.changes else []
        parts += ["older page events"] if self.page_events else []
        return f"Not shown: {', '.join(parts)}. Filter the logs by the click ID to see them." if parts else ""
