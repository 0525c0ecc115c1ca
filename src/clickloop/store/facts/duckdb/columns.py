"""The columns of the facts table, made from the records, so that a new field of a click is a new column."""

from typing import NamedTuple

import msgspec

from clickloop.click.click import Click


class ColumnOf(NamedTuple):
    """A column and its type in DuckDB's SQL."""

    name: str
    sql_type: str


_SQL_TYPES = {str: "VARCHAR", int: "BIGINT", bool: "BOOLEAN"}

CLICK_FIELDS = tuple(ColumnOf(field.name, _SQL_TYPES[field.type]) for field in msgspec.structs.fields(Click))
"""The fields of a click, in its order. In the table an absent field is NULL and ``at`` is called ``click_at``."""

MEASURES = (
    ColumnOf("kind", "VARCHAR"),  # click, conversion
    ColumnOf("fact_at", "BIGINT"),  # when it happened; Unix milliseconds like all ..._at
    ColumnOf("recorded_at", "BIGINT"),
    ColumnOf(
        "of_click_id", "VARCHAR"
    ),  # the click of a row that is no click; click_id is left to clicks, so that it prunes
    ColumnOf("conversion_id", "VARCHAR"),
    ColumnOf("txid", "VARCHAR"),
    ColumnOf("status_key", "VARCHAR"),
    ColumnOf("counts_as", "VARCHAR"),  # of the status, when the conversion came under it
    ColumnOf("currency", "VARCHAR"),  # of cost_micros on a click, of the payouts on a conversion
    ColumnOf("clicks", "BIGINT"),
    ColumnOf("conversions", "BIGINT"),
    ColumnOf("revenue_micros", "BIGINT"),
    ColumnOf("pending_micros", "BIGINT"),
    ColumnOf("rejected_micros", "BIGINT"),
)

_RENAMED = {"at": "click_at"}
_OF_CLICKS_ONLY = frozenset({"click_id", "cost_micros", "cost_currency"})

ALL_COLUMNS = tuple(ColumnOf(_RENAMED.get(field.name, field.name), field.sql_type) for field in CLICK_FIELDS) + MEASURES


def quoted(name: str) -> str:
    """A column's name as an SQL identifier."""
    return f'"{name}"'


def click_structure() -> str:
    """The fields of a click as the ``columns`` argument of ``read_ndjson``."""
    return "{" + ", ".join(f"'{field.name}': '{field.sql_type}'" for field in CLICK_FIELDS) + "}"


def fact_structure() -> str:
    """A ``ConversionFact`` as the structure argument of ``from_json``."""
    click = ",".join(f'"{field.name}":"{field.sql_type}"' for field in CLICK_FIELDS)
    texts = ",".join(f'"{name}":"VARCHAR"' for name in ("conversion_id", "txid", "status_key", "counts_as", "currency"))
    numbers = ("at", "recorded_at", "conversions", "revenue_micros", "pending_micros", "rejected_micros")
    return f'{{"click":{{{click}}},{texts},' + ",".join(f'"{name}":"BIGINT"' for name in numbers) + "}"


def click_table_names() -> str:
    """The table's columns that a click is read back from, in the order of its fields."""
    return ", ".join(quoted(_RENAMED.get(field.name, field.name)) for field in CLICK_FIELDS)


def insert_of_clicks() -> str:
    """INSERT from the NDJSON files in the list parameter; lines without a click id (trailers) are left out."""
    fields = ", ".join(quoted(field.name) for field in CLICK_FIELDS)
    names = click_table_names()
    return (
        f"INSERT INTO facts ({names}, kind, fact_at, currency, clicks) "  # noqa: S608 – names are ours, values are bound
        f"SELECT {fields}, 'click', \"at\", coalesce(cost_currency, ''), (screening IS NULL)::BIGINT "
        # auto_detect off: guessing types reads the file twice, and a column of digits would become a number.
        f"FROM read_ndjson($files, columns = {click_structure()}, format = 'newline_delimited', auto_detect = false, "
        "maximum_object_size = $max_octets) WHERE click_id IS NOT NULL"
    )


def insert_of_facts() -> str:
    """INSERT from the list parameter of ``ConversionFact`` lines."""
    copied = [field for field in CLICK_FIELDS if field.name not in _OF_CLICKS_ONLY]
    names = ", ".join(quoted(_RENAMED.get(field.name, field.name)) for field in copied)
    values = ", ".join(f"fact.click.{quoted(field.name)}" for field in copied)
    return (
        f"INSERT INTO facts ({names}, kind, of_click_id, fact_at, recorded_at, conversion_id, txid, status_key, counts_as, "  # noqa: S608
        "currency, conversions, revenue_micros, pending_micros, rejected_micros) "
        f"SELECT {values}, 'conversion', fact.click.click_id, fact.\"at\", fact.recorded_at, fact.conversion_id, "
        "coalesce(fact.txid, ''), fact.status_key, fact.counts_as, coalesce(fact.currency, ''), fact.conversions, "
        "coalesce(fact.revenue_micros, 0), coalesce(fact.pending_micros, 0), coalesce(fact.rejected_micros, 0) "
        # One list as parameter: the engine's row by row INSERT takes milliseconds for each.
        f"FROM (SELECT from_json(unnest($lines::VARCHAR[]), '{fact_structure()}') AS fact)"
    )
