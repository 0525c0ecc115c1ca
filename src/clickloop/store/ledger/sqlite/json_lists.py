"""Lists as one JSON text, into a statement and out of it.

A statement for each value, and each row that SQLite's driver steps to, would hand Python's lock to and fro between threads as often.
"""

from typing import Any

from sqlalchemy import Select, TableValuedAlias, bindparam, func, select


def json_values(parameter: str, name: str) -> TableValuedAlias:
    """Return the values of a list, given as JSON in a parameter, as the rows of a table with the column ``value``."""
    return func.json_each(bindparam(parameter)).table_valued("value", name=name)


def json_rows(query: Select[Any], hexadecimal: str = "") -> Select[Any]:
    """Return a statement for the rows of a query as one JSON list of lists.

    ``hexadecimal``: a column that may hold damaged bytes, which JSON could not carry.
    """
    found = query.subquery("found")
    columns = [func.hex(column) if column.name == hexadecimal else column for column in found.c]
    return select(func.json_group_array(func.json_array(*columns)))
