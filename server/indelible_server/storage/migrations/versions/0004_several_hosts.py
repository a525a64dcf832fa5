"""Several hosts: who they are, which roots they do not reach, whose writers are late, which jobs they carry out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema here from the revision before."""
    op.create_table(
        "hosts",
        sa.Column("host_id", sa.String(length=32), nullable=False, comment="as in its data folder"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("heartbeat_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host_id"),
    )
    op.create_table(
        "unreached",
        sa.Column("catalog_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root_id", sa.String(length=32), nullable=False),
        sa.Column(
            "host_id",
            sa.String(length=32),
            nullable=False,
            comment="has tried, in vain; without a row it is taken to reach it",
        ),
        sa.PrimaryKeyConstraint("catalog_id", "root_id", "host_id"),
    )
    op.create_table(
        "late_writers",
        sa.Column("intent_id", sa.String(length=32), nullable=False),
        sa.Column(
            "writer_id", sa.String(length=32), nullable=False, comment="its lease ended while it had this in hand"
        ),
        sa.PrimaryKeyConstraint("intent_id", "writer_id"),
    )
    op.create_table(
        "job_claims",
        sa.Column("catalog_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("host_id", sa.String(length=32), nullable=False, comment="carries it out"),
        sa.PrimaryKeyConstraint("catalog_id", "job_id"),
    )
