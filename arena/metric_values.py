"""Automatic scores laid beside a vote table: each metric's value by model and prompt, ready to be held against people.

In: the ledger's scores and the votes as a table. Out: `MetricValues`. A score's details keep its value of each prompt
under PER_PROMPT, where the metric has such values. Pure.
"""

from collections.abc import Sequence

import numpy as np

from arena.ledger.records import Score
from arena.statistics.metric_agreement import MetricValues
from arena.statistics.votes import VoteTable

PER_PROMPT = "per_prompt"
BETTER = "better"


def metric_values(table: VoteTable, scores: Sequence[Score]) -> list[MetricValues]:
    """The metrics of these scores, by name; models and prompts that were not measured are NaN.

    Scores belong to one prompt set. Of two of an entrant and metric the later one counts.
    """
    found = []
    places = {prompt: number for number, prompt in enumerate(table.prompts)}
    for metric in sorted({score.metric for score in scores}):
        of_models = np.full(len(table.models), np.nan)
        of_prompts = np.full((len(table.models), len(table.prompts)), np.nan)
        better = "higher"
        for score in scores:
            if score.metric != metric or score.entrant not in table.models:
                continue
            model = table.models.index(score.entrant)
            of_models[model] = score.value
            better = score.details.get(BETTER, better)
            for prompt, value in score.details.get(PER_PROMPT, {}).items():
                if prompt in places:
                    of_prompts[model, places[prompt]] = value
        found.append(
            MetricValues(
                metric=metric,
                better="lower" if better == "lower" else "higher",
                of_prompts=of_prompts,
                of_models=of_models,
            )
        )
    return found
