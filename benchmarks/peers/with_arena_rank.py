"""arena-rank: L-BFGS in JAX on the distinct (A, B, outcome) rows, then its sandwich of independent votes.

Usage: python with_arena_rank.py VOTES.parquet. Called as its own README calls it, with no votes reweighted. Its ridge
(1e-5 per vote) enters the covariance only, so its strengths are plain maximum likelihood; its L-BFGS stops once the
mean loss changes by less than 1e-9. JAX compiles during the first call: `fit again` and `intervals again` are the same
calls once more in the same process.
"""

import math
import sys
from importlib import import_module

from stopwatch import Stopwatch, centred, report

watch = Stopwatch()
with watch.stage("import"):
    import jax
    import numpy as np
    import pandas as pd
    from arena_rank.models.bradley_terry import BradleyTerry
    from arena_rank.utils.data_utils import PairDataset

    import_module("pyarrow.dataset")  # pandas would, as it reads its first file

with watch.stage("read"):
    votes = pd.read_parquet(sys.argv[1], columns=["model_a", "model_b", "winner"])
with watch.stage("code"):
    dataset = PairDataset.from_pandas(votes)
    jax.block_until_ready(dataset.opt_weights)

for again in ("", " again"):
    model = BradleyTerry(n_competitors=len(dataset.competitors))
    with watch.stage(f"fit{again}"):
        model.fit(dataset)
        jax.block_until_ready(model.params)
    with watch.stage(f"intervals{again}"):
        found = model.compute_ratings_and_cis(dataset, significance_level=0.05)
        jax.block_until_ready(found["variances"])

elo_per_logit = 400 / math.log(10)
report(
    watch,
    entrants=found["competitors"],
    strengths=centred((np.asarray(found["ratings"]) / elo_per_logit).tolist()),
    standard_errors=(np.sqrt(np.asarray(found["variances"])) / elo_per_logit).tolist(),
)
