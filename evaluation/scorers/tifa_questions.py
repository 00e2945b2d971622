"""TIFA's questions: for each prompt, what a faithful image would let a viewer answer.

In: a JSON file in the format of TIFA v1.0, a list of objects with `caption`, `question`, `choices`, `answer` and
`element_type`. Out: the questions of each prompt. Prompts are told apart by their words, not by the file's ids.
Source: Hu et al. (2023), arXiv:2303.11897; https://github.com/Yushi-Hu/tifa/tree/main/tifa_v1.0.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.metrics.base import Weights
from evaluation.weights import reason
from prompts.errors import CanvasError

# 25,829 questions of 4,081 prompts. The address holds the commit; no hash of the file is published.
TIFA_V1 = Weights(
    source=(
        "https://raw.githubusercontent.com/Yushi-Hu/tifa/b764a190e33366ed57fd26dde34dd53bc8562276/"
        "tifa_v1.0/tifa_v1.0_question_answers.json"
    ),
    revision=None,
)
FILENAME = "tifa_v1.0_question_answers.json"
# Before the type of element, in the names of counts.
ASKED, RIGHT = "asked: ", "right: "


class QuestionsError(CanvasError):
    """A file of questions that cannot be used."""


class NoQuestionsError(QuestionsError):
    """Prompts that the file asks nothing about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question with its choices, of which `answer` is right; `element_type` is the kind of thing it asks about."""

    question: str
    choices: tuple[str, ...]
    answer: str
    element_type: str


Questions = Mapping[str, tuple[Question, ...]]


def read_questions(path: Path) -> Questions:
    """The questions of each prompt, in the file's order; one that is repeated word for word counts once.

    Raises QuestionsError for a file that is not of the format.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise QuestionsError(
            f"{path} cannot be read as questions ({reason(error)}): give JSON like {FILENAME}."
        ) from error
    if not isinstance(rows, list) or not rows:
        raise QuestionsError(f"{path} holds no questions: give a JSON list like {FILENAME}.")
    found: dict[str, dict[Question, None]] = {}
    for number, row in enumerate(rows):
        caption, question = _question(row, f"Question {number} in {path}")
        found.setdefault(caption, {})[question] = None
    return {caption: tuple(questions) for caption, questions in found.items()}


def check_asked(questions: Questions, texts: Iterable[str]) -> None:
    """Raises NoQuestionsError where a text has no questions."""
    silent = [text for text in dict.fromkeys(texts) if text not in questions]
    if silent:
        more = f" and {len(silent) - 1} more prompts" if len(silent) > 1 else ""
        raise NoQuestionsError(
            f"There are no questions about '{silent[0]}'{more}: score a gallery of the prompts that the file asks "
            "about, or give a file with questions about these."
        )


def counted(question: Question, chosen: str, *, by_meaning: bool) -> dict[str, int]:
    """What to count of one answer: `chosen` among the choices, `by_meaning` where the words were none of them.

    A question whose right answer is none of its choices is one that every image fails.
    """
    return {
        "questions": 1,
        "answers_matched_by_meaning": int(by_meaning),
        "questions_without_right_choice": int(question.answer not in question.choices),
        f"{ASKED}{question.element_type}": 1,
        f"{RIGHT}{question.element_type}": int(chosen == question.answer),
    }


def accuracy_by_type(findings: Mapping[str, int]) -> dict[str, float]:
    """The share of right answers to the questions of each type of element, from the counts of any number of images."""
    kinds = sorted(name.removeprefix(ASKED) for name in findings if name.startswith(ASKED))
    return {kind: findings[f"{RIGHT}{kind}"] / findings[f"{ASKED}{kind}"] for kind in kinds}


def _question(row: Any, where: str) -> tuple[str, Question]:
    words = ("caption", "question", "answer", "element_type")
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in words):
        raise QuestionsError(f"{where} lacks one of {', '.join(words)}, as text.")
    choices = row.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, str) for choice in choices):
        raise QuestionsError(f"{where} lacks its choices, a list of texts.")
    question = Question(
        question=row["question"], choices=tuple(choices), answer=row["answer"], element_type=row["element_type"]
    )
    return row["caption"], question
