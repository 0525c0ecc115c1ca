"""Checking a line of the ledger's outbox before the engine reads it."""

import msgspec

from clickloop.report.fact import ConversionFact
from clickloop.store.facts.facts import FactsError


def fact_line(outbox_id: int, line: bytes) -> str:
    """Return a line for the engine. Raise FactsError if it is invalid: the engine would take a bad field for an absent one."""
    try:
        msgspec.json.decode(line, type=ConversionFact)
    except msgspec.DecodeError as error:
        raise FactsError(f"row {outbox_id} of the outbox is not a conversion fact: {error}") from error
    return line.decode()
