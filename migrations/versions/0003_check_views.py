"""Read-only views for auditors and outside checks: schema check_v1, amounts in fen."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"

SQL = Path(__file__).with_name("0003_check_views.sql")


def upgrade():
    op.execute(SQL.read_text())


def downgrade():
    op.execute("DROP SCHEMA check_v1 CASCADE")
