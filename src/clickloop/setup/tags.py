"""Tags: the user's labels on offers and campaigns."""

from collections.abc import Iterable

from clickloop.setup.fault import FaultCode, FieldFault, text_faults

MAX_TAGS = 20  # shown in a list's row
MAX_TAG_LENGTH = 50  # shown in a list's row


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return the tags to store: trimmed, without empty ones and without duplicates, ignoring case, in the same order."""
    cleaned: dict[str, str] = {}
    for tag in tags:
        word = tag.strip()
        if word:
            cleaned.setdefault(word.casefold(), word)
    return tuple(cleaned.values())


def tag_faults(tags: Iterable[str]) -> list[FieldFault]:
    all_tags = tuple(tags)
    if len(all_tags) > MAX_TAGS:
        return [FieldFault("tags", FaultCode.TOO_MANY, f"The maximum is {MAX_TAGS} tags.")]
    faults = []
    for position, tag in enumerate(all_tags):
        faults += text_faults(f"tags[{position}]", tag, MAX_TAG_LENGTH)
        if "," in tag:
            sentence = "A tag must not contain a comma, which separates tags."
            faults.append(FieldFault(f"tags[{position}]", FaultCode.CHARACTER, sentence))
    return faults
