"""Lists passed into a statement, and rows returned from it, as one JSON text.

SQLite's driver releases and reacquires the GIL for every statement and every row it steps to, which is slow with busy threads.
"""

from typing import Any

from sqlalchemy import Select, TableValuedAlias, bindparam, func, select


def json_values(parameter: str, name: str) -> TableValuedAlias:
    """Return a JSON list in a bind parameter as a table with the column ``value``."""
    return func.json_each(bindparam(parameter)).table_valued("value", name=name)


def json_rows(query: Select[Any], hexadecimal: str = "") -> Select[Any]:
    """Return a statement that yields the rows of a query as one JSON list of lists.

    ``hexadecimal``: a column to encode so, because it may hold damaged bytes that JSON cannot carry.
    """
    found = query.subquery("found")
    columns = [func.hex(column) if column.name == hexadecimal else column for column in found.c]
    return select(func.json_group_array(func.json_array(*columns)))
