"""A network's own words for statuses, which take precedence over the words shared by all networks."""

from collections.abc import Collection, Mapping

from clickloop.conversion.status import OTHER, word_key
from clickloop.setup.fault import FaultCode, FieldFault, text_faults

MAX_WORDS = 200  # more than any network uses; each is looked up with every notice
MAX_WORD_CHARACTERS = 200  # as much as is stored of a notice's status word


def normalized_words(words: Mapping[str, str]) -> dict[str, str]:
    """Return the words in the form in which notices are matched, in alphabetical order."""
    return dict(sorted((word_key(word), key) for word, key in words.items()))


def network_word_faults(words: Mapping[str, str], known: Collection[str]) -> list[FieldFault]:
    """Return all faults of a network's words; ``known`` are the keys of the existing statuses."""
    if len(words) > MAX_WORDS:
        return [FieldFault("status_words", FaultCode.TOO_MANY, f"A network can have at most {MAX_WORDS} status words.")]
    faults: list[FieldFault] = []
    seen: dict[str, str] = {}
    for word, key in words.items():
        place = f"status_words.{word[:50]}"
        faults += text_faults(place, word, MAX_WORD_CHARACTERS, required=True)
        before = seen.setdefault(word_key(word), word)
        if before is not word:
            sentence = f"{word[:50]!r} and {before[:50]!r} are the same word. Map it to one status."
            faults.append(FieldFault(place, FaultCode.DUPLICATE, sentence))
        if key not in known:
            faults.append(FieldFault(place, FaultCode.NOT_FOUND, f"The status {key[:50]!r} does not exist."))
        elif key == OTHER.key:
            sentence = "Other is for unmapped words. Leave the word out, or choose a pending status."
            faults.append(FieldFault(place, FaultCode.NOT_ALLOWED, sentence))
    return faults


def words_for_status(key: str, common: Collection[str], own: Mapping[str, str]) -> set[str]:
    """Return the words with which a network can set a status: its own, and the common ones that it does not map otherwise."""
    return {word for word, meant in own.items() if meant == key} | {
        word for word in common if own.get(word, key) == key
    }
