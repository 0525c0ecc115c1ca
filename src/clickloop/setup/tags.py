"""Tags: short words of the user's own on offers and campaigns, to find them by."""

from collections.abc import Iterable

from clickloop.setup.fault import Fault, FaultCode, text_faults

MAX_TAGS = 20  # they stand in a list's row
MAX_TAG_LENGTH = 50  # it stands in a list's row


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags as they are kept: trimmed, without empty ones, each once in any case, in the order given."""
    kept: dict[str, str] = {}
    for tag in tags:
        word = tag.strip()
        if word:
            kept.setdefault(word.casefold(), word)
    return tuple(kept.values())


def tag_faults(tags: Iterable[str]) -> list[Fault]:
    """The faults of the field ``tags``."""
    given = tuple(tags)
    if len(given) > MAX_TAGS:
        return [Fault("tags", FaultCode.TOO_MANY, f"At most {MAX_TAGS} tags are kept.")]
    faults = []
    for position, tag in enumerate(given):
        faults += text_faults(f"tags[{position}]", tag, MAX_TAG_LENGTH)
        if "," in tag:
            sentence = "A tag holds no comma: commas separate tags where they are written in one line."
            faults.append(Fault(f"tags[{position}]", FaultCode.CHARACTER, sentence))
    return faults
