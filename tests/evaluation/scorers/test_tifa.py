"""TIFA, by a tiny BLIP, a tiny BLIP-2 and a tiny sentence encoder of the true classes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.features.batches import bench
from evaluation.scorers.answering import Asked, open_answerer
from evaluation.scorers.base import ScorerSettings
from evaluation.scorers.sentences import open_sentences
from evaluation.scorers.tifa import open_scorer
from evaluation.scorers.tifa_questions import NoQuestionsError, QuestionsError, accuracy_by_type, read_questions
from evaluation.weights import MissingWeightsError, NotWeightsError


@pytest.fixture
def asking(settings: ScorerSettings, questions_file: Path, sentences_folder: Path) -> ScorerSettings:
    return replace(settings, questions=str(questions_file), companion=str(sentences_folder))


def test_blip_answers_each_question_as_it_would_alone(
    vqa_folder: Path, questions_file: Path, pictures: list[Image.Image], settings: ScorerSettings, bert_tokenizer: Any
) -> None:
    from transformers import BlipForQuestionAnswering, BlipImageProcessor

    model = BlipForQuestionAnswering.from_pretrained(vqa_folder).eval()
    processor = BlipImageProcessor.from_pretrained(vqa_folder)
    asked = [
        Asked(image=image, question=question)
        for image in (0, 2)
        for questions in read_questions(questions_file).values()
        for question in questions
    ]

    answers = open_answerer(str(vqa_folder), None, bench(settings)).answers(pictures, asked)

    alone = []
    for each in asked:
        words = bert_tokenizer(each.question.question, return_tensors="pt")
        pixels = processor(pictures[each.image], return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            tokens = model.generate(
                words["input_ids"], pixels, attention_mask=words["attention_mask"], max_length=50, do_sample=False
            )
        alone.append(bert_tokenizer.decode(tokens[0], skip_special_tokens=True).strip())
    assert answers == alone
    assert len(set(answers)) > 3


@pytest.mark.parametrize("kind", ["opt", "t5"])
def test_blip_2_answers_alike_whatever_is_asked_beside(
    kind: str,
    tmp_path: Path,
    bert_tokenizer: Any,
    questions_file: Path,
    pictures: list[Image.Image],
    settings: ScorerSettings,
) -> None:
    folder = save_blip2(kind, tmp_path, bert_tokenizer)
    asked = [Asked(image=i, question=q) for i, (q, *_) in enumerate(read_questions(questions_file).values())]
    together = open_answerer(str(folder), None, bench(replace(settings, batch_size=8)))

    answers = together.answers(pictures, asked)

    assert answers == [together.answers(pictures, [each])[0] for each in asked]
    assert not any("answer the multiple" in answer.lower() for answer in answers)
    assert answers != together.answers(pictures[::-1], asked)


def test_blip_2_that_would_not_look_is_refused(tmp_path: Path, bert_tokenizer: Any, settings: ScorerSettings) -> None:
    folder = save_blip2("opt", tmp_path, bert_tokenizer)
    config = json.loads((folder / "config.json").read_text())
    config["image_token_index"] = None
    (folder / "config.json").write_text(json.dumps(config))

    with pytest.raises(NotWeightsError, match="would answer without looking"):
        open_answerer(str(folder), None, bench(settings))


def test_an_images_value_is_the_share_of_its_questions_that_are_answered_right(
    vqa_folder: Path,
    asking: ScorerSettings,
    sentences_folder: Path,
    questions_file: Path,
    pictures: list[Image.Image],
    texts: list[str],
) -> None:
    questions = read_questions(questions_file)
    answerer = open_answerer(str(vqa_folder), None, bench(asking))
    sentences = open_sentences(str(sentences_folder), None, bench(asking))

    scores = open_scorer(str(vqa_folder), None, asking).score(pictures, texts)

    expected: list[float] = []
    by_type: dict[str, list[bool]] = {"color": [], "other": [], "shape": []}
    for picture, text in zip(pictures, texts, strict=True):
        right = []
        for question in questions[text]:
            answer = answerer.answers([picture], [Asked(image=0, question=question)])[0]
            choice = answer if answer in question.choices else sentences.nearest(answer, question.choices)
            right.append(choice == question.answer)
            by_type[question.element_type].append(right[-1])
        expected.append(float(np.mean(right)))
    np.testing.assert_allclose(scores.values, expected)
    assert scores.findings["questions"] == 8
    assert accuracy_by_type(scores.findings) == {kind: np.mean(right) for kind, right in by_type.items()}


def test_an_answer_among_the_choices_stands_and_another_goes_to_the_nearest(
    vqa_folder: Path,
    asking: ScorerSettings,
    tmp_path: Path,
    pictures: list[Image.Image],
    sentences_folder: Path,
) -> None:
    rows = [
        {"caption": "a", "question": "what shape ?", "choices": ["circle"], "answer": "circle", "element_type": "shape"}
    ]
    (tmp_path / "q.json").write_text(json.dumps(rows))
    asking = replace(asking, questions=str(tmp_path / "q.json"))
    said = open_answerer(str(vqa_folder), None, bench(asking)).answers(
        pictures[:1], [Asked(image=0, question=read_questions(tmp_path / "q.json")["a"][0])]
    )[0]

    by_meaning = open_scorer(str(vqa_folder), None, asking).score(pictures[:1], ["a"])
    rows[0] |= {"choices": ["circle", said], "answer": said}
    (tmp_path / "q.json").write_text(json.dumps(rows))
    exact = open_scorer(str(vqa_folder), None, asking).score(pictures[:1], ["a"])
    rows[0] |= {"answer": "square"}
    (tmp_path / "q.json").write_text(json.dumps(rows))
    hopeless = open_scorer(str(vqa_folder), None, asking).score(pictures[:1], ["a"])

    assert (by_meaning.values[0], by_meaning.findings["answers_matched_by_meaning"]) == (1, 1)
    assert (exact.values[0], exact.findings["answers_matched_by_meaning"]) == (1, 0)
    assert (hopeless.values[0], hopeless.findings["questions_without_right_choice"]) == (0, 1)


def test_accuracy_by_type_counts_questions_of_several_galleries_together() -> None:
    one = {"questions": 3, "asked: color": 2, "right: color": 1, "asked: animal/human": 1, "right: animal/human": 1}
    other = {"asked: color": 2, "right: color": 2}

    together = {name: one.get(name, 0) + other.get(name, 0) for name in one}

    assert accuracy_by_type(together) == {"animal/human": 1.0, "color": 0.75}


def test_a_sentence_is_the_mean_of_its_tokens_whatever_is_encoded_beside(
    sentences_folder: Path, settings: ScorerSettings, bert_tokenizer: Any
) -> None:
    from transformers import BertModel

    model = BertModel.from_pretrained(sentences_folder, add_pooling_layer=False).eval()
    sentences = ["red", "a photo of a blue square on black", "green triangle"]

    vectors = open_sentences(str(sentences_folder), None, bench(settings)).encode(sentences)

    for vector, sentence in zip(vectors, sentences, strict=True):
        with torch.inference_mode():
            mean = model(**bert_tokenizer(sentence, return_tensors="pt")).last_hidden_state[0].mean(dim=0)
        torch.testing.assert_close(vector, mean / mean.norm(), atol=1e-5, rtol=1e-4)


def test_a_sentence_is_nearest_to_itself(sentences_folder: Path, settings: ScorerSettings) -> None:
    sentences = open_sentences(str(sentences_folder), None, bench(settings))

    assert sentences.nearest("blue square", ("red", "blue square", "a green triangle")) == "blue square"


def test_a_prompt_without_questions_is_named(
    vqa_folder: Path, asking: ScorerSettings, pictures: list[Image.Image]
) -> None:
    scorer = open_scorer(str(vqa_folder), None, asking)

    with pytest.raises(NoQuestionsError, match="no questions about 'a purple star' and 1 more prompts"):
        scorer.score(pictures[:3], ["a red circle", "a purple star", "another"])


def test_questions_repeated_word_for_word_count_once(tmp_path: Path) -> None:
    row = {"caption": "a", "question": "q", "choices": ["yes", "no"], "answer": "yes", "element_type": "color"}
    (tmp_path / "q.json").write_text(json.dumps([row, {**row, "id": "again"}, {**row, "answer": "no"}]))

    assert [question.answer for question in read_questions(tmp_path / "q.json")["a"]] == ["yes", "no"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda rows: rows.clear(), "holds no questions"),
        (lambda rows: rows[1].pop("answer"), "Question 1 in .* lacks one of caption, question, answer, element_type"),
        (lambda rows: rows[0].update(choices="yes"), "Question 0 in .* lacks its choices"),
        (lambda rows: rows.append("text"), "Question 6 in .* lacks one of"),
    ],
)
def test_a_file_of_another_format_is_named(
    questions_file: Path, tmp_path: Path, change: Callable[[Any], Any], complaint: str
) -> None:
    rows = json.loads(questions_file.read_text())
    change(rows)
    (tmp_path / "q.json").write_text(json.dumps(rows))

    with pytest.raises(QuestionsError, match=complaint):
        read_questions(tmp_path / "q.json")


def test_a_file_that_is_not_there_is_named(vqa_folder: Path, asking: ScorerSettings) -> None:
    with pytest.raises(QuestionsError, match=r"no file nowhere\.json"):
        open_scorer(str(vqa_folder), None, replace(asking, questions="nowhere.json"))


def test_without_network_the_published_encoder_is_named(
    vqa_folder: Path, asking: ScorerSettings, empty_hub_cache: Path
) -> None:
    with pytest.raises(MissingWeightsError, match="sentence-transformers/all-mpnet-base-v2"):
        open_scorer(str(vqa_folder), None, replace(asking, companion=None))


def test_a_blip_that_captions_and_cannot_answer_is_refused(
    vqa_folder: Path, tmp_path: Path, asking: ScorerSettings
) -> None:
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor

    BlipForConditionalGeneration(BlipConfig.from_pretrained(vqa_folder)).save_pretrained(tmp_path)
    BlipImageProcessor.from_pretrained(vqa_folder).save_pretrained(tmp_path)

    with pytest.raises(NotWeightsError, match=r"not a model that answers questions about images: it lacks \d+ of"):
        open_scorer(str(tmp_path), None, asking)


def save_blip2(kind: str, folder: Path, tokenizer: Any) -> Path:
    """BLIP-2 of two layers each around an OPT or a T5, with its processor and tokenizer."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration, BlipImageProcessor, OPTConfig, T5Config

    image_token = len(tokenizer)
    layers = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    special = {
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "vocab_size": image_token + 1,
    }
    opt = OPTConfig(
        **special,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=64,
        word_embed_proj_dim=32,
        max_position_embeddings=256,
        init_std=0.5,
    )
    t5 = T5Config(
        **special,
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
        initializer_factor=5,
    )
    config = Blip2Config(
        vision_config={**layers, "image_size": 32, "patch_size": 8, "initializer_range": 0.5},
        qformer_config={**layers, "vocab_size": 40, "encoder_hidden_size": 32, "initializer_range": 0.5},
        text_config=(opt if kind == "opt" else t5).to_dict(),
        num_query_tokens=4,
        image_token_index=image_token,
    )
    torch.manual_seed(8)
    model = Blip2ForConditionalGeneration(config)
    torch.nn.init.normal_(model.query_tokens)
    torch.nn.init.normal_(model.language_projection.weight)
    model.save_pretrained(folder)
    BlipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
