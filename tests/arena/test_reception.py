"""The way to the first pair and out of the study, over a real ledger."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from arena.board import board_from_votes
from arena.invitations import Invitations
from arena.ledger.errors import (
    NotInvitedError,
    RoundError,
    StageError,
    StudyClosedError,
    UnfilledLinkError,
    UnknownRaterError,
    VoteFormError,
)
from arena.ledger.events import quality_votes_from_events, votes_from_events
from arena.quality import Gates
from arena.rating import RatingRoom
from arena.reception import End, Reception, Welcome
from arena.study_parts import Check, Crowd, KnownPair, Question
from arena.votes import Choice

PROLIFIC = Crowd(
    site="prolific",
    slots=9,
    completion_code="C-1",
    screen_out_code="OUT",
    return_url="https://crowd.example/done?cc={code}",
)
CHECK = Check(text="What do you judge?", answers=("The prompt", "The images"), right=1)


@pytest.fixture
def desk(arena: Any, now: datetime) -> "Desk":
    return Desk(arena, now)


class Desk:
    """A reception over the arena's ledger, with short words for what a browser does."""

    def __init__(self, arena: Any, now: datetime) -> None:
        self.arena, self.now = arena, now
        self.room = RatingRoom(arena.ledger, arena.images, identity_secret="kept in a drawer")
        self.invitations = Invitations("signed", clock=lambda: self.now)
        self.reception = Reception(arena.ledger, self.room, check_link=self.invitations.check_link)
        self.rng = np.random.default_rng(5)

    def arrive(self, known: int | None = None, **arrival: Any) -> Any:
        return self.reception.arrive("shapes", known=known, arrival=arrival, at_hand=2, rng=self.rng, now=self.now)

    def arrive_anew(self, known: int | None) -> Any:
        return self.reception.arrive(
            "shapes", known=known, arrival={}, at_hand=2, anew=True, rng=self.rng, now=self.now
        )

    def vote(self, rater: int, pair: Any) -> Any:
        """Judge one pair."""
        return self.room.vote(
            rater=rater,
            study="shapes",
            pair=pair.pair,
            round=pair.round,
            choice=Choice.LEFT,
            key=f"{pair.pair}-{pair.round}",
            latency_ms=900,
            rng=self.rng,
            now=self.now,
        )

    def undo(self, rater: int, pair: Any) -> Any:
        """Take a pair's vote back."""
        return self.room.undo(
            rater=rater, study="shapes", pair=pair.pair, round=pair.round, key=f"undo-{pair.pair}", now=self.now
        )

    def close(self) -> None:
        self.arena.ledger.close_study("shapes", now=self.now)

    def again(self, rater: int) -> Welcome:
        return self.reception.welcome("shapes", rater, at_hand=2, rng=self.rng, now=self.now)

    def vote_all(self, welcome: Any, choice: Choice = Choice.LEFT) -> int:
        """Judge everything; how many pairs that were."""
        waiting, cast = list(welcome.pairs), 0
        while waiting:
            pair = waiting.pop(0)
            accepted = self.room.vote(
                rater=welcome.rater,
                study="shapes",
                pair=pair.pair,
                round=pair.round,
                choice={question.key: choice for question in welcome.study.asked},
                key=f"{pair.pair}-{pair.round}",
                latency_ms=900,
                rng=self.rng,
                now=self.now,
            )
            cast += 1
            if accepted.next is not None:
                waiting.append(accepted.next)
        assert accepted.finished
        self.reception.finish("shapes", welcome.rater, now=self.now)
        return cast


def test_a_study_that_asks_nothing_beforehand_begins_with_pairs(desk: Desk) -> None:
    desk.arena.open()

    welcome = desk.arrive()

    assert (welcome.stage, len(welcome.pairs), welcome.done) == ("rating", 2, 0)


def test_consent_practice_and_check_come_before_the_first_pair(desk: Desk) -> None:
    desk.arena.open(
        consent="You may stop at any time.",
        practice=(
            KnownPair(prompt="thing number 0", better="ant", worse="old", feedback="The ant is sharper."),
            KnownPair(prompt="thing number 1", better="old", worse="bee", feedback="The bee is no thing."),
        ),
        checks=(CHECK,),
    )

    asked = desk.arrive()
    rater = asked.rater
    with pytest.raises(StageError):
        desk.reception.answer_check("shapes", rater, [1], now=desk.now)
    desk.reception.consent("shapes", rater, now=desk.now)
    practice = desk.again(rater)
    first = desk.reception.practise(
        "shapes", rater, pair=practice.practice[0].pair, choices={"overall": Choice.TIE}, rng=desk.rng, now=desk.now
    )
    last = desk.reception.practise(
        "shapes", rater, pair=practice.practice[1].pair, choices={"overall": Choice.LEFT}, rng=desk.rng, now=desk.now
    )
    check = desk.again(rater)
    passed = desk.reception.answer_check("shapes", rater, [1], now=desk.now)

    assert (asked.stage, asked.pairs) == ("consent", ())
    assert practice.stage == "practice"
    assert first.right in (Choice.LEFT, Choice.RIGHT)
    assert (first.good, first.feedback, first.over) == (False, "The ant is sharper.", False)
    assert last.over
    assert check.stage == "check"
    assert passed
    assert desk.again(rater).stage == "rating"


def test_practice_tells_the_better_image_whichever_side_it_stands_on(desk: Desk) -> None:
    desk.arena.open(practice=(KnownPair(prompt="thing number 0", better="ant", worse="old"),))
    sides: Counter[Choice] = Counter()

    for _ in range(20):
        welcome = desk.arrive()
        (view,) = welcome.practice
        (pair,) = [one for one in desk.arena.ledger.handed_pairs(1, welcome.rater) if one.kind == "practice"]
        better = Choice.LEFT if pair.first_left else Choice.RIGHT
        found = desk.reception.practise(
            "shapes", welcome.rater, pair=view.pair, choices={"overall": better}, rng=desk.rng, now=desk.now
        )
        sides[better] += 1
        assert found.good
        assert found.right is better

    assert len(sides) == 2
    assert desk.arena.ledger.votes("shapes", raters="all") == []


def test_the_check_has_two_tries_and_then_the_way_ends(desk: Desk) -> None:
    desk.arena.open(
        checks=(CHECK,), crowd=Crowd(site="prolific", slots=1, completion_code="DONE", screen_out_code="SORRY")
    )

    welcome = desk.arrive(PROLIFIC_PID="one")
    desk.reception.answer_check("shapes", welcome.rater, [0], now=desk.now)
    second = desk.again(welcome.rater)
    desk.reception.answer_check("shapes", welcome.rater, [0], now=desk.now)
    out = desk.again(welcome.rater)

    assert (welcome.tries_left, second.tries_left) == (2, 1)
    assert (out.stage, out.end) == ("screened_out", End(code="SORRY", redirect=""))
    # The slot is free again.
    assert desk.arrive(PROLIFIC_PID="two").stage == "check"


def test_steps_that_are_sent_again_because_their_answer_was_lost_change_nothing(desk: Desk) -> None:
    desk.arena.open(
        consent="You may stop at any time.",
        practice=(KnownPair(prompt="thing number 0", better="ant", worse="old"),),
        checks=(CHECK,),
    )
    rater = desk.arrive().rater

    for _ in range(2):
        desk.reception.consent("shapes", rater, now=desk.now)
    (view,) = desk.again(rater).practice
    for _ in range(2):
        found = desk.reception.practise(
            "shapes", rater, pair=view.pair, choices={"overall": Choice.TIE}, rng=desk.rng, now=desk.now
        )
        assert found.over
    for _ in range(3):
        assert not desk.reception.answer_check("shapes", rater, [0], tries_left=2, now=desk.now)
    assert desk.again(rater).tries_left == 1
    for _ in range(2):
        assert desk.reception.answer_check("shapes", rater, [1], tries_left=1, now=desk.now)

    steps = [step.step for step in desk.arena.ledger.steps(1, rater)]
    assert steps == ["consented", "practised", "failed", "passed"]


def test_a_crowd_rater_is_known_by_the_sites_id_and_ends_with_the_code(desk: Desk) -> None:
    desk.arena.open(
        crowd=Crowd(
            site="prolific", slots=5, completion_code="C-1", return_url="https://crowd.example/submissions?cc={code}"
        ),
        votes_per_rater=3,
    )

    welcome = desk.arrive(PROLIFIC_PID="abc", STUDY_ID="s", SESSION_ID="t")
    same = desk.arrive(None, PROLIFIC_PID="abc")
    other = desk.arrive(welcome.rater, PROLIFIC_PID="xyz")
    cast = desk.vote_all(desk.again(welcome.rater))
    end = desk.again(welcome.rater)

    assert same.rater == welcome.rater
    assert other.rater != welcome.rater
    assert cast == 3
    assert (end.stage, end.end) == ("ended", End(code="C-1", redirect="https://crowd.example/submissions?cc=C-1"))
    with pytest.raises(NotInvitedError, match="Prolific only"):
        desk.arrive()


def test_slots_that_run_out_of_time_or_are_returned_go_to_others(desk: Desk) -> None:
    desk.arena.open(crowd=Crowd(site="mturk", slots=2, minutes=30, completion_code="C"), votes_per_rater=2)

    first, second = desk.arrive(workerId="1"), desk.arrive(workerId="2")
    full = desk.arrive(workerId="3")
    desk.reception.give_back_of("shapes", "2", now=desk.now)
    third = desk.arrive(workerId="3")
    still = desk.arrive(workerId="1")
    desk.now += timedelta(minutes=31)
    late = desk.arrive(workerId="4")

    assert [one.stage for one in (first, second, full, third, still, late)] == [
        "rating",
        "rating",
        "full",
        "rating",
        "rating",
        "rating",
    ]
    with pytest.raises(UnknownRaterError):
        desk.reception.give_back_of("shapes", "nobody", now=desk.now)


def test_who_returned_the_slot_gets_no_code_from_a_page_that_was_still_open(desk: Desk) -> None:
    desk.arena.open(crowd=Crowd(site="prolific", slots=1, completion_code="C"), votes_per_rater=2)
    welcome = desk.arrive(PROLIFIC_PID="one")
    desk.reception.give_back_of("shapes", "one", now=desk.now)

    desk.vote_all(welcome)
    late = desk.reception.finish("shapes", welcome.rater, now=desk.now)
    other = desk.arrive(PROLIFIC_PID="two")
    desk.vote_all(other)

    assert late.code == ""
    assert desk.again(other.rater).end == End(code="C", redirect="")


def test_a_finished_rater_keeps_the_slot(desk: Desk) -> None:
    desk.arena.open(crowd=Crowd(site="mturk", slots=1, minutes=30, completion_code="C"), votes_per_rater=2)
    desk.vote_all(desk.arrive(workerId="1"))

    desk.now += timedelta(minutes=31)

    assert desk.arrive(workerId="2").stage == "full"


def test_a_study_by_link_takes_whoever_has_one_and_each_link_is_one_rater(desk: Desk) -> None:
    desk.arena.open(access="link")
    link = desk.invitations.make_link("shapes", lasts=timedelta(days=7)).token

    welcome, again = desk.arrive(link=link), desk.arrive(link=link)

    assert welcome.stage == "rating"
    assert again.rater == welcome.rater
    for token in ("", "forged", desk.invitations.make_link("other", lasts=timedelta(days=7)).token):
        with pytest.raises(Exception, match=r"link"):
            desk.arrive(link=token)


def test_several_questions_are_answered_together_and_counted_once(desk: Desk) -> None:
    desk.arena.open(
        question="",
        questions=(Question(key="quality", text="Which looks better?"), Question(key="alignment", text="Which fits?")),
        votes_per_rater=3,
    )

    welcome = desk.arrive()
    with pytest.raises(VoteFormError, match="every question"):
        desk.room.vote(
            rater=welcome.rater,
            study="shapes",
            pair=welcome.pairs[0].pair,
            round=1,
            choice={"quality": Choice.LEFT},
            key="k",
            latency_ms=900,
            rng=desk.rng,
            now=desk.now,
        )
    cast = desk.vote_all(welcome)

    votes = desk.arena.ledger.votes("shapes", raters="people")
    assert cast == 3
    assert Counter(vote.question for vote in votes) == {"quality": 3, "alignment": 3}
    assert votes_from_events(desk.arena.ledger.events("shapes")) == votes


def test_an_undo_takes_all_questions_of_the_pair_back(desk: Desk) -> None:
    desk.arena.open(
        question="", questions=(Question(key="quality", text="Better?"), Question(key="alignment", text="Fits?"))
    )
    welcome = desk.arrive()
    pair = welcome.pairs[0]
    choices = {"quality": Choice.LEFT, "alignment": Choice.RIGHT}
    given = {"rater": welcome.rater, "study": "shapes", "pair": pair.pair}
    desk.room.vote(**given, round=1, choice=choices, key="v", latency_ms=900, rng=desk.rng, now=desk.now)

    undone = desk.room.undo(**given, round=1, key="u", now=desk.now)
    replayed = desk.room.undo(**given, round=1, key="u", now=desk.now)

    assert (undone.done, undone.pair.round, replayed.done) == (0, 2, 0)
    assert desk.arena.ledger.votes("shapes", raters="people") == []
    assert desk.arena.ledger.verify("shapes").seq == 5


def test_a_reported_pair_is_put_aside_and_another_takes_its_place(desk: Desk) -> None:
    desk.arena.open(votes_per_rater=3)
    welcome = desk.arrive()
    given = {"rater": welcome.rater, "study": "shapes", "pair": welcome.pairs[0].pair, "round": 1}

    report = {**given, "kind": "offensive", "comment": "Not nice.", "key": "r", "rng": desk.rng, "now": desk.now}
    accepted, replayed = desk.room.report(**report), desk.room.report(**report)

    assert (accepted.done, accepted.replayed, replayed.replayed) == (0, False, True)
    assert accepted.next == replayed.next
    with pytest.raises(RoundError, match="put this pair aside"):
        desk.room.vote(**given, choice=Choice.LEFT, key="v", latency_ms=900, rng=desk.rng, now=desk.now)
    assert desk.vote_all(desk.again(welcome.rater)) == 3
    assert "Not nice" not in "".join(event.body for event in desk.arena.ledger.events("shapes"))
    assert desk.arena.ledger.verify("shapes")


def test_a_voted_pair_cannot_be_reported(desk: Desk) -> None:
    desk.arena.open()
    welcome = desk.arrive()
    given = {"rater": welcome.rater, "study": "shapes", "pair": welcome.pairs[0].pair, "round": 1}
    desk.room.vote(**given, choice=Choice.LEFT, key="v", latency_ms=900, rng=desk.rng, now=desk.now)

    with pytest.raises(RoundError, match="has its vote"):
        desk.room.report(**given, kind="skip", comment="", key="r", rng=desk.rng, now=desk.now)

    assert len(desk.arena.ledger.votes("shapes", raters="people")) == 1


def test_repeats_and_gold_pairs_come_as_declared_and_stay_out_of_the_analysis(desk: Desk) -> None:
    desk.arena.open(
        votes_per_rater=10,
        repeats=0.2,
        gold=(KnownPair(prompt="thing number 0", better="ant", worse="old", attention=True),),
        gold_share=0.1,
        gates=Gates(gold_pass=0.5),
    )

    for _ in range(6):
        desk.vote_all(desk.arrive())

    pairs = [pair for rater in _raters(desk) for pair in desk.arena.ledger.handed_pairs(1, rater)]
    kinds = Counter(pair.kind for pair in pairs)
    assert kinds["repeat"] > 0
    assert kinds["gold"] > 0
    assert len(desk.arena.ledger.votes("shapes", raters="people")) == kinds["study"]
    by_id = {pair.id: pair for pair in pairs}
    for pair in pairs:
        if pair.kind == "repeat":
            earlier = by_id[pair.repeats]
            assert (earlier.first, earlier.prompt_id, earlier.rater) == (pair.first, pair.prompt_id, pair.rater)
            assert earlier.first_left != pair.first_left
    quality = desk.arena.ledger.quality_votes("shapes", raters="people")
    assert Counter(vote.pair_kind for vote in quality) == kinds
    assert all(vote.first_choice is Choice.RIGHT for vote in quality if vote.pair_kind == "repeat")
    assert all(vote.right_answer is not None and vote.attention for vote in quality if vote.pair_kind == "gold")
    assert quality_votes_from_events(desk.arena.ledger.events("shapes")) == quality
    assert desk.arena.ledger.verify("shapes")
    board = board_from_votes(
        desk.arena.ledger.study("shapes").study,
        desk.arena.ledger.votes("shapes", raters="people"),
        "people",
        quality=quality,
    )
    assert board.gated is not None
    assert board.votes == kinds["study"]


def test_a_first_vote_that_was_taken_back_leaves_its_repeat_without_comparison(desk: Desk) -> None:
    desk.arena.open(votes_per_rater=10, repeats=0.3)
    for _ in range(4):
        desk.vote_all(desk.arrive())
    rater, repeat = next(
        (rater, pair)
        for rater in _raters(desk)
        for pair in desk.arena.ledger.handed_pairs(1, rater)
        if pair.kind == "repeat"
    )
    first = next(pair for pair in desk.arena.ledger.handed_pairs(1, rater) if pair.id == repeat.repeats)

    desk.room.undo(rater=rater, study="shapes", pair=first.token, round=1, key="u", now=desk.now)

    quality = desk.arena.ledger.quality_votes("shapes", raters="people")
    (vote,) = [one for one in quality if one.pair == repeat.id]
    assert vote.first_choice is None
    assert quality_votes_from_events(desk.arena.ledger.events("shapes")) == quality
    assert desk.arena.ledger.verify("shapes")


def test_links_let_candidates_meet_each_other(desk: Desk) -> None:
    desk.arena.open(links=(("ant", "bee"),))

    desk.vote_all(desk.arrive())

    met = Counter(frozenset((vote.left, vote.right)) for vote in desk.arena.ledger.votes("shapes", raters="people"))
    assert met == {frozenset(pair): 4 for pair in (("ant", "old"), ("bee", "old"), ("ant", "bee"))}


def test_a_withdrawn_rater_leaves_every_analysis_and_is_forgotten(desk: Desk) -> None:
    desk.arena.open(crowd=Crowd(site="prolific", slots=3, completion_code="C"), votes_per_rater=3)
    gone, stays = desk.arrive(PROLIFIC_PID="gone"), desk.arrive(PROLIFIC_PID="stays")
    desk.room.report(
        rater=gone.rater,
        study="shapes",
        pair=gone.pairs[0].pair,
        round=1,
        kind="broken",
        comment="I am someone.",
        key="r",
        rng=desk.rng,
        now=desk.now,
    )
    desk.vote_all(desk.again(gone.rater))
    desk.vote_all(stays)

    desk.reception.withdraw("shapes", gone.rater, now=desk.now)
    desk.reception.withdraw("shapes", gone.rater, now=desk.now)

    votes = desk.arena.ledger.votes("shapes", raters="people")
    assert {vote.rater for vote in votes} == {stays.rater}
    assert votes_from_events(desk.arena.ledger.events("shapes")) == votes
    assert desk.arena.ledger.verify("shapes")
    assert desk.room.rater_of("prolific:gone") is None
    assert desk.room.rater_of("prolific:stays") == stays.rater
    assert desk.again(gone.rater).stage == "withdrawn"
    assert _comments(desk) == []


# After the end, and the end that comes too early.


def test_after_undos_every_open_pair_is_handed_out_again_and_the_end_brings_the_code(desk: Desk) -> None:
    desk.arena.open(crowd=PROLIFIC, votes_per_rater=6)
    welcome = desk.arrive(PROLIFIC_PID="one")
    first, second = welcome.pairs
    desk.vote(welcome.rater, first)
    desk.vote(welcome.rater, second)
    desk.undo(welcome.rater, first)
    desk.undo(welcome.rater, second)

    anew = desk.arrive(PROLIFIC_PID="one")
    cast = desk.vote_all(anew)

    assert len(anew.pairs) == 4
    assert cast == 6
    assert desk.again(welcome.rater).end == End(code="C-1", redirect="https://crowd.example/done?cc=C-1")


def test_who_takes_a_vote_back_after_the_end_has_that_pair_to_judge_and_nothing_else(desk: Desk) -> None:
    desk.arena.open(votes_per_rater=3)
    welcome = desk.arrive()
    desk.vote_all(welcome)
    undone = desk.undo(welcome.rater, welcome.pairs[0])

    reopened = desk.again(welcome.rater)
    desk.vote(welcome.rater, undone.pair)

    assert (reopened.stage, reopened.done, reopened.pairs) == ("rating", 2, (undone.pair,))
    assert desk.again(welcome.rater).stage == "ended"


def test_closing_a_study_leaves_everybody_their_own_end(desk: Desk) -> None:
    desk.arena.open(crowd=PROLIFIC, votes_per_rater=3, checks=(CHECK,))
    people = {}
    for name in ("through", "middle", "out"):
        people[name] = desk.arrive(PROLIFIC_PID=name).rater
    for name in ("through", "middle"):
        desk.reception.answer_check("shapes", people[name], [1], now=desk.now)
    for _ in range(2):
        desk.reception.answer_check("shapes", people["out"], [0], now=desk.now)
    desk.vote_all(desk.again(people["through"]))
    pair, waits = desk.again(people["middle"]).pairs
    desk.vote(people["middle"], pair)

    desk.close()

    ends = {name: desk.arrive(PROLIFIC_PID=name) for name in (*people, "stranger")}
    assert {name: (end.stage, end.done) for name, end in ends.items()} == {
        "through": ("ended", 3),
        "middle": ("closed", 1),
        "out": ("screened_out", 0),
        "stranger": ("closed", 0),
    }
    assert ends["through"].end == End(code="C-1", redirect="https://crowd.example/done?cc=C-1")
    assert ends["out"].end == End(code="OUT", redirect="https://crowd.example/done?cc=OUT")
    assert ends["middle"].end is None
    # A stranger is told, and nothing of them is kept.
    assert ends["stranger"].rater is None
    assert desk.room.rater_of("prolific:stranger") is None
    with pytest.raises(StudyClosedError):
        desk.vote(people["middle"], waits)


def test_whose_last_vote_the_closing_met_has_finished_all_the_same(desk: Desk) -> None:
    desk.arena.open(crowd=PROLIFIC, votes_per_rater=2)
    welcome = desk.arrive(PROLIFIC_PID="one")
    for pair in welcome.pairs:
        desk.vote(welcome.rater, pair)

    desk.close()

    assert desk.arrive(PROLIFIC_PID="one").end == End(code="C-1", redirect="https://crowd.example/done?cc=C-1")


def test_a_closed_study_without_a_crowd_site_knows_who_was_there_and_refuses_the_others(desk: Desk) -> None:
    desk.arena.open(votes_per_rater=3)
    welcome = desk.arrive()
    desk.vote(welcome.rater, welcome.pairs[0])

    desk.close()

    assert (desk.arrive(welcome.rater).stage, desk.arrive(welcome.rater).done) == ("closed", 1)
    elsewhere = desk.arena.ledger.add_rater(12345, simulated=False, identity=None, now=desk.now)
    for known in (None, 12344, elsewhere):
        with pytest.raises(StudyClosedError):
            desk.arrive(known)


def test_consent_can_be_withdrawn_after_the_study_closed(desk: Desk) -> None:
    desk.arena.open(votes_per_rater=3)
    welcome = desk.arrive()
    desk.vote(welcome.rater, welcome.pairs[0])
    desk.close()

    desk.reception.withdraw("shapes", welcome.rater, now=desk.now)

    assert desk.arena.ledger.votes("shapes", raters="people") == []
    assert desk.again(welcome.rater).stage == "withdrawn"
    assert desk.arena.ledger.verify("shapes")


def test_declining_gives_the_slot_to_the_next_and_can_be_thought_over(desk: Desk) -> None:
    desk.arena.open(crowd=Crowd(site="prolific", slots=1, completion_code="C"), consent="I take part.")
    one = desk.arrive(PROLIFIC_PID="one")
    before = desk.arrive(PROLIFIC_PID="two").stage

    for _ in range(2):
        desk.reception.decline("shapes", one.rater, now=desk.now)
    two = desk.arrive(PROLIFIC_PID="two")
    back = desk.again(one.rater)
    desk.reception.consent("shapes", two.rater, now=desk.now)

    assert (before, two.stage, back.stage) == ("full", "consent", "full")
    assert [step.step for step in desk.arena.ledger.steps(1, one.rater)] == ["arrived", "returned"]
    with pytest.raises(StageError, match="withdraw"):
        desk.reception.decline("shapes", two.rater, now=desk.now)


def test_declining_where_there_are_no_slots_keeps_nothing(desk: Desk) -> None:
    desk.arena.open(consent="I take part.")
    rater = desk.arrive().rater

    desk.reception.decline("shapes", rater, now=desk.now)

    assert desk.arena.ledger.steps(1, rater) == []


def test_a_withdrawn_rater_begins_anew_only_when_they_say_so(desk: Desk) -> None:
    desk.arena.open()
    welcome = desk.arrive()
    desk.reception.withdraw("shapes", welcome.rater, now=desk.now)

    back, anew = desk.arrive(welcome.rater), desk.arrive_anew(welcome.rater)

    assert (back.stage, back.rater) == ("withdrawn", welcome.rater)
    assert (anew.stage, anew.done) == ("rating", 0)
    assert anew.rater != welcome.rater
    # Nobody else becomes somebody new by it.
    assert desk.arrive_anew(anew.rater).rater == anew.rater


def test_the_slot_of_a_finished_rater_is_given_on_only_by_force(desk: Desk) -> None:
    desk.arena.open(crowd=Crowd(site="prolific", slots=1, completion_code="C"), votes_per_rater=2)
    desk.vote_all(desk.arrive(PROLIFIC_PID="one"))

    with pytest.raises(StageError, match=r"finished 'shapes' and has the code.*--force"):
        desk.reception.give_back_of("shapes", "one", now=desk.now)
    refused = desk.arrive(PROLIFIC_PID="two").stage
    desk.reception.give_back_of("shapes", "one", force=True, now=desk.now)

    assert refused == "full"
    assert desk.arrive(PROLIFIC_PID="two").stage == "rating"
    assert desk.arrive(PROLIFIC_PID="one").end == End(code="C", redirect="")


def test_a_closed_study_has_no_slots_to_give_on(desk: Desk) -> None:
    desk.arena.open(crowd=PROLIFIC)
    desk.arrive(PROLIFIC_PID="one")
    desk.close()

    with pytest.raises(StudyClosedError, match="'shapes' is closed: no slot of it goes to anybody"):
        desk.reception.give_back_of("shapes", "one", now=desk.now)


def test_a_returned_slot_is_found_by_the_submission_too(desk: Desk) -> None:
    desk.arena.open(crowd=Crowd(site="prolific", slots=1, completion_code="C"))
    desk.arrive(PROLIFIC_PID="one", STUDY_ID="s", SESSION_ID="first-go")
    before = desk.arrive(PROLIFIC_PID="two", STUDY_ID="s", SESSION_ID="other").stage

    desk.reception.give_back_of("shapes", "first-go", now=desk.now)

    assert before == "full"
    assert desk.arrive(PROLIFIC_PID="two").stage == "rating"
    with pytest.raises(UnknownRaterError):
        desk.reception.give_back_of("shapes", "s", now=desk.now)


# What crowd sites send along.


def test_each_go_of_a_person_leaves_its_ids_as_keyed_hashes_beside_the_identity(desk: Desk) -> None:
    desk.arena.open(crowd=PROLIFIC)

    rater = desk.arrive(PROLIFIC_PID="abc", STUDY_ID="s-1", SESSION_ID="t-1").rater
    desk.arrive(PROLIFIC_PID="abc", STUDY_ID="s-1", SESSION_ID="t-1")
    desk.arrive(PROLIFIC_PID="abc", STUDY_ID="s-1", SESSION_ID="t-2")
    kept = desk.arena.ledger.submissions(1, rater)
    desk.reception.withdraw("shapes", rater, now=desk.now)

    assert [one.name for one in kept] == ["STUDY_ID", "SESSION_ID", "SESSION_ID"]
    assert len({one.key_hash for one in kept}) == 3
    assert not any(id in one.key_hash for one in kept for id in ("s-1", "t-1", "t-2"))
    assert desk.arena.ledger.submissions(1, rater) == []
    assert "t-1" not in "".join(event.body for event in desk.arena.ledger.events("shapes"))


def test_an_mturk_assignment_is_kept_and_a_preview_starts_nothing(desk: Desk) -> None:
    desk.arena.open(crowd=Crowd(site="mturk", slots=1, completion_code="C"))

    looks = [
        desk.arrive(assignmentId="ASSIGNMENT_ID_NOT_AVAILABLE", hitId="h"),
        desk.arrive(assignmentId="ASSIGNMENT_ID_NOT_AVAILABLE", hitId="h", workerId="w"),
    ]
    known = desk.room.rater_of("mturk:w")
    accepted = desk.arrive(assignmentId="a-1", hitId="h", workerId="w")

    assert [(one.stage, one.rater) for one in looks] == [("preview", None), ("preview", None)]
    assert known is None
    assert accepted.stage == "rating"
    assert accepted.rater is not None
    assert {one.name for one in desk.arena.ledger.submissions(1, accepted.rater)} == {"hitId", "assignmentId"}


@pytest.mark.parametrize(
    ("site", "arrival", "name"),
    [
        ("prolific", {"PROLIFIC_PID": "{{%PROLIFIC_PID%}}"}, "PROLIFIC_PID"),
        ("prolific", {"PROLIFIC_PID": "abc", "SESSION_ID": "{{%SESSION_ID%}}"}, "SESSION_ID"),
        ("mturk", {"workerId": "${workerId}", "assignmentId": "a"}, "workerId"),
    ],
)
def test_a_placeholder_that_the_site_did_not_fill_in_is_nobody(
    desk: Desk, site: Any, arrival: dict[str, str], name: str
) -> None:
    desk.arena.open(crowd=Crowd(site=site, slots=1, completion_code="C"))

    with pytest.raises(UnfilledLinkError, match=rf"did not fill in {name}: .*Open the study from"):
        desk.arrive(None, **arrival)

    id = {"prolific": {"PROLIFIC_PID": "real"}, "mturk": {"workerId": "real"}}[site]
    assert desk.arrive(None, **id).stage == "rating", "the one slot is free"


def test_who_is_new_is_known_before_they_are_let_in(desk: Desk) -> None:
    desk.arena.open(crowd=PROLIFIC)
    rater = desk.arrive(PROLIFIC_PID="abc").rater

    def new(known: int | None, study: str = "shapes", **arrival: str) -> bool:
        return desk.reception.would_be_new(study, known=known, arrival=arrival)

    assert not new(None, PROLIFIC_PID="abc")
    assert new(rater, PROLIFIC_PID="xyz"), "another person in the same browser"
    assert new(None)
    assert not new(rater)
    assert new(None, study="nowhere")


def _raters(desk: Desk) -> set[int]:
    return {vote.rater for vote in desk.arena.ledger.votes("shapes", raters="people")}


def _comments(desk: Desk) -> list[Any]:
    from sqlalchemy import select

    from arena.ledger.tables import COMMENTS

    with desk.arena.ledger.reading() as connection:
        return list(connection.execute(select(COMMENTS)))
