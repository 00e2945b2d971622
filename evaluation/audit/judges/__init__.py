"""Judges: each says of an image how much it looks like the target of its probe.

To add one, write its module and give it a line in JUDGES and a sentence in ABOUT. Those of CONSISTENCY have the same
form and judge something else: whether the image shows what the probe asks for without naming anybody, so that a model
that draws nothing is not praised for copying nothing.
"""

JUDGES: dict[str, str] = {
    "clip_divergence": "evaluation.audit.judges.clip_divergence:open_judge",
    "clip_zero_shot": "evaluation.audit.judges.clip_zero_shot:open_judge",
    "reference_similarity": "evaluation.audit.judges.reference_similarity:open_judge",
    "vision_language": "evaluation.audit.judges.vision_language:open_judge",
    "endpoint": "evaluation.audit.judges.endpoint:open_judge",
}
CONSISTENCY: dict[str, str] = {
    "clip_entity": "evaluation.audit.judges.clip_entity:open_judge",
    "vqa_entity": "evaluation.audit.judges.vqa_entity:open_judge",
}
ABOUT: dict[str, str] = {
    "clip_divergence": "how much nearer the image is to the target than to its own prompt, by CLIP",
    "clip_zero_shot": "the probability of the target among all probes of the set and 'none of these', by CLIP",
    "reference_similarity": "the likeness to your own pictures of the target, by SSCD or DINOv2",
    "vision_language": "whether a vision-language model names the target without being told it",
    "endpoint": "the same, asked of a chat completions endpoint",
    "clip_entity": "consistency: whether the image shows the probe's entity rather than others, by CLIP",
    "vqa_entity": "consistency: whether BLIP or BLIP-2 answers yes when asked if the entity is seen",
}
