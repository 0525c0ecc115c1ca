"""Loading rows of the ledger's outbox into DuckDB, with the marks that their clicks have now."""

from collections.abc import Mapping

import duckdb
import msgspec

from clickloop.report.fact import ConversionFact
from clickloop.store.facts.duckdb.columns import insert_of_conversion_costs, insert_of_facts
from clickloop.store.facts.facts import FactsError

_INSERT = insert_of_facts()
_INSERT_COSTS = insert_of_conversion_costs()
_decoder = msgspec.json.Decoder(ConversionFact)


def load_lines(writer: duckdb.DuckDBPyConnection, lines: Mapping[int, bytes]) -> int:
    """Add outbox rows, and return their number. Call it in a transaction.

    Raise FactsError if one is invalid: the engine would take a bad field for an absent one.
    """
    facts = {outbox_id: _fact(outbox_id, line) for outbox_id, line in lines.items()}
    click_ids = {outbox_id: fact.click.click_id for outbox_id, fact in facts.items()}
    row = writer.execute("SELECT refilled_to FROM outbox_taken").fetchone()
    refilled_to = int(row[0] or 0) if row else 0
    # Of conversions that are handed over again after a loss: corrections of their clicks may be lost, too.
    reloaded = [click_id for outbox_id, click_id in click_ids.items() if outbox_id <= refilled_to]
    parameters = {
        # A single list as parameter: executemany takes milliseconds per row.
        "lines": [line.decode() for line in lines.values()],
        "ids": list(click_ids.values()),
        "first": min(click_ids.values()),
        "last": max(click_ids.values()),
        "reloaded_ids": reloaded,
        "reloaded_first": min(reloaded, default="~"),
        "reloaded_last": max(reloaded, default=""),
    }
    writer.execute(_INSERT, parameters)
    if any(fact.cost_micros for fact in facts.values()):
        writer.execute(_INSERT_COSTS, parameters)
    return len(lines)


def _fact(outbox_id: int, line: bytes) -> ConversionFact:
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise FactsError(f"row {outbox_id} of the outbox is not a conversion fact: {error}") from error
