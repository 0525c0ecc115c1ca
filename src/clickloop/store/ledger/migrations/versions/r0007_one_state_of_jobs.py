"""Give uploads the states of other jobs, and running jobs the filters of the logs.

A cancelled upload becomes ``stopped``, as with every other job. A running job names its period as the API does: unchanged, it
would be read as a job without a period and cover everything.
"""

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rewrite the rows. SQLite cannot change a constraint, so the whole table is copied."""
    state_known = op.f("ck_uploads_state_known")
    with op.batch_alter_table("uploads") as uploads:
        uploads.drop_constraint(state_known, type_="check")
    op.execute("UPDATE uploads SET state = 'stopped' WHERE state = 'cancelled'")
    with op.batch_alter_table("uploads") as uploads:
        uploads.create_check_constraint(state_known, "state IN ('waiting', 'running', 'finished', 'failed', 'stopped')")
    tx = op.get_bind()
    jobs = sa.table("bulk_jobs", sa.column("bulk_job_id"), sa.column("state"), sa.column("asked"))
    for job_id, asked in tx.execute(sa.select(jobs.c.bulk_job_id, jobs.c.asked).where(jobs.c.state == "running")).all():
        read = json.loads(asked)
        _name_period(read.get("wanted", read))
        text = json.dumps(read).encode()
        tx.execute(sa.update(jobs).where(jobs.c.bulk_job_id == job_id).values(asked=text))


def _name_period(wanted: dict[str, Any]) -> None:
    period = wanted.pop("period", None) or {}
    wanted.pop("waiting", None)  # implied by cancelling, and by resuming a rule
    for name in ("since", "until"):
        if period.get(name) is not None:
            moment = datetime.fromtimestamp(period[name] / 1000, UTC)
            wanted[name] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
