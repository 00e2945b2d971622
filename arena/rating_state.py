"""What the rating room keeps in memory, so that a vote costs one write: an open study, and a rater's place in it.

Both are read from the ledger when they are first needed and can be forgotten at any time. They make the choice of the
next pair quick; what is true is decided by the ledger's constraints.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from jaxtyping import Int64

from arena.ledger.records import GeneratedImage
from arena.ledger.voting import HandedPair, NewPair, ShownCount, StudyMaterial
from arena.matchmaking import Comparison, choose


class OpenStudy:
    """A study's comparisons, their images, and how often each was shown: apart for people and for simulated raters."""

    def __init__(self, material: StudyMaterial) -> None:
        """`material` is the ledger's, read once."""
        self.record = material.record
        self.study = material.record.study
        self.prompts = {prompt.id: prompt for prompt in self.study.prompts}
        self._prompts = self.study.prompts.prompts
        self._entrant_ids = material.entrant_ids
        self._images = {
            (name, image.prompt_id, image.seed): image
            for name, images in material.galleries.items()
            for image in images
        }
        self._places = {
            (candidate, prompt.id, seed): Comparison(c, p, s)
            for c, candidate in enumerate(self.study.candidates)
            for p, prompt in enumerate(self._prompts)
            for s, seed in enumerate(self.study.seeds)
        }
        self._shown = {simulated: self._count(material.shown, simulated) for simulated in (False, True)}

    def place(self, pair: HandedPair) -> Comparison:
        """Which comparison this pair shows."""
        return self._places[pair.candidate, pair.prompt_id, pair.seed]

    def reserve(self, attendance: "Attendance", rng: np.random.Generator, now: datetime) -> NewPair | None:
        """The next pair for this rater, counted as shown; None when the rater has had all, or as many as are asked for.

        It must be confirmed with `Attendance.add` when the ledger has it, or given back with `release`.
        """
        if len(attendance.seen) >= self.study.votes_per_rater:
            return None
        shown = self._shown[attendance.simulated]
        showing = choose(
            shown, attendance.seen, times_left=attendance.times_left, times_right=attendance.times_right, rng=rng
        )
        if showing is None:
            return None
        at = showing.comparison
        shown[at.candidate, at.prompt, at.seed] += 1
        attendance.see(at, showing.candidate_left)
        candidate = self.study.candidates[at.candidate]
        painted, reference = self._image(candidate, at), self._image(self.study.reference, at)
        left, right = (painted, reference) if showing.candidate_left else (reference, painted)
        return NewPair(
            token=secrets.token_urlsafe(16),
            study_id=self.record.id,
            rater=attendance.rater,
            candidate_id=self._entrant_ids[candidate],
            prompt_id=painted.prompt_id,
            seed=painted.seed,
            candidate_left=showing.candidate_left,
            left=left,
            right=right,
            propensity=showing.propensity,
            handed_at=now,
        )

    def release(self, attendance: "Attendance", pair: NewPair) -> None:
        """Give a reserved pair back: the ledger did not take it."""
        at = self._places[self._candidate(pair), pair.prompt_id, pair.seed]
        self._shown[attendance.simulated][at.candidate, at.prompt, at.seed] -= 1
        attendance.unsee(at, pair.candidate_left)

    def handed(self, pair: NewPair, id: int) -> HandedPair:
        """The reserved pair, now that the ledger has it under this id."""
        return HandedPair(
            id=id,
            token=pair.token,
            study_id=pair.study_id,
            rater=pair.rater,
            candidate=self._candidate(pair),
            prompt_id=pair.prompt_id,
            seed=pair.seed,
            candidate_left=pair.candidate_left,
            hashes=(pair.left.image_hash, pair.right.image_hash),
            sizes=((pair.left.width, pair.left.height), (pair.right.width, pair.right.height)),
            votes=0,
            undos=0,
        )

    def _candidate(self, pair: NewPair) -> str:
        return (pair.left if pair.candidate_left else pair.right).entrant

    def _image(self, entrant: str, at: Comparison) -> GeneratedImage:
        return self._images[entrant, self._prompts[at.prompt].id, self.study.seeds[at.seed]]

    def _count(self, shown: list[ShownCount], simulated: bool) -> Int64[np.ndarray, "candidates prompts seeds"]:
        study = self.study
        counts = np.zeros((len(study.candidates), len(study.prompts), len(study.seeds)), dtype=np.int64)
        for row in shown:
            if row.simulated == simulated:
                at = self._places[row.candidate, row.prompt_id, row.seed]
                counts[at.candidate, at.prompt, at.seed] = row.count
        return counts


@dataclass(slots=True)
class Seat:
    """A pair in front of a rater: the round its next or last vote belongs to, and whether that round has its vote."""

    pair: HandedPair
    round: int
    voted: bool


@dataclass(slots=True)
class Attendance:
    """A rater in a study: pairs by token in the order they were handed out, sides so far, effective votes so far.

    `seen` counts reserved pairs too. `casting` holds tokens whose vote is on its way to the disk. `stale` asks for a
    fresh reading as soon as nothing is on its way.
    """

    rater: int
    simulated: bool
    seats: dict[str, Seat] = field(default_factory=dict)
    seen: set[Comparison] = field(default_factory=set)
    times_left: int = 0
    times_right: int = 0
    done: int = 0
    casting: list[str] = field(default_factory=list)
    stale: bool = False

    @classmethod
    def read(cls, rater: int, simulated: bool, pairs: list[HandedPair], study: OpenStudy) -> "Attendance":
        """What the ledger knows of the rater in the study."""
        attendance = cls(rater, simulated)
        for pair in pairs:
            attendance.see(study.place(pair), pair.candidate_left)
            attendance.add(pair)
        return attendance

    @property
    def idle(self) -> bool:
        """Whether nothing of this rater is on its way to the disk."""
        return not self.casting and len(self.seen) == len(self.seats)

    def see(self, at: Comparison, candidate_left: bool) -> None:
        """Count a showing."""
        self.seen.add(at)
        self.times_left += candidate_left
        self.times_right += not candidate_left

    def unsee(self, at: Comparison, candidate_left: bool) -> None:
        """Take a showing back that never happened."""
        self.seen.discard(at)
        self.times_left -= candidate_left
        self.times_right -= not candidate_left

    def add(self, pair: HandedPair) -> Seat:
        """Take a pair that the ledger has handed out."""
        voted = pair.votes > pair.undos
        seat = Seat(pair=pair, round=pair.undos + 1, voted=voted)
        self.seats[pair.token] = seat
        self.done += voted
        return seat

    def done_with(self, token: str) -> int:
        """How many effective votes the rater has once the votes on their way and the one on this pair are cast."""
        return self.done + len({*self.casting, token})

    def open_seats(self) -> list[Seat]:
        """Pairs that wait for their vote, oldest first."""
        return [seat for seat in self.seats.values() if not seat.voted and seat.pair.token not in self.casting]
