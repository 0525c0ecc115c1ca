"""SQLite's own checks of its file. Other engines check their files themselves, so nothing is reported for them."""

from sqlalchemy import Connection, inspect, text

# A file with many problems is restored, not studied.
MAX_PROBLEMS = 5


def file_problems(tx: Connection) -> list[str] | None:
    """Return sentences on what is wrong with the file (see ``MAX_PROBLEMS``); None: the engine checks its own files."""
    if tx.dialect.name != "sqlite":
        return None
    found = [str(row[0]) for row in tx.execute(text(f"PRAGMA integrity_check({MAX_PROBLEMS})"))]
    if found != ["ok"]:
        return [f"The file is damaged: {'; '.join(found)}"]
    # integrity_check checks pages and indexes, not foreign keys.
    orphan = tx.execute(text("PRAGMA foreign_key_check")).first()
    return [] if orphan is None else [f"A row of {orphan[0]} refers to a record that does not exist."]


def checkable_tables(tx: Connection) -> list[str]:
    """Return the names of the tables that ``is_table_sound`` can check."""
    # Sorted: the audit checks one table after another, and must reach every one.
    return sorted(inspect(tx).get_table_names()) if tx.dialect.name == "sqlite" else []


def is_table_sound(tx: Connection, name: str) -> bool:
    """Return whether a table's pages are intact. Raise SQLAlchemyError if they are so damaged that SQLite gives up."""
    return list(tx.execute(text(f"PRAGMA integrity_check('{name}')")).scalars()) == ["ok"]
