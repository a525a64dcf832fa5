"""When the metadata of an item's homes was last changed: how a rescan knows an old copy that was saved again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema here from the revision before."""
    comment = "per home the date of its metadata when it was verified, JSON; null: not noted"
    op.add_column("items", sa.Column("dates", sa.Text(), nullable=True, comment=comment))
