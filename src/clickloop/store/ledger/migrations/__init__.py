"""The ledger's schema, one revision after another. ``HEAD`` is the newest: such a ledger is opened as it is."""

from pathlib import Path

HEAD = "0007"


def knows_revision(revision: str) -> bool:
    """Return whether this version can open a ledger of that schema revision."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent)).walk_revisions()
    return any(script.revision == revision for script in scripts)
