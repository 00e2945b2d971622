"""Metrics: each judges a gallery from its features. To add one, write its module and give it a line below."""

METRICS: dict[str, str] = {
    "clip_score": "evaluation.metrics.clip_score:CLIP_SCORE",
    "clip_score_hessel": "evaluation.metrics.clip_score:CLIP_SCORE_HESSEL",
    "clip_fid": "evaluation.metrics.fid:CLIP_FID",
}
