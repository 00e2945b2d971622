"""The labelling room: the way in, images to label, labels and undos, without HTTP.

Blind: what leaves the room are random tokens, pixels in one codec and one size and, where two images are held against
a target, the target's name; never an entrant, a prompt or a hash. True: the ledger's constraints decide. Only what
was frozen is kept in memory: a label costs some readings in the caller's thread and one write. All methods may be
called from many threads.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from arena.ballots import check_texts
from arena.images import ImageStore
from arena.labelling.choosing import choose_showing, labels_ahead
from arena.labelling.label_ballots import LabelBallot, check_label
from arena.labelling.label_study import LabelStudy
from arena.labelling.matching import named_target
from arena.ledger.errors import (
    ForeignPairError,
    RoundError,
    StageError,
    StudyClosedError,
    UnknownPairError,
    UnknownRaterError,
)
from arena.ledger.label_book import LabelBook
from arena.ledger.label_records import (
    CastLabel,
    HandedShowing,
    LabelChange,
    LabelMaterial,
    NewLabel,
    NewShowing,
)
from arena.ledger.labels import StaleShowingError
from arena.ledger.ledger import Ledger
from arena.ledger.voting import Step
from arena.rating import ReportKind
from arena.rating_crowd import is_preview, read_visit
from arena.reception import End

Stage = Literal["consent", "rating", "ended", "full", "withdrawn", "closed", "preview"]

#: Who was shown an image and never answered holds its place for so long.
_HELD = timedelta(minutes=30)
#: How often a request looks again when another was quicker.
_TRIES = 3
#: Rater numbers are below 2^53, so that every language's numbers hold them exactly.
_RATER_NUMBERS = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowingView:
    """What a browser may know of a showing: its token and its images', the round, in pair mode the target's name."""

    showing: str
    images: tuple[str, ...]
    round: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelWelcome:
    """What the page shows next. `rater` is None for somebody for whom nothing was begun. `total` is how many labels
    they will have given at the end, as far as it can be told; 0 before there is anything to label."""

    study: LabelStudy
    rater: int | None
    stage: Stage
    done: int
    total: int = 0
    showings: tuple[ShowingView, ...] = ()
    end: End | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A label or report that is on the disk. `next` is one showing more; `end` is there when none waits any more, and
    then `total` is `done`."""

    label_id: int
    done: int
    total: int
    next: ShowingView | None
    end: End | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlabelled:
    """A label that was taken back; `showing` is the same one in its next round."""

    done: int
    showing: ShowingView


class LabelRoom:
    """Where raters label. One per process; it may be thrown away and made anew at any moment."""

    def __init__(self, ledger: Ledger, images: ImageStore, *, identity_secret: str | None = None) -> None:
        """`identity_secret` keys the hashes under which people's ids from a crowd site are known."""
        self._ledger = ledger
        self._book = LabelBook(ledger)
        self._images = images
        self._secret = identity_secret
        self._lock = threading.Lock()
        self._materials: dict[str, LabelMaterial] = {}

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
    ) -> LabelWelcome:
        """Let a browser in: `known` is the rater that its cookie names, `arrival` its page's query parameters.

        Raises UnknownStudyError, StudyClosedError, NotInvitedError and UnfilledLinkError.
        """
        material = self._material(study)
        declared, place = material.record.study, material.record.id
        is_open = self._book.is_open(place)
        if declared.crowd is not None and is_preview(declared.crowd, arrival):
            return LabelWelcome(study=declared, rater=None, stage="preview" if is_open else "closed", done=0)
        person = self._person(declared, arrival)
        rater = self._recognised(person, known)
        if rater is not None and anew and _has(self._ledger.steps(place, rater), "withdrawn"):
            rater = None
        if rater is None:
            if not is_open:
                return self._too_late(declared)
            rater = self._join(person, now)
        if is_open and declared.crowd is not None:
            submission = read_visit(declared.crowd, arrival).submission
            hashes = {name: self._identity(key) for name, key in submission.items()}
            self._ledger.keep_submission(place, rater, hashes, now=now)
        return self.welcome(study, rater, at_hand=at_hand, rng=rng, now=now)

    def open_studies(self) -> list[LabelStudy]:
        """Where anybody may label now, the last opened first: not those to which a crowd site sends its raters."""
        records = sorted(self._book.studies(), key=lambda record: -record.id)
        return [record.study for record in records if record.is_open and record.study.crowd is None]

    def would_be_new(self, study: str, *, known: int | None, arrival: Mapping[str, str]) -> bool:
        """Whether this arrival makes a rater who was not here before. Raises as `arrive` does."""
        return self._recognised(self._person(self._material(study).record.study, arrival), known) is None

    def welcome(self, study: str, rater: int, *, at_hand: int, rng: np.random.Generator, now: datetime) -> LabelWelcome:
        """Where the rater stands, with what the page needs there. Raises as `arrive` does, and UnknownRaterError."""
        material = self._material(study)
        declared, place = material.record.study, material.record.id
        self._require_known(rater)
        steps = self._ledger.steps(place, rater)
        shown = self._book.handed(place, rater)
        done = sum(one.is_labelled for one in shown)
        waiting = [one for one in shown if one.is_open]
        if _has(steps, "withdrawn"):
            return LabelWelcome(study=declared, rater=rater, stage="withdrawn", done=done)
        if not self._book.is_open(place):
            return LabelWelcome(study=declared, rater=rater, stage="closed", done=done, total=done)
        if not self._has_slot(declared, place, rater, now):
            return LabelWelcome(study=declared, rater=rater, stage="full", done=done)
        if (declared.consent or declared.instructions) and not _has(steps, "consented"):
            return LabelWelcome(study=declared, rater=rater, stage="consent", done=done)
        if _has(steps, "finished") and not waiting:
            return LabelWelcome(study=declared, rater=rater, stage="ended", done=done, total=done, end=_end(declared))
        views = self._fill(material, rater, at_hand, rng, now)
        if views:
            total = self._total(material, self._book.handed(place, rater), now)
            return LabelWelcome(
                study=declared, rater=rater, stage="rating", done=done, total=total, showings=tuple(views)
            )
        end = self._finish(material, rater, now)
        return LabelWelcome(study=declared, rater=rater, stage="ended", done=done, total=done, end=end)

    def consent(self, study: str, rater: int, *, now: datetime) -> None:
        """The rater has read the declaration and goes on; again, it changes nothing. Raises StageError."""
        material = self._material(study)
        self._require_known(rater)
        self._require_open(material)
        steps = self._ledger.steps(material.record.id, rater)
        if _has(steps, "withdrawn"):
            raise StageError("You withdrew from this study. Load the page anew.")
        if not _has(steps, "consented"):
            self._ledger.take_step(material.record.id, rater, "consented", now=now)

    def label(self, ballot: LabelBallot, *, rng: np.random.Generator, now: datetime) -> Labelled:
        """Label a showing; the answer has come when the label is on the disk.

        Raises StudyClosedError, UnknownPairError, ForeignPairError, RoundError, AlreadyVotedError, KeyReusedError,
        ChoiceNotOfferedError, AccidentalVoteError, VoteFormError and StageError.
        """
        material, showing = self._place(ballot.study, ballot.rater, ballot.showing)
        self._require_taking_part(material, ballot.rater)
        study = material.record.study
        check_label(ballot, study, showing)
        which, own = ballot.which.strip(), study.characters.get(showing.item.prompt_id, "")

        def cast(following: NewShowing | None, done: int) -> CastLabel:
            label = NewLabel(
                showing=showing,
                round=ballot.round,
                key=ballot.key,
                answer=ballot.answer,
                which=which,
                target=named_target(which, study.targets, own) if which else None,
                closeness=ballot.closeness,
                latency_ms=ballot.latency_ms,
                session=ballot.session,
                done=done + 1,
                at=now,
            )
            return self._book.cast(label, following).result()

        return self._handing_out(material, showing, cast, rng, now)

    def report(
        self,
        *,
        rater: int,
        study: str,
        showing: str,
        round: int,
        why: ReportKind,
        key: str,
        rng: np.random.Generator,
        now: datetime,
    ) -> Labelled:
        """Put a showing aside that the rater will not label, and get another. Raises as `label` does."""
        check_texts(key)
        material, found = self._place(study, rater, showing)
        self._require_taking_part(material, rater)

        def put_aside(following: NewShowing | None, done: int) -> CastLabel:
            report = LabelChange(showing=found, round=round, key=key, done=done, at=now, why=why)
            return self._book.report(report, following).result()

        return self._handing_out(material, found, put_aside, rng, now, puts_aside=True)

    def undo(self, *, rater: int, study: str, showing: str, round: int, key: str, now: datetime) -> Unlabelled:
        """Take back the showing's label of this round; its next round is open. The label stays in the log.

        Raises as `label` does, and RoundError when the round has no label.
        """
        check_texts(key)
        material, found = self._place(study, rater, showing)
        self._require_taking_part(material, rater)
        done = sum(one.is_labelled for one in self._book.handed(material.record.id, rater))
        undo = LabelChange(showing=found, round=round, key=key, done=done - 1, at=now)
        kept = self._book.undo(undo).result()
        again = self._book.showing(showing)
        assert again is not None, "what was shown stays in the ledger"
        return Unlabelled(done=kept, showing=self._view(material, again))

    def image(self, *, rater: int, token: str) -> bytes:
        """The image behind a token, as WebP. All images of a study are shown at one size, the smallest one's.

        Raises UnknownPairError, ForeignPairError, and UnknownImageError or DamagedImageError of the store.
        """
        name, _, number = token.rpartition(".")
        showing = self._book.showing(name)
        if showing is None or number not in ("0", "1") or int(number) >= len(showing.hashes):
            raise UnknownPairError("There is no such image. Load the page anew.")
        if showing.rater != rater:
            raise ForeignPairError("This image was shown to somebody else. Load the page anew.")
        size = self._shown_size(showing.study_id)
        # Both of a pair are made ready before either is sent: else the one that has to be scaled would come later.
        ready = [
            hash if own == size else self._images.scaled(hash, *size)
            for hash, own in zip(showing.hashes, showing.sizes, strict=True)
        ]
        return self._images.get(ready[int(number)])

    def withdraw(self, study: str, rater: int, *, now: datetime) -> None:
        """The rater takes consent back: no export counts them, and what they typed and who they are is deleted."""
        self._require_known(rater)
        place = self._material(study).record.id
        self._book.withdraw(place, rater, now=now)
        self._ledger.take_step(place, rater, "returned", now=now)

    def language_of(self, study: str) -> str:
        """The language of the study's page; "" for the browser's. Raises UnknownStudyError."""
        return self._material(study).record.study.language

    # Handing out

    def _fill(
        self, material: LabelMaterial, rater: int, count: int, rng: np.random.Generator, now: datetime
    ) -> list[ShowingView]:
        """Showings that wait, and new ones up to `count`."""
        for _ in range(_TRIES):
            shown = self._book.handed(material.record.id, rater)
            waiting = [one for one in shown if one.is_open]
            if len(waiting) >= count:
                break
            new = self._choose(material, rater, shown, rng, now)
            if new is None:
                break
            try:
                self._book.hand_out([new]).result()
            except StaleShowingError:
                continue
            if len(waiting) + 1 < count:
                return self._fill(material, rater, count, rng, now)
        shown = self._book.handed(material.record.id, rater)
        return [self._view(material, one) for one in shown if one.is_open]

    def _handing_out(
        self,
        material: LabelMaterial,
        showing: HandedShowing,
        write: Callable[[NewShowing | None, int], CastLabel],
        rng: np.random.Generator,
        now: datetime,
        *,
        puts_aside: bool = False,
    ) -> Labelled:
        """Write with what follows handed out in the same commit; look again when another request was quicker."""
        rater, place = showing.rater, material.record.id
        for _ in range(_TRIES):
            shown = self._book.handed(place, rater)
            done = sum(one.is_labelled for one in shown)
            if puts_aside:
                # Its place is free again: what follows may take it.
                shown = [replace(one, reported=True) if one.id == showing.id else one for one in shown]
            following = self._choose(material, rater, shown, rng, now)
            try:
                written = write(following, done)
            except StaleShowingError:
                continue
            return self._labelled(material, rater, written, now)
        raise RoundError("Your pages overtook each other. Load the page anew.")

    def _labelled(self, material: LabelMaterial, rater: int, written: CastLabel, now: datetime) -> Labelled:
        shown = self._book.handed(material.record.id, rater)
        following = next((one for one in shown if one.id == written.following and one.is_open), None)
        over = not any(one.is_open for one in shown)
        return Labelled(
            label_id=written.id,
            done=written.done,
            total=written.done if over else self._total(material, shown, now),
            next=None if following is None else self._view(material, following),
            end=(self._finish(material, rater, now) or End(code="", redirect="")) if over else None,
            replayed=written.replayed,
        )

    def _choose(
        self,
        material: LabelMaterial,
        rater: int,
        shown: list[HandedShowing],
        rng: np.random.Generator,
        now: datetime,
    ) -> NewShowing | None:
        study = material.record.study
        with self._lock:
            taken = self._book.taken_places(material.record.id, since=now - _HELD)
            choice = choose_showing(study, shown, taken, rng)
        if choice is None:
            return None
        images = (material.gold if choice.kind == "gold" else material.drawn)[choice.place]
        return NewShowing(
            token=secrets.token_urlsafe(16),
            study_id=material.record.id,
            rater=rater,
            kind=choice.kind,
            place=choice.place,
            images=images[::-1] if choice.flipped else images,
            propensity=choice.propensity,
            handed_at=now,
            repeats=choice.repeats,
        )

    def _total(self, material: LabelMaterial, shown: list[HandedShowing], now: datetime) -> int:
        taken = self._book.taken_places(material.record.id, since=now - _HELD)
        return labels_ahead(material.record.study, shown, taken)

    def _view(self, material: LabelMaterial, showing: HandedShowing) -> ShowingView:
        study = material.record.study
        name = ""
        if study.mode == "pair":
            key = study.characters[showing.item.prompt_id]
            name = next(target.name for target in study.targets if target.key == key)
        images = tuple(f"{showing.token}.{number}" for number in range(len(showing.hashes)))
        return ShowingView(showing=showing.token, images=images, round=showing.round, name=name)

    # Who and where

    def _material(self, study: str) -> LabelMaterial:
        with self._lock:
            known = self._materials.get(study)
        if known is None:
            # Frozen when it opened: what is read once stays true, but for whether it is open.
            known = self._book.material(study)
            with self._lock:
                self._materials[study] = known
        return known

    def _shown_size(self, study_id: int) -> tuple[int, int]:
        with self._lock:
            material = next((one for one in self._materials.values() if one.record.id == study_id), None)
        if material is None:
            material = self._material(next(one.name for one in self._book.studies() if one.id == study_id))
        return min((image.width, image.height) for group in (*material.drawn, *material.gold) for image in group)

    def _place(self, study: str, rater: int, token: str) -> tuple[LabelMaterial, HandedShowing]:
        material = self._material(study)
        showing = self._book.showing(token)
        if showing is None:
            raise UnknownPairError("There is no such image. Load the page anew.")
        if showing.rater != rater or showing.study_id != material.record.id:
            raise ForeignPairError("This image was shown to somebody else, or in another study. Load the page anew.")
        return material, showing

    def _require_known(self, rater: int) -> None:
        # A program's number is nobody's here: labels are people's.
        if self._ledger.rater_is_simulated(rater) is not False:
            raise UnknownRaterError("You are not known here. Load the page anew.")

    def _require_open(self, material: LabelMaterial) -> None:
        if not self._book.is_open(material.record.id):
            raise StudyClosedError("The study is closed: it takes no more labels. Thank you for yours.")

    def _require_taking_part(self, material: LabelMaterial, rater: int) -> None:
        study, steps = material.record.study, self._ledger.steps(material.record.id, rater)
        asked = bool(study.consent or study.instructions)
        if _has(steps, "withdrawn") or (asked and not _has(steps, "consented")):
            raise StageError("Give your consent first, or load the page anew.")

    def _person(self, study: LabelStudy, arrival: Mapping[str, str]) -> str | None:
        return None if study.crowd is None else read_visit(study.crowd, arrival).person

    def _recognised(self, person: str | None, known: int | None) -> int | None:
        if person is not None:
            return self._ledger.rater_of_identity(self._identity(person))
        return known if known is not None and self._ledger.rater_is_simulated(known) is False else None

    def _join(self, person: str | None, now: datetime) -> int:
        identity = None if person is None else self._identity(person)
        while True:
            number = secrets.randbelow(_RATER_NUMBERS - 1) + 1
            rater = self._ledger.add_rater(number, simulated=False, identity=identity, now=now)
            if rater is not None:
                return rater

    def _identity(self, person: str) -> str:
        assert self._secret, "people's ids are kept under a secret"
        return hmac.new(self._secret.encode(), person.encode(), hashlib.sha256).hexdigest()

    def _too_late(self, study: LabelStudy) -> LabelWelcome:
        """A stranger at a closed study: whom a crowd site pays has to be told how to go back there."""
        if study.crowd is None:
            raise StudyClosedError("The study is closed: it takes no more labels. Thank you for yours.")
        return LabelWelcome(study=study, rater=None, stage="closed", done=0)

    def _has_slot(self, study: LabelStudy, place: int, rater: int, now: datetime) -> bool:
        crowd = study.crowd
        if crowd is None:
            return True
        return self._ledger.take_slot(place, rater, slots=crowd.slots, minutes=crowd.minutes, now=now)

    def _finish(self, material: LabelMaterial, rater: int, now: datetime) -> End | None:
        place, steps = material.record.id, self._ledger.steps(material.record.id, rater)
        last = next((step.step for step in reversed(steps) if step.step in ("arrived", "returned")), None)
        if last == "returned":
            return None  # Somebody else's slot by now: there is no code for it.
        if not _has(steps, "finished"):
            self._ledger.take_step(place, rater, "finished", now=now)
        return _end(material.record.study)


def _end(study: LabelStudy) -> End | None:
    if study.crowd is None:
        return None
    code = study.crowd.completion_code
    return End(code=code, redirect=study.crowd.return_url.replace("{code}", code))


def _has(steps: list[Step], name: str) -> bool:
    return any(step.step == name for step in steps)
