"""Stages: made once, whole or not at all."""

import hashlib
import json
import multiprocessing
import os
import signal
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from training.stage import (
    Made,
    MissingInputError,
    OtherSettingsError,
    Stage,
    StageBusyError,
    StageError,
    code_version,
    input_hash,
    read_manifest,
    require_stage,
    run_stage,
)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    (tmp_path / "words.txt").write_text("seven words", "utf-8")
    return Stage(
        name="count", out=tmp_path / "out", inputs={"words": tmp_path / "words.txt"}, settings={"unit": "word"}
    )


def count(folder: Path) -> Made:
    (folder / "answer.txt").write_text("2", "utf-8")
    return Made(counts={"words": 2}, details={"language": "English"})


def refuse_to_work(folder: Path) -> Made:
    raise AssertionError("there was nothing to do")


def test_a_finished_stage_says_what_it_was_made_from(stage: Stage, now: datetime) -> None:
    result = run_stage(stage, count, now=now)

    manifest = json.loads((result.folder / "manifest.json").read_text("utf-8"))
    assert manifest == {
        "stage": "count",
        "version": 1,
        "inputs": {"words": hashlib.sha256(b"seven words").hexdigest()},
        "settings": {"unit": "word"},
        "commit": code_version(),
        "counts": {"words": 2},
        "made_at": "2024-05-17T12:30:00+00:00",
        "details": {"language": "English"},
    }
    assert sorted(path.name for path in result.folder.iterdir()) == ["answer.txt", "manifest.json"]
    assert not stage.partial.exists()


def test_the_same_stage_is_not_made_twice(stage: Stage, now: datetime) -> None:
    first = run_stage(stage, count, now=now)

    second = run_stage(stage, refuse_to_work, now=now)

    assert (first.already_made, second.already_made) == (False, True)
    assert second.manifest == first.manifest


def test_other_settings_never_touch_what_was_made(stage: Stage, now: datetime) -> None:
    run_stage(stage, count, now=now)

    with pytest.raises(OtherSettingsError, match=r'was made with setting unit "word" instead of "letter".*delete this'):
        run_stage(replace(stage, settings={"unit": "letter"}), count, now=now)

    assert (stage.out / "answer.txt").read_text("utf-8") == "2"


def test_a_changed_input_or_another_version_is_noticed(stage: Stage, now: datetime, tmp_path: Path) -> None:
    run_stage(stage, count, now=now)
    (tmp_path / "words.txt").write_text("other words", "utf-8")

    with pytest.raises(OtherSettingsError, match=r"version 1 instead of 2, input words "):
        run_stage(replace(stage, version=2), count, now=now)


def test_an_interrupted_stage_leaves_no_folder_and_goes_on_where_it_was(stage: Stage, now: datetime) -> None:
    seen: list[list[str]] = []

    def interrupted(folder: Path) -> Made:
        (folder / "half.txt").write_text("half", "utf-8")
        raise KeyboardInterrupt

    def finishing(folder: Path) -> Made:
        seen.append(sorted(path.name for path in folder.iterdir()))
        return count(folder)

    with pytest.raises(KeyboardInterrupt):
        run_stage(stage, interrupted, now=now)
    assert not stage.out.exists()
    run_stage(stage, finishing, now=now)

    assert seen == [["half.txt", "plan.json"]]
    assert (stage.out / "half.txt").read_text("utf-8") == "half"


def test_a_half_made_folder_of_other_settings_is_not_mixed_into(stage: Stage, now: datetime) -> None:
    def interrupted(folder: Path) -> Made:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(stage, interrupted, now=now)

    with pytest.raises(OtherSettingsError, match=r"out\.partial was begun with setting unit"):
        run_stage(replace(stage, settings={"unit": "letter"}), count, now=now)


def test_a_stage_that_is_not_resumable_begins_anew(stage: Stage, now: datetime) -> None:
    def interrupted(folder: Path) -> Made:
        (folder / "half").mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(replace(stage, resumable=False), interrupted, now=now)
    run_stage(replace(stage, settings={"unit": "letter"}, resumable=False), count, now=now)

    assert sorted(path.name for path in stage.out.iterdir()) == ["answer.txt", "manifest.json"]


def test_a_run_that_ended_just_before_the_move_only_moves(
    stage: Stage, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(beside: Path, place: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("training.stage.move_into_place", power_cut)
        with pytest.raises(KeyboardInterrupt):
            run_stage(stage, count, now=now)

    result = run_stage(stage, refuse_to_work, now=now)

    assert result.manifest.counts == {"words": 2}
    assert not stage.partial.exists()


def test_a_killed_process_leaves_a_stage_that_can_be_finished(stage: Stage, now: datetime) -> None:
    def killed(folder: Path) -> Made:
        (folder / "half.txt").write_text("half", "utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    process = multiprocessing.get_context("fork").Process(target=run_stage, args=(stage, killed), kwargs={"now": now})
    process.start()
    process.join(30)

    assert process.exitcode == -signal.SIGKILL
    assert run_stage(stage, count, now=now).manifest.counts == {"words": 2}


def test_two_processes_do_not_make_the_same_stage_at_once(stage: Stage, now: datetime) -> None:
    def busy(folder: Path) -> Made:
        with pytest.raises(StageBusyError, match="Another process is making"):
            run_stage(stage, refuse_to_work, now=now)
        return count(folder)

    assert run_stage(stage, busy, now=now).manifest.counts == {"words": 2}


def test_a_folder_that_no_stage_made_is_left_alone(stage: Stage, now: datetime) -> None:
    stage.out.mkdir()
    (stage.out / "thesis.txt").write_text("years of work", "utf-8")

    with pytest.raises(StageError, match=r"exists and was not made by a stage.*--out"):
        run_stage(stage, count, now=now)

    assert [path.name for path in stage.out.iterdir()] == ["thesis.txt"]


def test_the_hash_of_a_stage_folder_is_the_hash_of_its_manifest(stage: Stage, now: datetime) -> None:
    folder = run_stage(stage, count, now=now).folder

    assert input_hash(folder) == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    assert input_hash("0123abc") == "0123abc"


def test_missing_unfinished_damaged_and_foreign_inputs_are_told_apart(
    stage: Stage, now: datetime, tmp_path: Path
) -> None:
    folder = run_stage(stage, count, now=now).folder
    (tmp_path / "begun.partial").mkdir()

    with pytest.raises(MissingInputError, match=r"no finished stage's folder.*name the folder of a stage"):
        input_hash(tmp_path / "nowhere")
    with pytest.raises(MissingInputError, match="was interrupted: run it again"):
        input_hash(tmp_path / "begun")
    with pytest.raises(MissingInputError, match="made by the stage 'count', and 'shards' is needed"):
        require_stage(folder, "shards")
    (folder / "manifest.json").write_text("{", "utf-8")
    with pytest.raises(MissingInputError, match="is damaged"):
        read_manifest(folder)
