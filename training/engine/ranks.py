"""Which of the training's processes this one is, as torchrun tells it before they have met."""

import os


def rank() -> int:
    """This process's number among all, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
