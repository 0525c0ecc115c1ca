"""The columns of the facts table, derived from the records: a new field of a click is a new column."""

from typing import NamedTuple

import msgspec

from clickloop.click.click import Click, Flag
from clickloop.store.facts.duckdb.marks.corrected import CORRECTED, CORRECTED_MARKS


class SqlColumn(NamedTuple):
    """A column and its type in DuckDB's SQL."""

    name: str
    sql_type: str


_SQL_TYPES = {str: "VARCHAR", int: "BIGINT", bool: "BOOLEAN"}

CLICK_FIELDS = tuple(SqlColumn(field.name, _SQL_TYPES[field.type]) for field in msgspec.structs.fields(Click))
"""The fields of a click, in order. In the table an absent field is NULL, and ``at`` is called ``click_at``."""

MEASURES = (
    SqlColumn(
        "kind", "VARCHAR"
    ),  # click, conversion, a value of PageEventKind, cost, or mark for the rows of a correction
    SqlColumn("fact_at", "BIGINT"),  # when it happened; Unix milliseconds like all ..._at
    SqlColumn("recorded_at", "BIGINT"),
    # The click of any other row. Its click_id is NULL, so that row groups can be skipped by click_id.
    SqlColumn("of_click_id", "VARCHAR"),
    SqlColumn("conversion_id", "VARCHAR"),
    SqlColumn("txid", "VARCHAR"),
    SqlColumn("status_key", "VARCHAR"),
    SqlColumn("counts_as", "VARCHAR"),  # of the status, at the time of the conversion's change
    SqlColumn("currency", "VARCHAR"),  # of cost_micros on a click, of the payouts on a conversion
    SqlColumn("clicks", "BIGINT"),
    SqlColumn("conversions", "BIGINT"),
    SqlColumn("revenue_micros", "BIGINT"),
    SqlColumn("pending_micros", "BIGINT"),
    SqlColumn("rejected_micros", "BIGINT"),
    # Of page events. NULL on the rows of clicks and conversions.
    SqlColumn("event_id", "VARCHAR"),
    SqlColumn("landing_views", "BIGINT"),  # never NULL on a page event's row
    SqlColumn("landing_clicks", "BIGINT"),
    # Of landing clicks. A click that was sent directly to an offer has an offer_id instead, in files of all versions.
    SqlColumn("offer_visits", "BIGINT"),
    SqlColumn("events", "BIGINT"),  # 1 on the row of a counted number from the page
    SqlColumn("event_number", "BIGINT"),  # 1 to 30, for event1 to event30
    SqlColumn("event_micros", "BIGINT"),
    SqlColumn("button", "BIGINT"),
    SqlColumn("found_by", "VARCHAR"),
    SqlColumn("loaded_ms", "BIGINT"),
    # Of rows of cost, see ``cost_rows``; 0 on the cost of a conversion by a model. NULL on clicks.
    SqlColumn("cost_entry_id", "BIGINT"),
    SqlColumn("entry_micros", "BIGINT"),
    SqlColumn("beneath_entry_id", "BIGINT"),
    SqlColumn("beneath_micros", "BIGINT"),
    # Of the two rows that move a row to the click's new marks: -1 for the one under the old marks, 1 for the one under the new.
    SqlColumn("correction", "BIGINT"),
)

_RENAMED = {"at": "click_at"}
_OF_CLICKS_ONLY = frozenset({"click_id", "cost_micros", "cost_currency"})
_NOT_ON_PAGE_EVENTS = _OF_CLICKS_ONLY | {
    # The page event's own.
    *("target", "flags", "screening", "offer_id", "network_id", "instead_of"),
    # Long, and nothing that reports group by.
    *("draw", "failed_conditions", "hops", "query", "external_id", "useragent", "seen"),
}
_PAGE_EVENT_TEXTS = ("click_id", "event_id", "kind", "target", "found_by", "flags", "screening")
_PAGE_EVENT_NUMBERS = (
    *("at", "landing_views", "landing_clicks", "offer_visits", "events", "event_number", "event_micros"),
    *("button", "offer_id", "network_id", "loaded_ms", "instead_of"),
)

ALL_COLUMNS = (
    tuple(SqlColumn(_RENAMED.get(field.name, field.name), field.sql_type) for field in CLICK_FIELDS) + MEASURES
)


def quoted(name: str) -> str:
    """Return a column's name as an SQL identifier."""
    return f'"{name}"'


def click_structure() -> str:
    """Return the fields of a click as the ``columns`` argument of ``read_ndjson``."""
    return "{" + ", ".join(f"'{field.name}': '{field.sql_type}'" for field in CLICK_FIELDS) + "}"


def fact_structure() -> str:
    """Return a ``ConversionFact`` as the structure argument of ``from_json``."""
    click = ",".join(f'"{field.name}":"{field.sql_type}"' for field in CLICK_FIELDS)
    names = ("conversion_id", "txid", "status_key", "counts_as", "currency", "cost_currency")
    texts = ",".join(f'"{name}":"VARCHAR"' for name in names)
    numbers = ("at", "recorded_at", "conversions", "revenue_micros", "pending_micros", "rejected_micros", "cost_micros")
    return f'{{"click":{{{click}}},{texts},' + ",".join(f'"{name}":"BIGINT"' for name in numbers) + "}"


def click_table_names() -> str:
    """Return the table's columns of a click, in the order of its fields."""
    return ", ".join(quoted(_RENAMED.get(field.name, field.name)) for field in CLICK_FIELDS)


def insert_of_clicks(*, judged: bool) -> str:
    """Return the INSERT from NDJSON files (``$files``); lines without a click id (trailers) are skipped.

    ``judged``: with changes of lines (``$ids``, ``$uniques``, ``$marks``; NULL: as the line says).
    """
    fields = ", ".join(
        _JUDGED[field.name] if judged and field.name in _JUDGED else f"line.{quoted(field.name)}"
        for field in CLICK_FIELDS
    )
    names = click_table_names()
    return (
        f"INSERT INTO facts ({names}, kind, fact_at, currency, clicks) "  # noqa: S608 – names are ours, values are bound
        f"SELECT {fields}, 'click', line.\"at\", coalesce(line.cost_currency, ''), (line.screening IS NULL)::BIGINT "
        # auto_detect would read the file twice, and turn a column of digits into numbers.
        f"FROM read_ndjson($files, columns = {click_structure()}, format = 'newline_delimited', auto_detect = false, "
        f"maximum_object_size = $max_bytes) AS line {_JUDGEMENTS if judged else ''} WHERE line.click_id IS NOT NULL"
    )


_JUDGED = {
    "unique": 'coalesce(judged."unique", line."unique")',
    "cost_micros": (
        "CASE WHEN judged.\"unique\" IS FALSE AND starts_with(line.cost_rule, 'per_unique') THEN NULL ELSE line.cost_micros END"
    ),
    "flags": (
        f"CASE WHEN judged.\"unique\" IS FALSE THEN concat_ws(',', line.flags, '{Flag.RECOGNISED}') ELSE line.flags END"
    ),
    "marks": "CASE WHEN judged.marks IS NULL THEN line.marks ELSE nullif(judged.marks, '') END",
}
_JUDGEMENTS = (
    'LEFT JOIN (SELECT unnest($ids::VARCHAR[]) AS click_id, unnest($uniques::BOOLEAN[]) AS "unique", '
    "unnest($marks::VARCHAR[]) AS marks) AS judged ON judged.click_id = line.click_id"
)


def insert_of_facts() -> str:
    """Return the INSERT from a list of ``ConversionFact`` lines (``$lines``) of clicks with ``$ids``, ``$first`` to ``$last``.

    ``$reloaded_ids``, ``$reloaded_first`` and ``$reloaded_last`` are those whose marks are taken from the clicks themselves.
    """
    copied = [field for field in CLICK_FIELDS if field.name not in _OF_CLICKS_ONLY]
    names = ", ".join(quoted(_RENAMED.get(field.name, field.name)) for field in copied)
    marks = {"marks": _MARKS_OF_FACT}
    values = ", ".join(marks.get(field.name, f"fact.click.{quoted(field.name)}") for field in copied)
    return (
        f"INSERT INTO facts ({names}, kind, of_click_id, fact_at, recorded_at, conversion_id, txid, status_key, counts_as, "  # noqa: S608
        "currency, conversions, revenue_micros, pending_micros, rejected_micros) "
        f"SELECT {values}, 'conversion', fact.click.click_id, fact.\"at\", fact.recorded_at, fact.conversion_id, "
        "coalesce(fact.txid, ''), fact.status_key, fact.counts_as, coalesce(fact.currency, ''), fact.conversions, "
        "coalesce(fact.revenue_micros, 0), coalesce(fact.pending_micros, 0), coalesce(fact.rejected_micros, 0) "
        f"FROM {_FACT_LINES}"
    )


def insert_of_conversion_costs() -> str:
    """Return the INSERT of the costs of the same lines. Where an entry covers the click, another row takes the cost back."""
    copied = [field for field in CLICK_FIELDS if field.name not in _OF_CLICKS_ONLY]
    names = ", ".join(quoted(_RENAMED.get(field.name, field.name)) for field in copied)
    marks = {"marks": _MARKS_OF_FACT}
    values = ", ".join(marks.get(field.name, f"fact.click.{quoted(field.name)}") for field in copied)
    micros = "sign * fact.cost_micros"
    return (
        f"INSERT INTO facts ({names}, kind, of_click_id, fact_at, recorded_at, conversion_id, status_key, currency, "  # noqa: S608
        "cost_micros, cost_entry_id, entry_micros, beneath_entry_id, beneath_micros) "
        f"SELECT {values}, 'cost', fact.click.click_id, fact.\"at\", fact.recorded_at, fact.conversion_id, fact.status_key, "
        f"fact.cost_currency, {micros}, 0, 0, CASE WHEN sign < 0 THEN 0 END, CASE WHEN sign < 0 THEN {micros} END "
        f"FROM {_FACT_LINES} LEFT JOIN (SELECT DISTINCT share.click_id AS covered_id FROM cost_shares AS share "
        "JOIN cost_spreads AS spread USING (rank) WHERE share.place <= spread.active AND share.click_id = ANY($ids) "
        "AND share.click_id BETWEEN $first AND $last) AS covered ON fact.click.click_id = covered_id "
        "CROSS JOIN (SELECT unnest([1, -1]) AS sign) AS signs "
        "WHERE fact.cost_micros <> 0 AND (sign > 0 OR covered_id IS NOT NULL)"
    )


# A single list as parameter: executemany takes milliseconds per row.
_FACT_LINES = (
    f"(SELECT from_json(unnest($lines::VARCHAR[]), '{fact_structure()}') AS fact) "  # noqa: S608 – names are ours, values are bound
    f"LEFT JOIN {CORRECTED} AS corrected ON fact.click.click_id = corrected_id "
    "LEFT JOIN (SELECT DISTINCT ON (click_id) click_id AS reloaded_id, marks AS reloaded_marks FROM facts "
    "WHERE click_id = ANY($reloaded_ids) AND click_id BETWEEN $reloaded_first AND $reloaded_last) AS reloaded "
    "ON fact.click.click_id = reloaded_id"
)


# The ledger's copy of a click has the marks of the time of its conversion.
_MARKS_OF_FACT = (
    "CASE WHEN corrected_id IS NOT NULL THEN nullif(corrected_marks, '') WHEN reloaded_id IS NOT NULL THEN reloaded_marks "
    "ELSE fact.click.marks END"
)


def insert_of_page_events() -> str:
    """Return the INSERT from a list of ``PageEventFact`` lines (``$lines``), joined with their clicks (``$ids``, ``$first``, ``$last``).

    A line whose click is unknown gets a row without the dimensions of a click.
    """
    copied = [
        _RENAMED.get(field.name, field.name)
        for field in CLICK_FIELDS
        if field.name not in _NOT_ON_PAGE_EVENTS and field.name != "at"
    ]
    names = ", ".join(map(quoted, copied))
    marks = {"marks": CORRECTED_MARKS}
    values = ", ".join(marks.get(name, f"click.{quoted(name)}") for name in copied)
    texts = ",".join(f'"{name}":"VARCHAR"' for name in _PAGE_EVENT_TEXTS)
    numbers = ",".join(f'"{name}":"BIGINT"' for name in _PAGE_EVENT_NUMBERS)
    own = (
        *("kind", "event_id", "target", "found_by", "flags", "screening", "landing_clicks", "offer_visits", "events"),
        *("event_number", "event_micros", "button", "loaded_ms", "instead_of"),
    )
    return (
        f"INSERT INTO facts ({names}, click_at, of_click_id, fact_at, landing_views, offer_id, network_id, "  # noqa: S608 – names are ours
        f"{', '.join(own)}) "
        # Without a click the event's time, so that retention deletes its row, too.
        f'SELECT {values}, coalesce(click.click_at, fact."at"), fact.click_id, fact."at", coalesce(fact.landing_views, 0), '
        "coalesce(fact.offer_id, click.offer_id), CASE WHEN fact.offer_id IS NULL THEN click.network_id ELSE fact.network_id END, "
        f"{', '.join(f'fact.{name}' for name in own)} "
        f"FROM (SELECT from_json(unnest($lines::VARCHAR[]), '{{{texts},{numbers}}}') AS fact) "
        # One row per id, although the facts should have no click twice: it would double the figures of its page.
        f"LEFT JOIN (SELECT DISTINCT ON (click_id) click_id, click_at, offer_id, network_id, {names} FROM facts "
        "WHERE click_id = ANY($ids) AND click_id BETWEEN $first AND $last) AS click ON click.click_id = fact.click_id "
        f"LEFT JOIN {CORRECTED} AS corrected ON fact.click_id = corrected_id"
    )
