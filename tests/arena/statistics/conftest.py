"""Tables of votes that tests write down by hand."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from arena.statistics.votes import Chosen, Left, VoteTable

TableOf = Callable[..., VoteTable]


@pytest.fixture
def table_of() -> TableOf:
    """`table_of(model_a, model_b, choice, rater=..., prompt=..., left=...)`: names or numbers, one entry per vote.

    `choice` is A, B, tie or both_bad. Raters and prompts default to a new one for each vote, sides to unknown.
    """

    def build(
        model_a: Sequence[str],
        model_b: Sequence[str],
        choice: Sequence[str],
        *,
        rater: Sequence[int] | None = None,
        prompt: Sequence[int] | None = None,
        left: Sequence[str] | None = None,
        category: Sequence[int] | None = None,
        models: Sequence[str] | None = None,
    ) -> VoteTable:
        n = len(choice)
        names = tuple(models) if models is not None else tuple(sorted({*model_a, *model_b}))
        code = {name: number for number, name in enumerate(names)}
        said = {"A": Chosen.A, "B": Chosen.B, "tie": Chosen.TIE, "both_bad": Chosen.BOTH_BAD}
        side = {"A": Left.A, "B": Left.B, "": Left.UNKNOWN}
        own = np.arange(n) if rater is None else np.asarray(rater)
        asked = np.arange(n) if prompt is None else np.asarray(prompt)
        labelled = np.full(n, -1) if category is None else np.asarray(category)
        return VoteTable(
            rater=own.astype(np.int32),
            prompt=asked.astype(np.int32),
            category=labelled.astype(np.int32),
            challenge=np.full(n, -1, dtype=np.int32),
            model_a=np.array([code[name] for name in model_a], dtype=np.int32),
            model_b=np.array([code[name] for name in model_b], dtype=np.int32),
            left=np.array([side[one] for one in left or [""] * n], dtype=np.int8),
            choice=np.array([said[one] for one in choice], dtype=np.int8),
            raters=tuple(f"r{number}" for number in range(int(own.max(initial=-1)) + 1)),
            prompts=tuple(f"p{number}" for number in range(int(asked.max(initial=-1)) + 1)),
            categories=tuple(f"c{number}" for number in range(int(labelled.max(initial=-1)) + 1)),
            challenges=(),
            models=names,
        )

    return build
