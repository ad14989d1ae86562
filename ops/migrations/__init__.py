"""
The history of the database's shape: one alembic history for SQLite and PostgreSQL, run by `tdu migrate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from consent.tables import metadata as consent_metadata
from gateway.store.database import Database
from gateway.store.tables import metadata as gateway_metadata

if TYPE_CHECKING:
    from alembic.config import Config

# alembic is read where the history is: whatever only serves starts without it.

METADATA = [consent_metadata, gateway_metadata]
"""Every table of the project, declared once; migrations must equal them (tested on both databases)."""


def configuration(connection: Connection | None = None) -> Config:
    """Build alembic's configuration in code: there is no ini file to find."""
    from alembic.config import Config  # noqa: PLC0415 - only who migrates needs alembic

    config = Config()
    config.set_main_option("script_location", "ops:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def migrate(database: Database, revision: str = "head") -> None:
    """Bring the database to `revision`; durable when it returns, and without effect when already there."""
    from alembic import command  # noqa: PLC0415 - only who migrates needs alembic

    def upgrade(connection: Connection) -> None:
        command.upgrade(configuration(connection), revision)

    async with database.engine.begin() as connection:
        await connection.run_sync(upgrade)


async def current(database: Database) -> tuple[str | None, str | None]:
    """Tell the revision of the database and the newest one known: (current, head)."""
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - only who migrates needs alembic
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - only who migrates needs alembic

    head = ScriptDirectory.from_config(configuration()).get_current_head()
    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision()), head
