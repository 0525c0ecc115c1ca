"""SQLite's own checks of its file. A database server checks its files itself: then nothing is found."""

from sqlalchemy import Connection, inspect, text

# A file that is damaged in many places is restored, not read about.
MAX_PROBLEMS = 5


def file_problems(tx: Connection) -> list[str] | None:
    """Return what is wrong with the whole file, at most ``MAX_PROBLEMS`` sentences; None: the engine checks its own files."""
    if tx.dialect.name != "sqlite":
        return None
    found = [str(row[0]) for row in tx.execute(text(f"PRAGMA integrity_check({MAX_PROBLEMS})"))]
    if found != ["ok"]:
        return [f"The file is damaged: {'; '.join(found)}"]
    # integrity_check looks at pages and indexes, not at references.
    orphan = tx.execute(text("PRAGMA foreign_key_check")).first()
    return [] if orphan is None else [f"A row of {orphan[0]} refers to a record that does not exist."]


def checkable_tables(tx: Connection) -> list[str]:
    """Return the names of the tables that ``is_table_sound`` can check."""
    # Sorted: the audit goes round table by table, and must come to each.
    return sorted(inspect(tx).get_table_names()) if tx.dialect.name == "sqlite" else []


def is_table_sound(tx: Connection, name: str) -> bool:
    """Return whether a table's pages are whole. Raise SQLAlchemyError where they are so damaged that SQLite gives up."""
    return list(tx.execute(text(f"PRAGMA integrity_check('{name}')")).scalars()) == ["ok"]
