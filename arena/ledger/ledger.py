"""The ledger's door: one object, behind which the database is opened, migrated, read and written.

Reads run in the caller's thread; writes go to the one writer thread and return when they are on the disk. Entrants,
galleries, studies and votes each have their SQL in a file beside this one.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from arena.images import StoredImage
from arena.ledger import entrants, galleries, labels, readings, studies, voting
from arena.ledger.audit import (
    check_declaration,
    check_pairs,
    check_quality,
    check_reports,
    check_votes,
    check_withdrawals,
)
from arena.ledger.chain import Head, verify
from arena.ledger.engine import database_url, open_engine, readers
from arena.ledger.errors import BrokenChainError, LedgerReadError
from arena.ledger.events import quality_votes_from_events, votes_from_events
from arena.ledger.readings import Raters, Report, ReportKind
from arena.ledger.records import Entrant, Event, GeneratedImage, Score, StudyRecord, Wanted
from arena.ledger.schema import migrate
from arena.ledger.studies import StudyPlace
from arena.ledger.voting import (
    CastVote,
    HandedPair,
    NewPair,
    NewReport,
    NewUndo,
    NewVote,
    Step,
    StepName,
    StudyMaterial,
    Submission,
)
from arena.ledger.writer import Batch, Writer
from arena.quality import QualityVote
from arena.study import Study
from arena.votes import VoteRecord
from prompts.prompt import PromptSet

Answer = TypeVar("Answer")


class Ledger:
    """Entrants, galleries, studies, pairs and votes. Safe to use from many threads; close it, or use it in a `with`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` has the newest schema; `Ledger.open` sees to that."""
        self._engine = engine
        self._readers = readers(engine)
        self._writer = Writer(engine)
        self._closing = threading.Lock()

    @classmethod
    def open(cls, url_or_path: str | Path) -> "Ledger":
        """Open a database address or an SQLite file, which is made if it is not there, and bring its schema up to date.

        Raises NewerSchemaError and NotALedgerError; then the database was left as it is.
        """
        engine = open_engine(database_url(url_or_path))
        try:
            migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        """Finish what was submitted, then let go of the database. Closing twice is harmless."""
        with self._closing:
            self._writer.close()
            self._engine.dispose()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees the database as it was at one moment; for the ledger's own modules and the room.

        Raises LedgerReadError when the database does not answer.
        """
        try:
            with self._readers.connect() as connection:
                yield connection
        except (OperationalError, InterfaceError) as error:
            raise LedgerReadError(f"The ledger does not answer: {error.orig}. Try again in a moment.") from error

    def submit(self, job: Callable[[Batch], Answer]) -> "Future[Answer]":
        """Queue a writing job; its future resolves after the commit. For the ledger's own modules and the room."""
        return self._writer.submit(job)

    def _write(self, job: Callable[[Batch], Answer]) -> Answer:
        return self.submit(job).result()

    # Entrants and their galleries

    def enter(self, entrant: Entrant, *, now: datetime) -> None:
        """Enter an entrant; the same one again changes nothing.

        Raises EntrantConflictError when the name stands for another entrant that has images.
        """
        self._write(lambda batch: entrants.enter(batch.connection, entrant, now))

    def entrants(self) -> list[Entrant]:
        """All entrants, by name."""
        with self.reading() as connection:
            return entrants.entrants(connection)

    def entrant(self, name: str) -> Entrant:
        """The entrant of this name. Raises UnknownEntrantError, which lists the known ones."""
        with self.reading() as connection:
            return entrants.entrant(connection, name)

    def keep_prompts(self, prompts: PromptSet) -> None:
        """Keep a prompt set; the same one again changes nothing.

        Raises PromptSetConflictError when its name and prompts are known with other labels.
        """
        self._write(lambda batch: galleries.keep_prompts(batch.connection, prompts))

    def prompt_sets(self) -> list[PromptSet]:
        """All kept prompt sets, in the order in which they came."""
        with self.reading() as connection:
            return galleries.prompt_sets(connection)

    def prompt_set(self, name_or_id: str) -> PromptSet:
        """The prompt set of this name or id. Raises UnknownPromptSetError, also for a name that stands for several."""
        with self.reading() as connection:
            return galleries.prompt_set(connection, name_or_id)

    def missing_images(self, entrant: str, prompts: PromptSet, seeds: Sequence[int]) -> list[Wanted]:
        """What the entrant's gallery lacks, prompt by prompt and seed by seed. Raises UnknownEntrantError."""
        with self.reading() as connection:
            return galleries.missing_images(connection, entrant, prompts, seeds)

    def keep_image(
        self, entrant: str, prompt_id: str, seed: int, stored: StoredImage, *, seconds: float, now: datetime
    ) -> None:
        """Put a stored image into the entrant's gallery; `seconds` is how long it took to paint.

        The same image again changes nothing. Raises UnknownEntrantError, UnknownPromptError, and GalleryConflictError
        when another image stands in its place.
        """
        self._write(
            lambda batch: galleries.keep_image(
                batch.connection, entrant, prompt_id, seed, stored, seconds=seconds, now=now
            )
        )

    def gallery(self, entrant: str, prompts: PromptSet, seeds: Sequence[int]) -> list[GeneratedImage]:
        """The images the entrant has, in the order of the prompts and the seeds. Raises UnknownEntrantError."""
        with self.reading() as connection:
            return galleries.gallery(connection, entrant, prompts, seeds)

    def generated_image(self, id: int) -> GeneratedImage:
        """The generated image of this row. Raises UnknownGeneratedImageError."""
        with self.reading() as connection:
            return galleries.generated_image(connection, id)

    def keep_score(self, score: Score) -> None:
        """Keep a measurement; it counts in place of an earlier one of the same entrant, prompt set and metric.

        Raises UnknownEntrantError, and ValueError for NaN or infinity.
        """
        self._write(lambda batch: entrants.keep_score(batch.connection, score))

    def scores(self, entrant: str | None = None) -> list[Score]:
        """The newest scores, of all entrants or of one. Raises UnknownEntrantError."""
        with self.reading() as connection:
            return entrants.scores(connection, entrant)

    def last_score(self) -> int:
        """The newest measurement's number; 0 before the first. It grows with every measurement."""
        with self.reading() as connection:
            return readings.last_score(connection)

    # Studies and their votes; "shapes" is a study's newest version, "shapes@1" its first.

    def open_study(self, study: Study, *, now: datetime, new_version: bool = False) -> StudyRecord:
        """Open a study for votes; from then on it is frozen. The same declaration again changes nothing.

        A changed declaration is opened as the next version when `new_version` says so, which closes the one before.
        Raises StudyChangedError, StudyClosedError, UnknownEntrantError, UnknownPromptSetError, MissingImagesError,
        ShapesDifferError.
        """
        return self._write(lambda batch: studies.open_study(batch, study, now, new_version))

    def check_study(self, study: Study) -> None:
        """Raise what `open_study` would raise for what the ledger lacks; nothing is written."""
        with self.reading() as connection:
            studies.check_study(connection, study)

    def study(self, name: str) -> StudyRecord:
        """The study of this name. Raises UnknownStudyError."""
        with self.reading() as connection:
            return studies.find_study(connection, name)

    def studies(self) -> list[StudyRecord]:
        """Every version of every study."""
        with self.reading() as connection:
            return studies.studies(connection)

    def close_study(self, name: str, *, now: datetime) -> StudyRecord:
        """Take no more votes in it. Closing a closed study changes nothing. Raises UnknownStudyError."""
        return self._write(lambda batch: studies.close_study(batch, name, now))

    def votes(self, study: str, *, raters: Raters) -> list[VoteRecord]:
        """The effective votes, by vote id: none undone, none on declared repeats. Raises UnknownStudyError."""
        with self.reading() as connection:
            return readings.votes(connection, studies.find_study(connection, study), raters)

    def quality_votes(self, study: str, *, raters: Raters) -> list[QualityVote]:
        """The votes as gates read them, repeats and gold pairs among them. Raises UnknownStudyError."""
        with self.reading() as connection:
            return readings.quality_votes(connection, studies.find_study(connection, study), raters)

    def events(self, study: str) -> list[Event]:
        """The study's chain, from its beginning. Raises UnknownStudyError."""
        with self.reading() as connection:
            return list(studies.events(connection, studies.find_study(connection, study).id))

    def head(self, study_id: int) -> Head:
        """The last event's number and hash. Whatever happens in a study is an event, so the number says what is new."""
        with self.reading() as connection:
            return studies.head(connection, study_id)

    def chains(self, study: str | None = None) -> list[str]:
        """The names under which `verify` finds the chains: one study's, or every version of every study, then those of
        the label studies. Raises UnknownStudyError.
        """
        with self.reading() as connection:
            if study is not None and labels.is_label_study(connection, study):
                return [study]
            found = studies.studies(connection) if study is None else [studies.find_study(connection, study)]
            labelled = labels.label_studies(connection) if study is None else []
        return [*(f"{record.name}@{record.version}" for record in found), *(record.name for record in labelled)]

    def verify(self, study: str, *, noted: Head | None = None) -> Head:
        """Check the study's chain, its declaration, and that its rows are what its events say; return the head.

        `noted` is a head written down earlier, which must still be part of the chain. Raises BrokenChainError, which
        names the study and the first event, pair, vote or report that does not fit, and UnknownStudyError.
        """
        with self.reading() as connection:
            try:
                return _verified(connection, study, noted)
            except BrokenChainError as error:
                raise BrokenChainError(f"In the study '{study}': {error}") from error
            except (ValueError, KeyError, TypeError) as error:
                raise BrokenChainError(
                    f"The rows of '{study}' cannot be read ({error}): they were altered. Restore them from a copy."
                ) from error

    def reports(
        self,
        study_id: int,
        *,
        raters: Raters,
        kind: ReportKind | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Report]:
        """What raters reported or skipped, newest first."""
        with self.reading() as connection:
            return readings.reports(connection, study_id, raters, kind=kind, limit=limit, offset=offset)

    def report_counts(self, study_id: int, *, raters: Raters) -> dict[ReportKind, int]:
        """How many reports of each kind there are; 0 where there are none."""
        with self.reading() as connection:
            return readings.report_counts(connection, study_id, raters)

    # The rating path; `arena.rating` is its one user.

    def newest_study(self, name: str) -> StudyPlace | None:
        """Which row is the newest version of the study, and whether it is open: what changes while raters vote."""
        with self.reading() as connection:
            return studies.newest_study(connection, name)

    def study_material(self, study_id: int) -> StudyMaterial:
        """All that does not change while raters vote, and how often each comparison was shown so far."""
        with self.reading() as connection:
            record = studies.study_by_id(connection, study_id)
            study = record.study
            known = [*study.gold, *study.practice]
            names = {*study.entrants, *(name for pair in known for name in (pair.better, pair.worse))}
            return StudyMaterial(
                record=record,
                entrant_ids={name: entrants.entrant_id(connection, name) for name in names},
                galleries={
                    **{
                        name: galleries.gallery(connection, name, study.prompts, study.seeds) for name in study.entrants
                    },
                    **studies.known_images(connection, study),
                },
                shown=voting.shown_counts(connection, study_id),
            )

    def add_rater(self, number: int, *, simulated: bool, identity: str | None, now: datetime) -> int | None:
        """The rater's number; that of the identity (a keyed hash) if it came before; None when the number is taken."""
        return self._write(lambda batch: voting.add_rater(batch, number, simulated, identity, now))

    def rater_of_identity(self, identity: str) -> int | None:
        """The rater behind a keyed hash; None where nobody is, or is any more."""
        with self.reading() as connection:
            return voting.rater_of_identity(connection, identity)

    def keep_submission(self, study_id: int, rater: int, hashes: Mapping[str, str], *, now: datetime) -> None:
        """Keep the keyed hashes of what a crowd site names the rater's go by; those that came before stay."""
        known = {(one.name, one.key_hash) for one in self.submissions(study_id, rater)}
        if not known.issuperset(hashes.items()):
            self._write(lambda batch: voting.keep_submission(batch, study_id, rater, hashes, now))

    def submissions(self, study_id: int, rater: int) -> list[Submission]:
        """What named the rater's goes at the study, in the order in which it came."""
        with self.reading() as connection:
            return voting.submissions(connection, study_id, rater)

    def rater_of_submission(self, study_id: int, key_hash: str) -> int | None:
        """The rater who came to the study with this submission; None for one that never came, or was deleted."""
        with self.reading() as connection:
            return voting.rater_of_submission(connection, study_id, key_hash)

    def rater_is_simulated(self, number: int) -> bool | None:
        """Whether a program stands behind the rater; None for a number that nobody was given."""
        with self.reading() as connection:
            return voting.rater_is_simulated(connection, number)

    def handed_pairs(self, study_id: int, rater: int) -> list[HandedPair]:
        """All that this rater was handed out in the study, in order."""
        with self.reading() as connection:
            return voting.handed_pairs(connection, study_id, rater)

    def pair_of_token(self, token: str) -> HandedPair | None:
        """The pair with this token."""
        with self.reading() as connection:
            return voting.pair_of_token(connection, token)

    def hand_out(self, pairs: list[NewPair]) -> "Future[list[int]]":
        """Hand pairs out to one rater; the future has their ids, or StudyClosedError or StalePairError."""
        return self.submit(lambda batch: voting.hand_out(batch, pairs))

    def cast_vote(self, vote: NewVote, following: NewPair | None) -> "Future[CastVote]":
        """Cast a vote and hand out the pair that follows; see `voting.cast_vote` for what the future may raise."""
        return self.submit(lambda batch: voting.cast_vote(batch, vote, following))

    def report_pair(self, report: NewReport, following: NewPair | None) -> "Future[CastVote]":
        """Put a pair aside and hand out the next; see `voting.report_pair` for what the future may raise."""
        return self.submit(lambda batch: voting.report_pair(batch, report, following))

    def steps(self, study_id: int, rater: int) -> list[Step]:
        """The rater's steps in the study, in order."""
        with self.reading() as connection:
            return voting.steps(connection, study_id, rater)

    def take_step(self, study_id: int, rater: int, step: StepName, *, now: datetime) -> None:
        """Note that the rater took a step."""
        self._write(lambda batch: voting.take_step(batch, study_id, rater, step, now))

    def take_slot(self, study_id: int, rater: int, *, slots: int, minutes: int, now: datetime) -> bool:
        """Give the rater one of the study's slots, or find the one that is held; False where all are held by others."""
        return self._write(
            lambda batch: voting.take_slot(batch, study_id, rater, slots=slots, minutes=minutes, now=now)
        )

    def withdraw(self, study_id: int, rater: int, *, now: datetime) -> None:
        """Take the rater out of every analysis of the study, and delete what identifies them."""
        self._write(lambda batch: voting.withdraw(batch, study_id, rater, now))

    def undo_vote(self, undo: NewUndo) -> "Future[int]":
        """Take a vote back; see `voting.undo_vote` for what the future may raise."""
        return self.submit(lambda batch: voting.undo_vote(batch, undo))


def _verified(connection: Connection, study: str, noted: Head | None) -> Head:
    if labels.is_label_study(connection, study):
        return labels.verified_labels(connection, labels.find_label_study(connection, study), noted)
    record = studies.find_study(connection, study)
    events = list(studies.events(connection, record.id))
    head = verify(events, head=studies.head(connection, record.id), noted=noted)
    check_declaration(events, record)
    check_withdrawals(events, readings.withdrawn_raters(connection, record.id))
    check_votes(votes_from_events(events), readings.votes(connection, record, "all"))
    check_quality(quality_votes_from_events(events), readings.quality_votes(connection, record, "all"))
    check_reports(events, readings.reports(connection, record.id, "all"))
    check_pairs(readings.misplaced_pairs(connection, record.id))
    return head
