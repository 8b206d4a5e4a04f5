"""Write what Evidently and NannyML say about generated data sets, for test_drift_golden.py.

NannyML needs older packages than the trainer, so this runs in an environment of its own, which it makes:

    python tests/monitoring/make_drift_golden.py [FOLDER OF THE ENVIRONMENT]

The data sets are not stored: ``data_set(seed)`` makes them again, with integer arithmetic and additions only, so that
they are the same bits everywhere.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden" / "drift.json.gz"
REQUIREMENTS = ("evidently==0.7.23", "nannyml==0.13.1", "pandas<3")
SEEDS = 2000

Sample = np.ndarray


def data_set(seed: int) -> tuple[str, Sample, Sample]:
    """Return kind (numeric or categorical), reference and current sample, float64 without missing values."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(2, [30, 120, 600][seed % 3], 2)
    if seed % 17 == 0:
        sizes[:] = 2 ** generator.integers(2, 9)
    reference_size, current_size = (int(size) for size in sizes)
    if seed % 2:
        # Categories, some of them in one sample only.
        levels = int(generator.integers(1, 9))
        reference = generator.integers(0, levels, reference_size)
        current = generator.integers(0, levels + int(generator.integers(0, 2)), current_size)
        return "categorical", reference.astype(float), current.astype(float)
    shape = seed // 2 % 9
    if shape == 0:
        # Few distinct numbers: 1 to 25.
        levels = int(generator.integers(1, 26))
        reference = generator.integers(0, levels, reference_size) / 4
        current = generator.integers(0, levels, current_size) / 4
        return "numeric", reference, current
    shift = float(generator.integers(0, 9)) / 16 * (shape % 2)
    scale = 1 + float(generator.integers(0, 5)) / 8 * (shape % 3 == 0)
    samples = [
        # Sums of uniforms are close to normal; a square of them is skewed.
        sum(generator.random(size) for _ in range(3)) - 1.5
        for size in (reference_size, current_size)
    ]
    if shape in {1, 4, 7}:
        samples = [sample * sample * sample for sample in samples]
    if shape == 5:
        samples = [np.round(sample * 8) / 8 for sample in samples]
    return "numeric", samples[0], samples[1] * scale + shift


def quality_data_set(seed: int) -> tuple[Sample, Sample, Sample]:
    """Return reference, current sample on a grid of quarters, and where the current one has holes."""
    generator = np.random.default_rng(seed)
    # Without a negative zero, which is another text and so another category.
    reference, current = (np.round(sample * 4) / 4 + 0.0 for sample in data_set(2 * seed)[1:])
    holes = generator.random(len(current)) < 0.1
    holes[0] = False
    return reference, current, holes


def measure(seed: int) -> dict[str, object]:
    """Return every metric of one data set, by tool: value (p-value of tests) and, of Evidently, the verdict."""
    import pandas as pd
    from evidently.legacy.calculations.stattests import (
        chi_stat_test,
        jensenshannon_stat_test,
        ks_stat_test,
        psi_stat_test,
        wasserstein_stat_test,
    )
    from evidently.legacy.core import ColumnType
    from nannyml.chunk import SizeBasedChunker
    from nannyml.drift.univariate.methods import FeatureType, MethodFactory
    from nannyml.thresholds import StandardDeviationThreshold

    kind, reference, current = data_set(seed)
    results: dict[str, object] = {}
    column_type = {"numeric": ColumnType.Numerical, "categorical": ColumnType.Categorical}[kind]
    tests = {"psi": psi_stat_test, "jensen_shannon": jensenshannon_stat_test}
    tests |= {"wasserstein": wasserstein_stat_test, "kolmogorov_smirnov": ks_stat_test} if kind == "numeric" else {}
    tests |= {"chi_square": chi_stat_test} if kind == "categorical" else {}
    for metric, test in tests.items():
        found = test(pd.Series(reference), pd.Series(current), column_type, None)
        results[f"evidently {metric}"] = [float(found.drift_score), bool(found.drifted)]

    feature_type = {"numeric": FeatureType.CONTINUOUS, "categorical": FeatureType.CATEGORICAL}[kind]
    keys = ["jensen_shannon", "hellinger"]
    keys += ["kolmogorov_smirnov", "wasserstein"] if kind == "numeric" else ["chi2"]
    for key in keys:
        method = MethodFactory.create(
            key, feature_type, chunker=SizeBasedChunker(10), threshold=StandardDeviationThreshold()
        )
        method._fit(pd.Series(reference, name="x"))
        results[f"nannyml {key}"] = [float(method._calculate(pd.Series(current, name="x")))]
    return results


def measure_quality(seed: int) -> list[float]:
    """Return the rates of missing values, of values beyond the reference and of unseen categories, by NannyML."""
    import pandas as pd
    from nannyml import MissingValuesCalculator, NumericalRangeCalculator, UnseenValuesCalculator

    reference, current, holes = quality_data_set(seed)
    frame = pd.DataFrame({"x": np.where(holes, np.nan, current)})
    as_text = [pd.DataFrame({"x": sample}).astype(str).astype("category") for sample in (reference, current)]
    calculators = (
        (MissingValuesCalculator(column_names=["x"], chunk_number=1), pd.DataFrame({"x": reference}), frame),
        (NumericalRangeCalculator(column_names=["x"], chunk_number=1), pd.DataFrame({"x": reference}), frame.dropna()),
        (UnseenValuesCalculator(column_names=["x"], chunk_number=1), *as_text),
    )
    rates = []
    for calculator, fitted, given in calculators:
        calculator.fit(fitted)
        rates.append(float(calculator.calculate(given).to_df()[("x", "value")].iloc[-1]))
    return rates


def main() -> None:
    """Compare in this environment if it has the tools, else make one and compare there."""
    try:
        import evidently  # noqa: F401  only asked whether it is there
        import nannyml  # noqa: F401  only asked whether it is there
    except ImportError:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="drift-golden-"))
        python = folder / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        silent = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}
        subprocess.run([python, __file__], check=True, env={**os.environ, **silent})
        return
    import warnings
    from importlib.metadata import version

    warnings.simplefilter("ignore")
    packages = ("evidently", "nannyml", "numpy", "scipy", "pandas")
    golden = {
        "versions": {package: version(package) for package in packages},
        "metrics": [measure(seed) for seed in range(SEEDS)],
        "quality": [measure_quality(seed) for seed in range(SEEDS // 2)],
    }
    GOLDEN.parent.mkdir(exist_ok=True)
    text = json.dumps(golden, separators=(",", ":"))
    # The same bytes from the same results.
    GOLDEN.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
