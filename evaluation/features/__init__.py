"""Features: each extractor turns images (and texts) into vectors. To add one, write its module and give it a line."""

FEATURES: dict[str, str] = {
    "clip": "evaluation.features.clip:open_extractor",
}
