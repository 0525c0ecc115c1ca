"""The ledger's schema, one revision after another. ``HEAD`` is the newest: such a ledger is opened as it is."""

from pathlib import Path

# By the names of the files, which begin with the revision: asking Alembic would take a tenth of a second at every start.
HEAD = max(file.name[1:5] for file in (Path(__file__).parent / "versions").glob("r[0-9]*.py"))


def knows_revision(revision: str) -> bool:
    """Return whether this version can open a ledger of that schema revision."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent)).walk_revisions()
    return any(script.revision == revision for script in scripts)
