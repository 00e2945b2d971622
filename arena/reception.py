"""The way to the first pair and the way out: consent, practice, a comprehension check, slots, and the end.

In: what a browser brings (the crowd site's parameters, a sign-up link) and what the rater does. Out: a `Welcome`, which
says what the page shows next. Pairs are handed out at the stage "rating" only, so nobody votes who has not come this
way. Steps are appended; where a rater stands follows from them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from arena.invitations import InvitationError
from arena.ledger.errors import (
    NotInvitedError,
    RatingError,
    StageError,
    StudyClosedError,
    UnknownPairError,
    UnknownRaterError,
    UnknownStudyError,
)
from arena.ledger.ledger import Ledger
from arena.ledger.voting import HandedPair, Step, StepName
from arena.rating import PairView, RatingRoom
from arena.rating_crowd import is_preview, person_key, read_visit, session_key
from arena.study import Study
from arena.study_parts import Crowd
from arena.votes import Choice

Stage = Literal[
    "consent", "practice", "check", "rating", "ended", "screened_out", "full", "withdrawn", "closed", "preview"
]

#: How often the comprehension check may be answered.
CHECK_TRIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What a rater takes along: the code for the crowd site and the address that takes them back, where there are."""

    code: str
    redirect: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """What the page shows next: the stage, what belongs to it, and how many pairs the rater has judged.

    `rater` is None for somebody for whom nothing was begun: a preview, or a crowd site's link to a closed study.
    """

    study: Study
    rater: int | None
    stage: Stage
    done: int
    pairs: tuple[PairView, ...] = ()
    practice: tuple[PairView, ...] = ()
    tries_left: int = CHECK_TRIES
    end: End | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """Who a browser stands for: a person's key where a crowd site or a link names one, and their submission's."""

    person: str | None
    submission: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Practised:
    """Whether a practice pair was answered well, which image is the better one, what the study says to it, and whether
    it was the last one."""

    good: bool
    right: Choice
    feedback: str
    over: bool


def stage_of(study: Study, steps: Sequence[Step], *, finished: bool) -> Stage:
    """Where a rater stands who took these steps; `finished`: no pair waits, and none is left. Slots are not asked."""
    taken = [step.step for step in steps]
    if "withdrawn" in taken:
        return "withdrawn"
    if "screened_out" in taken:
        return "screened_out"
    if (study.consent or study.instructions) and "consented" not in taken:
        return "consent"
    if study.practice and "practised" not in taken:
        return "practice"
    if study.checks and "passed" not in taken:
        return "check"
    return "ended" if finished else "rating"


class Reception:
    """One per process, beside the rating room. It keeps nothing: everything is in the ledger."""

    def __init__(
        self, ledger: Ledger, room: RatingRoom, *, check_link: Callable[[str, str], str] | None = None
    ) -> None:
        """`check_link(token, study)` gives a sign-up link's own id, and refuses a link that is not ours."""
        self._ledger = ledger
        self._room = room
        self._check_link = check_link

    def arrive(
        self,
        study: str,
        *,
        known: int | None,
        arrival: Mapping[str, str],
        at_hand: int,
        anew: bool = False,
        rng: np.random.Generator,
        now: datetime,
    ) -> Welcome:
        """Let a browser in: `known` is the rater its cookie names, `arrival` its page's query parameters.

        A crowd site's id and a sign-up link stand for a person, whatever the cookie says. `anew`: who took consent back
        wants to begin again, as somebody new. A closed study takes nobody in, but those who came before find their end
        there, and whom a crowd site sends learns how to go back. Raises UnknownStudyError, StudyClosedError,
        NotInvitedError, UnfilledLinkError, and what the check of links raises.
        """
        declared, is_open = self._room.declaration(study), self._room.is_open(study)
        if declared.crowd is not None and is_preview(declared.crowd, arrival):
            return Welcome(study=declared, rater=None, stage="preview" if is_open else "closed", done=0)
        visit = self._visit(declared, arrival)
        rater = self._recognised(visit, known, study)
        if rater is not None and anew and self._has_withdrawn(rater, study):
            rater = None
        if not is_open and rater is None:
            return self._too_late(declared)
        if rater is None:
            rater = self._room.join(study, person_key=visit.person, now=now)
        if is_open and visit.submission:
            self._room.keep_submission(study, rater, visit.submission, now=now)
        return self.welcome(study, rater, at_hand=at_hand, rng=rng, now=now)

    def would_be_new(self, study: str, *, known: int | None, arrival: Mapping[str, str]) -> bool:
        """Whether this arrival makes a rater who was not here before.

        One that is refused makes none; from a browser that the site does not know it counts as one, so that trying
        addresses and links is not free.
        """
        try:
            return self._recognised(self._visit(self._room.declaration(study), arrival), known, study) is None
        except (RatingError, UnknownStudyError, InvitationError):
            return known is None

    def welcome(self, study: str, rater: int, *, at_hand: int, rng: np.random.Generator, now: datetime) -> Welcome:
        """Where the rater stands, with what the page needs there. Raises as `arrive` does, and UnknownRaterError."""
        declared, place = self._room.declaration(study), self._study_id(study)
        is_open, done = self._room.is_open(study), self._room.done(rater=rater, study=study)
        steps = self._ledger.steps(place, rater)
        # Who takes a vote back after the end has a pair to judge again.
        finished = _has(steps, "finished")
        reopened = finished and is_open and self._room.has_open_pairs(rater=rater, study=study)
        stage = stage_of(declared, steps, finished=finished and not reopened)
        if stage in ("withdrawn", "screened_out", "ended"):
            return Welcome(study=declared, rater=rater, stage=stage, done=done, end=self._end(declared, stage))
        if not is_open:
            return self._cut_short(declared, rater, steps, done, now)
        if not self._has_slot(declared, place, rater, now):
            return Welcome(study=declared, rater=rater, stage="full", done=done)
        failed = sum(step.step == "failed" for step in steps)
        if stage == "practice":
            views = self._room.practice_pairs(rater=rater, study=study, rng=rng, now=now)
            return Welcome(
                study=declared, rater=rater, stage=stage, done=done, practice=tuple(view for view, _ in views)
            )
        if stage != "rating":
            return Welcome(study=declared, rater=rater, stage=stage, done=done, tries_left=CHECK_TRIES - failed)
        count = 0 if reopened else at_hand
        pairs = self._room.next_pairs(rater=rater, study=study, count=count, rng=rng, now=now)
        if pairs:
            return Welcome(study=declared, rater=rater, stage="rating", done=done, pairs=tuple(pairs))
        end = self.finish(study, rater, now=now) if done else self._end(declared, "ended")
        return Welcome(study=declared, rater=rater, stage="ended", done=done, end=end)

    def language_of(self, study: str) -> str:
        """The language of the study's page, for those who are not let in; "" for the browser's.

        Raises UnknownStudyError.
        """
        return self._room.declaration(study).language

    def consent(self, study: str, rater: int, *, now: datetime) -> None:
        """The rater has read the declaration and goes on; again, it changes nothing. Raises StageError."""
        if self._require(study, rater, "consent", or_after="consented"):
            self._ledger.take_step(self._study_id(study), rater, "consented", now=now)

    def decline(self, study: str, rater: int, *, now: datetime) -> None:
        """The rater gives no consent: a crowd slot goes to the next one. They may still think it over.

        Raises UnknownStudyError, UnknownRaterError, and StageError for who agreed before.
        """
        declared, place = self._room.declaration(study), self._study_id(study)
        if not self._is_known(rater, study):
            raise UnknownRaterError("You are not known here. Load the page anew.")
        steps = self._ledger.steps(place, rater)
        if stage_of(declared, steps, finished=False) != "consent":
            raise StageError("You agreed before, or nothing was asked. To leave now, withdraw your consent.")
        if _slot_step(steps) == "arrived":
            self._ledger.take_step(place, rater, "returned", now=now)

    def practise(
        self,
        study: str,
        rater: int,
        *,
        pair: str,
        choices: Mapping[str, Choice],
        rng: np.random.Generator,
        now: datetime,
    ) -> Practised:
        """Answer a practice pair; the last one of the study ends the practice. Raises StageError, UnknownPairError."""
        declared = self._room.study(study)
        is_open = self._require(study, rater, "practice", or_after="practised")
        handed = self._room.practice_pairs(rater=rater, study=study, rng=rng, now=now)
        place = next((n for n, (view, _) in enumerate(handed) if view.pair == pair), None)
        if place is None:
            raise UnknownPairError("There is no such practice pair. Load the page anew.")
        right = _better_side(handed[place][1])
        over = place == len(handed) - 1
        if over and is_open:
            self._ledger.take_step(self._study_id(study), rater, "practised", now=now)
        good = bool(choices) and all(choice is right for choice in choices.values())
        return Practised(good=good, right=right, feedback=declared.practice[place].feedback, over=over)

    def answer_check(
        self, study: str, rater: int, answers: Sequence[int], *, tries_left: int | None = None, now: datetime
    ) -> bool:
        """Whether all questions were answered right; the second failure ends the way. Raises StageError.

        `tries_left` is what the rater's page said: an answer that was lost on its way back and is sent again says more
        than there are, and is not counted twice.
        """
        declared, place = self._room.study(study), self._study_id(study)
        is_open = self._require(study, rater, "check", or_after="passed", or_ended="screened_out")
        steps = [step.step for step in self._ledger.steps(place, rater)]
        tries = CHECK_TRIES - steps.count("failed")
        if not is_open or (tries_left is not None and tries_left > tries):
            return "passed" in steps
        passed = list(answers) == [check.right for check in declared.checks]
        self._ledger.take_step(place, rater, "passed" if passed else "failed", now=now)
        if not passed and tries <= 1:
            self._ledger.take_step(place, rater, "screened_out", now=now)
        return passed

    def finish(self, study: str, rater: int, *, now: datetime) -> End:
        """The rater has judged all pairs; what they take along. Again, it changes nothing.

        Who returned the slot, and judged on in a page that was still open, has no code coming: it is somebody else's.
        """
        # The study may have closed right after the last vote.
        declared, place = self._room.declaration(study), self._study_id(study)
        steps = self._ledger.steps(place, rater)
        if declared.crowd is not None and _slot_step(steps) == "returned":
            return End(code="", redirect="")
        if not _has(steps, "finished"):
            self._ledger.take_step(place, rater, "finished", now=now)
        return self._end(declared, "ended") or End(code="", redirect="")

    def give_back_of(self, study: str, person: str, *, force: bool = False, now: datetime) -> None:
        """The rater whom the crowd site knows by this id returned the slot: somebody else may have it.

        `person` is the rater's id, or that of their submission (Prolific's session, MTurk's assignment). A rater who
        finished has the code, and gives a slot to others only with `force`.

        Raises UnknownStudyError, StudyClosedError, NotInvitedError for a study without a crowd site, UnknownRaterError
        and StageError.
        """
        declared, place = self._room.declaration(study), self._study_id(study)
        if declared.crowd is None:
            raise NotInvitedError(f"The study '{declared.name}' has no crowd site, and so no slots.")
        if not self._room.is_open(study):
            raise StudyClosedError(f"The study '{declared.name}' is closed: no slot of it goes to anybody any more.")
        rater = self._room.rater_of(person_key(declared.crowd, person))
        if rater is None:
            rater = self._room.rater_of_submission(study, session_key(declared.crowd, person))
        if rater is None:
            raise UnknownRaterError(f"Nobody came to '{declared.name}' under this id, or it was deleted on request.")
        if _has(self._ledger.steps(place, rater), "finished") and not force:
            raise StageError(
                f"This rater finished '{declared.name}' and has the code: another one in this place makes one rater "
                "more than its slots. Check the id; if the slot shall be given on all the same, say --force."
            )
        self._ledger.take_step(place, rater, "returned", now=now)

    def withdraw(self, study: str, rater: int, *, now: datetime) -> None:
        """The rater takes consent back: no analysis counts them, and what identifies them is deleted."""
        if not self._is_known(rater, study):
            raise UnknownRaterError("You are not known here, so there is nothing to take back.")
        place = self._study_id(study)
        self._ledger.withdraw(place, rater, now=now)
        self._ledger.take_step(place, rater, "returned", now=now)

    def _require(
        self, study: str, rater: int, stage: Stage, *, or_after: StepName, or_ended: StepName | None = None
    ) -> bool:
        """True at this stage; False where its step was taken before, so that a repeated request changes nothing.

        Raises UnknownRaterError, and StageError where neither is so.
        """
        declared = self._room.study(study)
        if not self._is_known(rater, study):
            raise UnknownRaterError("You are not known here. Load the page anew.")
        steps = self._ledger.steps(self._study_id(study), rater)
        if stage_of(declared, steps, finished=False) == stage:
            return True
        if not {or_after, or_ended} & {step.step for step in steps}:
            raise StageError("This step is not open yet, or the study does not have it. Load the page anew.")
        return False

    def _is_known(self, rater: int, study: str) -> bool:
        try:
            self._room.done(rater=rater, study=study)
        except UnknownRaterError:
            return False
        return True

    def _visit(self, study: Study, arrival: Mapping[str, str]) -> _Visit:
        if study.crowd is not None:
            sent = read_visit(study.crowd, arrival)
            return _Visit(person=sent.person, submission=sent.submission)
        if study.access == "link":
            if self._check_link is None:
                raise NotInvitedError("This study takes raters with a sign-up link, and this site checks none.")
            return _Visit(person=f"link:{self._check_link(arrival.get('link', ''), study.name)}", submission={})
        return _Visit(person=None, submission={})

    def _recognised(self, visit: _Visit, known: int | None, study: str) -> int | None:
        """The rater whom the site knows already behind this visit."""
        if visit.person is not None:
            return self._room.rater_of(visit.person)
        return known if known is not None and self._is_known(known, study) else None

    def _has_withdrawn(self, rater: int, study: str) -> bool:
        return _has(self._ledger.steps(self._study_id(study), rater), "withdrawn")

    def _too_late(self, study: Study) -> Welcome:
        """A stranger at a closed study: whom a crowd site pays has to be told how to go back there."""
        if study.crowd is None:
            raise StudyClosedError("The study is closed: it takes no more votes. Thank you for yours.")
        return Welcome(study=study, rater=None, stage="closed", done=0)

    def _cut_short(self, study: Study, rater: int, steps: Sequence[Step], done: int, now: datetime) -> Welcome:
        """A rater whom the closing met in the middle; who has judged everything has finished all the same."""
        if done >= study.votes_per_rater:
            return Welcome(
                study=study, rater=rater, stage="ended", done=done, end=self.finish(study.name, rater, now=now)
            )
        if done or steps:
            return Welcome(study=study, rater=rater, stage="closed", done=done)
        return self._too_late(study)

    def _has_slot(self, study: Study, place: int, rater: int, now: datetime) -> bool:
        crowd = study.crowd
        if crowd is None:
            return True
        return self._ledger.take_slot(place, rater, slots=crowd.slots, minutes=crowd.minutes, now=now)

    def _study_id(self, study: str) -> int:
        place = self._ledger.newest_study(study)
        assert place is not None, "the room knows the study"
        return place.id

    def _end(self, study: Study, stage: Stage) -> End | None:
        crowd: Crowd | None = study.crowd
        code = (
            ""
            if crowd is None
            else {"ended": crowd.completion_code, "screened_out": crowd.screen_out_code}.get(stage, "")
        )
        if crowd is None or not code:
            return None
        return End(code=code, redirect=crowd.return_url.replace("{code}", code))


def _has(steps: Sequence[Step], name: StepName) -> bool:
    return any(step.step == name for step in steps)


def _slot_step(steps: Sequence[Step]) -> StepName | None:
    """Whether the rater took a slot last ("arrived") or gave it back ("returned")."""
    return next((step.step for step in reversed(steps) if step.step in ("arrived", "returned")), None)


def _better_side(pair: HandedPair) -> Choice:
    return Choice.LEFT if pair.first_left else Choice.RIGHT
