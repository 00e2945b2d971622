"""FastChat: scikit-learn's logistic regression on a dense design of doubled votes; resampled votes for intervals.

Usage: python with_fastchat.py VOTES.parquet ROUNDS. The functions are those of the published package. Its module of
ratings also asks for a name from `fastchat.model`, whose door loads torch and transformers; the door is left shut and
the light file behind it is loaded, so nothing that is measured changes. scikit-learn's default ridge (C = 1) is part
of the method. A bootstrap round costs as much as the fit, so only ROUNDS of the usual 100 are run.
"""

import math
import sys
from importlib import import_module, util
from pathlib import Path
from types import ModuleType

from stopwatch import Stopwatch, centred, report

rounds = int(sys.argv[2])
watch = Stopwatch()
with watch.stage("import"):
    package = util.find_spec("fastchat")
    assert package is not None
    assert package.origin is not None
    shut = ModuleType("fastchat.model")
    shut.__path__ = [str(Path(package.origin).parent / "model")]
    sys.modules["fastchat.model"] = shut
    import numpy as np
    import pandas as pd
    from fastchat.serve.monitor import elo_analysis

    import_module("sklearn.linear_model")  # FastChat would, as it fits for the first time
    import_module("pyarrow.dataset")  # pandas would, as it reads its first file

with watch.stage("read"):
    votes = pd.read_parquet(sys.argv[1], columns=["model_a", "model_b", "winner"])
with watch.stage("fit"):
    elo = elo_analysis.compute_elo_mle_with_tie(votes).sort_index()
with watch.stage("intervals"):
    np.random.seed(1)  # pandas draws its rows from here
    resampled = elo_analysis.get_bootstrap_result(votes, elo_analysis.compute_elo_mle_with_tie, num_round=rounds)

report(
    watch,
    entrants=elo.index.tolist(),
    strengths=centred([(score - 1000) / 400 * math.log(10) for score in elo]),
    rounds=len(resampled),
)
