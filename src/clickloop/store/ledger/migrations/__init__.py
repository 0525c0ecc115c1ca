"""The revisions of the ledger's schema. A ledger at ``HEAD``, the newest, needs no migration."""

from pathlib import Path

# From the names of the files, which begin with the revision: importing Alembic would take a tenth of a second at every start.
HEAD = max(file.name[1:5] for file in (Path(__file__).parent / "versions").glob("r[0-9]*.py"))


def knows_revision(revision: str) -> bool:
    """Return whether this version of Clickloop can open a ledger at that schema revision."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent)).walk_revisions()
    return any(script.revision == revision for script in scripts)
