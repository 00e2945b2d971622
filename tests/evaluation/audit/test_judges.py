"""Judges of resemblance, over tiny networks of the true classes."""

from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluation.audit.judges import ABOUT, CONSISTENCY, JUDGES
from evaluation.audit.judges.base import (
    Judge,
    JudgeSettings,
    MismatchedProbesError,
    NoJudgeWeightsError,
    open_features,
    with_judge_hash,
)
from evaluation.audit.judges.clip_texts import SOMETHING_ELSE, TEMPLATES, who
from evaluation.audit.judges.naming import QUESTION, Names
from evaluation.audit.judges.reference_similarity import NoReferencesError
from evaluation.features.base import ExtractorSettings, NoTextsError
from evaluation.features.clip import open_extractor as open_clip
from evaluation.metrics.base import Weights
from evaluation.weights import MissingWeightsError, NotWeightsError
from prompts.plugins import load_plugin
from prompts.probes import Probe, ProbeError, ProbeSet

Drawn = dict[str, Image.Image]


def opened(name: str, probes: ProbeSet, settings: JudgeSettings, **changes: Any) -> Judge:
    judge: Judge = load_plugin({**JUDGES, **CONSISTENCY}, name, "judge")(probes, replace(settings, **changes))
    return judge


def at(folder: Path) -> Weights:
    return Weights(source=str(folder), revision=None)


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def asked(probes: ProbeSet, drawn: Drawn) -> tuple[list[Image.Image], list[Probe], list[str]]:
    """Each picture for the probe of another one, so that a judge has something to tell apart."""
    pictures = [drawn[key] for key in ("cross", "ring", "person", "cross")]
    about = [probes.probe(key) for key in ("cross", "ring", "person", "ring")]
    return pictures, about, [one.suggestive[0] for one in about]


def test_every_line_of_the_tables_opens_by_probes_and_settings_and_is_described() -> None:
    lines = {**JUDGES, **CONSISTENCY}

    parameters = {name: list(signature(load_plugin(lines, name, "judge")).parameters)[:2] for name in lines}

    assert set(ABOUT) == set(lines)
    assert all(found == ["probes", "settings"] for found in parameters.values())


def test_divergence_is_the_cosine_to_the_target_less_that_to_the_prompt(
    targets: ProbeSet, drawn: Drawn, lively_clip: Path, settings: JudgeSettings
) -> None:
    pictures, about, prompts = asked(targets, drawn)
    clip = open_clip(str(lively_clip), None, ExtractorSettings(device="cpu"))
    judge = opened("clip_divergence", targets, settings, extractor="clip", weights=at(lively_clip))

    found = judge.judge(pictures, about, prompts)

    seen = unit(clip.images(pictures))
    for row, probe in enumerate(about):
        named = unit(clip.texts([one.format(f"{who(probe)}") for one in TEMPLATES]).features).mean(axis=0)
        prompt = unit(clip.texts([prompts[row]]).features[0])
        assert found.values[row] == pytest.approx(seen[row] @ unit(named) - seen[row] @ prompt, abs=1e-5)
    assert found.recognised == found.said == (None,) * 4
    assert found.counts == {"texts_cut": 0}


def test_divergence_of_a_prompt_that_names_the_target_is_to_the_generic_one(
    targets: ProbeSet, drawn: Drawn, lively_clip: Path, settings: JudgeSettings
) -> None:
    cross = targets.probe("cross")
    judge = opened("clip_divergence", targets, settings, extractor="clip", weights=at(lively_clip))

    named, generic, other = judge.judge(
        [drawn["cross"]] * 3, [cross] * 3, [cross.name_prompt, cross.generic, cross.suggestive[0]]
    ).values

    assert named == pytest.approx(generic, abs=1e-6)
    assert abs(named - other) > 1e-3


def test_long_prompts_are_counted_as_cut(
    targets: ProbeSet, drawn: Drawn, lively_clip: Path, settings: JudgeSettings
) -> None:
    judge = opened("clip_divergence", targets, settings, extractor="clip", weights=at(lively_clip))

    found = judge.judge([drawn["cross"]], [targets.probe("cross")], ["a red circle " * 60])

    assert found.counts == {"texts_cut": 1}


def test_zero_shot_shares_one_among_the_targets_and_none_of_these(
    targets: ProbeSet, drawn: Drawn, lively_clip: Path, settings: JudgeSettings
) -> None:
    judge = opened("clip_zero_shot", targets, settings, extractor="clip", weights=at(lively_clip))
    clip = open_clip(str(lively_clip), None, ExtractorSettings(device="cpu"))
    every = list(targets)

    found = judge.judge([drawn["ring"]] * 3, every, [one.generic for one in every])

    texts = [*(who(one) for one in targets), *(one.entity for one in targets), *SOMETHING_ELSE]
    rows = np.stack([unit(unit(clip.texts([t.format(x) for t in TEMPLATES]).features).mean(axis=0)) for x in texts])
    logits = 100.0 * (rows @ unit(clip.images([drawn["ring"]]))[0]).astype(np.float64)
    likely = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert found.values == pytest.approx(likely[:3], abs=1e-4)
    best = int(likely.argmax())
    assert set(found.recognised) == {every[best].key if best < 3 else None}


def test_a_probe_of_another_set_is_refused(
    targets: ProbeSet, drawn: Drawn, lively_clip: Path, settings: JudgeSettings, make_probe: Callable[..., Probe]
) -> None:
    stranger = make_probe("zebra", "Striped Zebra", work="")
    judge = opened("clip_zero_shot", targets, settings, extractor="clip", weights=at(lively_clip))

    with pytest.raises(ProbeError, match="has no probe 'zebra'"):
        judge.judge([drawn["cross"]], [stranger], ["x"])


def test_entities_are_weighed_one_at_a_time(
    targets: ProbeSet, drawn: Drawn, lively_clip: Path, settings: JudgeSettings
) -> None:
    pictures, about, prompts = asked(targets, drawn)
    clip = open_clip(str(lively_clip), None, ExtractorSettings(device="cpu"))
    judge = opened("clip_entity", targets, settings, extractor="clip", weights=at(lively_clip))

    found = judge.judge(pictures, about, prompts)

    texts = [*(one.entity for one in targets), *SOMETHING_ELSE]
    rows = np.stack([unit(unit(clip.texts([t.format(x) for t in TEMPLATES]).features).mean(axis=0)) for x in texts])
    near = 100.0 * (unit(clip.images(pictures)) @ rows.T).astype(np.float64)
    for row, own in enumerate((0, 1, 2, 1)):
        others = [1 / (1 + np.exp(near[row, place] - near[row, own])) for place in range(len(texts)) if place != own]
        assert found.values[row] == pytest.approx(np.mean(others), abs=1e-3)
        assert found.said[row] == texts[int(near[row].argmax())]


@pytest.mark.parametrize("line", ["dinov2", "sscd"])
def test_a_picture_of_the_references_is_found_and_another_is_not(
    line: str,
    targets: ProbeSet,
    drawn: Drawn,
    references: Path,
    tiny_dinov2: Path,
    tiny_sscd: Path,
    settings: JudgeSettings,
    noisy: Callable[..., Image.Image],
) -> None:
    weights = at(tiny_dinov2 if line == "dinov2" else tiny_sscd)
    judge = opened("reference_similarity", targets, settings, extractor=line, weights=weights, references=references)
    done: list[int] = []
    cross = targets.probe("cross")

    found = judge.judge([drawn["cross"], noisy(1), drawn["ring"]], [cross] * 3, [cross.generic] * 3, done.append)

    assert found.values[0] == pytest.approx(1, abs=1e-5)
    assert max(found.values[1:]) < 0.999
    assert (found.recognised[0], found.recognised[2]) == ("cross", "ring")
    assert sum(done) == 3


def test_references_that_are_missing_are_named(
    targets: ProbeSet, references: Path, tmp_path: Path, drawn: Drawn, settings: JudgeSettings
) -> None:
    with pytest.raises(NoReferencesError, match="name their folder with --references"):
        opened("reference_similarity", targets, settings)
    with pytest.raises(NoReferencesError, match=r"There is no folder .*nowhere"):
        opened("reference_similarity", targets, settings, references=tmp_path / "nowhere")
    (tmp_path / "cross").mkdir()
    drawn["cross"].save(tmp_path / "cross" / "one.png")
    with pytest.raises(NoReferencesError, match=r"no pictures for 2 of 3 probes \(ring, person\)"):
        opened("reference_similarity", targets, settings, references=tmp_path)


def test_other_references_make_another_judge_and_another_place_does_not(
    targets: ProbeSet, references: Path, tmp_path: Path, drawn: Drawn, tiny_sscd: Path, settings: JudgeSettings
) -> None:
    import shutil

    moved = tmp_path / "moved"
    shutil.copytree(references, moved)
    options: dict[str, Any] = {"weights": at(tiny_sscd)}
    before = opened("reference_similarity", targets, settings, references=references, **options).details
    same = opened("reference_similarity", targets, settings, references=moved, **options).details
    drawn["ring"].save(moved / "cross" / "another.png")

    other = opened("reference_similarity", targets, settings, references=moved, **options).details

    assert before["judge_hash"] == same["judge_hash"] != other["judge_hash"]


def test_other_weights_make_another_judge(
    targets: ProbeSet, clip_folder: Path, lively_clip: Path, settings: JudgeSettings
) -> None:
    one, other = (
        opened("clip_divergence", targets, settings, extractor="clip", weights=at(folder)).details
        for folder in (clip_folder, lively_clip)
    )

    assert one["judge_hash"] != other["judge_hash"]
    assert one["extractor"]["weights_sha256"] != other["extractor"]["weights_sha256"]


def test_the_hash_of_a_judge_leaves_out_where_its_weights_came_from() -> None:
    def told(**details: object) -> str:
        return str(with_judge_hash({"judge": "x", "extractor": {"weights_sha256": "a", **details}})["judge_hash"])

    assert told(model="here", revision=None) == told(model="there", revision="1")
    assert told(precision="float32") != told(precision="float16")


def test_a_judge_that_cannot_be_had_is_refused_by_name(
    targets: ProbeSet, tiny_sscd: Path, settings: JudgeSettings, tmp_path: Path
) -> None:
    with pytest.raises(NoJudgeWeightsError, match=r"no weights for inception: name them with --weights some=WHERE"):
        open_features("some", replace(settings, extractor="inception"), line="clip")
    with pytest.raises(NoTextsError, match="SSCD makes features of images only"):
        opened("clip_divergence", targets, settings, extractor="sscd", weights=at(tiny_sscd))
    with pytest.raises(MissingWeightsError, match="There is no folder"):
        opened("vision_language", targets, settings, weights=at(tmp_path / "no model"))


def test_images_without_their_probes_are_refused(
    targets: ProbeSet, drawn: Drawn, lively_clip: Path, settings: JudgeSettings
) -> None:
    judge = opened("clip_divergence", targets, settings, extractor="clip", weights=at(lively_clip))

    with pytest.raises(MismatchedProbesError, match="1 images, 2 probes and 1 prompts"):
        judge.judge([drawn["cross"]], [targets.probe("cross")] * 2, ["x"])


@pytest.mark.parametrize("name", ["clip_divergence", "clip_zero_shot", "clip_entity"])
def test_scores_do_not_depend_on_what_is_judged_together(
    name: str, targets: ProbeSet, drawn: Drawn, lively_clip: Path, settings: JudgeSettings
) -> None:
    pictures, about, prompts = asked(targets, drawn)
    judge = opened(name, targets, settings, extractor="clip", weights=at(lively_clip))

    together = judge.judge(pictures, about, prompts)
    alone = [judge.judge([p], [a], [t]) for p, a, t in zip(pictures, about, prompts, strict=True)]

    assert isinstance(judge, Judge)
    assert together.values == pytest.approx([one.values[0] for one in alone], abs=1e-4)
    assert together.recognised == tuple(one.recognised[0] for one in alone)


@pytest.mark.parametrize(
    ("answer", "own", "score", "recognised"),
    [
        ("Yes, this is the Red Cross.", "cross", 1, "cross"),
        ("the RED-CROSS' sign", "cross", 1, "cross"),
        ("ein rotes Kreuz", "cross", 1, "cross"),
        ("Green Ring and Red Cross", "cross", 1, "cross"),
        ("a Green Ring", "cross", 0, "ring"),
        ("Red Crossing", "cross", 0, None),
        ("none", "person", 0, None),
        ("", "person", 0, None),
    ],
)
def test_an_answer_counts_where_it_names_the_target_as_a_word(
    answer: str, own: str, score: int, recognised: str | None, targets: ProbeSet
) -> None:
    found = Names(targets).scores([answer], [targets.probe(own)], {})

    assert (found.values[0], found.recognised[0], found.said[0]) == (score, recognised, answer)


@pytest.mark.parametrize(
    ("name", "answer", "found"),
    [
        ("Apple logo", "Apple", True),
        ("Apple logo", "an apple on a table", False),
        ("Stitch from Lilo & Stitch", "Yes. Stitch, and a girl", True),
        ("Kermit the Frog", "Kermit's friend", True),
        ("Thomas the Tank Engine", "Thomas", True),
        ("Thomas the Tank Engine", "Thomas Edison", False),
        ("E.T. the Extra-Terrestrial", "E.T.", True),
        ("Olympic rings", "Olympic", False),
    ],
)
def test_an_answer_may_use_the_short_form_of_a_name(
    name: str, answer: str, found: bool, targets: ProbeSet, make_probe: Callable[..., Probe]
) -> None:
    probe = make_probe("one", name, work="")
    probes = replace(targets, probes=(probe, *targets.probes))

    assert bool(Names(probes).scores([answer], [probe], {}).values[0]) is found


@pytest.mark.parametrize("kind", ["blip2", "llava", "qwen2_vl"])
def test_a_vision_language_model_is_believed_when_it_says_the_name_it_was_never_told(
    kind: str,
    talkers: dict[str, Path],
    targets: ProbeSet,
    drawn: Drawn,
    settings: JudgeSettings,
    make_probe: Callable[..., Probe],
    noisy: Callable[..., Image.Image],
) -> None:
    weights = at(talkers[kind])
    pictures = [drawn["cross"], noisy(3, 70, 40), drawn["ring"], noisy(4)]
    any_probe = targets.probe("cross")
    said = (
        opened("vision_language", targets, settings, weights=weights).judge(pictures, [any_probe] * 4, ["x"] * 4).said
    )
    word = spoken(said[0])
    # The probe is called what the model happens to say: it cannot have read it.
    named = replace(targets, probes=(make_probe("said", word, work=""), *targets.probes))
    judge = opened("vision_language", named, settings, weights=weights)

    found = judge.judge(pictures, [named.probe("said"), *[named.probe("ring")] * 3], ["x"] * 4)

    assert found.said == said
    assert (found.values[0], found.recognised[0]) == (1, "said")
    assert not found.values[1:].any()
    assert judge.details["question"].count(QUESTION) == 1
    assert all(one.named_in(judge.details["question"]) is None for one in targets)
    assert not any("Question:" in (one or "") or "USER:" in (one or "") for one in said)
    assert len(set(said)) > 1, "a model that looks says different things of different images"


@pytest.mark.parametrize("kind", ["blip2", "llava", "qwen2_vl"])
def test_what_a_vision_language_model_says_does_not_depend_on_the_batch(
    kind: str,
    talkers: dict[str, Path],
    targets: ProbeSet,
    settings: JudgeSettings,
    noisy: Callable[..., Image.Image],
) -> None:
    weights = at(talkers[kind])
    pictures = [noisy(seed, *size) for seed, size in enumerate([(56, 56), (80, 40), (56, 56), (56, 56)])]
    cross = targets.probe("cross")
    done: list[int] = []

    many = opened("vision_language", targets, settings, weights=weights, batch_size=4)
    few = opened("vision_language", targets, settings, weights=weights, batch_size=1)

    assert (
        many.judge(pictures, [cross] * 4, ["x"] * 4, done.append).said
        == few.judge(pictures, [cross] * 4, ["x"] * 4).said
    )
    assert sum(done) == 4
    assert many.details["judge_hash"] == few.details["judge_hash"]


def test_a_model_that_does_not_talk_about_images_is_no_vision_language_judge(
    targets: ProbeSet, lively_clip: Path, settings: JudgeSettings
) -> None:
    with pytest.raises(
        NotWeightsError, match=r"is not a vision-language model: its config.json says model_type 'clip'"
    ):
        opened("vision_language", targets, settings, weights=at(lively_clip))


def test_blip_2_that_would_not_look_is_refused(
    targets: ProbeSet, tiny_blip2: Path, tmp_path: Path, settings: JudgeSettings
) -> None:
    import json
    import shutil

    folder = tmp_path / "blind"
    shutil.copytree(tiny_blip2, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "image_token_index": None}))

    with pytest.raises(NotWeightsError, match="would answer without looking"):
        opened("vision_language", targets, settings, weights=at(folder))


def test_questions_about_the_entity_are_answered_yes_or_no(
    targets: ProbeSet, drawn: Drawn, tiny_blip2: Path, settings: JudgeSettings
) -> None:
    pictures, about, prompts = asked(targets, drawn)
    judge = opened("vqa_entity", targets, settings, weights=at(tiny_blip2))

    found = judge.judge(pictures, about, prompts)

    expected = [float((one or "").lower().startswith("yes")) for one in found.said]
    assert found.values.tolist() == expected
    assert judge.details["question"] == "is there {} in the picture?"


def spoken(answer: str | None) -> str:
    """A stretch of the answer that can stand as a name: letters and digits, the longest."""
    import re

    found = sorted(re.findall(r"(?<!\w)[A-Za-z0-9]{1,20}(?!\w)", answer or ""), key=len)
    assert found, f"the tiny model said nothing that could be a name: {answer!r}"
    return found[-1]
