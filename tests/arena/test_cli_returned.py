"""`canvas arena returned`: a crowd slot goes to the next rater, unless its rater finished."""

from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from arena.cli import app
from arena.rating import RatingRoom
from arena.reception import Reception
from arena.settings import Settings
from arena.study_parts import Crowd


@pytest.fixture
def arrive(arena: Any, now: Any) -> Any:
    """Lets somebody whom the crowd site sends into the study "shapes", which has one slot."""
    arena.open(crowd=Crowd(site="prolific", slots=1, completion_code="C"), votes_per_rater=1)
    secret = Settings(home=arena.home).signing_secret
    room = RatingRoom(arena.ledger, arena.images, identity_secret=secret)
    reception = Reception(arena.ledger, room)

    def arrived(person: str, **submission: str) -> Any:
        return reception.arrive(
            "shapes",
            known=None,
            arrival={"PROLIFIC_PID": person, **submission},
            at_hand=2,
            rng=np.random.default_rng(1),
            now=now,
        )

    arrived.finish = lambda rater: reception.finish("shapes", rater, now=now)  # type: ignore[attr-defined]
    return arrived


def run(arena: Any, *words: str) -> Any:
    return CliRunner().invoke(app, ["returned", "shapes", *words, "--arena", str(arena.home)])


@pytest.mark.parametrize("id", ["anna", "her-session"])
def test_a_returned_slot_goes_to_the_next_by_the_raters_id_or_the_submissions(arena: Any, arrive: Any, id: str) -> None:
    arrive("anna", SESSION_ID="her-session")
    before = arrive("bert").stage

    told = run(arena, id)

    assert (before, told.exit_code) == ("full", 0)
    assert arrive("bert").stage == "rating"


def test_the_slot_of_a_finished_rater_needs_force(arena: Any, arrive: Any) -> None:
    arrive.finish(arrive("anna").rater)

    refused = run(arena, "anna")
    still = arrive("bert").stage
    forced = run(arena, "anna", "--force")

    assert "finished 'shapes' and has the code" in str(refused.exception)
    assert "--force" in str(refused.exception)
    assert (still, forced.exit_code) == ("full", 0)
    assert arrive("bert").stage == "rating"


def test_on_a_closed_study_it_says_that_slots_go_to_nobody(arena: Any, arrive: Any, now: Any) -> None:
    arrive("anna")
    arena.ledger.close_study("shapes", now=now)

    refused = run(arena, "anna")

    assert "'shapes' is closed: no slot of it goes to anybody any more" in str(refused.exception)
