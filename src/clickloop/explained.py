"""Enums whose members carry a sentence for people."""

import enum
from typing import Self


class Explained(enum.StrEnum):
    """An enum whose members are declared with a sentence: ``NO_CLICK_ID = "no_click_id", "It has no click id."``."""

    sentence: str

    # The default satisfies the type checker, to which looking up a member by value looks like creating one.
    def __new__(cls, value: str, sentence: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member
