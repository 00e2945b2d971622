"""ImageReward: how well people would rate an image for its prompt, by a BLIP that reads both at once.

In: images and their prompts. Out: the reward, shifted and scaled to mean 0 and deviation 1 on the authors' data.
BLIP's text encoder reads the prompt (cut at 35 tokens) while it attends to the image; a linear head reads its first
token. The published checkpoint names its tensors as BLIP's own code did; here they go by new names into the classes of
transformers, with that code's constants: an epsilon of 1e-6 in the image encoder, heads of 64 features, no token types.
Source: Xu et al. (2023), arXiv:2304.05977; https://github.com/THUDM/ImageReward.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn
from torchvision import transforms
from transformers import BertTokenizerFast, BlipTextConfig, BlipVisionConfig, BlipVisionModel
from transformers.models.blip.modeling_blip_text import BlipTextModel

from evaluation.features.base import with_hash
from evaluation.features.batches import bench
from evaluation.metrics.base import Weights
from evaluation.scorers.base import ScorerSettings, Scores
from evaluation.scorers.batches import judge_all
from evaluation.scorers.checkpoints import described, load_whole, read_checkpoint
from evaluation.scorers.linear_head import LinearHead
from evaluation.scorers.pretrained import holds, load_part
from evaluation.weights import Located, LocatedFile, NotWeightsError, locate, locate_file

FILENAME = "ImageReward.pt"
WHAT = "the ImageReward model"
# BLIP begins with BERT's words; the two that it adds are not in a prompt.
TOKENIZER = Weights(source="google-bert/bert-base-uncased", revision="86b5e0934494bd15c9632b12f734a8a67f723594")
MEAN, DEVIATION = 0.16717362830052426, 1.0333394966054072
TEXT_TOKENS = 35
HEAD_FEATURES = 64
PIXEL_MEAN, PIXEL_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

# From the checkpoint's names to those of transformers, the first pattern that fits; what has no name is not used.
NAMES: tuple[tuple[str, str | None], ...] = (
    (r"mlp\.(.+)", r"head.\1"),
    (r"blip\.visual_encoder\.cls_token", "vision.embeddings.class_embedding"),
    (r"blip\.visual_encoder\.pos_embed", "vision.embeddings.position_embedding"),
    (r"blip\.visual_encoder\.patch_embed\.proj\.(.+)", r"vision.embeddings.patch_embedding.\1"),
    (r"blip\.visual_encoder\.norm\.(.+)", r"vision.post_layernorm.\1"),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.norm(\d)\.(.+)", r"vision.encoder.layers.\1.layer_norm\2.\3"),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.attn\.qkv\.(.+)", r"vision.encoder.layers.\1.self_attn.qkv.\2"),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.attn\.proj\.(.+)", r"vision.encoder.layers.\1.self_attn.projection.\2"),
    (r"blip\.visual_encoder\.blocks\.(\d+)\.mlp\.(.+)", r"vision.encoder.layers.\1.mlp.\2"),
    (r"blip\.text_encoder\.embeddings\.position_ids", None),
    (r"blip\.text_encoder\.(.+)", r"text.\1"),
    # They served BLIP's contrastive training.
    (r"blip\.(vision|text)_proj\..+", None),
)


def open_scorer(source: str, revision: str | None, settings: ScorerSettings) -> "ImageRewardScorer":
    """ImageReward from `source`: a file, a folder or a hub id that holds ImageReward.pt, or an address.

    Its tokenizer is `settings.companion`, or lies in the same folder, or is the published one. Raises
    MissingWeightsError, NotWeightsError and DamagedWeightsError.
    """
    located = locate_file(source, revision=revision, what=WHAT, filename=FILENAME, option="--weights")
    state = in_transformers_names(read_checkpoint(located, WHAT), located)
    model = RewardModel(*_configs(state, located))
    load_whole(model, state, located=located, what=WHAT)
    beside = _find_tokenizer(located, settings)
    tokenizer = load_part(BertTokenizerFast, beside, what="ImageReward's tokenizer")
    if max(tokenizer.get_vocab().values()) >= model.words:
        raise NotWeightsError(
            f"{beside} is not ImageReward's tokenizer: it has {len(tokenizer)} words, and the model knows "
            f"{model.words}. Give the tokenizer of bert-base-uncased."
        )
    return ImageRewardScorer(model=model, tokenizer=tokenizer, located=located, beside=beside, settings=settings)


def in_transformers_names(state: dict[str, Tensor], located: LocatedFile) -> dict[str, Tensor]:
    """The checkpoint's tensors by the names of `RewardModel`, without those that it does not use.

    Raises NotWeightsError for a name that no ImageReward checkpoint has.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for pattern, replacement in NAMES:
            found = re.fullmatch(pattern, name)
            if found is not None:
                if replacement is not None:
                    renamed[found.expand(replacement)] = tensor
                break
        else:
            raise NotWeightsError(f"{located.path} is not {WHAT}: it has the unknown {name}.")
    return renamed


class RewardModel(nn.Module):
    """BLIP's image encoder, its text encoder with cross-attention, and the head."""

    def __init__(self, vision: BlipVisionConfig, text: BlipTextConfig) -> None:
        super().__init__()
        self.vision = BlipVisionModel(vision)
        self.text = BlipTextModel(text, add_pooling_layer=False)
        self.head = LinearHead(int(text.hidden_size))
        self.words = int(text.vocab_size)
        self.image_px = int(vision.image_size)

    def forward(
        self,
        pixels: Float[Tensor, "images 3 height width"],
        tokens: Int[Tensor, "images tokens"],
        mask: Int[Tensor, "images tokens"],
    ) -> Float[Tensor, " images"]:
        """The standardised reward of each image with its tokens; `mask` is 0 at padding."""
        seen = self.vision(pixel_values=pixels).last_hidden_state
        # As an encoder: every token reads all others, and the image.
        read = self.text(
            input_ids=tokens,
            attention_mask=mask,
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long, device=seen.device),
            is_decoder=False,
        ).last_hidden_state
        reward: Float[Tensor, " images"] = (self.head(read[:, 0].float()) - MEAN) / DEVIATION
        return reward


class ImageRewardScorer:
    """An opened ImageReward model; satisfies Scorer."""

    def __init__(
        self,
        *,
        model: RewardModel,
        tokenizer: BertTokenizerFast,
        located: LocatedFile,
        beside: Located,
        settings: ScorerSettings,
    ) -> None:
        """Take the opened parts; `open_scorer` opens them."""
        self._bench = bench(settings)
        self._model = model.to(self._bench.device).eval()
        self._tokenizer = tokenizer
        self._located = located
        self._beside = beside
        self._transform = transforms.Compose(
            [
                transforms.Resize(model.image_px, interpolation=transforms.InterpolationMode.BICUBIC),
                transforms.CenterCrop(model.image_px),
                transforms.ToTensor(),
                transforms.Normalize(PIXEL_MEAN, PIXEL_STD),
            ]
        )

    @property
    def details(self) -> dict[str, Any]:
        """Model, tokenizer and preprocessing, as JSON values."""
        details = {
            "scorer": "image_reward",
            **described(self._located),
            "value": f"(reward - {MEAN}) / {DEVIATION}",
            "precision": self._bench.dtype,
            "tokenizer": {"model": self._beside.source, "revision": self._beside.revision},
            "preprocessing": {
                "pixels": "uint8 RGB",
                "resize": {"shortest_edge": self._model.image_px},
                "filter": "bicubic",
                "crop": {"height": self._model.image_px, "width": self._model.image_px},
                "mean": list(PIXEL_MEAN),
                "std": list(PIXEL_STD),
            },
            "text_tokens": TEXT_TOKENS,
        }
        return with_hash(details, "transformers", "torchvision")

    def score(
        self, images: Sequence[Image.Image], texts: Sequence[str], on_done: Callable[[int], None] = lambda done: None
    ) -> Scores:
        """The reward of each image with its prompt. Raises MismatchedTextsError and PixelsError."""
        values = judge_all(
            self._bench,
            images,
            texts,
            prepare=lambda image: self._transform(image).numpy(),
            judge=self._judge,
            on_done=on_done,
        )
        whole = self._tokenizer(list(texts), truncation=False, verbose=False)["input_ids"] if texts else []
        return Scores(values=values, truncated=sum(len(tokens) > TEXT_TOKENS for tokens in whole))

    def _judge(self, pixels: Float[Tensor, "batch 3 height width"], texts: list[str]) -> Float[Tensor, " batch"]:
        words = self._tokenizer(
            texts, padding="max_length", truncation=True, max_length=TEXT_TOKENS, return_tensors="pt"
        ).to(pixels.device)
        rewards: Float[Tensor, " batch"] = self._model(pixels, words["input_ids"], words["attention_mask"])
        return rewards


def _configs(state: dict[str, Tensor], located: LocatedFile) -> tuple[BlipVisionConfig, BlipTextConfig]:
    """How large the networks are, read from the tensors' shapes. Raises NotWeightsError."""
    try:
        patches = state["vision.embeddings.patch_embedding.weight"]
        places = state["vision.embeddings.position_embedding"]
        words = state["text.embeddings.word_embeddings.weight"]
        positions = state["text.embeddings.position_embeddings.weight"]
        wide_vision = state["vision.encoder.layers.0.mlp.fc1.weight"]
        wide_text = state["text.encoder.layer.0.intermediate.dense.weight"]
    except KeyError as error:
        raise NotWeightsError(f"{located.path} is not {WHAT}: it lacks {error.args[0]}.") from error
    side = round((places.shape[1] - 1) ** 0.5)
    vision = BlipVisionConfig(
        hidden_size=patches.shape[0],
        intermediate_size=wide_vision.shape[0],
        num_hidden_layers=_layers(state, r"vision\.encoder\.layers\.(\d+)\..+"),
        num_attention_heads=max(1, patches.shape[0] // HEAD_FEATURES),
        image_size=side * patches.shape[-1],
        patch_size=patches.shape[-1],
        hidden_act="gelu",
        layer_norm_eps=1e-6,
    )
    text = BlipTextConfig(
        vocab_size=words.shape[0],
        hidden_size=words.shape[1],
        encoder_hidden_size=patches.shape[0],
        intermediate_size=wide_text.shape[0],
        num_hidden_layers=_layers(state, r"text\.encoder\.layer\.(\d+)\..+"),
        num_attention_heads=max(1, words.shape[1] // HEAD_FEATURES),
        max_position_embeddings=positions.shape[0],
        hidden_act="gelu",
        layer_norm_eps=1e-12,
        is_decoder=True,  # so that transformers builds the cross-attention
    )
    return vision, text


def _layers(state: dict[str, Tensor], pattern: str) -> int:
    return 1 + max(int(found[1]) for name in state if (found := re.fullmatch(pattern, name)))


def _find_tokenizer(located: LocatedFile, settings: ScorerSettings) -> Located:
    marker, what = "vocab.txt", "ImageReward's tokenizer"
    if settings.companion:
        return locate(settings.companion, marker=marker, what=what, option="--companion")
    if holds(located.path.parent, marker):
        return locate(str(located.path.parent), marker=marker, what=what)
    return locate(TOKENIZER.source, marker=marker, what=what, revision=TOKENIZER.revision, option="--companion")
