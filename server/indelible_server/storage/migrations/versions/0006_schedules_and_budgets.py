"""When files may be written, and how much; what a run leaves on record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema here from the revision before."""
    when = "when files may be written, JSON; null: at any time"
    op.add_column("catalogs", sa.Column("schedule", sa.Text(), nullable=True, comment=when))
    much = "how much may be written, JSON; null: no limit"
    op.add_column("catalogs", sa.Column("budget", sa.Text(), nullable=True, comment=much))
    below = "how much may be written below it, JSON; null: no limit"
    op.add_column("roots", sa.Column("budget", sa.Text(), nullable=True, comment=below))
    never = sa.text("false")
    free = "the catalog's schedule does not stop it"
    flag: sa.Column[bool] = sa.Column(
        "outside_window", sa.Boolean(), nullable=False, server_default=never, comment=free
    )
    op.add_column("runs", flag)
    why = "its failures, counted by reason, JSON; null: none"
    op.add_column("runs", sa.Column("reasons", sa.Text(), nullable=True, comment=why))
    speed = "items a second in the last while; null: not known"
    op.add_column("runs", sa.Column("rate", sa.Float(), nullable=True, comment=speed))
    whole = "empty: the budget of the catalog as a whole"
    earned = "when all that was spent of the budget is earned again"
    op.create_table(
        "spending",
        sa.Column("catalog_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("root_id", sa.String(32), primary_key=True, comment=whole),
        sa.Column("kind", sa.Text(), primary_key=True, comment="items, bytes"),
        sa.Column("earned_at", sa.BigInteger(), nullable=False, comment=earned),
    )
