"""The common parts of all ledger tables: metadata with a naming convention for constraints, and the numeric key."""

from sqlalchemy import Column, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def number_column() -> Column[int]:
    """Return a new numeric primary key column: 1, 2, 3 …"""
    return Column("id", Integer, primary_key=True, autoincrement=True)
