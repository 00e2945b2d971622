"""Captions are scanned for names: per licence split, with a tagger beside the lists, and a warning while captioning."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from canvas.cli import app
from canvas.leaks import NoCaptionsError, scan_captions
from evaluation.audit.entities import EntityKind, open_tagger
from evaluation.metrics.base import Weights
from evaluation.weights import MissingWeightsError, NotWeightsError
from prompts.probes import find_probes
from training.catalogue import SourceImage, write_catalogue
from training.stage import MissingInputError, read_manifest

NOW = datetime(2024, 5, 17, 12, 30, tzinfo=UTC)
PROBES = find_probes("characters,celebrities,logos")
COMMERCIAL = ["Snoopy at the fair", "a frozen lake", "my SNOOPY lamp", "Elsa from Frozen", "a red apple"]
NON_COMMERCIAL = ["a dog", "a red bull in a field", "a crowd", "the Starbucks on the corner"]
ND = ["Barack Obama speaks"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten captioned images: five commercial, four non-commercial, one for evaluation only; one more that is refused."""
    folder = tmp_path_factory.mktemp("world") / "source"
    (folder / "images").mkdir(parents=True)
    licences = {"CC-BY-2.0": COMMERCIAL, "CC-BY-NC-2.0": NON_COMMERCIAL, "CC-BY-ND-2.0": ND}
    asked = [(licence, text) for licence, texts in licences.items() for text in texts]
    images = []
    for number, (licence, text) in enumerate([*asked, ("All rights reserved", "")]):
        Image.fromarray(np.full((8, 8, 3), number * 20, np.uint8)).save(folder / f"images/{number}.png")
        images.append(
            SourceImage(
                id=f"image-{number}",
                file=f"images/{number}.png",
                caption=text,
                licence=licence,
                author="A. Author",
                origin=f"https://example.org/{number}",
            )
        )
    write_catalogue(folder, images)
    return folder


@pytest.fixture(scope="module")
def split(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training.split import split_source

    return split_source(source, tmp_path_factory.mktemp("split") / "split", now=NOW).folder


@pytest.fixture(scope="module")
def captions(source: Path, split: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training.captioners.base import CaptionerSettings
    from training.captions import caption_images

    out = tmp_path_factory.mktemp("captions") / "captions"
    return caption_images(split, source, out, captioner="alt_text", settings=CaptionerSettings(), now=NOW).folder


@pytest.fixture(scope="module")
def make_tagger(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Saves a tiny BertForTokenClassification whose head is set by hand: capitals mean a person."""

    def make(labels: list[str], *, architecture: str = "BertForTokenClassification") -> Path:
        import torch
        from transformers import BertConfig, BertForTokenClassification, BertTokenizerFast

        folder = tmp_path_factory.mktemp("tagger")
        letters = [chr(code) for code in range(33, 127)]
        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
        (folder / "vocab.txt").write_text("\n".join(tokens))
        tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=False, model_max_length=64)
        config = BertConfig(
            vocab_size=len(tokens),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=64,
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
        )
        torch.manual_seed(0)
        model = BertForTokenClassification(config).eval()
        with torch.no_grad():
            # One number of a token's embedding says whether it is a capital; nothing else reaches the head.
            for values in model.bert.encoder.parameters():
                values.zero_()
            model.bert.encoder.layer[0].attention.output.LayerNorm.weight.fill_(1)
            model.bert.encoder.layer[0].output.LayerNorm.weight.fill_(1)
            for values in model.bert.embeddings.parameters():
                if values.ndim > 1:
                    values.zero_()
            signs = torch.tensor([token[:1].isupper() and len(token) == 1 for token in tokens])
            model.bert.embeddings.word_embeddings.weight[:, 0] = torch.where(signs, 1.0, -1.0)
            model.classifier.weight.zero_()
            model.classifier.bias.zero_()
            model.classifier.weight[1, 0] = 10.0
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        path = folder / "config.json"
        told = json.loads(path.read_text())
        path.write_text(json.dumps(told | {"architectures": [architecture]}))
        return folder

    return make


def leaks(*words: str | Path) -> tuple[int, dict[str, Any], str]:
    done = CliRunner().invoke(app, ["evaluate", "leaks", *map(str, words), "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout), done.stderr


def test_captions_are_counted_by_licence_split_with_examples(captions: Path, split: Path) -> None:
    code, told, _ = leaks(captions, "--split", split)

    assert code == 0
    assert told["targets"] == len(PROBES)
    found = {one["split"]: one for one in told["scans"]}
    assert list(found) == ["commercial", "non-commercial", "evaluation-only"]
    assert (found["commercial"]["texts"], found["commercial"]["named"]) == (5, 3)
    assert found["commercial"]["targets"] == {"snoopy": 2, "elsa": 1}
    assert found["commercial"]["examples"][0]["id"] == "image-0"
    assert found["commercial"]["examples"][0]["names"] == [
        {"probe": "snoopy", "target": "character", "words": "Snoopy"}
    ]
    assert found["non-commercial"]["kinds"] == {"character": 0, "celebrity": 0, "logo": 1}
    assert found["non-commercial"]["share"] == 0.25
    low, high = found["evaluation-only"]["interval"]
    assert 0 < low < 1 == high


def test_without_the_split_all_captions_are_one(captions: Path) -> None:
    [found] = scan_captions([captions], PROBES)

    assert (found.split, found.scan.texts, found.scan.named, found.tagged) == ("all", 10, 5, None)


def test_a_catalogues_own_texts_are_told_apart_by_their_licences(source: Path) -> None:
    found = scan_captions([source], PROBES)

    assert [(one.split, one.scan.texts, one.empty) for one in found] == [
        ("commercial", 5, 0),
        ("non-commercial", 4, 0),
        ("evaluation-only", 1, 0),
        ("refused", 0, 1),
    ]


def test_files_of_captions_stand_beside_folders(captions: Path, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("pikachu\n\na tree\n")
    rows = [{"id": "x", "caption": "batman", "split": "ours"}, {"caption": "a hill"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    found = scan_captions([tmp_path / "lines.txt", tmp_path / "rows.jsonl", captions], PROBES)

    assert [(one.split, one.scan.texts, one.scan.named, one.empty) for one in found] == [
        ("all", 2, 1, 1),
        ("all", 1, 0, 0),
        ("ours", 1, 1, 0),
        ("all", 10, 5, 0),
    ]


def test_a_rate_above_the_declared_one_ends_with_1(captions: Path, split: Path) -> None:
    assert leaks(captions, "--max-rate", "0.5")[0] == 0

    code, told, said = leaks(captions, "--split", split, "--max-rate", "0.5")

    assert code == 1
    assert told["above_max_rate"]
    assert "(commercial): 60.00% of the captions name someone, and 50.00%" in said


def test_the_table_shows_shares_and_examples(captions: Path, split: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "leaks", str(captions), "--split", str(split)])

    assert "60.00% (23.07% to 88.24%)" in done.stdout
    assert "commercial, image-0: Snoopy at the fair  [snoopy ('Snoopy')]" in done.stderr


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_place_without_captions_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text(text)

    with pytest.raises(NoCaptionsError, match=r"none\.txt holds no captions"):
        scan_captions([tmp_path / "none.txt"], PROBES)
    with pytest.raises(NoCaptionsError, match="holds no captions: name a folder"):
        scan_captions([tmp_path / "absent.csv"], PROBES)
    with pytest.raises(MissingInputError, match="is no finished stage's folder"):
        scan_captions([tmp_path], PROBES)


def test_another_split_than_the_captions_were_made_from_is_refused(
    source: Path, captions: Path, tmp_path: Path
) -> None:
    from training.split import split_source

    other = tmp_path / "other"
    rows = [json.loads(line) for line in (source / "catalogue.jsonl").read_text().splitlines()][:3]
    write_catalogue(other, [SourceImage(**row) for row in rows])
    split = split_source(other, tmp_path / "split", now=NOW).folder

    with pytest.raises(MissingInputError, match="was not made from the split"):
        scan_captions([captions], PROBES, split=split)


def test_captioning_warns_above_a_declared_rate_and_the_manifest_says_how_many(
    source: Path, split: Path, tmp_path: Path
) -> None:
    words = ["train", "caption", str(split), "--source", str(source), "--out", str(tmp_path / "out")]

    first = CliRunner().invoke(app, [*words, "--captioner", "alt_text"])
    quiet = CliRunner().invoke(app, [*words, "--captioner", "alt_text", "--warn-names", "0.5"])

    assert first.exit_code == quiet.exit_code == 0
    assert "Warning: 5 of 10 captions name a character, a brand or a public figure" in first.stderr
    assert "'Snoopy at the fair'" in first.stderr
    assert "50.0% (95% 23.7% to 76.3%)" in first.stderr
    assert "Warning" not in quiet.stderr
    names = read_manifest(tmp_path / "out").details["names"]
    assert (names["texts"], names["named"], names["targets"]["snoopy"]) == (10, 5, 2)
    assert names["examples"][0]["id"] == "image-0"


def test_a_tagger_marks_names_that_stand_in_no_list(make_tagger: Callable[..., Path]) -> None:
    tagger = open_tagger(Weights(source=str(make_tagger(["O", "B-PER"])), revision=None), device="cpu", batch_size=2)

    found = tagger.find(["a picture of Zibbel", "", "a tree", "Qa and Qb"])

    assert [[one.words for one in entities] for entities in found] == [["Zibbel"], [], [], ["Qa", "Qb"]]
    assert {one.kind for entities in found for one in entities} == {EntityKind.PERSON}
    assert tagger.cased
    assert tagger.details["least_score"] == 0.9
    assert len(tagger.details["weights_sha256"]) == 64


def test_the_tagger_reads_a_sample_of_every_split(
    captions: Path, split: Path, make_tagger: Callable[..., Path]
) -> None:
    folder = make_tagger(["O", "B-ORG"])

    _, told, said = leaks(captions, "--split", split, "--tagger", folder, "--tagger-sample", "4", "--device", "cpu")

    assert "captions in small letters hide them" in said
    tagged = {one["split"]: one["tagged"] for one in told["scans"]}
    assert [one["texts"] for one in tagged.values()] == [4, 4, 1]
    assert tagged["evaluation-only"]["organisations"] == 1
    assert tagged["evaluation-only"]["examples"][0]["names"][0]["words"] == "Barack"
    assert told["tagger"]["tagger"] == "BertForTokenClassification"


def test_a_tagger_that_is_none_is_refused(make_tagger: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(NotWeightsError, match=r"has no label for people or organisations.*B-LOC, O"):
        open_tagger(Weights(source=str(make_tagger(["O", "B-LOC"])), revision=None))
    other = make_tagger(["O", "B-PER"], architecture="BertModel")
    with pytest.raises(NotWeightsError, match="names no network for token classification"):
        open_tagger(Weights(source=str(other), revision=None))
    with pytest.raises(MissingWeightsError, match="There is no folder"):
        open_tagger(Weights(source=str(tmp_path / "a/b/c"), revision=None))
