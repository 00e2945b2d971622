"""Pairs of any two entrants and of several kinds; steps, reports, comments and withdrawals."""

import json

import sqlalchemy as sa
from alembic import op

from arena.ledger.tables import BigId, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STUDIES = sa.table("studies", sa.column("id"), sa.column("declaration"))
_ENTRANTS = sa.table("entrants", sa.column("id"), sa.column("name"))
_PAIRS = sa.table("pairs", sa.column("study_id"), sa.column("opponent_id"), sa.column("kind"), sa.column("repeats"))


def upgrade() -> None:
    with op.batch_alter_table("pairs") as pairs:
        pairs.drop_index("ux_pairs_shown_once")
        pairs.add_column(sa.Column("kind", sa.String(length=8), nullable=True))
        pairs.add_column(sa.Column("opponent_id", sa.Integer(), nullable=True))
    # Until now every pair held a candidate against its study's reference.
    connection = op.get_bind()
    ids = {row.name: row.id for row in connection.execute(sa.select(_ENTRANTS))}
    for study in connection.execute(sa.select(_STUDIES)).all():
        reference = json.loads(study.declaration)["reference"]
        connection.execute(
            sa.update(_PAIRS).where(_PAIRS.c.study_id == study.id).values(opponent_id=ids[reference], kind="study")
        )
    connection.execute(sa.update(_PAIRS).where(_PAIRS.c.repeats.is_not(None)).values(kind="repeat"))
    with op.batch_alter_table("pairs") as pairs:
        pairs.alter_column("kind", existing_type=sa.String(length=8), nullable=False)
        pairs.alter_column("opponent_id", existing_type=sa.Integer(), nullable=False)
        pairs.create_foreign_key(op.f("fk_pairs_opponent_id"), "entrants", ["opponent_id"], ["id"])
    op.create_index(
        "ux_pairs_shown_once",
        "pairs",
        ["study_id", "rater", "candidate_id", "opponent_id", "prompt_id", "seed"],
        unique=True,
        sqlite_where=sa.text("kind = 'study'"),
        postgresql_where=sa.text("kind = 'study'"),
    )

    op.create_table(
        "steps",
        sa.Column("id", BigId, nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("rater", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("taken_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["rater"], ["raters.number"], name=op.f("fk_steps_rater")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_steps_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_steps")),
    )
    op.create_index("ix_steps_study_id_rater", "steps", ["study_id", "rater"])
    op.create_table(
        "withdrawals",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("rater", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["rater"], ["raters.number"], name=op.f("fk_withdrawals_rater")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_withdrawals_study_id")),
        sa.PrimaryKeyConstraint("study_id", "rater", name=op.f("pk_withdrawals")),
    )
    op.create_table(
        "reports",
        sa.Column("id", BigId, nullable=False),
        sa.Column("pair_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("reported_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pair_id"], ["pairs.id"], name=op.f("fk_reports_pair_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint("key", name=op.f("uq_reports_key")),
        sa.UniqueConstraint("pair_id", "round", name=op.f("uq_reports_pair_id_round")),
    )
    op.create_table(
        "comments",
        sa.Column("report_id", sa.BigInteger(), nullable=False),
        sa.Column("rater", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["rater"], ["raters.number"], name=op.f("fk_comments_rater")),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name=op.f("fk_comments_report_id")),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_comments")),
    )
    op.create_index(op.f("ix_comments_rater"), "comments", ["rater"])


def downgrade() -> None:
    for table in ("comments", "reports", "withdrawals", "steps"):
        op.drop_table(table)
    with op.batch_alter_table("pairs") as pairs:
        pairs.drop_index("ux_pairs_shown_once")
        pairs.drop_constraint(op.f("fk_pairs_opponent_id"), type_="foreignkey")
        pairs.drop_column("opponent_id")
        pairs.drop_column("kind")
    op.create_index(
        "ux_pairs_shown_once",
        "pairs",
        ["study_id", "rater", "candidate_id", "prompt_id", "seed"],
        unique=True,
        sqlite_where=sa.text("repeats IS NULL"),
        postgresql_where=sa.text("repeats IS NULL"),
    )
