from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from arena.export import export_rows
from arena.simulation import simulate


def prefer_brighter(prompt: str, left: Image.Image, right: Image.Image, rng: np.random.Generator) -> str:
    difference = float(np.asarray(left).mean() - np.asarray(right).mean())
    if difference == 0:
        return "tie"
    return "left" if difference > 0 else "right"


def test_simulated_raters_vote_by_what_they_see(arena: Any, now: datetime) -> None:
    study = arena.open()
    bright = {
        (name, image.prompt_id): float(np.asarray(arena.images.open(image.image_hash)).mean())
        for name in study.entrants
        for image in arena.ledger.gallery(name, study.prompts, [0])
    }

    cast = simulate(arena.room, "shapes", raters=3, votes_each=5, judge=prefer_brighter, rng=arena.rng, now=now)

    votes = arena.ledger.votes("shapes", raters="simulated")
    assert cast == len(votes) == 15
    for vote in votes:
        brighter = max(vote.left, vote.right, key=lambda name: bright[name, vote.prompt_id])
        assert vote.winner == brighter
    assert Counter(Counter(vote.rater for vote in votes).values()) == {5: 3}


def test_every_simulated_vote_says_so_everywhere(arena: Any, now: datetime) -> None:
    study = arena.open()
    simulate(arena.room, "shapes", raters=2, votes_each=2, judge=prefer_brighter, rng=arena.rng, now=now)
    arena.rate_all(arena.join())

    simulated = arena.ledger.votes("shapes", raters="simulated")

    assert len(simulated) == 4
    assert all(vote.simulated and vote.latency_ms is None for vote in simulated)
    assert all(arena.ledger.rater_is_simulated(vote.rater) for vote in simulated)
    assert sum('"simulated":true' in event.body for event in arena.ledger.events("shapes")) == 4
    assert sum(row["simulated"] for row in export_rows(study, arena.ledger.votes("shapes", raters="all"))) == 4
    assert not {vote.rater for vote in simulated} & {
        vote.rater for vote in arena.ledger.votes("shapes", raters="people")
    }


def test_raters_may_have_a_judge_each(arena: Any, now: datetime) -> None:
    arena.open()
    judges = [lambda *_: "left", lambda *_: "both_bad"]

    simulate(arena.room, "shapes", raters=2, votes_each=3, judge=judges, rng=arena.rng, now=now)

    votes = arena.ledger.votes("shapes", raters="simulated")
    choices = {rater: {vote.choice for vote in votes if vote.rater == rater} for rater in {v.rater for v in votes}}
    assert sorted(choices.values(), key=str) == [{"both_bad"}, {"left"}]
    with pytest.raises(ValueError, match="3 raters need as many judges, not 2"):
        simulate(arena.room, "shapes", raters=3, votes_each=1, judge=judges, rng=arena.rng, now=now)


def test_they_stop_where_the_study_has_no_more_for_them(arena: Any, now: datetime) -> None:
    arena.open(votes_per_rater=3)

    cast = simulate(arena.room, "shapes", raters=2, votes_each=10, judge=prefer_brighter, rng=arena.rng, now=now)

    assert cast == 6


def test_the_same_seed_may_simulate_twice_in_one_study(arena: Any, now: datetime) -> None:
    arena.open()

    for _ in range(2):
        rng = np.random.default_rng(3)
        assert simulate(arena.room, "shapes", raters=1, votes_each=2, judge=prefer_brighter, rng=rng, now=now) == 2

    assert len(arena.ledger.votes("shapes", raters="simulated")) == 4


def test_a_judge_that_says_something_else_stops_the_run(arena: Any, now: datetime) -> None:
    arena.open()

    with pytest.raises(ValueError, match="'middle' is not a valid Choice"):
        simulate(arena.room, "shapes", raters=1, votes_each=1, judge=lambda *_: "middle", rng=arena.rng, now=now)
