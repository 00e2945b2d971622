"""The audit's analysis: differences by character, tests that hold, the gate, the judge's errors, and bad labels."""

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from evaluation.audit.analysis import analyse
from evaluation.audit.cluster_bootstrap import bootstrap_means
from evaluation.audit.consistency import consistency
from evaluation.audit.differences import AuditSettings, Verdict
from evaluation.audit.dose_response import dose_response
from evaluation.audit.judge_agreement import judge_agreement
from evaluation.audit.labels import Label, Labels, LabelsError, labels_of, read_labels, write_labels
from evaluation.audit.sign_flip import sign_flip_test
from evaluation.cli_audit import app

QUICK = AuditSettings(resamples=400, draws=2000)


def drawn(
    rng: np.random.Generator,
    *,
    characters: int,
    lift: float = 0.0,
    prompts: int = 3,
    seeds: int = 4,
    kinds: tuple[str, ...] = ("name", "description"),
    consistent: tuple[float, float] | None = None,
) -> list[Label]:
    """Characters differ in how often they come out; `lift` is what the model adds to the reference's rate."""
    found = []
    for character in range(characters):
        base = rng.beta(2, 3)
        own = float(np.clip(base + lift, 0, 1))
        for kind, prompt, seed in itertools.product(kinds, range(prompts), range(seeds)):
            for place, (model, rate) in enumerate((("mine", own), ("sd2", base))):
                found.append(
                    Label(
                        character=f"c{character}",
                        prompt=f"{kind} {character} {prompt}",
                        seed=seed,
                        kind=kind,
                        model=model,
                        detected=bool(rng.random() < rate),
                        consistent=None if consistent is None else bool(rng.random() < consistent[place]),
                    )
                )
    return found


def by_hand(labels: list[Label], kind: str | None = None) -> np.ndarray:
    """Per-character rate differences, the plain way."""
    rows = [one for one in labels if kind is None or one.kind == kind]
    names = sorted({one.character for one in rows})

    def rate(model: str, character: str) -> float:
        return float(np.mean([one.detected for one in rows if (one.model, one.character) == (model, character)]))

    return np.array([rate("mine", name) - rate("sd2", name) for name in names])


def test_the_difference_is_the_mean_over_characters_with_its_clustered_error() -> None:
    labels = drawn(np.random.default_rng(0), characters=12, lift=0.2)
    differences = by_hand(labels, "name")

    found = analyse(labels_of(labels), "sd2", settings=QUICK).models["mine"].kinds["name"]

    se = differences.std(ddof=1) / np.sqrt(12)
    reach = stats.t.ppf(0.975, 11) * se
    assert found.difference == pytest.approx(differences.mean(), abs=1e-12)
    assert found.difference == pytest.approx(found.rate - found.reference_rate, abs=1e-12)
    assert found.se == pytest.approx(se, abs=1e-12)
    assert found.interval == pytest.approx((differences.mean() - reach, differences.mean() + reach), abs=1e-12)


def test_all_counts_every_kind_but_the_declared_controls() -> None:
    rng = np.random.default_rng(1)
    labels = drawn(rng, characters=8, kinds=("name", "generic"))

    plain = analyse(labels_of(labels), "sd2", settings=QUICK).models["mine"]
    controlled = analyse(labels_of(labels), "sd2", controls=["generic"], settings=QUICK).models["mine"]

    assert plain.kinds["all"].difference == pytest.approx(by_hand(labels).mean(), abs=1e-12)
    assert controlled.kinds["all"].difference == pytest.approx(by_hand(labels, "name").mean(), abs=1e-12)
    assert plain.false_alarms is None
    assert controlled.false_alarms is not None
    assert controlled.false_alarms[0] == pytest.approx(controlled.kinds["generic"].rate)


def test_flipping_signs_is_exact_to_twenty_characters_and_goes_through_all_of_them() -> None:
    differences = np.array([0.5, 0.25, -0.25, 0.75, 0.0, 0.125])
    ways = [abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
            for signs in itertools.product((1, -1), repeat=6)]  # fmt: skip

    found = sign_flip_test(differences, rng=np.random.default_rng(0))

    assert found.exact
    assert found.p == pytest.approx(np.mean([way >= abs(differences.sum()) - 1e-12 for way in ways]))


def test_flipping_signs_agrees_with_scipys_permutation_test() -> None:
    differences = np.random.default_rng(3).normal(0.2, 0.4, size=11)
    peer = stats.permutation_test(
        (differences,), lambda values, axis: values.mean(axis=axis), permutation_type="samples", n_resamples=np.inf
    )

    found = sign_flip_test(differences, rng=np.random.default_rng(0))

    assert found.p == pytest.approx(peer.pvalue, abs=1e-12)


def test_beyond_twenty_characters_signs_are_drawn_by_the_seed_and_agree_with_the_exact_value() -> None:
    differences = np.random.default_rng(4).normal(0.15, 0.4, size=20)
    longer = np.append(differences, 0.0)  # a 0 changes no sum, so that the exact value stays

    exact = sign_flip_test(differences, rng=np.random.default_rng(0))
    found = sign_flip_test(longer, rng=np.random.default_rng(0), draws=50_000)
    again = sign_flip_test(longer, rng=np.random.default_rng(0), draws=50_000)

    assert (exact.exact, found.exact) == (True, False)
    assert found == again
    assert found.p == pytest.approx(exact.p, abs=0.01)
    assert found.p > 0


@settings(max_examples=40)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
def test_turning_all_differences_around_changes_no_p_value(values: list[float]) -> None:
    differences = np.array(values)

    one, other = (sign_flip_test(sign * differences, rng=np.random.default_rng(0)) for sign in (1.0, -1.0))

    assert one.p == other.p
    assert 0 < one.p <= 1


def test_the_bootstrap_draws_characters_prompts_and_seeds() -> None:
    rng = np.random.default_rng(5)
    character = np.repeat(np.arange(40), 12)
    prompt = np.repeat(np.arange(160), 3)
    of_character, of_prompt = rng.normal(0, 0.3, 40), rng.normal(0, 0.2, 160)
    values = of_character[character] + of_prompt[prompt] + rng.normal(0, 0.1, 480)

    means = bootstrap_means(values, character, prompt, resamples=4000, rng=rng)

    # What redrawing prompts and seeds adds is taken from between the characters: nothing is counted twice.
    assert means.var() == pytest.approx(values.reshape(40, 12).mean(axis=1).var(ddof=1) / 40, rel=0.1)
    assert means.mean() == pytest.approx(values.mean(), abs=4 * means.std() / 60)


@pytest.mark.slow
def test_the_bootstraps_interval_covers_as_it_says() -> None:
    rng = np.random.default_rng(18)
    inside = 0
    for _ in range(300):
        labels = labels_of(drawn(rng, characters=24, prompts=2, seeds=3, kinds=("name",)))
        found = analyse(labels, "sd2", settings=QUICK).models["mine"].kinds["all"]
        inside += found.bootstrap[0] <= 0 <= found.bootstrap[1]

    # Percentiles of 24 characters are a little narrow.
    assert 0.88 <= inside / 300 <= 0.98


def test_a_bootstrap_of_uneven_prompts_keeps_the_mean() -> None:
    rng = np.random.default_rng(6)
    character = np.array([0] * 7 + [1] * 3)
    prompt = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 3])
    values = np.where(character == 0, 1.0, 3.0)

    means = bootstrap_means(values, character, prompt, resamples=500, rng=rng)

    assert means.mean() == pytest.approx(2.0, abs=0.2)
    assert means.min() < 1.5
    assert means.max() > 2.5


def test_holms_correction_is_over_the_kinds_of_one_model_and_all_stands_alone() -> None:
    labels = labels_of(drawn(np.random.default_rng(7), characters=10, lift=0.15))

    kinds = analyse(labels, "sd2", settings=QUICK).models["mine"].kinds

    first, second = sorted((kinds["name"], kinds["description"]), key=lambda one: one.test.p)
    assert first.p_holm == pytest.approx(min(1, 2 * first.test.p))
    assert second.p_holm == pytest.approx(max(first.p_holm, second.test.p))
    assert kinds["all"].p_holm == kinds["all"].test.p


def test_mcnemars_p_is_the_binomial_one_of_the_images_in_which_the_models_differ() -> None:
    labels = drawn(np.random.default_rng(8), characters=9, lift=0.1)

    found = analyse(labels_of(labels), "sd2", settings=QUICK).models["mine"].kinds["all"]

    shown = {(one.model, one.prompt, one.seed): one.detected for one in labels}
    asked = {(one.prompt, one.seed) for one in labels}
    mine = sum(shown["mine", *item] and not shown["sd2", *item] for item in asked)
    theirs = sum(shown["sd2", *item] and not shown["mine", *item] for item in asked)
    assert (found.model_only, found.reference_only) == (mine, theirs)
    assert found.mcnemar_p == pytest.approx(stats.binomtest(mine, mine + theirs).pvalue)


@pytest.mark.parametrize(("lift", "verdict"), [(-0.35, Verdict.LESS), (0.35, Verdict.MORE)])
def test_a_planted_difference_is_found_with_its_sign(lift: float, verdict: Verdict) -> None:
    labels = labels_of(drawn(np.random.default_rng(9), characters=24, lift=lift))

    found = analyse(labels, "sd2", settings=QUICK).models["mine"].kinds["all"]

    assert found.verdict is verdict
    assert np.sign(found.difference) == np.sign(lift)


def test_equal_models_with_many_characters_copy_no_more_within_delta() -> None:
    labels = labels_of(drawn(np.random.default_rng(10), characters=60, prompts=6))

    found = analyse(labels, "sd2", settings=QUICK).models["mine"].kinds["all"]

    assert found.verdict is Verdict.NO_MORE
    assert found.interval[1] < 0.05


def test_a_model_that_draws_nothing_does_not_win() -> None:
    blind = labels_of(drawn(np.random.default_rng(11), characters=24, lift=-0.35, consistent=(0.2, 0.9)))
    drawing = labels_of(drawn(np.random.default_rng(11), characters=24, lift=-0.35, consistent=(0.9, 0.9)))

    lost = analyse(blind, "sd2", settings=QUICK).models["mine"].kinds["all"]
    kept = analyse(drawing, "sd2", settings=QUICK).models["mine"].kinds["all"]

    assert lost.verdict is Verdict.LESS_BUT_INCONSISTENT
    assert kept.verdict is Verdict.LESS


def test_a_model_that_draws_nothing_is_not_said_to_copy_no_more_either() -> None:
    rng = np.random.default_rng(19)
    blind = labels_of(drawn(rng, characters=60, prompts=6, consistent=(0.2, 0.9)))

    found = analyse(blind, "sd2", settings=QUICK).models["mine"].kinds["all"]

    assert found.verdict is Verdict.NO_MORE_BUT_INCONSISTENT


def test_two_characters_that_never_come_out_prove_nothing_and_a_hundred_do() -> None:
    def silent(characters: int) -> Any:
        labels = [
            Label(character=f"c{one}", prompt=f"p{one}", seed=0, kind="name", model=model, detected=False)
            for one in range(characters)
            for model in ("mine", "sd2")
        ]
        return analyse(labels_of(labels), "sd2", settings=QUICK).models["mine"].kinds["all"]

    few, many = silent(2), silent(100)

    assert few.verdict is Verdict.INCONCLUSIVE
    assert few.interval[1] > 0.8
    assert many.verdict is Verdict.NO_MORE
    assert many.p_no_more == pytest.approx(0.95**100)


def test_no_more_is_corrected_over_kinds_as_less_is() -> None:
    labels = labels_of(drawn(np.random.default_rng(20), characters=20))

    kinds = analyse(labels, "sd2", settings=QUICK).models["mine"].kinds

    first = min((kinds["name"], kinds["description"]), key=lambda one: one.p_no_more)
    assert first.p_no_more_holm == pytest.approx(min(1, 2 * first.p_no_more))
    assert kinds["all"].p_no_more_holm == kinds["all"].p_no_more


def test_a_kind_called_all_is_refused() -> None:
    labels = labels_of(drawn(np.random.default_rng(21), characters=3, kinds=("name", "all")))

    with pytest.raises(LabelsError, match="A kind of prompts is called 'all'"):
        analyse(labels, "sd2", settings=QUICK)


def test_each_character_is_told_with_its_kinds_and_an_interval_over_its_prompts() -> None:
    labels = drawn(np.random.default_rng(22), characters=4, lift=0.1, prompts=3)

    found = analyse(labels_of(labels), "sd2", settings=QUICK).to_dict()["characters"]["mine"]["c1"]

    rows = [one for one in labels if one.character == "c1"]
    by_prompt = [
        np.mean([one.detected for one in rows if (one.prompt, one.model) == (prompt, "mine")])
        - np.mean([one.detected for one in rows if (one.prompt, one.model) == (prompt, "sd2")])
        for prompt in sorted({one.prompt for one in rows})
    ]
    reach = stats.t.ppf(0.975, 5) * np.std(by_prompt, ddof=1) / np.sqrt(6)
    assert found["difference"] == pytest.approx(np.mean(by_prompt))
    assert found["interval"] == pytest.approx([max(-1, np.mean(by_prompt) - reach), min(1, np.mean(by_prompt) + reach)])
    assert set(found["kinds"]) == {"name", "description"}


def test_the_gate_is_not_measured_where_nobody_judged_it() -> None:
    found = consistency(
        np.array([-1, 1, -1], dtype=np.int8), np.array([1, -1, 0], dtype=np.int8), np.array([0, 1, 2]), margin=0.1
    )

    assert found is None


@pytest.mark.slow
def test_two_equal_models_give_a_finding_in_one_of_twenty_audits_and_intervals_cover() -> None:
    rng = np.random.default_rng(12)
    found, covered = 0, 0
    audits = 400
    for _ in range(audits):
        labels = labels_of(drawn(rng, characters=15, prompts=2, seeds=2, kinds=("name",)))
        result = analyse(labels, "sd2", settings=AuditSettings(resamples=200)).models["mine"].kinds["all"]
        found += result.test.p < 0.05
        covered += result.interval[0] <= 0 <= result.interval[1]

    # Three binomial standard errors around 5 and 95 %.
    assert found / audits <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / audits)
    assert covered / audits == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / audits))


def test_prompts_of_one_character_are_not_independent_which_mcnemar_does_not_know() -> None:
    # Each character is shown by one model always and by the other never: 6 characters, however many images.
    labels = [
        Label(
            character=f"c{number}",
            prompt=f"p{number}",
            seed=seed,
            kind="name",
            model=model,
            detected=(model == "mine") == (number < 5),
        )
        for number in range(6)
        for seed in range(20)
        for model in ("mine", "sd2")
    ]

    found = analyse(labels_of(labels), "sd2", settings=QUICK).models["mine"].kinds["all"]

    assert found.mcnemar_p < 1e-6
    assert found.test.p == pytest.approx(14 / 64)  # 2 * (1 + 6) of the 64 ways


def test_the_curve_rises_with_the_words_that_are_given_away() -> None:
    rng = np.random.default_rng(13)
    chances = {"generic": 0.05, "keywords_3": 0.2, "keywords_10": 0.5, "description": 0.7, "name": 0.9}
    labels = [
        Label(
            character=f"c{number}",
            prompt=f"{kind} {number}",
            seed=seed,
            kind=kind,
            model=model,
            detected=bool(rng.random() < chance),
        )
        for number in range(20)
        for kind, chance in chances.items()
        for seed in range(4)
        for model in ("mine", "sd2")
    ]

    [mine, _] = dose_response(labels_of(labels))

    assert [step.kind for step in mine.steps] == list(chances)
    assert [step.rate for step in mine.steps] == sorted(step.rate for step in mine.steps)
    assert mine.slope is not None
    assert mine.slope_se is not None
    assert mine.slope > 4 * mine.slope_se


def test_the_slope_is_statsmodels_logit_with_errors_by_character() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(14)
    kinds = ("generic", "keywords_3", "keywords_5", "keywords_10")
    labels = labels_of(
        [
            Label(
                character=f"c{number}",
                prompt=f"{kind} {number} {prompt}",
                seed=0,
                kind=kind,
                model="mine",
                detected=bool(rng.random() < 0.2 + 0.15 * step + 0.1 * (number % 3)),
            )
            for number in range(12)
            for step, kind in enumerate(kinds)
            for prompt in range(3)
        ]
    )

    [curve] = dose_response(labels)

    dose = np.array([kinds.index(labels.kinds[code]) for code in labels.kind], dtype=float)
    peer = sm.GLM(labels.detected.astype(float), sm.add_constant(dose), family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": labels.character, "use_correction": False}
    )
    assert curve.slope == pytest.approx(peer.params[1], rel=1e-6)
    assert curve.slope_se == pytest.approx(peer.bse[1] * np.sqrt(12 / 11), rel=1e-5)


def test_kappa_and_error_rates_are_those_of_the_two_by_two_table() -> None:
    judge = np.array([1] * 20 + [1] * 5 + [0] * 10 + [0] * 15 + [1], dtype=np.int8)
    human = np.array([1] * 20 + [0] * 5 + [1] * 10 + [0] * 15 + [-1], dtype=np.int8)

    found = judge_agreement(judge, human)

    # The worked example of Cohen's kappa with 20, 5, 10 and 15: (0.7 - 0.5) / 0.5.
    assert found.labelled == 50
    assert found.kappa == pytest.approx(0.4)
    assert found.false_positive_rate == pytest.approx(5 / 20)
    assert found.false_negative_rate == pytest.approx(10 / 30)


# --- files and the command -------------------------------------------------------------------------------------------


def test_labels_that_are_written_are_read_again(tmp_path: Path) -> None:
    labels = drawn(np.random.default_rng(15), characters=3, consistent=(0.5, 0.5))
    write_labels(tmp_path / "labels.csv", labels)

    found = read_labels(tmp_path / "labels.csv")

    expected = labels_of(labels)
    for column in ("character", "prompt", "seed", "kind", "model", "detected", "consistent", "judge", "human"):
        assert (getattr(found, column) == getattr(expected, column)).all()


def _write(path: Path, rows: list[dict[str, Any]], columns: list[str] | None = None) -> Path:
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, columns or list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _rows(characters: int = 3) -> list[dict[str, Any]]:
    return [
        {"character": f"c{number}", "prompt": f"p{number}", "seed": 0, "kind": "name", "model": model, "detected": 1}
        for number in range(characters)
        for model in ("mine", "sd2")
    ]


def test_the_command_prints_every_promised_key(tmp_path: Path) -> None:
    rng = np.random.default_rng(16)
    rows = []
    for one in drawn(rng, characters=10, lift=0.2, consistent=(0.9, 0.9)):
        human = "" if rng.random() < 0.6 else int(one.detected if rng.random() < 0.85 else not one.detected)
        rows.append(
            {
                "character": one.character,
                "prompt": one.prompt,
                "seed": one.seed,
                "kind": one.kind,
                "model": one.model,
                "detected": int(one.detected),
                "consistent": int(one.consistent or 0),
                "judge": int(one.detected),
                "human": human,
            }
        )
    file = _write(tmp_path / "labels.csv", rows)

    result = CliRunner().invoke(app, ["analyse", str(file), "--reference", "sd2", "--json"], catch_exceptions=False)

    found = json.loads(result.stdout)
    assert set(found["models"]) == {"mine"}
    assert set(found["models"]["mine"]) == {"name", "description", "all"}
    promised = {
        "rate", "reference_rate", "difference", "se", "interval", "p_signflip", "exact", "p_holm", "mcnemar_p",
        "characters", "verdict",
    }  # fmt: skip
    for kind in found["models"]["mine"].values():
        assert promised <= set(kind)
        assert kind["exact"] is True
    assert {"kappa", "false_positive_rate", "false_negative_rate", "ppi"} <= set(found["judge"])
    assert {"rate", "interval"} <= set(found["judge"]["ppi"])


def test_without_peoples_labels_the_judge_is_null(tmp_path: Path) -> None:
    file = _write(tmp_path / "labels.csv", _rows())

    result = CliRunner().invoke(app, ["analyse", str(file), "--reference", "sd2", "--json"], catch_exceptions=False)

    assert json.loads(result.stdout)["judge"] is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows[:1], "All labels are of 'mine'|no labels"),
        (lambda rows: [{**row, "detected": 2} for row in rows], r"line 2 has detected '2': write 0 or 1"),
        (lambda rows: [{**row, "seed": "x"} for row in rows], r"line 2 has the seed 'x'"),
        (lambda rows: [{**row, "character": ""} for row in rows], r"line 2 has no character"),
        (lambda rows: rows + rows[:1], "is labelled twice"),
        (lambda rows: rows[:-1], "were not asked the same: 1 image has no partner"),
        (
            lambda rows: [*rows, *({**row, "character": "other", "seed": 5} for row in rows[:2])],
            "belongs to both 'c0' and 'other'",
        ),
        (lambda rows: rows[:2], r"too few characters for a test: 1 \(c0\)"),
        (lambda rows: [{**row, "model": "mine"} if row["model"] == "sd2" else {**row, "model": "x"} for row in rows],
         "The reference 'sd2' has no labels"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_analysed_are_refused_with_one_sentence(
    tmp_path: Path, change: Any, sentence: str
) -> None:
    file = _write(tmp_path / "labels.csv", change(_rows()))

    with pytest.raises(LabelsError, match=sentence):
        CliRunner().invoke(app, ["analyse", str(file), "--reference", "sd2"], catch_exceptions=False)


def test_a_missing_column_is_named_with_the_ones_that_are_there(tmp_path: Path) -> None:
    rows = [{key: value for key, value in row.items() if key != "kind"} for row in _rows()]
    file = _write(tmp_path / "labels.csv", rows)

    with pytest.raises(LabelsError, match="has no column kind; its columns are character, prompt"):
        read_labels(file)


@given(st.permutations(range(12)))
@settings(max_examples=20)
def test_the_order_of_the_rows_changes_nothing(order: list[int]) -> None:
    labels = drawn(np.random.default_rng(17), characters=3, prompts=1, seeds=2, kinds=("name",))
    shuffled = [labels[number] for number in order]

    def result(table: Labels) -> dict[str, Any]:
        return analyse(table, "sd2", settings=QUICK).to_dict()

    assert result(labels_of(shuffled)) == result(labels_of(labels))
