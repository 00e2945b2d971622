"""Label studies in the ledger: frozen when they open, chained, verified, and apart from studies of pairs."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, text, update

from arena.labelling.label_study import LabelStudy
from arena.ledger.errors import (
    BrokenChainError,
    MissingImagesError,
    ShapesDifferError,
    StudyChangedError,
    StudyClosedError,
    UnknownEntrantError,
    UnknownStudyError,
)
from arena.ledger.tables import EVENTS, LABEL_REPORTS, LABEL_SHOWINGS, LABEL_UNDOS, LABEL_WORDS, LABELS, WITHDRAWALS


def test_what_was_declared_is_read_back_and_the_same_again_changes_nothing(labels: Any) -> None:
    opened = labels.open(consent="May we?")

    again = labels.open(consent="May we?")

    assert (opened.newly_opened, again.newly_opened) == (True, False)
    assert labels.book.study("who").study == opened.study == LabelStudy.from_dict(opened.study.to_dict())
    assert again.hash == opened.study.hash


def test_a_changed_declaration_and_the_name_of_a_study_of_pairs_are_refused(labels: Any) -> None:
    labels.open()

    with pytest.raises(StudyChangedError, match="it differs in title, labels_per_rater"):
        labels.open(title="Who?", labels_per_rater=4)
    labels.book.close_study("who", now=labels.now)
    with pytest.raises(StudyClosedError):
        labels.open()


def test_studies_of_pairs_and_of_labels_do_not_see_each_other(labels: Any) -> None:
    from arena.study import Study

    pairs = Study(
        name="pairs",
        question="Which?",
        reference="aardvark",
        candidates=("zebra",),
        prompts=labels.prompts,
        ties=True,
        both_bad=True,
    )
    labels.open()
    labels.ledger.open_study(pairs, now=labels.now)

    assert [record.name for record in labels.ledger.studies()] == ["pairs"]
    assert [record.name for record in labels.book.studies()] == ["who"]
    assert labels.ledger.newest_study("who") is None
    assert labels.ledger.chains() == ["pairs@1", "who"]
    with pytest.raises(UnknownStudyError):
        labels.ledger.study("who")
    with pytest.raises(UnknownStudyError):
        labels.book.study("pairs")
    with pytest.raises(StudyChangedError, match="name of a study of pairs"):
        labels.open(name="pairs")
    with pytest.raises(StudyChangedError, match="name of a label study"):
        labels.ledger.open_study(Study.from_dict({**pairs.to_dict(), "name": "who"}), now=labels.now)


def test_what_the_ledger_lacks_is_named_with_the_command_that_makes_it(empty: Any) -> None:
    empty.paint("aardvark")

    with pytest.raises(MissingImagesError, match=r"'zebra' lacks 9 of 9 images .*canvas evaluate generate"):
        empty.open()
    with pytest.raises(UnknownEntrantError) as stranger:
        empty.open(entrants=("aardvark", "yak"))
    empty.paint("zebra", size=(8, 12))
    with pytest.raises(ShapesDifferError, match="8 x 12 pixels, and 'aardvark' 8 x 8"):
        empty.open()

    assert stranger.value.place == ("entrants",)
    assert empty.book.studies() == []


def test_the_chain_holds_every_step_and_never_what_was_typed(labels: Any) -> None:
    labels.open()
    rater = labels.join()
    first, second = labels.showings(rater)
    labels.label(rater, first, "yes", which="Snoopy, my dog Rex")
    undone = labels.room.undo(rater=rater, study="who", showing=first.showing, round=1, key="u-1", now=labels.now)
    labels.label(rater, undone.showing, "not_sure")
    labels.room.report(
        rater=rater, study="who", showing=second.showing, round=1, why="skip", key="r-1", rng=labels.rng, now=labels.now
    )
    labels.book.close_study("who", now=labels.now)

    head = labels.ledger.verify("who")

    with labels.ledger.reading() as connection:
        bodies = {row.kind: row.body for row in connection.execute(EVENTS.select().order_by(EVENTS.c.seq))}
    assert list(bodies) == ["opened", "label", "label_undo", "label_report", "closed"]
    assert head.seq == 6
    assert not any("Rex" in body for body in bodies.values())


@pytest.mark.parametrize(
    ("tamper", "complaint"),
    [
        (update(LABELS).values(answer="no").where(LABELS.c.answer == "yes"), "differs from its event in answer"),
        (update(LABELS).values(target="pikachu").where(LABELS.c.target.is_not(None)), "in target"),
        (update(LABELS).values(closeness=1).where(LABELS.c.closeness.is_not(None)), "in closeness"),
        (update(LABEL_WORDS).values(text="Pikachu"), "What was typed for label"),
        (delete(LABEL_WORDS), "differs from its event in digest"),
        (
            text("UPDATE label_showings SET rater = (SELECT number FROM raters WHERE number <> rater LIMIT 1)"),
            "differs from its event in rater",
        ),
        (update(LABEL_SHOWINGS).values(kind="gold"), "differs from its event in kind"),
        (text("UPDATE label_showings SET image = image % 18 + 1"), "differs from its event in"),
        (update(EVENTS).values(body="{}").where(EVENTS.c.seq == 2), "Event 2 is broken"),
        (delete(EVENTS).where(EVENTS.c.seq == 3), "Event 3 is missing"),
        (delete(LABEL_REPORTS), "Report 1 differs from its event"),
        (delete(LABEL_UNDOS), "is among the rows and in no event"),
        (
            text("INSERT INTO withdrawals SELECT study_id, rater, handed_at FROM label_showings LIMIT 1"),
            "no event does",
        ),
        (text("UPDATE studies SET closed_at = opened_at"), "is marked closed"),
    ],
)
def test_whatever_is_altered_is_named(labels: Any, tamper: Any, complaint: str) -> None:
    labels.open()
    rater, _ = labels.join(), labels.join()
    first, second = labels.showings(rater)
    labels.label(rater, first, "yes", which="Snoopy")
    third = labels.label(rater, second, "yes", which="Elsa").next
    labels.room.undo(rater=rater, study="who", showing=second.showing, round=1, key="u", now=labels.now)
    labels.room.report(
        rater=rater, study="who", showing=third.showing, round=1, why="skip", key="r", rng=labels.rng, now=labels.now
    )
    labels.ledger.verify("who")

    labels.ledger.submit(lambda batch: batch.connection.execute(tamper) and None).result()

    with pytest.raises(BrokenChainError, match=complaint):
        labels.ledger.verify("who")


def test_a_label_slipped_into_the_rows_is_found(labels: Any) -> None:
    labels.open()
    rater = labels.join()
    labels.showings(rater)
    row = {
        "showing_id": 1,
        "round": 1,
        "key": "forged",
        "answer": "yes",
        "target": "elsa",
        "closeness": 3,
        "latency_ms": 900,
        "session": "",
        "done": 1,
        "labelled_at": labels.now + timedelta(seconds=1),
    }

    labels.ledger.submit(lambda batch: batch.connection.execute(insert(LABELS).values(row)) and None).result()

    with pytest.raises(BrokenChainError, match="Label 1 is among the rows and in no event"):
        labels.ledger.verify("who")


def test_a_withdrawal_whose_row_is_deleted_shows(labels: Any) -> None:
    labels.open()
    rater = labels.join()
    labels.label(rater, labels.showings(rater)[0])
    labels.room.withdraw("who", rater, now=labels.now)

    labels.ledger.submit(lambda batch: batch.connection.execute(delete(WITHDRAWALS)) and None).result()

    with pytest.raises(BrokenChainError, match=f"Rater {rater} withdrew in event 3"):
        labels.ledger.verify("who")
