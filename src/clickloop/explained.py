"""Enums whose members carry a sentence for the user."""

import enum
from typing import Self


class Explained(enum.StrEnum):
    """An enum of strings in which each member has a sentence: ``NO_CLICK_ID = "no_click_id", "It names no click."``."""

    sentence: str

    # The default is for the type checker, to which a lookup by value looks like a construction.
    def __new__(cls, value: str, sentence: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member
