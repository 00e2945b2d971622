"""Features: each extractor turns images (and texts) into vectors. To add one, write its module and give it a line."""

FEATURES: dict[str, str] = {
    "clip": "evaluation.features.clip:open_extractor",
    "open_clip": "evaluation.features.open_clip:open_extractor",
    "inception": "evaluation.features.inception:open_extractor",
    "dinov2": "evaluation.features.dinov2:open_extractor",
    "sscd": "evaluation.features.sscd:open_extractor",
}
