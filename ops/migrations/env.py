"""
What alembic runs: the connection is always given by `ops.migrations.migrate`.
"""

from alembic import context

from ops.migrations import METADATA

_ADVISORY_LOCK = 0x7464_7502
"""Two migration jobs started together must wait for each other on PostgreSQL."""

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True, compare_server_default=True)
with context.begin_transaction():
    context.run_migrations()
