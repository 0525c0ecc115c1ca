"""Telling a damaged record from a fault of the program: both are a ValueError in the end."""

import msgspec

from clickloop.machine.secret_box import SecretError

_READERS = "clickloop.store.ledger."
_FAULTS = (ValueError, msgspec.MsgspecError, SecretError)


def is_damaged_record(error: Exception) -> bool:
    """Return whether an error came from what a row of the ledger holds, such as a state that no version has ever written.

    A row is read in this folder alone, so the place where the error was raised tells.
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
