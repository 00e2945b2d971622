"""Label studies: showings, labels, the words typed in them, undos and reports; and which studies are of that kind."""

import sqlalchemy as sa
from alembic import op

from arena.ledger.tables import BigId, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STUDIES = sa.table("studies", sa.column("id"), sa.column("kind"))
_OF_STUDIES = [sa.table(name, sa.column("study_id")) for name in ("events", "steps", "submissions", "withdrawals")]


def upgrade() -> None:
    # Every study so far compared pairs. With its default the column is added in place: no table is copied.
    op.add_column("studies", sa.Column("kind", sa.String(length=8), server_default="pairs", nullable=False))
    op.create_table(
        "label_showings",
        sa.Column("id", BigId, nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("rater", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("image", sa.BigInteger(), nullable=False),
        sa.Column("other_image", sa.BigInteger(), nullable=True),
        sa.Column("repeats", sa.BigInteger(), nullable=True),
        sa.Column("propensity", sa.Float(), nullable=False),
        sa.Column("after_label_id", sa.BigInteger(), nullable=True),
        sa.Column("handed_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["image"], ["generated_images.id"], name=op.f("fk_label_showings_image")),
        sa.ForeignKeyConstraint(["other_image"], ["generated_images.id"], name=op.f("fk_label_showings_other_image")),
        sa.ForeignKeyConstraint(["rater"], ["raters.number"], name=op.f("fk_label_showings_rater")),
        sa.ForeignKeyConstraint(["repeats"], ["label_showings.id"], name=op.f("fk_label_showings_repeats")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_label_showings_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_showings")),
        sa.UniqueConstraint("repeats", name=op.f("uq_label_showings_repeats")),
        sa.UniqueConstraint("token", name=op.f("uq_label_showings_token")),
    )
    op.create_index(
        "ux_label_showings_shown_once",
        "label_showings",
        ["study_id", "rater", "kind", "place"],
        unique=True,
        sqlite_where=sa.text("kind <> 'repeat'"),
        postgresql_where=sa.text("kind <> 'repeat'"),
    )
    op.create_table(
        "labels",
        sa.Column("id", BigId, nullable=False),
        sa.Column("showing_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.String(length=10), nullable=False),
        sa.Column("target", sa.String(), nullable=True),
        sa.Column("closeness", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("labelled_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["showing_id"], ["label_showings.id"], name=op.f("fk_labels_showing_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labels")),
        sa.UniqueConstraint("key", name=op.f("uq_labels_key")),
        sa.UniqueConstraint("showing_id", "round", name=op.f("uq_labels_showing_id_round")),
    )
    op.create_table(
        "label_words",
        sa.Column("label_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["label_id"], ["labels.id"], name=op.f("fk_label_words_label_id")),
        sa.PrimaryKeyConstraint("label_id", name=op.f("pk_label_words")),
    )
    for table, extra, moment in (
        ("label_undos", [], "undone_at"),
        ("label_reports", [sa.Column("kind", sa.String(length=16), nullable=False)], "reported_at"),
    ):
        op.create_table(
            table,
            sa.Column("id", BigId, nullable=False),
            sa.Column("showing_id", sa.BigInteger(), nullable=False),
            sa.Column("round", sa.Integer(), nullable=False),
            sa.Column("key", sa.String(length=64), nullable=False),
            *extra,
            sa.Column("done", sa.Integer(), nullable=False),
            sa.Column(moment, UtcDateTime(timezone=True), nullable=False),
            sa.ForeignKeyConstraint(["showing_id"], ["label_showings.id"], name=op.f(f"fk_{table}_showing_id")),
            sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
            sa.UniqueConstraint("key", name=op.f(f"uq_{table}_key")),
            sa.UniqueConstraint("showing_id", "round", name=op.f(f"uq_{table}_showing_id_round")),
        )


def downgrade() -> None:
    for table in ("label_reports", "label_undos", "label_words", "labels", "label_showings"):
        op.drop_table(table)
    # Without the column nothing would tell these from studies of pairs, as which they cannot be read.
    of_labels = sa.select(_STUDIES.c.id).where(_STUDIES.c.kind == "labels")
    for table in _OF_STUDIES:
        op.execute(sa.delete(table).where(table.c.study_id.in_(of_labels)))
    op.execute(sa.delete(_STUDIES).where(_STUDIES.c.kind == "labels"))
    op.drop_column("studies", "kind")
