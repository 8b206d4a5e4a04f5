"""Statistics of experiments in SQL against scipy, statsmodels and definitions written out in numpy."""

import math

import experiment_oracles as oracles
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from support import one

on_one_database = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
hostile = settings(parent=on_one_database, max_examples=100)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(2, 120)
levels = st.sampled_from([0.8, 0.95, 0.99])
any_number = st.none() | st.floats() | st.sampled_from([0.0, 5e-324, 1e-200, 1e200, 1.7e308, -1e200, 0.5])


def call(db, function, **arguments):
    """Call a function by the names of its parameters; arrays of numpy become arrays of Postgres."""
    casts = {
        "p_first": "float8[]", "p_second": "float8[]", "p_scores": "float8[]", "p_positive": "boolean[]",
        "p_clusters": "integer[]", "p_counts": "bigint[]", "p_shares": "float8[]",
    }  # fmt: skip
    if function == "mcnemar_test":
        casts |= {"p_first": "boolean[]", "p_second": "boolean[]"}
    text = ", ".join(f"{name} => %s{'::' + casts[name] if name in casts else ''}" for name in arguments)
    values = [item.tolist() if isinstance(item, np.ndarray) else item for item in arguments.values()]
    return one(db, f"SELECT * FROM ml.{function}({text})", *values)


def assert_equal(actual, expected, tolerance=1e-9):
    """Compare the named results: None with NULL, numbers relatively, tiny differences of large ones absolutely."""
    for name, number in expected.items():
        found = actual[name]
        if number is None or (isinstance(number, float) and math.isnan(number)):
            assert found is None, (name, found)
        else:
            assert found is not None, name
            assert found == pytest.approx(number, rel=tolerance, abs=1e-13), name


def scores(generator, size, ties):
    """Return scores in [0, 1], on a grid of some values when there are to be ties."""
    drawn = generator.random(size)
    return np.round(drawn * ties) / ties if ties else drawn


def classes(generator, size, share):
    """Return classes of which two at least are there of each."""
    positive = generator.random(size) < share
    positive[:2], positive[-2:] = True, False
    return positive


@on_one_database
@given(seeds, st.integers(1, 400), st.floats(0, 1), st.floats(0, 1))
def test_mcnemar(db, seed, size, share, agreement):
    generator = np.random.default_rng(seed)
    first = generator.random(size) < share
    second = np.where(generator.random(size) < agreement, first, generator.random(size) < 0.5)
    found = call(db, "mcnemar_test", p_first=first, p_second=second)
    assert_equal(found, oracles.mcnemar_test(first, second))
    assert found["difference"] == pytest.approx(second.mean() - first.mean(), abs=1e-15)


@on_one_database
@given(seeds, sizes, levels, st.floats(-1, 1), st.sampled_from([0, 5, 12, 30]))
def test_paired_difference(db, seed, size, level, shift, months):
    generator = np.random.default_rng(seed)
    first, second = generator.random(size) ** 2, generator.random(size) ** 2 + shift
    clusters = generator.integers(0, months, size) if months else None
    found = call(db, "paired_difference_test", p_first=first, p_second=second, p_clusters=clusters, p_level=level)
    assert_equal(found, oracles.paired_difference_test(first, second, clusters, level))
    assert found["mean_second"] == pytest.approx(second.mean(), abs=1e-13)


@on_one_database
@given(seeds, st.integers(4, 120), st.sampled_from([0, 2, 10]), st.floats(0.05, 0.95), st.floats(0, 1), levels)
def test_delong_of_two(db, seed, size, ties, share, relation, level):
    generator = np.random.default_rng(seed)
    positive = classes(generator, size, share)
    first = scores(generator, size, ties)
    second = np.round((relation * first + (1 - relation) * scores(generator, size, ties)) * 64) / 64
    found = call(db, "delong_test", p_first=first, p_second=second, p_positive=positive, p_level=level)
    assert_equal(found, oracles.delong_test(first, second, positive, level))
    assert found["auc_first"] == pytest.approx(roc_auc_score(positive, first), abs=1e-14)


@on_one_database
@given(seeds, st.integers(4, 120), st.sampled_from([0, 2, 10]), st.floats(0.05, 0.95), levels)
def test_delong_of_one(db, seed, size, ties, share, level):
    generator = np.random.default_rng(seed)
    positive = classes(generator, size, share)
    values = scores(generator, size, ties)
    found = call(db, "delong_auc", p_scores=values, p_positive=positive, p_level=level)
    assert_equal(found, oracles.delong_auc(values, positive, level))
    assert found["auc"] == pytest.approx(roc_auc_score(positive, values), abs=1e-14)


@on_one_database
@given(
    st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    levels,
)
def test_two_proportions(db, first, second, level):
    found = call(
        db, "two_proportion_test", p_successes_first=first[0], p_trials_first=first[1],
        p_successes_second=second[0], p_trials_second=second[1], p_level=level,
    )  # fmt: skip
    assert_equal(found, oracles.two_proportion_test(first, second, level))


@on_one_database
@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), levels)
def test_wilson(db, counts, level):
    found = call(db, "wilson_interval", p_successes=counts[0], p_trials=counts[1], p_level=level)
    assert_equal(found, oracles.wilson_interval(*counts, level))


@on_one_database
@given(seeds, st.integers(1, 100), st.integers(1, 100), st.sampled_from([1, 3, 50, 10**6]), st.floats(0.2, 5))
def test_mann_whitney(db, seed, size_first, size_second, grid, factor):
    generator = np.random.default_rng(seed)
    first = np.round(generator.exponential(size=size_first) * grid)
    second = np.round(generator.exponential(size=size_second) * grid * factor)
    found = call(db, "mann_whitney_test", p_first=first, p_second=second)
    expected = oracles.mann_whitney_test(first, second)
    if len(set(first) | set(second)) == 1:
        expected["p_value"] = None  # scipy says 1; nothing was tested
    assert_equal(found, expected)


@on_one_database
@given(st.lists(st.tuples(st.integers(0, 10**5), st.floats(0.01, 10)), min_size=2, max_size=6))
def test_sample_ratio(db, arms):
    counts, shares = np.array([arm[0] for arm in arms]), np.array([arm[1] for arm in arms])
    counts[0] += 1
    found = call(db, "sample_ratio_test", p_counts=counts, p_shares=shares)
    expected = oracles.sample_ratio_test(counts, shares)
    if expected["p_value"] < 1e-290:
        expected["p_value"] = 0.0
    assert_equal(found, expected)


@on_one_database
@given(st.floats(-1, 1), st.floats(1e-4, 1), st.floats(1e-4, 1), levels)
def test_always_valid(db, estimate, error, tau, level):
    found = call(db, "always_valid_test", p_estimate=estimate, p_standard_error=error, p_tau=tau, p_level=level)
    assert_equal(found, oracles.always_valid_test(estimate, error, tau, level))
    # The interval excludes 0 exactly when the p-value is below.
    assert (found["low"] > 0 or found["high"] < 0) == (found["p_value"] < 1 - level) or found[
        "p_value"
    ] == pytest.approx(1 - level)


def test_looking_often_finds_nothing_where_nothing_is(db):
    """Seventy looks at each of 100 experiments without an effect: the plain test errs in far more than 5 %."""
    found = one(
        db,
        """
        WITH draws AS (
            SELECT e, n, sum(sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) OVER (PARTITION BY e ORDER BY n) AS total
            FROM (SELECT setseed(0.1)) AS s, generate_series(1, 100) AS e, generate_series(1, 1500) AS n
        )
        SELECT
            count(DISTINCT e) FILTER (WHERE 2 * ml.normal_cdf(-abs(total) / sqrt(n)) < 0.05) / 100.0 AS plain,
            count(DISTINCT e) FILTER (WHERE a.p_value < 0.05) / 100.0 AS always_valid
        FROM draws CROSS JOIN LATERAL ml.always_valid_test(total / n, 1 / sqrt(n), 0.1) AS a
        WHERE n >= 100 AND n % 20 = 0
        """,
    )
    assert found["plain"] > 0.2
    assert found["always_valid"] <= 0.05


def test_power_of_pairs():
    """The figures of the documentation: 783 pairs, or 16,400 events split 95 to 5, to see 50 % become 55 %."""
    from statsmodels.stats.power import NormalIndPower
    from statsmodels.stats.proportion import proportion_effectsize

    z = 1.959963985 + 0.841621234
    paired = ((1.959963985 * math.sqrt(0.25) + 0.841621234 * math.sqrt(0.25 - 0.05**2)) / 0.05) ** 2
    assert paired == pytest.approx(783, rel=0.01)
    small_arm = NormalIndPower().solve_power(proportion_effectsize(0.55, 0.5), power=0.8, alpha=0.05, ratio=19)
    assert small_arm * 20 == pytest.approx(16400, rel=0.02)
    assert z**2 > 7.8


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("mcnemar_test", {"p_first": [], "p_second": []}),
        ("mcnemar_test", {"p_first": None, "p_second": None}),
        ("mcnemar_test", {"p_first": [True, False], "p_second": [True, False]}),
        ("paired_difference_test", {"p_first": [], "p_second": []}),
        ("paired_difference_test", {"p_first": None, "p_second": None, "p_clusters": None}),
        ("paired_difference_test", {"p_first": [1.0], "p_second": [2.0]}),
        ("paired_difference_test", {"p_first": [0.1, 0.2, 0.7], "p_second": [0.3, 0.4, 0.9]}),
        ("delong_test", {"p_first": [], "p_second": [], "p_positive": []}),
        ("delong_test", {"p_first": None, "p_second": None, "p_positive": None}),
        ("delong_test", {"p_first": [0.1, 0.2], "p_second": [0.2, 0.1], "p_positive": [True, True]}),
        ("delong_test", {"p_first": [0.1, 0.2], "p_second": [0.2, 0.1], "p_positive": [True, False]}),
        ("delong_test", {"p_first": [0.5] * 4, "p_second": [0.5] * 4, "p_positive": [True, True, False, False]}),
        ("mann_whitney_test", {"p_first": [], "p_second": [1.0]}),
        ("mann_whitney_test", {"p_first": [1.0, 1.0], "p_second": [1.0]}),
        ("sample_ratio_test", {"p_counts": [], "p_shares": []}),
        ("sample_ratio_test", {"p_counts": [0, 0], "p_shares": [0.5, 0.5]}),
        ("sample_ratio_test", {"p_counts": [5], "p_shares": [1.0]}),
        ("sample_ratio_test", {"p_counts": [5, -1], "p_shares": [0.5, 0.5]}),
        ("sample_ratio_test", {"p_counts": [5, 5], "p_shares": [0.5, math.nan]}),
        (
            "two_proportion_test",
            {"p_successes_first": 0, "p_trials_first": 0, "p_successes_second": 1, "p_trials_second": 2},
        ),
        (
            "two_proportion_test",
            {"p_successes_first": 3, "p_trials_first": 2, "p_successes_second": 1, "p_trials_second": 2},
        ),
        ("always_valid_test", {"p_estimate": 0.1, "p_standard_error": 0.0, "p_tau": 0.1}),
        ("always_valid_test", {"p_estimate": None, "p_standard_error": 0.1, "p_tau": 0.1}),
    ],
)
def test_where_nothing_can_be_tested_there_is_no_p_value(db, function, arguments):
    assert call(db, function, **arguments)["p_value"] is None


def test_an_arm_that_was_to_be_empty_is_a_mismatch(db):
    found = call(db, "sample_ratio_test", p_counts=[100, 1], p_shares=[1.0, 0.0])
    assert (found["p_value"], found["is_mismatch"]) == (0, True)
    assert call(db, "sample_ratio_test", p_counts=[100, 101, 0], p_shares=[1.0, 1.0, 0.0])["degrees_of_freedom"] == 1


@hostile
@given(st.lists(st.tuples(any_number, any_number, st.none() | st.booleans(), st.none() | st.integers(0, 3))))
def test_strange_numbers_are_no_error_and_what_is_missing_is_left_out(db, data):
    first, second, positive, cluster = (list(column) for column in zip(*data, strict=True)) if data else ([],) * 4

    def fits(number, bound):
        return number is not None and -bound < number < bound

    found = call(db, "paired_difference_test", p_first=first, p_second=second, p_clusters=cluster, p_minimum_clusters=2)
    assert found["pairs"] == sum(fits(a, 1.0000001e100) and fits(b, 1.0000001e100) for a, b, _, _ in data)
    usable = [row for row in data if fits(row[0], math.inf) and fits(row[1], math.inf) and row[2] is not None]
    found = call(db, "delong_test", p_first=first, p_second=second, p_positive=positive)
    assert found["positives"] + found["negatives"] == len(usable)
    again = [list(column) for column in zip(*usable, strict=True)] if usable else [[], [], []]
    assert call(db, "delong_test", p_first=again[0], p_second=again[1], p_positive=again[2]) == found
    assert found["p_value"] is None or 0 <= found["p_value"] <= 1
    found = call(db, "mann_whitney_test", p_first=first, p_second=second)
    assert found["values_first"] == sum(fits(a, math.inf) for a in first)
    call(db, "delong_auc", p_scores=first, p_positive=positive)
    found = call(db, "mcnemar_test", p_first=positive, p_second=positive[::-1])
    assert found["pairs"] == sum(a is not None and b is not None for a, b in zip(positive, positive[::-1], strict=True))


@hostile
@given(any_number, any_number, any_number, any_number, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_strange_numbers_are_no_error_in_tests_of_counts(db, estimate, error, tau, level, successes, trials):
    found = call(db, "always_valid_test", p_estimate=estimate, p_standard_error=error, p_tau=tau, p_level=level)
    assert found["p_value"] is None or 0 <= found["p_value"] <= 1
    call(db, "wilson_interval", p_successes=successes, p_trials=trials, p_level=level)
    call(
        db, "two_proportion_test", p_successes_first=successes, p_trials_first=trials,
        p_successes_second=trials, p_trials_second=successes, p_level=level,
    )  # fmt: skip
    call(db, "sample_ratio_test", p_counts=[successes, trials], p_shares=[estimate, tau])


def test_the_order_of_the_sides_only_turns_the_sign(db):
    generator = np.random.default_rng(7)
    first, second = generator.random(200), generator.random(200)
    positive = generator.random(200) < 0.4
    there = call(db, "delong_test", p_first=first, p_second=second, p_positive=positive)
    back = call(db, "delong_test", p_first=second, p_second=first, p_positive=positive)
    assert (there["difference"], there["p_value"]) == pytest.approx((-back["difference"], back["p_value"]), rel=1e-12)
    there = call(db, "paired_difference_test", p_first=first, p_second=second)
    back = call(db, "paired_difference_test", p_first=second, p_second=first)
    assert (there["low"], there["p_value"]) == pytest.approx((-back["high"], back["p_value"]), rel=1e-12)
