"""Counts with a noun: 1 postback, 2 postbacks."""


def pluralize(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun; pass ``many`` if the plural isn't ``one`` with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
