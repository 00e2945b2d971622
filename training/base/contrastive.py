"""A small CLIP learned from images and their captions; its text half becomes the base's text encoder.

As Stable Diffusion 2 takes its text encoder from OpenCLIP, the tiny base takes its own from this one, and the demo
measures CLIP-Score with it. In: images and token ids. Out: transformers' CLIPModel.
Source: Radford et al. (2021), arXiv:2103.00020, figure 3.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

_WIDTH = 64


def tiny_clip(tokenizer: CLIPTokenizer, image_px: int) -> CLIPModel:
    """0.3 M parameters: two layers of width 64 on either side; patches of 8 pixels."""
    layers = {
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "projection_dim": _WIDTH,
    }
    text = {
        **layers,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": tokenizer.model_max_length,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {**layers, "image_size": image_px, "patch_size": 8}
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=_WIDTH))


def image_processor(image_px: int) -> CLIPImageProcessor:
    """The preprocessing that goes with `tiny_clip`: short side to `image_px`, centre crop, CLIP's normalisation."""
    return CLIPImageProcessor(
        size={"shortest_edge": image_px}, crop_size={"height": image_px, "width": image_px}, do_convert_rgb=True
    )


class ContrastiveTask(nn.Module):
    """Learn which caption belongs to which image; a batch holds "pixel_values" and "input_ids"."""

    def __init__(self, clip: CLIPModel) -> None:
        super().__init__()
        self.clip = clip

    def training_loss(self, batch: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """CLIP's symmetric cross-entropy over the batch."""
        output = self.clip(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            pixel_values=batch["pixel_values"],
            return_loss=True,
        )
        loss: Tensor = output.loss
        return loss
