import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from arena.images import ImageStore, StoredImage
from arena.ledger.errors import (
    EntrantConflictError,
    GalleryConflictError,
    PromptSetConflictError,
    UnknownEntrantError,
    UnknownGeneratedImageError,
    UnknownPromptError,
    UnknownPromptSetError,
)
from arena.ledger.ledger import Ledger
from arena.ledger.records import Entrant, EntrantNameError, Score
from prompts.prompt import PromptSet

Sets = Callable[[int], PromptSet]

SD2 = Entrant(name="sd2", source="/models/sd2", sampler="diffusers", details={"parameters": 865_910_724})


def colour(name: str) -> StoredImage:
    return ImageStore("memory://colours").put(Image.new("RGB", (8, 8), name))


def test_an_entrant_comes_back_as_it_was_entered(ledger: Ledger, now: datetime) -> None:
    ledger.enter(SD2, now=now)
    ledger.enter(SD2, now=now)

    assert ledger.entrants() == [SD2]
    assert ledger.entrant("sd2") == SD2


def test_an_unknown_entrant_is_named_with_those_that_are_known(ledger: Ledger, now: datetime) -> None:
    with pytest.raises(UnknownEntrantError, match=r"'sd3'. Nobody is entered yet"):
        ledger.entrant("sd3")
    ledger.enter(SD2, now=now)

    with pytest.raises(UnknownEntrantError, match=r"There is no entrant 'sd3'. Known: sd2. Enter it with"):
        ledger.entrant("sd3")


@pytest.mark.parametrize("name", ["", " sd2", "a\nb", "x" * 81])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(EntrantNameError, match=r"An entrant cannot be named"):
        Entrant(name=name, source="", sampler="swatch")


def test_an_entrant_may_change_until_it_has_images(ledger: Ledger, things: Sets, now: datetime) -> None:
    ledger.enter(SD2, now=now)
    mended = replace(SD2, details={"parameters": 1})
    ledger.enter(mended, now=now)
    ledger.keep_prompts(things(1))
    ledger.keep_image("sd2", things(1).prompts[0].id, 0, colour("red"), seconds=1.0, now=now)

    with pytest.raises(EntrantConflictError, match=r"'sd2' is already entered with images, from '/models/sd2'"):
        ledger.enter(replace(mended, source="/models/other"), now=now)

    assert ledger.entrant("sd2") == mended


def test_a_model_trained_here_is_known_again_when_its_folder_has_moved(
    ledger: Ledger, things: Sets, now: datetime
) -> None:
    trained = replace(SD2, details={"run": "5f1c", "parameters": 1})
    ledger.enter(replace(trained, details={**trained.details, "painted_with": {"steps": 25}}), now=now)
    ledger.keep_prompts(things(1))
    ledger.keep_image("sd2", things(1).prompts[0].id, 0, colour("red"), seconds=1.0, now=now)

    ledger.enter(replace(trained, source="/moved/sd2"), now=now)

    assert ledger.entrant("sd2").source == "/moved/sd2"
    assert ledger.entrant("sd2").details["painted_with"] == {"steps": 25}
    with pytest.raises(EntrantConflictError):
        ledger.enter(replace(trained, source="/other", details={"run": "77aa", "parameters": 1}), now=now)


def test_a_prompt_set_comes_back_by_name_and_by_id(ledger: Ledger, things: Sets) -> None:
    ledger.keep_prompts(things(3))
    ledger.keep_prompts(things(5))
    ledger.keep_prompts(things(3))

    assert ledger.prompt_sets() == [things(3), things(5)]
    assert ledger.prompt_set("things-5") == things(5)
    assert ledger.prompt_set(things(3).id) == things(3)


def test_an_unknown_prompt_set_is_named_with_those_that_are_known(ledger: Ledger, things: Sets) -> None:
    ledger.keep_prompts(things(3))

    with pytest.raises(UnknownPromptSetError, match=r"no prompt set 'parti'. Known: things-3. Paint it first"):
        ledger.prompt_set("parti")


def test_a_name_for_two_prompt_sets_must_be_told_apart_by_id(ledger: Ledger, things: Sets) -> None:
    mine = replace(things(2), name="mine")
    changed = replace(things(3), name="mine")
    ledger.keep_prompts(mine)
    ledger.keep_prompts(changed)

    with pytest.raises(UnknownPromptSetError, match=rf"stands for 2 prompt sets.*{mine.id}, {changed.id}"):
        ledger.prompt_set("mine")

    assert ledger.prompt_set(changed.id) == changed


def test_the_same_prompts_may_have_other_labels_under_another_name_only(ledger: Ledger, things: Sets) -> None:
    relabelled = replace(things(2), prompts=tuple(replace(prompt, category="all") for prompt in things(2)))
    ledger.keep_prompts(things(2))

    with pytest.raises(PromptSetConflictError, match=r"already kept with other categories"):
        ledger.keep_prompts(relabelled)
    ledger.keep_prompts(replace(relabelled, name="relabelled"))

    assert ledger.prompt_set("relabelled").categories() == {"all": 2}


def test_a_gallery_says_what_it_lacks_until_it_is_whole(ledger: Ledger, things: Sets, now: datetime) -> None:
    ledger.enter(SD2, now=now)
    prompts = things(2)
    ledger.keep_prompts(prompts)
    first, second = prompts

    wanted = [(one.prompt, one.seed) for one in ledger.missing_images("sd2", prompts, [0, 7])]
    ledger.keep_image("sd2", first.id, 7, colour("red"), seconds=0.5, now=now)
    left = [(one.prompt, one.seed) for one in ledger.missing_images("sd2", prompts, [0, 7])]

    assert wanted == [(first, 0), (first, 7), (second, 0), (second, 7)]
    assert left == [(first, 0), (second, 0), (second, 7)]
    [image] = ledger.gallery("sd2", prompts, [0, 7])
    assert (image.entrant, image.prompt_id, image.seed, image.width) == ("sd2", first.id, 7, 8)
    assert ledger.generated_image(image.id) == image


def test_images_of_a_gallery_are_never_replaced(ledger: Ledger, things: Sets, now: datetime) -> None:
    ledger.enter(SD2, now=now)
    ledger.keep_prompts(things(1))
    prompt = things(1).prompts[0]
    ledger.keep_image("sd2", prompt.id, 0, colour("red"), seconds=0.5, now=now)
    ledger.keep_image("sd2", prompt.id, 0, colour("red"), seconds=0.7, now=now)

    with pytest.raises(GalleryConflictError, match=r"'sd2' already has another image"):
        ledger.keep_image("sd2", prompt.id, 0, colour("blue"), seconds=0.5, now=now)

    [image] = ledger.gallery("sd2", things(1), [0])
    assert image.image_hash == colour("red").hash


def test_an_image_without_its_entrant_or_prompt_is_refused(ledger: Ledger, things: Sets, now: datetime) -> None:
    with pytest.raises(UnknownPromptError, match=r"knows no prompt"):
        ledger.keep_image("sd2", "0" * 16, 0, colour("red"), seconds=0.5, now=now)
    ledger.keep_prompts(things(1))
    with pytest.raises(UnknownEntrantError, match=r"'sd2'"):
        ledger.keep_image("sd2", things(1).prompts[0].id, 0, colour("red"), seconds=0.5, now=now)
    with pytest.raises(UnknownGeneratedImageError, match=r"no generated image 12"):
        ledger.generated_image(12)


def test_the_newest_score_counts(ledger: Ledger, things: Sets, now: datetime) -> None:
    ledger.enter(SD2, now=now)
    ledger.enter(replace(SD2, name="other"), now=now)
    score = Score(
        entrant="sd2",
        prompt_set_id=things(2).id,
        metric="clip_score",
        value=0.31,
        low=0.30,
        high=0.32,
        n=2,
        details={"model": "tiny"},
    )
    for kept in (replace(score, value=0.2), score, replace(score, metric="clip_fid"), replace(score, entrant="other")):
        ledger.keep_score(kept)

    assert ledger.scores("sd2") == [replace(score, metric="clip_fid"), score]
    assert len(ledger.scores()) == 3
    with pytest.raises(UnknownEntrantError):
        ledger.scores("nobody")
    with pytest.raises(ValueError, match=r"not JSON compliant"):
        ledger.keep_score(replace(score, value=float("nan")))


def test_what_was_kept_is_there_when_the_ledger_is_opened_again(tmp_path: Path, things: Sets, now: datetime) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'a' / 'ledger.db'}") as ledger:
        ledger.enter(SD2, now=now)
        ledger.keep_prompts(things(3))

    with Ledger.open(tmp_path / "a" / "ledger.db") as again:
        assert again.entrants() == [SD2]
        assert again.prompt_sets() == [things(3)]


def test_details_keep_their_json_types(ledger: Ledger, now: datetime) -> None:
    details = {"text": "ä\"'", "number": 1.5, "list": [1, None, True], "deep": {"a": {}}}
    ledger.enter(replace(SD2, details=details), now=now)

    assert json.dumps(ledger.entrant("sd2").details, sort_keys=True) == json.dumps(details, sort_keys=True)


def test_opening_a_ledger_again_in_one_process_drops_no_lock_of_the_first(tmp_path: Path) -> None:
    # POSIX: closing any descriptor of a file drops all locks that the process holds on it. Another process that opens
    # and closes the ledger would then take itself for the last one, and remove the log under the first.
    file = tmp_path / "ledger.db"
    elsewhere = "import sys; from arena.ledger.ledger import Ledger; Ledger.open(sys.argv[1]).close()"
    with Ledger.open(file) as first, Ledger.open(file):
        first.enter(Entrant(name="one", source="swatch:one", sampler="swatch"), now=datetime.now(UTC))
        subprocess.run([sys.executable, "-c", elsewhere, str(file)], check=True, timeout=120)
        first.enter(Entrant(name="two", source="swatch:two", sampler="swatch"), now=datetime.now(UTC))

        seen = "import sys; from arena.ledger.ledger import Ledger; print(len(Ledger.open(sys.argv[1]).entrants()))"
        done = subprocess.run(
            [sys.executable, "-c", seen, str(file)], check=True, timeout=120, capture_output=True, text=True
        )

    assert done.stdout.strip() == "2"
