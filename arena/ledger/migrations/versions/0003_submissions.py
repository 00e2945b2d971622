"""Submissions: what a crowd site names a rater's go at a study by, as keyed hashes."""

import sqlalchemy as sa
from alembic import op

from arena.ledger.tables import BigId, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "submissions",
        sa.Column("id", BigId, nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("rater", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("came_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["rater"], ["raters.number"], name=op.f("fk_submissions_rater")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_submissions_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submissions")),
        sa.UniqueConstraint(
            "study_id", "rater", "name", "key_hash", name=op.f("uq_submissions_study_id_rater_name_key_hash")
        ),
    )
    op.create_index(op.f("ix_submissions_rater"), "submissions", ["rater"])


def downgrade() -> None:
    op.drop_table("submissions")
