"""Metrics: each judges a gallery from its features. To add one, write its module and give it a line below."""

METRICS: dict[str, str] = {
    "clip_score": "evaluation.metrics.clip_score:CLIP_SCORE",
    "clip_score_hessel": "evaluation.metrics.clip_score:CLIP_SCORE_HESSEL",
    "clip_fid": "evaluation.metrics.fid:CLIP_FID",
    "fid": "evaluation.metrics.fid:FID",
    "fid_infinity": "evaluation.metrics.fid:FID_INFINITY",
    "dinov2_fd": "evaluation.metrics.fid:DINOV2_FD",
    "kid": "evaluation.metrics.kid:KID",
    "cmmd": "evaluation.metrics.cmmd:CMMD",
    "precision": "evaluation.metrics.prdc:PRECISION",
    "recall": "evaluation.metrics.prdc:RECALL",
    "density": "evaluation.metrics.prdc:DENSITY",
    "coverage": "evaluation.metrics.prdc:COVERAGE",
    "auth_pct": "evaluation.metrics.memorisation:AUTH_PCT",
    "copy_score": "evaluation.metrics.memorisation:COPY_SCORE",
    "image_reward": "evaluation.metrics.mean_score:IMAGE_REWARD_MEAN",
    "hps_v2": "evaluation.metrics.mean_score:HPS_V2_MEAN",
    "hps_v2_1": "evaluation.metrics.mean_score:HPS_V2_1_MEAN",
    "pick_score": "evaluation.metrics.mean_score:PICK_SCORE_MEAN",
    "aesthetic": "evaluation.metrics.mean_score:AESTHETIC_MEAN",
    "tifa": "evaluation.metrics.mean_score:TIFA_MEAN",
}
