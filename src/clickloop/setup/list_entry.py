"""The entry of a black, white or watch list: a value, when it was added and removed, and the figures that it was judged by."""

import msgspec


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a value in the period that it was judged by. Micros are in ``currency``."""

    clicks: int = 0
    cost_micros: int = 0
    conversions: int = 0
    revenue_micros: int = 0
    currency: str
    from_at: int
    until_at: int


class ListEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A value's stay in a list."""

    id: int = 0
    list_id: int
    value: str
    added_at: int
    added_by: str
    judged: Judged
    removed_at: int | None = None
    removed_by: str = ""
