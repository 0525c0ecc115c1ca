"""Telling a damaged record from a bug: both raise a ValueError."""

import msgspec

from clickloop.machine.secret_box import SecretError

_READERS = "clickloop.store.ledger."
_FAULTS = (ValueError, msgspec.MsgspecError, SecretError)


def is_damaged_record(error: Exception) -> bool:
    """Return whether an error was caused by the contents of a row, such as an unknown state.

    Rows are read in this folder only, so the innermost of our modules in the traceback decides.
    """
    if not isinstance(error, _FAULTS):
        return False
    place = ""
    step = error.__traceback__
    while step is not None:
        name = step.tb_frame.f_globals.get("__name__", "")
        if name.startswith("clickloop."):
            place = name
        step = step.tb_next
    return place.startswith(_READERS)
