"""Drift metrics against what Evidently and NannyML said about the same data sets, in a golden file."""

import gzip
import json

import numpy as np
import pytest
from drift_data import DAY, MONDAY, add_predictions, register
from make_drift_golden import GOLDEN, SEEDS, data_set, quality_data_set
from support import rows

GIVEN = json.loads(gzip.decompress(GOLDEN.read_bytes()))

# On values; what takes frozen bins is compared through a baseline and a run.
MEASURES = """
    SELECT
        given.seed,
        ml.population_stability_index(together.reference_counts, together.current_counts) AS "evidently psi",
        ml.jensen_shannon_distance(together.reference_counts, together.current_counts, exp(1.0::float8))
            AS "evidently jensen_shannon",
        ml.wasserstein_distance(given.reference, given.current) AS "evidently wasserstein",
        ml.wasserstein_distance(given.reference, given.current, false) AS "nannyml wasserstein",
        ks.p_value AS "evidently kolmogorov_smirnov",
        ks.statistic AS "nannyml kolmogorov_smirnov",
        (ml.goodness_of_fit_test(together.reference_counts, together.current_counts)).p_value AS "evidently chi_square"
    FROM data_sets AS given
    CROSS JOIN LATERAL ml.bin_together(given.reference, given.current, given.kind = 'categorical') AS together
    CROSS JOIN LATERAL ml.kolmogorov_smirnov_test(given.reference, given.current) AS ks
"""
# Evidently calls it drift from 0.1 on, and below (KS: at) a p-value of 0.05.
IS_DRIFT = {
    "evidently psi": lambda value: value >= 0.1,
    "evidently jensen_shannon": lambda value: value >= 0.1,
    "evidently wasserstein": lambda value: value >= 0.1,
    "evidently kolmogorov_smirnov": lambda value: value <= 0.05,
    "evidently chi_square": lambda value: value < 0.05,
}


# What is below that is a difference of the p-value's own series.
TOLERANCE = {"evidently kolmogorov_smirnov": 1e-9, "evidently chi_square": 1e-9}


def test_metrics_of_values_equal_evidently_and_nannyml(db):
    sets = [data_set(seed) for seed in range(SEEDS)]
    db.execute("CREATE TEMPORARY TABLE data_sets (seed int, kind text, reference float8[], current float8[])")
    with db.cursor() as cursor, cursor.copy("COPY data_sets FROM STDIN") as copy:
        for seed, (kind, reference, current) in enumerate(sets):
            copy.write_row((seed, kind, reference.tolist(), current.tolist()))
    compared, wrong = dict.fromkeys(IS_DRIFT, 0), []
    for found in rows(db, MEASURES):
        seed = found["seed"]
        expected = GIVEN["metrics"][seed]
        for metric in found.keys() & expected.keys():
            value, *verdict = expected[metric]
            compared[metric] = compared.get(metric, 0) + 1
            if metric == "evidently chi_square" and np.ptp(np.concatenate(sets[seed][1:])) == 0:
                # One category: no degree of freedom, where scipy has NaN, or 0 after a rounding error.
                assert found[metric] == 1
                continue
            same_verdict = not verdict or [IS_DRIFT[metric](found[metric])] == verdict
            if found[metric] != pytest.approx(value, rel=TOLERANCE.get(metric, 1e-12), abs=1e-12) or not same_verdict:
                wrong.append((seed, metric, found[metric], expected[metric]))
    assert wrong == []
    assert len(GIVEN["metrics"]) == SEEDS
    assert min(compared.values()) >= 1000, compared


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_runs_against_frozen_bins_equal_nannyml(db, kind):
    methods = {"nannyml jensen_shannon": "jensen_shannon", "nannyml hellinger": "hellinger"}
    if kind == "categorical":
        methods["nannyml chi2"] = "chi_square"
    db.execute("SELECT ml.create_prediction_partitions('2026-01-01', 4)")
    seeds = [seed for seed in range(SEEDS) if data_set(seed)[0] == kind]
    assert len(seeds) >= 1000
    wrong = []
    for batch in np.array_split(seeds, 5):
        names = [f"x{seed}" for seed in batch]
        version = f"v{batch[0]}"
        register(db, version, names, names if kind == "categorical" else ())
        sets = [data_set(int(seed)) for seed in batch]
        add_predictions(db, version, [reference for _, reference, _ in sets], MONDAY)
        add_predictions(db, version, [current for _, _, current in sets], MONDAY + DAY)
        db.execute("SELECT ml_set_baseline('test', %s, %s, %s)", (MONDAY, MONDAY + DAY, version))
        for metric, method in methods.items():
            found = rows(
                db,
                "SELECT * FROM ml.feature_drift(%s, %s, %s, %s) WHERE subject = 'feature'",
                MONDAY + DAY, MONDAY + 2 * DAY, method, version,
            )  # fmt: skip
            assert len(found) == len(names)
            for row in found:
                seed = int(row["feature"][1:])
                (expected,) = GIVEN["metrics"][seed][metric]
                _, reference, current = data_set(seed)
                assert (row["n_baseline"], row["n_current"]) == (len(reference), len(current))
                if kind == "numeric" and np.ptp(reference) == 0:
                    # numpy makes one bin of the value +- 0.5, in which other values are no drift; ours is the value.
                    assert row["out_of_range_rate"] == pytest.approx(np.mean(current != reference[0]))
                    continue
                if row["value"] != pytest.approx(expected, rel=1e-12, abs=1e-12):
                    wrong.append((seed, metric, row["value"], expected))
    assert wrong == []


def test_quality_rates_equal_nannyml(db):
    db.execute("SELECT ml.create_prediction_partitions('2026-01-01', 4)")
    wrong = []
    for batch in np.array_split(range(len(GIVEN["quality"])), 5):
        names = [f"x{seed}" for seed in batch]
        categories = [f"c{seed}" for seed in batch]
        version = f"v{batch[0]}"
        register(db, version, names + categories, categories)
        sets = [quality_data_set(int(seed)) for seed in batch]
        holed = [np.where(holes, None, current) for _, current, holes in sets]
        add_predictions(db, version, [reference for reference, _, _ in sets] * 2, MONDAY)
        add_predictions(db, version, holed + [current for _, current, _ in sets], MONDAY + DAY)
        db.execute("SELECT ml_set_baseline('test', %s, %s, %s)", (MONDAY, MONDAY + DAY, version))
        found = {
            row["feature"]: row
            for row in rows(
                db, "SELECT * FROM ml.feature_drift(%s, %s, 'jensen_shannon', %s)",
                MONDAY + DAY, MONDAY + 2 * DAY, version,
            )
        }  # fmt: skip
        for seed, (_, current, _) in zip(batch, sets, strict=True):
            missing, beyond, unseen = GIVEN["quality"][seed]
            row = found[f"x{seed}"]
            # The rows that fill up a column are missing too.
            holes = len(current) - row["n_current"]
            numbers = (holes / len(current), row["out_of_range_rate"], found[f"c{seed}"]["unseen_rate"])
            if numbers != pytest.approx((missing, beyond, unseen), abs=1e-12):
                wrong.append((seed, numbers, GIVEN["quality"][seed]))
    assert wrong == []
