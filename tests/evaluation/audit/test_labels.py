"""Labels from a file: every refusal names the line, and every column says yes and no in the same words."""

from pathlib import Path

import pytest

from evaluation.audit.labels import (
    FLAGS,
    LabelsError,
    PairAnswersError,
    UnpairedLabelsError,
    labels_of,
    paired,
    read_labels,
)

HEADER = "character,prompt,seed,kind,model,detected,consistent,judge,human\n"


def table(tmp_path: Path, *rows: str) -> Path:
    """A file of these rows."""
    path = tmp_path / "labels.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_an_image_labelled_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    path = table(tmp_path, "elsa,p,0,name,mine,1,,,", "elsa,p,1,name,mine,1,,,", "elsa,p,0,name,mine,0,,,")

    with pytest.raises(LabelsError, match=r"labels\.csv: .* is labelled twice \(lines 2 and 4\): keep one row"):
        read_labels(path)


def test_lines_are_the_files_own_though_cells_and_gaps_take_more_than_one(tmp_path: Path) -> None:
    path = table(tmp_path, '"elsa","a prompt\nof two lines",0,name,mine,1,,,', "", "elsa,p,0,name,mine,maybe,,,")

    with pytest.raises(LabelsError, match=r"labels\.csv, line 5 has detected 'maybe': write 0 or 1"):
        read_labels(path)


def test_a_prompt_of_two_characters_is_named_with_both_lines(tmp_path: Path) -> None:
    path = table(tmp_path, "elsa,p,0,name,mine,1,,,", "anna,p,1,name,mine,1,,,")

    with pytest.raises(LabelsError, match=r"belongs to both 'elsa' and 'anna' \(lines 2 and 3\)"):
        read_labels(path)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ((), r"1 image has no partner, it is that of 'mine' for the name prompt 'q' with seed 0 \(line 4\)"),
        (("elsa,r,0,name,mine,1,,,",), r"2 images have no partner, the first is that of 'mine' .* \(line 4\)"),
    ],
)
def test_images_without_a_partner_are_counted_and_the_first_is_named_with_file_and_line(
    tmp_path: Path, more: tuple[str, ...], says: str
) -> None:
    path = table(tmp_path, "elsa,p,0,name,mine,1,,,", "elsa,p,0,name,sd2,1,,,", "elsa,q,0,name,mine,1,,,", *more)
    labels = read_labels(path)

    with pytest.raises(UnpairedLabelsError, match=rf"labels\.csv: 'mine' and 'sd2' were not asked the same: {says}"):
        paired(labels, "mine", "sd2")


def test_labels_that_were_never_in_a_file_are_refused_without_one(tmp_path: Path) -> None:
    read = read_labels(table(tmp_path, "elsa,p,0,name,mine,1,,,", "elsa,p,0,name,sd2,1,,,"))
    labels = read.rows(read.seed == 0)

    assert (labels.file, labels.line.tolist()) == (str(tmp_path / "labels.csv"), [2, 3])
    with pytest.raises(LabelsError, match=r"There are no labels"):
        labels_of([])


@pytest.mark.parametrize("word", [*FLAGS, "Yes", "TRUE", "No"])
def test_every_column_says_yes_and_no_in_the_same_words(tmp_path: Path, word: str) -> None:
    labels = read_labels(table(tmp_path, f"elsa,p,0,name,mine,{word},{word},{word},{word}"))

    expected = int(FLAGS[word.lower()])
    assert [int(one[0]) for one in (labels.detected, labels.consistent, labels.judge, labels.human)] == [expected] * 4


def test_a_judges_name_in_place_of_its_call_means_what_was_detected(tmp_path: Path) -> None:
    labels = read_labels(table(tmp_path, "elsa,p,0,name,mine,1,,clip_zero_shot,", "elsa,p,1,name,mine,0,,a judge,"))

    assert labels.judge.tolist() == [1, 0]


def test_answers_about_pairs_are_sent_to_the_command_that_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("character,prompt,seed,kind,model_a,model_b,left,answer,rater,label_id,ts\n")

    with pytest.raises(PairAnswersError, match=r"canvas evaluate audit pairs .*pairs\.csv --reference NAME"):
        read_labels(path)
