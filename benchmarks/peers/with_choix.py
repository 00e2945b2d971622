"""choix: iterative Luce spectral ranking on the table of wins. It gives strengths and no intervals.

Usage: python with_choix.py VOTES.parquet. choix reads no files and codes no names: `read` and `code` are pandas.
alpha = 0 is plain maximum likelihood.
"""

import sys
from importlib import import_module

from stopwatch import Stopwatch, centred, report

watch = Stopwatch()
with watch.stage("import"):
    import choix
    import numpy as np
    import pandas as pd

    import_module("pyarrow.dataset")  # pandas would, as it reads its first file

with watch.stage("read"):
    votes = pd.read_parquet(sys.argv[1], columns=["model_a", "model_b", "winner"])
with watch.stage("code"):
    codes, names = pd.factorize(pd.concat([votes["model_a"], votes["model_b"]]), sort=True)
    a, b = np.split(codes, 2)
    preferred = (votes["winner"] == "model_a").to_numpy()
    winner, loser = np.where(preferred, a, b), np.where(preferred, b, a)
    k = len(names)
    wins = np.bincount(winner * k + loser, minlength=k * k).reshape(k, k).astype(np.float64)
with watch.stage("fit"):
    strengths = choix.ilsr_pairwise_dense(wins, alpha=0.0, tol=1e-10)

report(watch, entrants=list(names), strengths=centred(strengths.tolist()))
