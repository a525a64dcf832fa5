"""What the storage of a root can do."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema here from the revision before."""
    comment = "what its storage could do when it was approved, JSON; null: not tried"
    op.add_column("roots", sa.Column("abilities", sa.Text(), nullable=True, comment=comment))
