"""Faults that only the ledger reveals: a name that is taken, a reference to a missing record."""

from collections.abc import Collection

from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.record import RecordFields


def name_faults(one: str, own_id: int, holder: int | None) -> list[FieldFault]:
    """Return the fault of a name that ``holder``, another record, already has."""
    if holder is None or holder == own_id:
        return []
    return [
        FieldFault("name", FaultCode.TAKEN, f"{one.capitalize()} {holder} already has this name. Choose another one.")
    ]


def reference_faults(field: str, one: str, number: int, found: RecordFields | None) -> list[FieldFault]:
    """Return the fault of a field that refers to a missing or archived record."""
    if found is None:
        return [FieldFault(field, FaultCode.NOT_FOUND, f"There is no {one} {number}.")]
    if found.is_archived:
        return [FieldFault(field, FaultCode.ARCHIVED, f"The {one} {number} is archived. Choose a live one.")]
    return []


def raise_faults(faults: Collection[FieldFault]) -> None:
    """Raise InvalidInputError if there are any."""
    if faults:
        raise InvalidInputError(tuple(faults))
