"""Closed lists whose members carry their sentence for people."""

import enum
from typing import Self


class Explained(enum.StrEnum):
    """A closed list in which each member is written with its sentence: ``NO_CLICK_ID = "no_click_id", "It names no click."``."""

    sentence: str

    # The default is for the type checker: looking a member up by its value looks like making one.
    def __new__(cls, value: str, sentence: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member
