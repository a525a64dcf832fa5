"""Alembic runs this; the connection is handed over by `storage/migrate.py`."""

from __future__ import annotations

from alembic import context

from indelible_server.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
