"""Numbers with their noun, for people: 1 postback, 2 postbacks."""


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun; ``many`` where adding an s to ``one`` is not enough."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
