"""What the rating room keeps in memory, so that a vote costs one write: an open study, and a rater's place in it.

Both are read from the ledger when they are first needed and can be forgotten at any time. They make the choice of the
next pair quick; what is true is decided by the ledger's constraints.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from jaxtyping import Float64, Int64

from arena.ledger.records import GeneratedImage
from arena.ledger.voting import HandedPair, NewPair, PairKind, ShownCount, StudyMaterial
from arena.matchmaking import (
    Comparison,
    Voted,
    category_codes,
    choose,
    choose_gold,
    choose_repeat,
    interval_widths,
)
from arena.statistics.rates import preference_rate
from arena.statistics.votes import from_records, outcomes_against
from arena.study_parts import KnownPair
from arena.votes import VoteRecord
from prompts.prompt import Prompt

#: How long the intervals' widths may be old before active sampling wants them anew.
_WIDTHS_LAST = timedelta(minutes=1)


class OpenStudy:
    """A study's comparisons, their images, and how often each was shown: apart for people and for simulated raters."""

    def __init__(self, material: StudyMaterial) -> None:
        """`material` is the ledger's, read once."""
        self.record = material.record
        self.study = study = material.record.study
        known = (*study.gold, *study.practice)
        self.prompts = {prompt.id: prompt for prompt in (*(Prompt(text=pair.prompt) for pair in known), *study.prompts)}
        self._prompts = study.prompts.prompts
        self._categories = category_codes([prompt.category for prompt in self._prompts])
        self._entrant_ids = material.entrant_ids
        self._images = {
            (name, image.prompt_id, image.seed): image for name in study.entrants for image in material.galleries[name]
        }
        self._smallest: dict[tuple[str, int], tuple[int, int]] = {}
        for (_, prompt, seed), image in self._images.items():
            size = (image.width, image.height)
            self._smallest[prompt, seed] = min(size, self._smallest.get((prompt, seed), size))
        self._known = {
            "gold": [_Known(pair, material.galleries[f"gold {n}"]) for n, pair in enumerate(study.gold)],
            "practice": [_Known(pair, material.galleries[f"practice {n}"]) for n, pair in enumerate(study.practice)],
        }
        self._places = {
            (line.first, line.second, prompt.id, seed): Comparison(n, p, s)
            for n, line in enumerate(study.lines)
            for p, prompt in enumerate(self._prompts)
            for s, seed in enumerate(study.seeds)
        }
        self._shown = {simulated: self._count(material.shown, simulated) for simulated in (False, True)}
        self._widths: Float64[np.ndarray, " lines"] | None = None
        self._widths_until = datetime.min

    def shown_size(self, pair: HandedPair) -> tuple[int, int]:
        """Width and height in pixels at which a pair is shown: the smallest of the entrants' images of its prompt."""
        pairs_own = min(pair.sizes)
        return min(pairs_own, self._smallest.get((pair.prompt_id, pair.seed), pairs_own))

    def place(self, pair: HandedPair) -> Comparison:
        """Which comparison this pair shows; gold and practice pairs show none of the study's."""
        return self._places[pair.first, pair.second, pair.prompt_id, pair.seed]

    def known_place(self, pair: HandedPair) -> int:
        """Which of the study's gold or practice pairs this is."""
        wanted = (pair.first, pair.second, pair.prompt_id, pair.seed)
        return next(n for n, one in enumerate(self._known[pair.kind]) if one.place == wanted)

    @property
    def wants_widths(self) -> bool:
        """Whether pairs are drawn by how unsure the lines are."""
        return self.study.sampling == "active"

    def widths_are_old(self, now: datetime) -> bool:
        """Whether active sampling should look at the votes again."""
        return self.wants_widths and now.replace(tzinfo=None) >= self._widths_until

    def learn_widths(self, votes: Sequence[VoteRecord], now: datetime) -> None:
        """Take the width of every line's interval from these votes."""
        table = from_records([vote for vote in votes if vote.question == self.study.asked[0].key])
        rates = (
            preference_rate(outcomes_against(table, line.first, line.second), ties="half") for line in self.study.lines
        )
        self._widths = interval_widths([rate.interval for rate in rates])
        self._widths_until = now.replace(tzinfo=None) + _WIDTHS_LAST

    def reserve(self, attendance: "Attendance", rng: np.random.Generator, now: datetime) -> NewPair | None:
        """The next pair for this rater, counted as shown; None when the rater has had all, or as many as are asked for.

        It must be confirmed with `Attendance.add` when the ledger has it, or given back with `release`.
        """
        if attendance.places_taken >= self.study.votes_per_rater:
            return None
        pair = self._gold(attendance, rng, now) or self._repeat(attendance, rng, now)
        pair = pair or self._comparison(attendance, rng, now)
        if pair is not None:
            attendance.reserved += 1
        return pair

    def practice_pairs(self, attendance: "Attendance", rng: np.random.Generator, now: datetime) -> list[NewPair]:
        """The practice pairs that the rater was not handed yet."""
        fresh = (n for n in range(len(self._known["practice"])) if n not in attendance.practice)
        return [self._known_pair("practice", n, bool(rng.random() < 0.5), 0.5, attendance, now) for n in fresh]

    def release(self, attendance: "Attendance", pair: NewPair) -> None:
        """Give a reserved pair back: the ledger did not take it."""
        if pair.kind == "practice":
            return
        attendance.reserved -= 1
        names = {id: name for name, id in self._entrant_ids.items()}
        wanted = (names[pair.first_id], names[pair.second_id], pair.prompt_id, pair.seed)
        if pair.kind == "study":
            at = self._places[wanted]
            self._shown[attendance.simulated][at.line, at.prompt, at.seed] -= 1
            attendance.unsee(at, pair.first_left)
        elif pair.kind == "gold":
            attendance.unsee_gold(next(n for n, one in enumerate(self._known["gold"]) if one.place == wanted), pair)
        else:
            attendance.repeated.discard(pair.repeats)

    def handed(self, pair: NewPair, id: int) -> HandedPair:
        """The reserved pair, now that the ledger has it under this id."""
        first, second = (pair.left, pair.right) if pair.first_left else (pair.right, pair.left)
        return HandedPair(
            id=id,
            token=pair.token,
            study_id=pair.study_id,
            rater=pair.rater,
            kind=pair.kind,
            first=first.entrant,
            second=second.entrant,
            prompt_id=pair.prompt_id,
            seed=pair.seed,
            first_left=pair.first_left,
            repeats=pair.repeats,
            hashes=(pair.left.image_hash, pair.right.image_hash),
            sizes=((pair.left.width, pair.left.height), (pair.right.width, pair.right.height)),
            votes=0,
            undos=0,
            reported=False,
        )

    def _comparison(self, attendance: "Attendance", rng: np.random.Generator, now: datetime) -> NewPair | None:
        shown = self._shown[attendance.simulated]
        showing = choose(
            shown,
            attendance.seen,
            times_left=attendance.times_left,
            times_right=attendance.times_right,
            rng=rng,
            categories=self._categories,
            cap=self.study.pairs_per_prompt,
            widths=self._widths,
        )
        if showing is None:
            return None
        at = showing.comparison
        shown[at.line, at.prompt, at.seed] += 1
        attendance.see(at, showing.candidate_left)
        images = self._images_at(at)
        return self._new_pair("study", images, showing.candidate_left, showing.propensity, attendance, now)

    def _repeat(self, attendance: "Attendance", rng: np.random.Generator, now: datetime) -> NewPair | None:
        if self.study.repeats == 0:
            return None
        judged = [seat for seat in attendance.seats.values() if seat.voted and seat.pair.kind == "study"]
        voted = [
            Voted(
                comparison=self.place(seat.pair),
                candidate_left=seat.pair.first_left,
                repeated=seat.pair.id in attendance.repeated,
            )
            for seat in judged
        ]
        found = choose_repeat(voted, share=self.study.repeats, done=attendance.places_taken, rng=rng)
        if found is None:
            return None
        earlier = judged[found.index].pair
        attendance.repeated.add(earlier.id)
        images = self._images_at(found.comparison)
        return self._new_pair(
            "repeat", images, found.candidate_left, found.propensity, attendance, now, repeats=earlier.id
        )

    def _gold(self, attendance: "Attendance", rng: np.random.Generator, now: datetime) -> NewPair | None:
        if not self._known["gold"]:
            return None
        showing = choose_gold(
            range(len(self._known["gold"])),
            attendance.gold,
            share=self.study.gold_share,
            done=attendance.places_taken,
            rng=rng,
            times_left=attendance.gold_left,
            times_right=len(attendance.gold) - attendance.gold_left,
        )
        if showing is None:
            return None
        attendance.see_gold(showing.place, showing.better_left)
        return self._known_pair("gold", showing.place, showing.better_left, showing.propensity, attendance, now)

    def _known_pair(
        self,
        kind: PairKind,
        place: int,
        better_left: bool,
        propensity: float,
        attendance: "Attendance",
        now: datetime,
    ) -> NewPair:
        images = self._known[kind][place].images
        return self._new_pair(kind, images, better_left, propensity, attendance, now)

    def _new_pair(
        self,
        kind: PairKind,
        images: tuple[GeneratedImage, GeneratedImage],
        first_left: bool,
        propensity: float,
        attendance: "Attendance",
        now: datetime,
        repeats: int | None = None,
    ) -> NewPair:
        first, second = images
        left, right = (first, second) if first_left else (second, first)
        return NewPair(
            token=secrets.token_urlsafe(16),
            study_id=self.record.id,
            rater=attendance.rater,
            kind=kind,
            first_id=self._entrant_ids[first.entrant],
            second_id=self._entrant_ids[second.entrant],
            prompt_id=first.prompt_id,
            seed=first.seed,
            first_left=first_left,
            left=left,
            right=right,
            propensity=propensity,
            handed_at=now,
            repeats=repeats,
        )

    def _images_at(self, at: Comparison) -> tuple[GeneratedImage, GeneratedImage]:
        line, prompt, seed = self.study.lines[at.line], self._prompts[at.prompt], self.study.seeds[at.seed]
        return self._images[line.first, prompt.id, seed], self._images[line.second, prompt.id, seed]

    def _count(self, shown: list[ShownCount], simulated: bool) -> Int64[np.ndarray, "lines prompts seeds"]:
        study = self.study
        counts = np.zeros((len(study.lines), len(study.prompts), len(study.seeds)), dtype=np.int64)
        for row in shown:
            if row.simulated == simulated:
                at = self._places[row.first, row.second, row.prompt_id, row.seed]
                counts[at.line, at.prompt, at.seed] = row.count
        return counts


class _Known:
    """A gold or practice pair with its two images, the better one first."""

    def __init__(self, pair: KnownPair, images: Sequence[GeneratedImage]) -> None:
        self.images = (images[0], images[1])
        self.place = (pair.better, pair.worse, images[0].prompt_id, pair.seed)


@dataclass(slots=True)
class Seat:
    """A pair in front of a rater: the round its next or last vote belongs to, and whether that round has its vote."""

    pair: HandedPair
    round: int
    voted: bool
    reported: bool = False


@dataclass(slots=True)
class Attendance:
    """A rater in a study: pairs by token in the order they were handed out, sides so far, pairs judged so far.

    `seen`, `gold` and `repeated` count reserved pairs too, of which there are `reserved`. `practice` are the practice
    pairs by their number. `casting` holds tokens whose vote is on its way to the disk. `stale` asks for a fresh reading
    as soon as nothing is on its way.
    """

    rater: int
    simulated: bool
    seats: dict[str, Seat] = field(default_factory=dict)
    practice: dict[int, HandedPair] = field(default_factory=dict)
    seen: set[Comparison] = field(default_factory=set)
    times_left: int = 0
    times_right: int = 0
    gold: set[int] = field(default_factory=set)
    gold_left: int = 0
    repeated: set[int | None] = field(default_factory=set)
    reserved: int = 0
    done: int = 0
    casting: list[str] = field(default_factory=list)
    stale: bool = False

    @classmethod
    def read(cls, rater: int, simulated: bool, pairs: list[HandedPair], study: OpenStudy) -> "Attendance":
        """What the ledger knows of the rater in the study."""
        attendance = cls(rater, simulated)
        for pair in pairs:
            attendance.take(pair, study)
        return attendance

    def take(self, pair: HandedPair, study: OpenStudy) -> None:
        """Take a pair that nobody reserved here: it was handed out before, or by another process."""
        if pair.kind == "practice":
            self.practice[study.known_place(pair)] = pair
            return
        if pair.kind == "study":
            self.see(study.place(pair), pair.first_left)
        elif pair.kind == "gold":
            self.see_gold(study.known_place(pair), pair.first_left)
        else:
            self.repeated.add(pair.repeats)
        self.reserved += 1
        self.add(pair)

    @property
    def idle(self) -> bool:
        """Whether nothing of this rater is on its way to the disk."""
        return not self.casting and self.reserved == 0

    @property
    def places_taken(self) -> int:
        """Pairs that were handed out or are about to be, without those that the rater put aside."""
        return self.reserved + sum(not seat.reported for seat in self.seats.values())

    def see(self, at: Comparison, first_left: bool) -> None:
        """Count a showing."""
        self.seen.add(at)
        self.times_left += first_left
        self.times_right += not first_left

    def unsee(self, at: Comparison, first_left: bool) -> None:
        """Take a showing back that never happened."""
        self.seen.discard(at)
        self.times_left -= first_left
        self.times_right -= not first_left

    def see_gold(self, place: int, better_left: bool) -> None:
        """Count a gold pair."""
        self.gold.add(place)
        self.gold_left += better_left

    def unsee_gold(self, place: int, pair: NewPair) -> None:
        """Take a gold pair back that was never shown."""
        self.gold.discard(place)
        self.gold_left -= pair.first_left

    def add(self, pair: HandedPair) -> Seat:
        """Take a reserved pair that the ledger has handed out."""
        self.reserved -= 1
        voted = pair.votes > pair.undos
        seat = Seat(pair=pair, round=pair.undos + 1, voted=voted, reported=pair.reported)
        self.seats[pair.token] = seat
        self.done += voted
        return seat

    def done_with(self, token: str) -> int:
        """How many pairs the rater has judged once the votes on their way and the one on this pair are cast."""
        return self.done + len({*self.casting, token})

    def open_seats(self) -> list[Seat]:
        """Pairs that wait for their vote, oldest first."""
        return [
            seat
            for seat in self.seats.values()
            if not seat.voted and not seat.reported and seat.pair.token not in self.casting
        ]
