"""The order of arrival of notices, as sortable texts."""

_TIME_DIGITS = 15  # a fixed number, so that texts sort like times


def arrival_order_of(at: int, notice_id: str) -> str:
    """Return a notice's position in the order of arrival as a sortable text: by time (Unix milliseconds), then by id."""
    return f"{at:0{_TIME_DIGITS}d}{notice_id}"


_UPLOAD_CHARACTERS = 19
"""Leading characters of a notice's id shared by all lines of an upload: the time and 45 bits; see ``upload.notice_id_of``."""


def are_of_same_upload(order: str, other: str) -> bool:
    """Return whether two arrival orders belong to different lines of the same upload. Only for notices of uploads."""
    length = _TIME_DIGITS + _UPLOAD_CHARACTERS
    return order[:length] == other[:length] and order != other


def notice_id_of_order(order: str) -> str:
    """Return the id of the notice with this arrival order."""
    return order[_TIME_DIGITS:]
