"""A network's own words for statuses, which count before the words that all networks share."""

from collections.abc import Collection, Mapping

from clickloop.conversion.status import OTHER, word_key
from clickloop.setup.fault import Fault, FaultCode, text_faults

MAX_WORDS = 200  # no network has as many; each is looked up with every notice
MAX_WORD_CHARACTERS = 200  # what is kept of a status word in a notice


def normalized_words(words: Mapping[str, str]) -> dict[str, str]:
    """Return the words in the form in which notices are matched, in alphabetical order."""
    return dict(sorted((word_key(word), key) for word, key in words.items()))


def network_word_faults(words: Mapping[str, str], known: Collection[str]) -> list[Fault]:
    """Return everything that is wrong with a network's words; ``known`` are the keys of the statuses that there are."""
    if len(words) > MAX_WORDS:
        return [Fault("status_words", FaultCode.TOO_MANY, f"A network can have at most {MAX_WORDS} status words.")]
    faults: list[Fault] = []
    seen: dict[str, str] = {}
    for word, key in words.items():
        place = f"status_words.{word[:50]}"
        faults += text_faults(place, word, MAX_WORD_CHARACTERS, required=True)
        before = seen.setdefault(word_key(word), word)
        if before is not word:
            sentence = f"{word[:50]!r} and {before[:50]!r} are the same word: give it one status."
            faults.append(Fault(place, FaultCode.DUPLICATE, sentence))
        if key not in known:
            faults.append(Fault(place, FaultCode.NOT_FOUND, f"There is no status {key[:50]!r}."))
        elif key == OTHER.key:
            sentence = "A word cannot be mapped to Other, which is for unmapped words: leave it out, or choose a pending status."
            faults.append(Fault(place, FaultCode.NOT_ALLOWED, sentence))
    return faults


def words_for_status(key: str, common: Collection[str], own: Mapping[str, str]) -> set[str]:
    """Return the words by which one network can bring a status: its own, and the common ones that it does not use otherwise."""
    return {word for word, meant in own.items() if meant == key} | {
        word for word in common if own.get(word, key) == key
    }
