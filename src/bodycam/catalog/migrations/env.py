"""Runs the revisions on the connection that `catalog.upgrading` hands over."""

from alembic import context

from bodycam.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
