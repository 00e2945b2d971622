"""How Alembic runs a revision: on the connection that `arena.ledger.schema` passes, and with nobody else's logging."""

from alembic import context

from arena.ledger.tables import Row

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Row.metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place: Alembic then copies the table.
    user_module_prefix="",  # A new revision names our own column types as its template imports them.
)
context.run_migrations()
