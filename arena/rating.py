"""The rating room: joining, pairs, votes and undos, without HTTP. The site and the simulated raters use the same door.

Blind: what leaves the room are random tokens, prompts and pixels in one codec and one size; which entrant painted
what stays inside. Quick: who saw what is kept in memory (`arena.rating_state`) and a vote is one write. True: the
ledger's constraints decide, and after a refusal the room reads afresh. All methods may be called from many threads.
"""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from arena.ballots import Ballot, check_ballot, check_texts, vote_of
from arena.canonical import sha256_hex
from arena.images import ImageStore
from arena.ledger.errors import (
    ForeignPairError,
    RoundError,
    StudyClosedError,
    UnknownPairError,
    UnknownRaterError,
    UnknownStudyError,
    VoteFormError,
)
from arena.ledger.events import ReportFacts, UndoFacts
from arena.ledger.ledger import Ledger
from arena.ledger.studies import StudyPlace
from arena.ledger.voting import CastVote, HandedPair, NewPair, NewReport, NewUndo, StalePairError
from arena.rating_state import Attendance, OpenStudy, Seat
from arena.study import Study
from arena.votes import Choice
from prompts.errors import quoted

#: Rater numbers are below 2^53, so that every language's numbers hold them exactly.
_RATER_NUMBERS = 2**53
#: How often a request looks again when another process was quicker.
_TRIES = 3
_KEPT_ATTENDANCES = 20_000
_KEPT_PAIRS = 50_000
_SIDES = ("left", "right")
LONGEST_COMMENT = 2000

#: Why a rater puts a pair aside.
ReportKind = Literal["skip", "broken", "offensive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """What a browser may know of a pair: its token, the prompt, its images' tokens, the round of its next vote."""

    pair: str
    prompt: str
    left: str
    right: str
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A vote, or a report of a pair, that is on the disk.

    `done` counts the pairs that the rater judged in the study; `next` is one pair beyond those handed out before, or
    None when the rater has had all. `finished`: no pair waits any more. `replayed`: the same request came before, and
    this is its answer.
    """

    vote_id: int
    done: int
    next: PairView | None
    finished: bool
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """A vote that was taken back; `pair` is the same pair in its next round."""

    done: int
    pair: PairView


class RatingRoom:
    """Where raters vote. One per process; it may be thrown away and made anew at any moment."""

    def __init__(self, ledger: Ledger, images: ImageStore, *, identity_secret: str | None = None) -> None:
        """`identity_secret` keys the hashes under which people's ids from elsewhere are known; see `join`."""
        self._ledger = ledger
        self._images = images
        self._identity_secret = identity_secret
        self._lock = threading.RLock()
        self._newest: dict[str, int] = {}
        self._studies: dict[int, OpenStudy] = {}
        self._attendances: OrderedDict[tuple[int, int], Attendance] = OrderedDict()
        self._pairs: OrderedDict[str, HandedPair] = OrderedDict()

    def study(self, study: str) -> Study:
        """The declaration raters vote under. Raises UnknownStudyError and StudyClosedError."""
        return self._open_study(study).study

    def study_at_hand(self, study: str) -> Study:
        """The same, without asking the database where the room knows the study: for the voting path."""
        with self._lock:
            hall = self._studies.get(self._newest.get(study, 0))
        return self.study(study) if hall is None else hall.study

    def declaration(self, study: str) -> Study:
        """The declaration of the study's newest version, open or closed. Raises UnknownStudyError."""
        place = self._place(study)
        with self._lock:
            return self._study_of_row(place.id).study

    def is_open(self, study: str) -> bool:
        """Whether the study takes votes. Raises UnknownStudyError."""
        return self._place(study).is_open

    def join(self, study: str, *, now: datetime, person_key: str | None = None, simulated: bool = False) -> int:
        """Give a new rater a random number, or a person who came before (the same `person_key`) the number of then.

        A person key is kept only as a keyed hash, apart from everything else. Raises UnknownStudyError and
        StudyClosedError, ValueError for a simulated rater with a person's key or a key without `identity_secret`.
        """
        if person_key is not None and (simulated or not self._identity_secret):
            raise ValueError("A person's key needs the room's identity_secret, and belongs to no simulated rater.")
        self._open_study(study)
        identity = None if person_key is None else self._identity(person_key)
        while True:
            number = secrets.randbelow(_RATER_NUMBERS - 1) + 1
            rater = self._ledger.add_rater(number, simulated=simulated, identity=identity, now=now)
            if rater is not None:
                return rater

    def rater_of(self, person_key: str) -> int | None:
        """The number of a person who came before; None for one who did not, or whose identity was deleted."""
        return self._ledger.rater_of_identity(self._identity(person_key))

    def keep_submission(self, study: str, rater: int, keys: Mapping[str, str], *, now: datetime) -> None:
        """Keep what names the rater's go at the study elsewhere, by parameter, as keyed hashes only."""
        hashes = {name: self._identity(key) for name, key in keys.items()}
        self._ledger.keep_submission(self._place(study).id, rater, hashes, now=now)

    def rater_of_submission(self, study: str, key: str) -> int | None:
        """The number of who came to the study with this submission; None for nobody. Raises UnknownStudyError."""
        return self._ledger.rater_of_submission(self._place(study).id, self._identity(key))

    def _identity(self, person_key: str) -> str:
        assert self._identity_secret, "people's keys are kept under a secret"
        return hmac.new(self._identity_secret.encode(), person_key.encode(), hashlib.sha256).hexdigest()

    def done(self, *, rater: int, study: str) -> int:
        """How many pairs the rater judged in the study, open or closed. Raises UnknownStudyError, UnknownRaterError."""
        place = self._place(study)
        with self._lock:
            return self._attendance(rater, self._study_of_row(place.id)).done

    def has_open_pairs(self, *, rater: int, study: str) -> bool:
        """Whether pairs that were handed out wait for the rater's vote. Raises as `done` does."""
        place = self._place(study)
        with self._lock:
            return bool(self._attendance(rater, self._study_of_row(place.id)).open_seats())

    def next_pairs(
        self, *, rater: int, study: str, count: int = 2, rng: np.random.Generator, now: datetime
    ) -> list[PairView]:
        """The pairs to vote on: all that wait for their vote, then new ones up to `count`. None are left: [].

        After undos more than `count` may wait; none is held back, for no later answer brings it.
        Raises UnknownStudyError, StudyClosedError and UnknownRaterError.
        """
        self._learn_widths(study, now)
        for _ in range(_TRIES):
            with self._lock:
                hall = self._open_study(study)
                attendance = self._attendance(rater, hall)
                seats = attendance.open_seats()
                new = self._reserve(hall, attendance, count - len(seats), rng, now)
                future = self._ledger.hand_out(new) if new else None
            if future is None:
                return [self._view(hall, seat) for seat in seats]
            try:
                ids = future.result()
            except BaseException as error:
                with self._lock:
                    self._give_back(hall, attendance, new)
                if isinstance(error, StalePairError):
                    continue
                raise
            with self._lock:
                seats += [attendance.add(hall.handed(pair, id)) for pair, id in zip(new, ids, strict=True)]
                return [self._view(hall, seat) for seat in seats]
        raise RoundError("Your pages overtook each other. Load the page anew.")

    def vote(
        self,
        *,
        rater: int,
        study: str,
        pair: str,
        round: int,
        choice: Choice | Mapping[str, Choice],
        key: str,
        latency_ms: int | None,
        session: str = "",
        rng: np.random.Generator,
        now: datetime,
    ) -> Accepted:
        """Cast a vote on the pair's open round, and get the next pair. It returns when the vote is on the disk.

        `choice` is by the question's key where the study asks several. `key` is the request's own (a UUID): the same
        request again gets the same answer. `latency_ms` runs from both images' appearance to the choice; None where it
        was not measured. `session` names the page load.

        Raises UnknownStudyError, StudyClosedError, UnknownRaterError, UnknownPairError, ForeignPairError,
        AlreadyVotedError, KeyReusedError, RoundError, ChoiceNotOfferedError, AccidentalVoteError, VoteFormError and
        LedgerWriteError; then no vote was cast.
        """
        choices = choice if isinstance(choice, Mapping) else {self.study_at_hand(study).asked[0].key: choice}
        ballot = Ballot(
            rater=rater,
            study=study,
            pair=pair,
            round=round,
            choices=choices,
            key=key,
            latency_ms=latency_ms,
            session=session,
            rng=rng,
            now=now,
        )
        return self.vote_soon(ballot).result()

    def vote_soon(self, ballot: Ballot) -> "Future[Accepted]":
        """The same as `vote`, for callers that must not wait: everything it raises comes in the future."""
        answer: Future[Accepted] = Future()
        answer.set_running_or_notify_cancel()
        self._cast(ballot, answer, _TRIES)
        return answer

    def undo(self, *, rater: int, study: str, pair: str, round: int, key: str, now: datetime) -> Undone:
        """Take back the pair's vote of this round; its next round is open. The vote stays in the log.

        Raises as `vote` does, and RoundError when the round has no vote.
        """
        check_texts(key)
        with self._lock:
            hall, attendance, seat = self._seat(rater, study, pair)
            undo = NewUndo(
                study_id=hall.record.id,
                key=key,
                done=attendance.done - 1,
                facts=tuple(
                    UndoFacts(pair=seat.pair.id, question=question.key, round=round, rater=rater, at=now)
                    for question in hall.study.asked
                ),
            )
            future = self._ledger.undo_vote(undo)
        try:
            done = future.result()
        except BaseException:
            with self._lock:
                attendance.stale = True
            raise
        with self._lock:
            if seat.voted and seat.round == round:
                seat.voted, seat.round = False, round + 1
                attendance.done -= 1
            return Undone(done=done, pair=self._view(hall, seat))

    def report(
        self,
        *,
        rater: int,
        study: str,
        pair: str,
        round: int,
        kind: ReportKind,
        comment: str,
        key: str,
        rng: np.random.Generator,
        now: datetime,
    ) -> Accepted:
        """Put a pair aside that the rater will not judge, and get another. `comment` is kept outside the chain.

        Raises as `vote` does, and RoundError for a pair that has its vote.
        """
        check_texts(key)
        if len(comment) > LONGEST_COMMENT:
            raise VoteFormError(f"A comment has {LONGEST_COMMENT:,} characters at most. Say it in fewer words.")
        with self._lock:
            hall, attendance, seat = self._seat(rater, study, pair)
            following = None
            if round == seat.round and not seat.voted and not seat.reported:
                # Its place is free again: the pair that follows may take it.
                seat.reported = True
                following = hall.reserve(attendance, rng, now)
            facts = ReportFacts(
                pair=seat.pair.id,
                round=round,
                rater=rater,
                kind=kind,
                comment=sha256_hex(comment) if comment else None,
                at=now,
            )
            future = self._ledger.report_pair(
                NewReport(study_id=hall.record.id, key=key, done=attendance.done, facts=facts, comment=comment),
                following,
            )
        try:
            result = future.result()
        except BaseException:
            with self._lock:
                self._give_back(hall, attendance, [] if following is None else [following])
            raise
        with self._lock:
            return self._settled(hall, attendance, following, result)

    def practice_pairs(
        self, *, rater: int, study: str, rng: np.random.Generator, now: datetime
    ) -> list[tuple[PairView, HandedPair]]:
        """The study's practice pairs, as this rater sees them and as they are; handed out when first asked for."""
        with self._lock:
            hall = self._open_study(study)
            attendance = self._attendance(rater, hall)
            new = hall.practice_pairs(attendance, rng, now)
            future = self._ledger.hand_out(new) if new else None
        if future is not None:
            ids = future.result()
            with self._lock:
                for pair, id in zip(new, ids, strict=True):
                    attendance.take(hall.handed(pair, id), hall)
        with self._lock:
            return [(self._view_of(hall, pair, 1), pair) for _, pair in sorted(attendance.practice.items())]

    def image(self, *, rater: int, token: str) -> bytes:
        """The image behind a pair's image token, as WebP. All images of a study that answer one prompt with one seed
        are shown at one size, the smallest one's: a pair's size then does not tell who meets in it.

        Raises UnknownPairError, ForeignPairError, and UnknownImageError or DamagedImageError of the store.
        """
        pair_token, _, side = token.rpartition(".")
        if side not in _SIDES:
            raise UnknownPairError("There is no such image. Load the page anew.")
        pair = self._pair(rater, pair_token)
        with self._lock:
            shown = self._study_of_row(pair.study_id).shown_size(pair)
        # Both are made ready before either is sent: else the one that has to be scaled would come later.
        ready = [
            hash if size == shown else self._images.scaled(hash, *shown)
            for hash, size in zip(pair.hashes, pair.sizes, strict=True)
        ]
        return self._images.get(ready[_SIDES.index(side)])

    # Casting: prepare under the lock, write, settle under the lock.

    def _cast(self, ballot: Ballot, answer: "Future[Accepted]", tries: int) -> None:
        try:
            with self._lock:
                casting = self._prepare(ballot)
                try:
                    vote = vote_of(ballot, casting.hall, casting.attendance, casting.seat)
                    casting.attendance.casting.append(ballot.pair)
                    future = self._ledger.cast_vote(vote, casting.following)
                except BaseException:
                    self._settle_failed(casting)
                    raise
        except BaseException as error:
            answer.set_exception(error)
            return

        def settle(cast: "Future[CastVote]") -> None:
            try:
                answer.set_result(self._settle(casting, cast))
            except StalePairError:
                if tries > 1:
                    self._cast(ballot, answer, tries - 1)
                else:
                    answer.set_exception(RoundError("Your pages overtook each other. Load the page anew."))
            except BaseException as error:
                answer.set_exception(error)

        future.add_done_callback(settle)

    def _prepare(self, ballot: Ballot) -> "_Casting":
        hall, attendance, seat = self._seat(ballot.rater, ballot.study, ballot.pair)
        check_ballot(ballot, hall.study, seat)
        following = None
        # A request whose round has its vote is a replay or will be refused: it gets no new pair.
        if ballot.round == seat.round and not seat.voted:
            following = hall.reserve(attendance, ballot.rng, ballot.now)
        return _Casting(ballot, hall, attendance, seat, following)

    def _settle(self, casting: "_Casting", cast: "Future[CastVote]") -> Accepted:
        hall, attendance, seat = casting.hall, casting.attendance, casting.seat
        with self._lock:
            try:
                result = cast.result()
            except BaseException:
                self._settle_failed(casting)
                raise
            attendance.casting.remove(casting.ballot.pair)
            if not result.replayed:
                seat.voted = True
                attendance.done += 1
            elif seat.round == casting.ballot.round and not seat.voted:
                # Cast through another process, and not in our memory yet.
                attendance.stale = True
            return self._settled(hall, attendance, casting.following, result)

    def _settled(
        self, hall: OpenStudy, attendance: Attendance, following: NewPair | None, result: CastVote
    ) -> Accepted:
        """What the ledger has taken, and the pair that it handed out with it."""
        next_seat = None
        if following is not None and not result.replayed and result.next_pair is not None:
            next_seat = attendance.add(hall.handed(following, result.next_pair))
        elif following is not None:
            hall.release(attendance, following)
        if result.replayed:
            known = {other.pair.id for other in attendance.seats.values()} | {None}
            attendance.stale = attendance.stale or result.next_pair not in known
            if attendance.stale:
                attendance = self._attendance(attendance.rater, hall)
            next_seat = next((seat for seat in attendance.seats.values() if seat.pair.id == result.next_pair), None)
        return Accepted(
            vote_id=result.vote_id,
            done=result.done,
            next=None if next_seat is None else self._view(hall, next_seat),
            finished=next_seat is None and not attendance.open_seats() and not attendance.casting,
            replayed=result.replayed,
        )

    def _settle_failed(self, casting: "_Casting") -> None:
        if casting.ballot.pair in casting.attendance.casting:
            casting.attendance.casting.remove(casting.ballot.pair)
        self._give_back(casting.hall, casting.attendance, [] if casting.following is None else [casting.following])

    # Memory, always under the lock.

    def _place(self, name: str) -> StudyPlace:
        place = self._ledger.newest_study(name)
        if place is None:
            raise UnknownStudyError(f"There is no study {quoted(name)}. Ask for the address again.")
        return place

    def _open_study(self, name: str) -> OpenStudy:
        place = self._place(name)
        if not place.is_open:
            raise StudyClosedError("The study is closed: it takes no more votes. Thank you for yours.")
        with self._lock:
            self._newest[name] = place.id
            return self._study_of_row(place.id)

    def _study_of_row(self, study_id: int) -> OpenStudy:
        if study_id not in self._studies:
            self._studies[study_id] = OpenStudy(self._ledger.study_material(study_id))
        return self._studies[study_id]

    def _attendance(self, rater: int, hall: OpenStudy) -> Attendance:
        place = (hall.record.id, rater)
        attendance = self._attendances.get(place)
        if attendance is None or (attendance.stale and attendance.idle):
            simulated = self._ledger.rater_is_simulated(rater)
            if simulated is None:
                raise UnknownRaterError("You are not known here. Load the page anew.")
            attendance = Attendance.read(rater, simulated, self._ledger.handed_pairs(hall.record.id, rater), hall)
            self._attendances[place] = attendance
            self._forget_idle()
        self._attendances.move_to_end(place)
        return attendance

    def _forget_idle(self) -> None:
        while len(self._attendances) > _KEPT_ATTENDANCES:
            place, attendance = self._attendances.popitem(last=False)
            if not attendance.idle:
                self._attendances[place] = attendance
                return

    def _seat(self, rater: int, study: str, token: str) -> tuple[OpenStudy, Attendance, Seat]:
        known = self._newest.get(study)
        if known is not None:
            hall = self._study_of_row(known)
            attendance = self._attendance(rater, hall)
            if token in attendance.seats:
                return hall, attendance, attendance.seats[token]
        pair = self._pair(rater, token)
        self._place(study)
        hall = self._study_of_row(pair.study_id)
        if hall.record.name != study:
            raise ForeignPairError("This pair belongs to another study. Load the page anew.")
        attendance = self._attendance(rater, hall)
        if token not in attendance.seats:
            # Handed out by another process since we last read: read again, now or (for this pair alone) in part.
            attendance.stale = True
            attendance = self._attendance(rater, hall)
            if token not in attendance.seats:
                attendance.take(self._ledger.pair_of_token(token) or pair, hall)
            if token not in attendance.seats:
                raise UnknownPairError("This pair is for practice: it takes no vote. Load the page anew.")
        return hall, attendance, attendance.seats[token]

    def _pair(self, rater: int, token: str) -> HandedPair:
        with self._lock:
            pair = self._pairs.get(token)
        if pair is None:
            pair = self._ledger.pair_of_token(token)
            if pair is None:
                raise UnknownPairError("There is no such pair. Load the page anew.")
            with self._lock:
                self._remember(pair)
        if pair.rater != rater:
            raise ForeignPairError("This pair was shown to somebody else. Load the page anew.")
        return pair

    def _remember(self, pair: HandedPair) -> None:
        self._pairs[pair.token] = pair
        if len(self._pairs) > _KEPT_PAIRS:
            self._pairs.popitem(last=False)

    def _reserve(
        self, hall: OpenStudy, attendance: Attendance, count: int, rng: np.random.Generator, now: datetime
    ) -> list[NewPair]:
        reserved = (hall.reserve(attendance, rng, now) for _ in range(count))
        return [pair for pair in reserved if pair is not None]

    def _give_back(self, hall: OpenStudy, attendance: Attendance, pairs: list[NewPair]) -> None:
        for pair in pairs:
            hall.release(attendance, pair)
        attendance.stale = True

    def _view(self, hall: OpenStudy, seat: Seat) -> PairView:
        return self._view_of(hall, seat.pair, seat.round)

    def _view_of(self, hall: OpenStudy, pair: HandedPair, round: int) -> PairView:
        # The browser comes for the images next.
        self._remember(pair)
        left, right = (f"{pair.token}.{side}" for side in _SIDES)
        prompt = hall.prompts[pair.prompt_id].text
        return PairView(pair=pair.token, prompt=prompt, left=left, right=right, round=round)

    def _learn_widths(self, study: str, now: datetime) -> None:
        """Where a study draws its pairs by how unsure its lines are, look at its votes, once a minute at most."""
        with self._lock:
            hall = self._studies.get(self._newest.get(study, 0))
        if hall is None or not hall.widths_are_old(now):
            return
        votes = self._ledger.votes(f"{hall.record.name}@{hall.record.version}", raters="people")
        with self._lock:
            hall.learn_widths(votes, now)


@dataclass(slots=True)
class _Casting:
    """A vote on its way to the disk."""

    ballot: Ballot
    hall: OpenStudy
    attendance: Attendance
    seat: Seat
    following: NewPair | None
