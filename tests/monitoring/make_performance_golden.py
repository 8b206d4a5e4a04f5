"""Write what NannyML makes of the data sets of ``performance_samples``: ``golden/performance_nannyml.json.gz``.

NannyML pins libraries that this project does not use, so it lives in an environment of its own:

    python -m venv ENVIRONMENT
    ENVIRONMENT/bin/pip install nannyml==0.13.1
    NML_DISABLE_USAGE_LOGGING=1 ENVIRONMENT/bin/python tests/monitoring/make_performance_golden.py
"""

import gzip
import json
import math
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import nannyml
import numpy as np
import pandas as pd
from nannyml.calibration import NoopCalibrator, _calculate_expected_calibration_error, _get_bin_index_edges
from nannyml.performance_estimation.confidence_based import metrics
from nannyml.sampling_error import binary_classification as errors
from performance_samples import drawn

DATA_SETS = 1000
FILE = Path(__file__).parent / "golden" / "performance_nannyml.json.gz"


def number(value):
    """Return a float, or None for NaN."""
    return None if math.isnan(value) else float(value)


def expected(seed):
    """Return the estimates on the later predictions, their sampling errors by the reference, and the reference's ECE."""
    data = drawn(seed)
    reference, later = data["reference"], data["later"]
    probability, predicted = later["probability"], later["predicted"].astype(int)
    estimated = {
        "accuracy": metrics.estimate_accuracy(predicted, probability),
        "precision": metrics.estimate_precision(predicted, probability),
        "recall": metrics.estimate_recall(predicted, probability),
        "f1": metrics.estimate_f1(predicted, probability),
        "roc_auc": metrics.estimate_roc_auc(probability, later["score"]),
        "average_precision": metrics.estimate_ap(probability, later["score"]),
    }
    if (predicted == 1).any() or (probability < 1).any():
        estimated["false_positive_rate"] = 1 - metrics.estimate_specificity(predicted, probability)
    true = pd.Series(reference["is_win"].astype(int))
    decided = pd.Series(reference["predicted"].astype(int))
    score = pd.Series(reference["score"])
    parts = {
        "accuracy": (errors.accuracy_sampling_error, errors.accuracy_sampling_error_components(true, decided)),
        "precision": (errors.precision_sampling_error, errors.precision_sampling_error_components(true, decided)),
        "recall": (errors.recall_sampling_error, errors.recall_sampling_error_components(true, decided)),
        "f1": (errors.f1_sampling_error, errors.f1_sampling_error_components(true, decided)),
        "false_positive_rate": (
            errors.specificity_sampling_error,
            errors.specificity_sampling_error_components(true, decided),
        ),
        "roc_auc": (errors.auroc_sampling_error, errors.auroc_sampling_error_components(true, score)),
    }
    sampling = {name: number(function(components, probability)) for name, (function, components) in parts.items()}
    ece = _calculate_expected_calibration_error(true, score, _get_bin_index_edges(len(true), 10))
    return {
        "checksum": data["checksum"],
        "estimated": {name: number(value) for name, value in estimated.items()},
        "sampling_error": sampling,
        "ece": number(ece),
    }


def refuse_other_functions(found):
    """Compare with the estimator that users call, where it can be fitted: the functions above must be the ones it uses."""
    names = ["accuracy", "precision", "recall", "f1", "roc_auc", "average_precision"]
    for seed, figures in enumerate(found[:100]):
        data = drawn(seed)
        reference, later = (
            pd.DataFrame({key: column * 1 for key, column in data[part].items()}) for part in ("reference", "later")
        )
        if len(reference) < 20 or reference["is_win"].nunique() < 2 or reference["predicted"].nunique() < 2:
            continue
        estimator = nannyml.CBPE(
            metrics=names,
            y_pred_proba="score",
            y_pred="predicted",
            y_true="is_win",
            problem_type="classification_binary",
            calibrator=NoopCalibrator(),
            chunk_size=max(len(reference), len(later)),
        )
        estimator.fit(reference)
        result = estimator.estimate(later.assign(score=later["probability"])).filter(period="analysis").data
        for name in names:
            value, error = (float(result[name][column].iloc[0]) for column in ("value", "sampling_error"))
            # This estimator orders the events by what it was given, which is the probability.
            if name not in ("roc_auc", "average_precision"):
                assert math.isclose(value, figures["estimated"][name], abs_tol=1e-12), (seed, name)
            if name != "average_precision":
                assert math.isclose(error, figures["sampling_error"][name], abs_tol=1e-12), (seed, name)


def main():
    """Write the file."""
    warnings.simplefilter("ignore")
    with np.errstate(all="ignore"):
        found = [expected(seed) for seed in range(DATA_SETS)]
        refuse_other_functions(found)
    libraries = {name: version(name) for name in ("nannyml", "numpy", "pandas", "scikit-learn")}
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(gzip.compress(json.dumps({**libraries, "expected": found}).encode(), 9, mtime=0))
    sys.stdout.write(f"{len(found)} data sets, {FILE.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
