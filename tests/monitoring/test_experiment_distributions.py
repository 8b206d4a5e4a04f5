"""Distribution functions in SQL against scipy, over wide ranges, the far tails included."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from support import rows, value

on_one_database = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
many = settings(parent=on_one_database, max_examples=50)

INFINITE = float("inf")
STRANGE = [None, math.nan, INFINITE, -INFINITE, 0.0, 5e-324, 1e-320, 1e-200, 0.5, 1.0, 1e9, 1e200, 1.7e308, -1.0]


def lists(*strategies):
    """Columns of some forty arguments each, so that one round trip tries forty of them."""
    return st.lists(st.tuples(*strategies), min_size=40, max_size=40)


def ask(db, function, arguments, types=None):
    """Apply a function to every row of arguments."""
    columns = list(zip(*arguments, strict=True))
    names = [f"c{place}" for place in range(len(columns))]
    casts = types or ["float8"] * len(columns)
    call = ", ".join(names)
    given_columns = ", ".join(f"%s::{cast}[]" for cast in casts)
    found = rows(
        db,
        f"SELECT ml.{function}({call}) AS answer FROM unnest({given_columns}) WITH ORDINALITY AS t ({call}, n) ORDER BY n",
        *(list(column) for column in columns),
    )
    return np.array([row["answer"] for row in found], dtype=float)


def assert_relative(actual, expected, tolerance):
    """Compare numbers that may be as small as 1e-299; below that, Postgres's answer is 0 or nearly so."""
    assert not np.isnan(actual).any()
    shown = expected > 1e-299
    assert (actual[~shown] <= 1.001e-299).all()
    np.testing.assert_allclose(actual[shown], expected[shown], rtol=tolerance, atol=0)


@many
@given(lists(st.floats(-37, 37)))
def test_normal_cdf(db, arguments):
    z = np.array(arguments)[:, 0]
    assert_relative(ask(db, "normal_cdf", arguments), stats.norm.cdf(z), 1e-12)


@many
@given(lists(st.floats(0, 60) | st.floats(0, 1400), st.integers(1, 20).map(float) | st.floats(0.1, 500)))
def test_chi_square_survival(db, arguments):
    x, df = np.array(arguments).T
    assert_relative(ask(db, "chi_square_survival", arguments), stats.chi2.sf(x, df), 1e-12)


@many
@given(lists(st.floats(-6, 6) | st.floats(-1e4, 1e4), st.integers(1, 40).map(float) | st.floats(0.5, 1e5)))
def test_student_t_cdf(db, arguments):
    t, df = np.array(arguments).T
    assert_relative(ask(db, "student_t_cdf", arguments), stats.t.cdf(t, df), 2e-11)


@many
@given(
    st.lists(
        st.integers(0, 2000).flatmap(
            lambda n: st.tuples(st.integers(-1, n + 1), st.just(n), st.just(0.5) | st.floats(1e-3, 0.999))
        ),
        min_size=40,
        max_size=40,
    )
)
def test_binomial_cdf(db, arguments):
    k, n, p = np.array(arguments).T
    actual = ask(db, "binomial_cdf", arguments, ["bigint", "bigint", "float8"])
    # In the far tail scipy itself is off by some 1e-11, and 0 where a factor underflows; the next test has exact sums.
    expected = stats.binom.cdf(k, n, p)
    shown = expected > 1e-250
    assert (actual[~shown] <= 1e-240).all()
    assert_relative(actual[shown], expected[shown], 1e-9)


@pytest.mark.parametrize(
    ("k", "n", "p"), [(7, 952, 0.53125), (11, 1075, 0.5), (3, 900, 0.5), (100, 1900, 0.375), (480, 1000, 0.5)]
)
def test_the_binomial_tail_against_exact_sums(db, k, n, p):
    share = Fraction(p)
    exact = sum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k + 1))
    assert value(db, "SELECT ml.binomial_cdf(%s, %s, %s::float8)", k, n, p) == pytest.approx(float(exact), rel=1e-12)


@many
@given(lists(st.floats(1e-12, 1 - 1e-12) | st.floats(-280, 0).map(lambda power: 10**power * 0.5)))
def test_normal_quantile(db, arguments):
    expected = stats.norm.ppf(np.array(arguments)[:, 0])
    np.testing.assert_allclose(ask(db, "normal_quantile", arguments), expected, rtol=1e-12, atol=1e-15)


@many
@given(lists(st.floats(1e-6, 1 - 1e-6), st.integers(1, 60).map(float) | st.floats(1, 1e5)))
def test_student_t_quantile(db, arguments):
    p, df = np.array(arguments).T
    np.testing.assert_allclose(ask(db, "student_t_quantile", arguments), stats.t.ppf(p, df), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("z", [0.1, -0.1, -1.96, -8.3, -20.0, -36.9])
def test_the_normal_tail_against_arbitrary_precision(db, z):
    """Where scipy and we could err alike: forty digits say who is right."""
    with mpmath.workdps(40):
        expected = float(mpmath.ncdf(mpmath.mpf(z)))
    assert value(db, "SELECT ml.normal_cdf(%s::float8)", z) == pytest.approx(expected, rel=2e-13)


@on_one_database
@given(lists(st.floats(-0.999, 1e9) | st.floats(-1e-9, 1e-9)))
def test_log1p(db, arguments):
    np.testing.assert_allclose(ask(db, "log1p", arguments), np.log1p(np.array(arguments)[:, 0]), rtol=1e-15, atol=0)


@pytest.mark.parametrize(
    ("function", "count"),
    [
        ("log1p", 1),
        ("normal_cdf", 1),
        ("normal_quantile", 1),
        ("chi_square_survival", 2),
        ("student_t_cdf", 2),
        ("student_t_quantile", 2),
    ],
)
def test_strange_numbers_are_no_error(db, function, count):
    pairs = [(first, second) for first in STRANGE for second in (STRANGE if count == 2 else [None])]
    arguments = [pair[:count] for pair in pairs]
    answers = ask(db, function, arguments)
    for given_numbers, answer in zip(arguments, answers, strict=True):
        if any(number is None or math.isnan(number) for number in given_numbers):
            assert math.isnan(answer), given_numbers
        elif function.endswith(("cdf", "survival")):
            assert math.isnan(answer) or 0 <= answer <= 1, given_numbers
