"""The one file of votes that every contender reads, with the columns of `canvas arena export` and a peer's `winner`.

In: sizes. Out: a Parquet file. Raters and prompts have tastes of their own and raters are unequally busy. Every vote
is decisive: a tie is half a win to the peers and left out by us, so with ties no two would fit the same likelihood.
Usage: python write_votes.py VOTES.parquet '{"votes": 1000, "entrants": 5, "raters": 20, "prompts": 30}'.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

SD_STRENGTH, SD_RATER, SD_PROMPT, SD_ACTIVITY = 0.5, 0.2, 0.4, 0.5
CATEGORIES = ("abstract", "animals", "artifacts", "arts", "food", "indoor", "outdoor", "people", "plants", "vehicles")
FIRST_VOTE_US = 1_760_000_000_000_000
SECONDS_APART = 20


def write(path: Path, *, votes: int, entrants: int, raters: int, prompts: int, seed: int = 1) -> None:
    """Write the votes in the order in which they were cast."""
    rng = np.random.default_rng(seed)
    strength = rng.normal(0, SD_STRENGTH, entrants)
    taste = rng.normal(0, SD_RATER, (raters, entrants))
    suits = rng.normal(0, SD_PROMPT, (prompts, entrants))
    activity = np.exp(rng.normal(0, SD_ACTIVITY, raters))

    rater = rng.choice(raters, votes, p=activity / activity.sum())
    prompt = rng.integers(0, prompts, votes)
    a = rng.integers(0, entrants, votes)
    b = (a + rng.integers(1, entrants, votes)) % entrants
    worth_a = strength[a] + taste[rater, a] + suits[prompt, a]
    worth_b = strength[b] + taste[rater, b] + suits[prompt, b]
    chosen = (rng.random(votes) > 1 / (1 + np.exp(worth_b - worth_a))).astype(np.int32)
    left = rng.integers(0, 2, votes)

    width = len(str(entrants - 1))
    names = [f"entrant-{number:0{width}}" for number in range(entrants)]
    table = {
        "vote_id": pa.array(np.arange(1, votes + 1)),
        "ts": pa.array(FIRST_VOTE_US + np.arange(votes) * SECONDS_APART * 1_000_000, pa.timestamp("us", tz="UTC")),
        "rater": pa.array(rater + 1),
        "prompt": _strings(prompt, [f"a photograph of thing number {number}" for number in range(prompts)]),
        "category": _strings(prompt % len(CATEGORIES), CATEGORIES),
        "model_a": _strings(a, names),
        "model_b": _strings(b, names),
        "left": _strings(left, ("A", "B")),
        "choice": _strings(chosen, ("A", "B")),
        "latency_ms": pa.array(rng.integers(800, 20_000, votes)),
        "session": _strings(rater, [f"session-{number:08x}" for number in range(raters)]),
        "simulated": pa.array(np.ones(votes, dtype=bool)),
        "winner": _strings(chosen, ("model_a", "model_b")),
    }
    parquet.write_table(pa.table(table), path)


def _strings(codes: np.ndarray, names: list[str] | tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names)).cast(pa.string())


if __name__ == "__main__":
    write(Path(sys.argv[1]), **json.loads(sys.argv[2]))
