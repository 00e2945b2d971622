"""Scorers: each is a learned judge of one image and its prompt. To add one, write its module and give it a line."""

SCORERS: dict[str, str] = {
    "aesthetic": "evaluation.scorers.aesthetic:open_scorer",
    "hps_v2": "evaluation.scorers.hps:open_v2",
    "hps_v2_1": "evaluation.scorers.hps:open_v2_1",
    "image_reward": "evaluation.scorers.image_reward:open_scorer",
    "pick_score": "evaluation.scorers.pick_score:open_scorer",
    "tifa": "evaluation.scorers.tifa:open_scorer",
}
