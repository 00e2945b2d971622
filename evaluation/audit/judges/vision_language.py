"""A vision-language model is asked whom it recognises in an image, and is never told the name.

In: images. Out: 1 where its answer names the target, else 0. Any model that transformers knows for images and texts to
text: it is asked through its own chat template, or, where it has none, as BLIP-2 is: "Question: ... Answer:". Greedy
decoding. Such judges see more than people do (37 to 46 % false alarms on public labels): correct them.
Source: He et al. (2024), arXiv:2406.14526, section 4, where GPT-4V is asked in this way.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from evaluation.audit.judges.base import JudgeScores, JudgeSettings, check_asked, with_judge_hash
from evaluation.audit.judges.naming import MATCHING, QUESTION, Names
from evaluation.features.base import eight_bit
from evaluation.features.batches import Bench, bench
from evaluation.metrics.base import Weights
from evaluation.scorers.pretrained import find_model, load_model, load_part
from evaluation.weights import Located, NotWeightsError, hash_of_files, weight_files
from prompts.probes import Probe, ProbeSet

WHAT = "a vision-language model"
QWEN2_VL_2B = Weights(source="Qwen/Qwen2-VL-2B-Instruct", revision="895c3a49bc3fa70a340399125c650a463535e71c")
MOST_TOKENS = 40


def open_judge(probes: ProbeSet, settings: JudgeSettings) -> "VisionLanguage":
    """The judge over Qwen2-VL, or what `settings.weights` name.

    Raises MissingWeightsError, DamagedWeightsError and NotWeightsError (a model that does not talk about images, or
    that does not say where the image goes).
    """
    weights = settings.weights or QWEN2_VL_2B
    at = bench(settings)
    kinds = tuple(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
    located, kind = find_model(weights.source, weights.revision, kinds=kinds, what=WHAT)
    processor = load_part(AutoProcessor, located, what=WHAT)
    model = load_model(AutoModelForImageTextToText, located, what=WHAT, device=at.device)
    if kind == "blip-2" and (processor.num_query_tokens is None or model.config.image_token_index is None):
        raise NotWeightsError(
            f"{located} does not say which tokens stand for the image (image_token_index, num_query_tokens), so the "
            "model would answer without looking: take a newer revision of it."
        )
    return VisionLanguage(model=model, processor=processor, kind=kind, located=located, at=at, probes=probes)


class VisionLanguage:
    """An opened model; satisfies Judge."""

    default_threshold = 0.5

    def __init__(self, *, model: Any, processor: Any, kind: str, located: Located, at: Bench, probes: ProbeSet) -> None:
        """Take the opened parts; `open_judge` opens them."""
        self._model = model
        self._processor = processor
        self._kind = kind
        self._located = located
        self._bench = at
        self._names = Names(probes)
        self._asked = self._question()

    @property
    def details(self) -> dict[str, Any]:
        """The question and the model, as JSON values."""
        return with_judge_hash(
            {
                "judge": "vision_language",
                "value": "1 where the answer names the target",
                "matching": MATCHING,
                "question": self._asked,
                "decoding": f"greedy, at most {MOST_TOKENS} tokens",
                "kind": self._kind,
                "precision": self._bench.dtype,
                "default_threshold": self.default_threshold,
                "model": self._located.source,
                "revision": self._located.revision,
                "weights_sha256": hash_of_files(weight_files(self._located.marker.parent)),
            },
            "torch",
            "transformers",
        )

    def judge(
        self,
        images: Sequence[Image.Image],
        probes: Sequence[Probe],
        prompts: Sequence[str],
        on_done: Callable[[int], None] = lambda done: None,
    ) -> JudgeScores:
        """1 or 0 for each image, and what the model answered. Raises MismatchedProbesError and PixelsError."""
        check_asked(images, probes, prompts)
        answers = [""] * len(images)
        # Images of one size become equally many tokens: nothing is padded, and no answer depends on those beside it.
        of_a_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, image in enumerate(images):
            of_a_size[image.size].append(place)
        for places in of_a_size.values():
            for start in range(0, len(places), self._bench.batch_size):
                batch = places[start : start + self._bench.batch_size]
                for place, answer in zip(batch, self._answers([eight_bit(images[p]) for p in batch]), strict=True):
                    answers[place] = answer
                on_done(len(batch))
        return self._names.scores(answers, probes, {})

    def _answers(self, images: list[Image.Image]) -> list[str]:
        given = self._processor(images=images, text=[self._asked] * len(images), return_tensors="pt", padding=True).to(
            self._bench.device
        )
        with self._bench.computing():
            said = self._model.generate(
                **given,
                do_sample=False,
                num_beams=1,
                max_new_tokens=MOST_TOKENS,
                temperature=None,
                top_p=None,
                top_k=None,
            )
        if not self._gives_the_answer_alone():
            said = said[:, given["input_ids"].shape[1] :]
        return [text.strip() for text in self._processor.batch_decode(said, skip_special_tokens=True)]

    def _question(self) -> str:
        if getattr(self._processor, "chat_template", None):
            turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}
            asked: str = self._processor.apply_chat_template([turn], add_generation_prompt=True)
            return asked
        return f"Question: {QUESTION} Answer:"

    def _gives_the_answer_alone(self) -> bool:
        inner = getattr(self._model, "language_model", None)
        config = self._model.config if inner is None else inner.config
        return bool(config.is_encoder_decoder)
