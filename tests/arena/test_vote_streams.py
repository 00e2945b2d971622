import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arena import vote_streams
from arena.ledger.errors import UnknownStudyError
from arena.vote_streams import VotesSoFar, file_votes, line_votes, study_votes
from arena.votes_formats import BadVoteError, NoVotesError

HEADER = "rater,prompt,model_a,model_b,choice\n"


def lines(count: int) -> list[str]:
    return [f"r{number % 3},p{number % 5},ant,old,{'AB'[number % 2]}\n" for number in range(count)]


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vote_streams, "POLL_S", 0.0)


def test_a_file_is_read_once_with_what_it_leaves_open(tmp_path: Path) -> None:
    file = tmp_path / "votes.csv"
    file.write_text(HEADER + "".join(lines(4)))

    (votes,) = file_votes(file)

    assert len(votes.table) == 4
    assert list(votes.order) == [0, 1, 2, 3]
    assert any("left" in note for note in votes.notes)


def test_lines_that_are_all_there_are_one_state(tmp_path: Path) -> None:
    (votes,) = line_votes(io.StringIO(HEADER + "".join(lines(4))))

    assert (len(votes.table), votes.table.models) == (4, ("ant", "old"))


def test_followed_lines_are_read_as_they_come() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as stream, os.fdopen(writing, "w", encoding="utf-8") as program:
        states = line_votes(stream, follow=True)
        program.write(HEADER + lines(4)[0])
        program.flush()
        first = next(states)
        program.write("".join(lines(4)[1:]))
        program.close()
        later = list(states)

    assert len(first.table) == 1
    assert len(later[-1].table) == 4


def test_a_header_alone_waits_for_votes_and_is_refused_when_none_can_come() -> None:
    with pytest.raises(NoVotesError, match=r"^stdin holds no votes"):
        list(line_votes(io.StringIO(HEADER), follow=True))
    with pytest.raises(NoVotesError, match=r"^stdin holds no votes"):
        list(line_votes(io.StringIO(HEADER)))


@pytest.mark.parametrize("follow", [False, True])
def test_a_line_that_is_no_vote_is_named_as_one_of_stdin(follow: bool) -> None:
    stream = io.StringIO(HEADER + lines(1)[0] + "r1,p1,ant,old,perhaps\n")

    with pytest.raises(BadVoteError, match=r"^stdin, row 2 .*'perhaps'"):
        list(line_votes(stream, follow=follow))


def test_nothing_followed_is_no_state() -> None:
    assert list(line_votes(io.StringIO(""), follow=True)) == []


def test_a_study_gives_its_effective_votes(arena: Any) -> None:
    arena.open()
    arena.rate_all(arena.join())

    (votes,) = study_votes(arena.ledger, "shapes", raters="people")
    (nobody,) = study_votes(arena.ledger, "shapes", raters="simulated")

    assert (len(votes.table), list(votes.order)) == (8, list(range(8)))
    assert len(nobody.table) == 0


@pytest.mark.usefixtures("no_waiting")
def test_a_followed_study_gives_a_state_whenever_votes_came_or_went(arena: Any) -> None:
    arena.open()
    rater = arena.join()
    pair = arena.pairs(rater, count=1)[0]
    states: Iterator[VotesSoFar] = study_votes(arena.ledger, "shapes", raters="people", follow=True)

    before = next(states)
    accepted = arena.vote(rater, pair)
    after = next(states)
    arena.vote(rater, accepted.next)
    last = next(states)

    assert [len(state.table) for state in (before, after, last)] == [0, 1, 2]


def test_an_unknown_study_is_refused(arena: Any) -> None:
    with pytest.raises(UnknownStudyError):
        next(study_votes(arena.ledger, "circles", raters="people"))
