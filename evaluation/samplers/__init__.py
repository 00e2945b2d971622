"""Samplers: each paints images for prompts. To add one, write its module and give it a line below."""

SAMPLERS: dict[str, str] = {
    "diffusers": "evaluation.samplers.diffusers:open_sampler",
    "image_folder": "evaluation.samplers.image_folder:open_sampler",
    "swatch": "evaluation.samplers.swatch:open_sampler",
}
