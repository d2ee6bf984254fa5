"""Guards: what must hold whatever the application does (design 4).

Append-only tables, balanced journals, order and message edges, immutable published prices.
The functions that touch rows the application role may not change run as their owner.
"""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

SQL = Path(__file__).with_name("0002_guards.sql")


def upgrade():
    op.execute(SQL.read_text())


def downgrade():
    raise NotImplementedError("guards are never taken away; restore a backup instead")
