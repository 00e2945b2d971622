"""The first tables: entrants, prompts, galleries, scores, studies, raters, pairs, votes, undos, events."""

import sqlalchemy as sa
from alembic import op

from arena.ledger.tables import BigId, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "entrants",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("sampler", sa.String(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("entered_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entrants")),
        sa.UniqueConstraint("name", name=op.f("uq_entrants_name")),
    )
    op.create_table(
        "prompt_sets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("set_id", sa.String(length=16), nullable=False),
        sa.Column("licence", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_sets")),
        sa.UniqueConstraint("name", "set_id", name=op.f("uq_prompt_sets_name_set_id")),
    )
    op.create_index(op.f("ix_prompt_sets_set_id"), "prompt_sets", ["set_id"], unique=False)

    op.create_table(
        "prompts",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
    )
    op.create_table(
        "raters",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("joined_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_raters")),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("declaration", sa.Text(), nullable=False),
        sa.Column("opened_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("closed_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("head_seq", sa.BigInteger(), nullable=False),
        sa.Column("head_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_studies_name_version")),
    )
    op.create_table(
        "events",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_events_study_id")),
        sa.PrimaryKeyConstraint("study_id", "seq", name=op.f("pk_events")),
    )
    op.create_table(
        "generated_images",
        sa.Column("id", BigId, nullable=False),
        sa.Column("entrant_id", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("image_hash", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("made_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["entrant_id"], ["entrants.id"], name=op.f("fk_generated_images_entrant_id")),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_generated_images_prompt_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generated_images")),
        sa.UniqueConstraint(
            "entrant_id", "prompt_id", "seed", name=op.f("uq_generated_images_entrant_id_prompt_id_seed")
        ),
    )
    op.create_table(
        "identities",
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("rater", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["rater"], ["raters.number"], name=op.f("fk_identities_rater")),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_identities")),
    )
    op.create_index(op.f("ix_identities_rater"), "identities", ["rater"], unique=False)

    op.create_table(
        "prompt_set_members",
        sa.Column("prompt_set", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("challenge", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_prompt_set_members_prompt_id")),
        sa.ForeignKeyConstraint(["prompt_set"], ["prompt_sets.id"], name=op.f("fk_prompt_set_members_prompt_set")),
        sa.PrimaryKeyConstraint("prompt_set", "position", name=op.f("pk_prompt_set_members")),
    )
    op.create_index(op.f("ix_prompt_set_members_prompt_id"), "prompt_set_members", ["prompt_id"], unique=False)

    op.create_table(
        "scores",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("entrant_id", sa.Integer(), nullable=False),
        sa.Column("prompt_set_id", sa.String(length=16), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=False),
        sa.Column("high", sa.Float(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["entrant_id"], ["entrants.id"], name=op.f("fk_scores_entrant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scores")),
    )
    op.create_index(op.f("ix_scores_entrant_id"), "scores", ["entrant_id"], unique=False)

    op.create_table(
        "pairs",
        sa.Column("id", BigId, nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("rater", sa.BigInteger(), nullable=False),
        sa.Column("candidate_id", sa.Integer(), nullable=False),
        sa.Column("prompt_id", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("candidate_left", sa.Boolean(), nullable=False),
        sa.Column("left_image", sa.BigInteger(), nullable=False),
        sa.Column("right_image", sa.BigInteger(), nullable=False),
        sa.Column("propensity", sa.Float(), nullable=False),
        sa.Column("repeats", sa.BigInteger(), nullable=True),
        sa.Column("after_vote_id", sa.BigInteger(), nullable=True),
        sa.Column("handed_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["candidate_id"], ["entrants.id"], name=op.f("fk_pairs_candidate_id")),
        sa.ForeignKeyConstraint(["left_image"], ["generated_images.id"], name=op.f("fk_pairs_left_image")),
        sa.ForeignKeyConstraint(["prompt_id"], ["prompts.id"], name=op.f("fk_pairs_prompt_id")),
        sa.ForeignKeyConstraint(["rater"], ["raters.number"], name=op.f("fk_pairs_rater")),
        sa.ForeignKeyConstraint(["repeats"], ["pairs.id"], name=op.f("fk_pairs_repeats")),
        sa.ForeignKeyConstraint(["right_image"], ["generated_images.id"], name=op.f("fk_pairs_right_image")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_pairs_study_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pairs")),
        sa.UniqueConstraint("token", name=op.f("uq_pairs_token")),
    )
    op.create_index(
        "ux_pairs_shown_once",
        "pairs",
        ["study_id", "rater", "candidate_id", "prompt_id", "seed"],
        unique=True,
        sqlite_where=sa.text("repeats IS NULL"),
        postgresql_where=sa.text("repeats IS NULL"),
    )

    op.create_table(
        "undos",
        sa.Column("id", BigId, nullable=False),
        sa.Column("pair_id", sa.BigInteger(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("undone_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pair_id"], ["pairs.id"], name=op.f("fk_undos_pair_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_undos")),
        sa.UniqueConstraint("key", name=op.f("uq_undos_key")),
        sa.UniqueConstraint("pair_id", "question", "round", name=op.f("uq_undos_pair_id_question_round")),
    )
    op.create_table(
        "votes",
        sa.Column("id", BigId, nullable=False),
        sa.Column("pair_id", sa.BigInteger(), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("choice", sa.String(length=8), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("session", sa.String(length=64), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("cast_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["pair_id"], ["pairs.id"], name=op.f("fk_votes_pair_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_votes")),
        sa.UniqueConstraint("key", name=op.f("uq_votes_key")),
        sa.UniqueConstraint("pair_id", "question", "round", name=op.f("uq_votes_pair_id_question_round")),
    )


def downgrade() -> None:
    for table in (
        "votes",
        "undos",
        "pairs",
        "scores",
        "prompt_set_members",
        "identities",
        "generated_images",
        "events",
        "studies",
        "raters",
        "prompts",
        "prompt_sets",
        "entrants",
    ):
        op.drop_table(table)
