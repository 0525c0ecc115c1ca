"""Alembic's entry point: runs the revisions in the transaction that the ledger opened."""

from alembic import context

from clickloop.store.ledger.schema.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
