"""The ledger's tables, as SQLModel rows. Pairs, votes, undos and events are appended and never updated.

A study's row carries the head of its chain (last number and hash), and `closed_at`; nothing else in it changes.
`identities` and `submissions` alone hold what could lead back to a person, and nothing in the chain refers to them.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

# SQLite counts up only an INTEGER primary key; PostgreSQL's INTEGER ends at 2^31.
BigId = BigInteger().with_variant(Integer, "sqlite")

# Names for every constraint: without them SQLite's migrations could not drop one later.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """Moments in UTC, with their zone on both databases (SQLite itself keeps none)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Python to database. Raises ValueError for a moment without a zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"The moment {value} has no time zone.")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Database to Python."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Row(SQLModel):
    """The base of all tables; `metadata` is our own, so that no other library's tables get among ours."""

    metadata = MetaData(naming_convention=_NAMES)


class EntrantRow(Row, table=True):
    """An entrant; see `records.Entrant`."""

    __tablename__ = "entrants"
    id: int = Field(primary_key=True)
    name: str = Field(unique=True, max_length=80)
    source: str
    sampler: str
    details: dict[str, Any] = Field(sa_type=JSON)
    entered_at: datetime = Field(sa_type=UtcDateTime)


class PromptRow(Row, table=True):
    """A prompt's text, once, under the hash of it."""

    __tablename__ = "prompts"
    id: str = Field(primary_key=True, max_length=16)
    text: str = Field(sa_type=Text)


class PromptSetRow(Row, table=True):
    """A prompt set under a name; `set_id` is the hash of its prompts, which two names may share."""

    __tablename__ = "prompt_sets"
    __table_args__ = (UniqueConstraint("name", "set_id"),)
    id: int = Field(primary_key=True)
    name: str
    set_id: str = Field(max_length=16, index=True)
    licence: str
    source: str


class PromptSetMemberRow(Row, table=True):
    """A prompt's place in a set, with the labels that this set gives it."""

    __tablename__ = "prompt_set_members"
    prompt_set: int = Field(primary_key=True, foreign_key="prompt_sets.id")
    position: int = Field(primary_key=True)
    prompt_id: str = Field(foreign_key="prompts.id", index=True)
    category: str
    challenge: str
    note: str = Field(sa_type=Text)


class GeneratedImageRow(Row, table=True):
    """What an entrant painted for a prompt with a seed; the pixels lie in the ImageStore under `image_hash`."""

    __tablename__ = "generated_images"
    __table_args__ = (UniqueConstraint("entrant_id", "prompt_id", "seed"),)
    id: int = Field(primary_key=True, sa_type=BigId)
    entrant_id: int = Field(foreign_key="entrants.id")
    prompt_id: str = Field(foreign_key="prompts.id", max_length=16)
    seed: int = Field(sa_type=BigInteger)
    image_hash: str = Field(max_length=64)
    width: int
    height: int
    seconds: float
    made_at: datetime = Field(sa_type=UtcDateTime)


class ScoreRow(Row, table=True):
    """A measurement; a later one of the same entrant, prompt set and metric counts in place of the former."""

    __tablename__ = "scores"
    id: int = Field(primary_key=True)
    entrant_id: int = Field(foreign_key="entrants.id", index=True)
    prompt_set_id: str = Field(max_length=16)
    metric: str
    value: float
    low: float
    high: float
    n: int
    details: dict[str, Any] = Field(sa_type=JSON)


class StudyRow(Row, table=True):
    """An opened study: its declaration as canonical JSON, that text's hash, and the head of its chain.

    `kind` is pairs, or labels for a label study, whose declaration is of another form (`arena.labelling`).
    """

    __tablename__ = "studies"
    __table_args__ = (UniqueConstraint("name", "version"),)
    id: int = Field(primary_key=True)
    kind: str = Field(default="pairs", max_length=8, sa_column_kwargs={"server_default": "pairs"})
    name: str
    version: int
    hash: str = Field(max_length=64)
    declaration: str = Field(sa_type=Text)
    opened_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    head_seq: int = Field(sa_type=BigInteger)
    head_hash: str = Field(max_length=64)


class RaterRow(Row, table=True):
    """A random 53-bit number and whether a program stands behind it; nothing else is known of a rater here."""

    __tablename__ = "raters"
    number: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    simulated: bool
    joined_at: datetime = Field(sa_type=UtcDateTime)


class IdentityRow(Row, table=True):
    """Keyed hash of a person's id elsewhere -> rater number. Outside the chain: withdrawal deletes it."""

    __tablename__ = "identities"
    key_hash: str = Field(primary_key=True, max_length=64)
    rater: int = Field(foreign_key="raters.number", sa_type=BigInteger, index=True)


class SubmissionRow(Row, table=True):
    """Keyed hash of what a crowd site names a rater's submission by (`name` is its parameter): a second go shows as a
    second row. Outside the chain: withdrawal deletes it."""

    __tablename__ = "submissions"
    __table_args__ = (UniqueConstraint("study_id", "rater", "name", "key_hash"),)
    id: int = Field(primary_key=True, sa_type=BigId)
    study_id: int = Field(foreign_key="studies.id")
    rater: int = Field(foreign_key="raters.number", sa_type=BigInteger, index=True)
    name: str = Field(max_length=32)
    key_hash: str = Field(max_length=64)
    came_at: datetime = Field(sa_type=UtcDateTime)


class StepRow(Row, table=True):
    """What a rater did on the way through a study besides judging pairs: see `records.Step`. Appended only."""

    __tablename__ = "steps"
    __table_args__ = (Index("ix_steps_study_id_rater", "study_id", "rater"),)
    id: int = Field(primary_key=True, sa_type=BigId)
    study_id: int = Field(foreign_key="studies.id")
    rater: int = Field(foreign_key="raters.number", sa_type=BigInteger)
    step: str = Field(max_length=16)
    taken_at: datetime = Field(sa_type=UtcDateTime)


class WithdrawalRow(Row, table=True):
    """A rater who took consent back: no analysis of the study counts them any more."""

    __tablename__ = "withdrawals"
    study_id: int = Field(primary_key=True, foreign_key="studies.id")
    rater: int = Field(primary_key=True, foreign_key="raters.number", sa_type=BigInteger)
    withdrawn_at: datetime = Field(sa_type=UtcDateTime)


class PairRow(Row, table=True):
    """One showing of a comparison to one rater; `repeats` is an earlier pair that it declares to repeat.

    `kind` is study, repeat, gold or practice; only votes on study pairs are analysed. `candidate_id` and `opponent_id`
    are the comparison's first and second entrant: of a gold or practice pair the better and the worse.

    `after_vote_id` is the vote whose answer handed it out (nothing when a page opened): a replayed vote gets the same
    answer. It is no foreign key, because a vote already points at its pair.
    """

    __tablename__ = "pairs"
    __table_args__ = (
        # The same comparison never comes twice to a rater, unless as a declared repeat.
        Index(
            "ux_pairs_shown_once",
            "study_id",
            "rater",
            "candidate_id",
            "opponent_id",
            "prompt_id",
            "seed",
            unique=True,
            sqlite_where=text("kind = 'study'"),
            postgresql_where=text("kind = 'study'"),
        ),
    )
    id: int = Field(primary_key=True, sa_type=BigId)
    token: str = Field(unique=True, max_length=32)
    study_id: int = Field(foreign_key="studies.id")
    rater: int = Field(foreign_key="raters.number", sa_type=BigInteger)
    kind: str = Field(max_length=8)
    candidate_id: int = Field(foreign_key="entrants.id")
    opponent_id: int = Field(foreign_key="entrants.id")
    prompt_id: str = Field(foreign_key="prompts.id", max_length=16)
    seed: int = Field(sa_type=BigInteger)
    candidate_left: bool
    left_image: int = Field(foreign_key="generated_images.id", sa_type=BigInteger)
    right_image: int = Field(foreign_key="generated_images.id", sa_type=BigInteger)
    propensity: float
    repeats: int | None = Field(default=None, sa_column_args=(ForeignKey("pairs.id"),), sa_type=BigInteger)
    after_vote_id: int | None = Field(default=None, sa_type=BigInteger)
    handed_at: datetime = Field(sa_type=UtcDateTime)


class VoteRow(Row, table=True):
    """What was seen and chosen. One per pair, question and round; `key` makes a repeated request harmless."""

    __tablename__ = "votes"
    __table_args__ = (UniqueConstraint("pair_id", "question", "round"),)
    id: int = Field(primary_key=True, sa_type=BigId)
    pair_id: int = Field(foreign_key="pairs.id", sa_type=BigInteger)
    question: str
    round: int
    key: str = Field(unique=True, max_length=64)
    choice: str = Field(max_length=8)
    latency_ms: int | None
    session: str = Field(max_length=64)
    done: int
    cast_at: datetime = Field(sa_type=UtcDateTime)


class UndoRow(Row, table=True):
    """A vote taken back: the next round of its pair and question is open."""

    __tablename__ = "undos"
    __table_args__ = (UniqueConstraint("pair_id", "question", "round"),)
    id: int = Field(primary_key=True, sa_type=BigId)
    pair_id: int = Field(foreign_key="pairs.id", sa_type=BigInteger)
    question: str
    round: int
    key: str = Field(unique=True, max_length=64)
    done: int
    undone_at: datetime = Field(sa_type=UtcDateTime)


class ReportRow(Row, table=True):
    """A pair that a rater would not judge: `kind` is skip, broken or offensive. It ends the pair's round."""

    __tablename__ = "reports"
    __table_args__ = (UniqueConstraint("pair_id", "round"),)
    id: int = Field(primary_key=True, sa_type=BigId)
    pair_id: int = Field(foreign_key="pairs.id", sa_type=BigInteger)
    round: int
    key: str = Field(unique=True, max_length=64)
    kind: str = Field(max_length=16)
    done: int
    reported_at: datetime = Field(sa_type=UtcDateTime)


class CommentRow(Row, table=True):
    """What a rater wrote in their own words, outside the chain, which holds its digest: withdrawal deletes it."""

    __tablename__ = "comments"
    report_id: int = Field(primary_key=True, foreign_key="reports.id", sa_type=BigInteger)
    rater: int = Field(foreign_key="raters.number", sa_type=BigInteger, index=True)
    text: str = Field(sa_type=Text)
    digest: str = Field(max_length=64)


class LabelShowingRow(Row, table=True):
    """An image, or two, shown to one rater of a label study; `place` counts into what the study drew, or into its gold.

    `kind` is study, repeat or gold; only labels of the first are exported. `image` stands alone or on the left,
    `other_image` on the right. `after_label_id` is the label whose answer handed it out, or a report's number below 0.
    """

    __tablename__ = "label_showings"
    __table_args__ = (
        # What was drawn never comes twice to a rater, unless as a declared repeat, and that once.
        Index(
            "ux_label_showings_shown_once",
            "study_id",
            "rater",
            "kind",
            "place",
            unique=True,
            sqlite_where=text("kind <> 'repeat'"),
            postgresql_where=text("kind <> 'repeat'"),
        ),
        UniqueConstraint("repeats"),
    )
    id: int = Field(primary_key=True, sa_type=BigId)
    token: str = Field(unique=True, max_length=32)
    study_id: int = Field(foreign_key="studies.id")
    rater: int = Field(foreign_key="raters.number", sa_type=BigInteger)
    kind: str = Field(max_length=8)
    place: int
    image: int = Field(foreign_key="generated_images.id", sa_type=BigInteger)
    other_image: int | None = Field(
        default=None, sa_column_args=(ForeignKey("generated_images.id"),), sa_type=BigInteger
    )
    repeats: int | None = Field(default=None, sa_column_args=(ForeignKey("label_showings.id"),), sa_type=BigInteger)
    propensity: float
    after_label_id: int | None = Field(default=None, sa_type=BigInteger)
    handed_at: datetime = Field(sa_type=UtcDateTime)


class LabelRow(Row, table=True):
    """What a rater said of a showing. `target` is the probe that the typed name was found to mean, if any."""

    __tablename__ = "labels"
    __table_args__ = (UniqueConstraint("showing_id", "round"),)
    id: int = Field(primary_key=True, sa_type=BigId)
    showing_id: int = Field(foreign_key="label_showings.id", sa_type=BigInteger)
    round: int
    key: str = Field(unique=True, max_length=64)
    answer: str = Field(max_length=10)
    target: str | None
    closeness: int | None
    latency_ms: int
    session: str = Field(max_length=64)
    done: int
    labelled_at: datetime = Field(sa_type=UtcDateTime)


class LabelWordsRow(Row, table=True):
    """Whom a rater typed to have recognised, outside the chain, which holds its digest: withdrawal deletes it."""

    __tablename__ = "label_words"
    label_id: int = Field(primary_key=True, foreign_key="labels.id", sa_type=BigInteger)
    text: str = Field(sa_type=Text)
    digest: str = Field(max_length=64)


class LabelUndoRow(Row, table=True):
    """A label taken back: the next round of its showing is open."""

    __tablename__ = "label_undos"
    __table_args__ = (UniqueConstraint("showing_id", "round"),)
    id: int = Field(primary_key=True, sa_type=BigId)
    showing_id: int = Field(foreign_key="label_showings.id", sa_type=BigInteger)
    round: int
    key: str = Field(unique=True, max_length=64)
    done: int
    undone_at: datetime = Field(sa_type=UtcDateTime)


class LabelReportRow(Row, table=True):
    """A showing that a rater would not label: `kind` is skip, broken or offensive. It ends the showing's round."""

    __tablename__ = "label_reports"
    __table_args__ = (UniqueConstraint("showing_id", "round"),)
    id: int = Field(primary_key=True, sa_type=BigId)
    showing_id: int = Field(foreign_key="label_showings.id", sa_type=BigInteger)
    round: int
    key: str = Field(unique=True, max_length=64)
    kind: str = Field(max_length=16)
    done: int
    reported_at: datetime = Field(sa_type=UtcDateTime)


class EventRow(Row, table=True):
    """A link of a study's chain; `body` is the hashed text itself."""

    __tablename__ = "events"
    study_id: int = Field(primary_key=True, foreign_key="studies.id")
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    kind: str
    body: str = Field(sa_type=Text)
    previous: str = Field(max_length=64)
    hash: str = Field(max_length=64)


def _table(row: type[Row]) -> Table:
    return Row.metadata.tables[str(row.__tablename__)]


ENTRANTS = _table(EntrantRow)
PROMPTS = _table(PromptRow)
PROMPT_SETS = _table(PromptSetRow)
PROMPT_SET_MEMBERS = _table(PromptSetMemberRow)
GENERATED_IMAGES = _table(GeneratedImageRow)
SCORES = _table(ScoreRow)
STUDIES = _table(StudyRow)
RATERS = _table(RaterRow)
IDENTITIES = _table(IdentityRow)
SUBMISSIONS = _table(SubmissionRow)
STEPS = _table(StepRow)
WITHDRAWALS = _table(WithdrawalRow)
PAIRS = _table(PairRow)
REPORTS = _table(ReportRow)
COMMENTS = _table(CommentRow)
VOTES = _table(VoteRow)
UNDOS = _table(UndoRow)
LABEL_SHOWINGS = _table(LabelShowingRow)
LABELS = _table(LabelRow)
LABEL_WORDS = _table(LabelWordsRow)
LABEL_UNDOS = _table(LabelUndoRow)
LABEL_REPORTS = _table(LabelReportRow)
EVENTS = _table(EventRow)
