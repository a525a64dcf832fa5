"""What a write changed and what it took back; the undos that are wanted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema here from the revision before."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    # What lies behind a large value costs SQLite a walk over all of it.
    before = "plan" if is_sqlite else None
    with op.batch_alter_table("writes", recreate="always" if is_sqlite else "never") as batch:
        for column in (
            sa.Column(
                "write_id",
                sa.String(length=32),
                comment="of all files written at once, the first one's; null: by an older server",
            ),
            sa.Column("revision", sa.BigInteger(), comment="the edit that the files hold since"),
            sa.Column("method", sa.Text(), comment="how the first file was written"),
            sa.Column(
                "changes", sa.Text(), comment="what the item's files said before and after, field -> [old, new], JSON"
            ),
            sa.Column(
                "undo_of", sa.String(length=32), comment="the write that this one took back; null: an ordinary write"
            ),
            sa.Column("principal", sa.Text(), comment="who asked for the undo; empty: an ordinary write"),
            sa.Column("on_behalf_of", sa.Text()),
        ):
            batch.add_column(column, insert_before=before)
        batch.alter_column(
            "plan",
            existing_type=sa.LargeBinary(),
            existing_nullable=False,
            comment="the settled intent, with the old bytes: undo; empty: expired",
        )
    of_a_run = sa.text("run_id IS NOT NULL")
    columns = ["catalog_id", "run_id", "item_id"]
    op.create_index("writes_run", "writes", columns, sqlite_where=of_a_run, postgresql_where=of_a_run)
    op.create_table(
        "undos",
        sa.Column("catalog_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "item_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="rows go as they are dealt with"
        ),
        sa.Column("job_id", sa.String(length=32), nullable=False, comment="says which write is to be taken back"),
        sa.Column(
            "below",
            sa.String(length=32),
            nullable=True,
            comment="the write that was taken back last: the next one is older",
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("catalog_id", "item_id"),
    )
