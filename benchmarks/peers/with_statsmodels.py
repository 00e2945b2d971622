"""statsmodels: a binomial GLM on a dense design, with the covariance clustered by rater and by prompt.

Usage: python with_statsmodels.py VOTES.parquet ROWS. Only the first ROWS votes are read: a dense design of a million
votes by a hundred entrants takes several gigabytes. The first entrant is the origin, and the covariance has the
same factors as ours: G / (G - 1) on each term and (n - 1) / (n - k).
"""

import sys

from stopwatch import Stopwatch, centred, report

rows = int(sys.argv[2])
watch = Stopwatch()
with watch.stage("import"):
    import numpy as np
    import statsmodels.api as sm
    from pyarrow import parquet

with watch.stage("read"):
    votes = parquet.read_table(sys.argv[1], columns=["model_a", "model_b", "winner", "rater", "prompt"]).slice(0, rows)
with watch.stage("code"):
    names, codes = np.unique(
        np.concatenate([votes["model_a"].to_numpy(), votes["model_b"].to_numpy()]), return_inverse=True
    )
    a, b = np.split(codes, 2)
    _, prompt = np.unique(votes["prompt"].to_numpy(), return_inverse=True)
    groups = np.column_stack([votes["rater"].to_numpy(), prompt])
    preferred = (votes["winner"].to_numpy() == "model_a").astype(np.float64)
    n, k = len(preferred), len(names)
    design = np.zeros((n, k))
    design[np.arange(n), a] = 1
    design[np.arange(n), b] = -1
    design = design[:, 1:]
with watch.stage("fit"):
    model = sm.GLM(preferred, design, family=sm.families.Binomial())
    plain = model.fit(tol=1e-12)
with watch.stage("intervals"):
    # A result is not given another covariance in public: the model is fitted once more, from where it ended.
    clustered = model.fit(start_params=plain.params, cov_type="cluster", cov_kwds={"groups": groups})

report(
    watch,
    rows=n,
    entrants=names.tolist(),
    strengths=centred([0.0, *plain.params]),
    differences_se=[0.0, *clustered.bse],
    plain_differences_se=[0.0, *plain.bse],
)
