"""Folding: a tree over transformed columns and the folded tree over the features decide alike, for every double."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compiler import UnsupportedModelError, nodes
from trainer.compiler.folding import columns_of, fold, largest_vanishing_factor
from trainer.compiler.reference import RefusedRowError, evaluate

FEATURES = 2
finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
moderate = st.floats(min_value=-1e6, max_value=1e6)
scales = st.floats(min_value=1e-6, max_value=1e6)


def pairs(values):
    return st.lists(values, min_size=FEATURES, max_size=FEATURES).map(np.array)


@st.composite
def steps(draw, source):
    points, values = [], []
    for _ in range(FEATURES):
        categories = sorted(set(draw(st.lists(st.integers(-2, 6), min_size=1, max_size=4))))
        places = [place for category in categories for place in (math.nextafter(category, -math.inf), float(category))]
        codes = [math.nan] * (len(places) + 1)
        for number in range(len(categories)):
            codes[2 * number + 1] = float(number)
        if draw(st.booleans()):
            codes = [7.0 if math.isnan(code) else code for code in codes]
        points.append(np.array(places))
        values.append(np.array(codes))
    missing = draw(pairs(st.sampled_from([math.nan, 3.0])))
    return nodes.StepVector(source, points, values, missing)


@st.composite
def sources(draw):
    """Draw features behind up to three transformers."""
    source = nodes.FeatureVector(FEATURES)
    if draw(st.booleans()):
        source = nodes.CheckedVector(
            source, allow_missing=draw(st.booleans()), limit=draw(st.sampled_from([1e5, np.inf]))
        )
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["impute", "standardize", "scale", "step", "indicator", "select"]))
        if kind == "impute":
            source = nodes.ImputeVector(source, draw(pairs(moderate)))
        elif kind == "standardize":
            means, deviations = draw(st.none() | pairs(moderate)), draw(st.none() | pairs(scales))
            source = nodes.StandardizeVector(source, means, deviations)
        elif kind == "scale":
            bounds = draw(st.sampled_from([None, (0.0, 1.0)]))
            source = nodes.ScaleVector(source, draw(pairs(scales)), draw(pairs(moderate)), bounds)
        elif kind == "step":
            source = draw(steps(source))
        elif kind == "indicator":
            source = nodes.ConcatVector([source, nodes.MissingIndicatorVector(source)])
            source = nodes.SelectVector(source, [0, FEATURES + 1])
        else:
            source = nodes.SelectVector(source, [1, 0])
    return source


@st.composite
def expressions(draw):
    source = draw(sources())
    breakpoints = {}
    thresholds = np.array([draw(moderate | st.integers(-3, 8).map(float)) for _ in range(3)])
    if draw(st.booleans()):
        breakpoints[0] = np.array(sorted(set(draw(st.lists(st.integers(-3, 8).map(float), min_size=2, max_size=5)))))
        thresholds[0] = breakpoints[0][0]
    tree = nodes.Tree(
        feature=np.array([draw(st.integers(0, FEATURES - 1)) for _ in range(3)]),
        threshold=thresholds,
        left=np.array([1, -1, -3]),
        right=np.array([2, -2, -4]),
        missing_left=np.array([draw(st.booleans()) for _ in range(3)]),
        leaves=np.array([[1.0], [2.0], [3.0], [4.0]]),
        depth=2,
        breakpoints={split: points for split, points in breakpoints.items() if len(points) > 1},
    )
    return nodes.BoostedTreesExpr(source, [[tree]], np.zeros(1))


def result(expr, row):
    try:
        return evaluate(expr, row)
    except RefusedRowError:
        return "refused"


def folded_points(expr):
    tree = expr.trees[0]
    return [
        (int(feature), float(point))
        for split, feature in enumerate(tree.feature)
        for point in tree.breakpoints.get(split, tree.threshold[split : split + 1])
        if np.isfinite(point)
    ]


@settings(deadline=None, max_examples=300)
@given(expressions(), st.lists(finite | moderate | st.sampled_from([0.0, 3.0, 2.5, None]), min_size=2, max_size=2))
def test_folding_changes_no_decision(expr, row):
    folded = fold(expr)
    assert isinstance(folded, nodes.BoostedTreesExpr)
    assert result(folded, row) == result(expr, row)
    for feature, point in folded_points(folded):
        for value in (math.nextafter(point, -math.inf), point, math.nextafter(point, math.inf)):
            near = [value if place == feature else other for place, other in enumerate(row)]
            assert result(folded, near) == result(expr, near)
    for value in (None, *range(-3, 8)):
        for place in range(FEATURES):
            near = [value if place == other else row[other] for other in range(FEATURES)]
            assert result(folded, near) == result(expr, near)


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_the_largest_value_whose_product_vanishes(factor):
    (value,) = largest_vanishing_factor(np.array([factor])).tolist()
    assert value * factor == 0
    assert math.nextafter(value, math.inf) * factor > 0


def test_a_tree_over_the_features_themselves_stays_as_it_is():
    expr = nodes.BoostedTreesExpr(nodes.FeatureVector(1), [], np.zeros(1))
    assert fold(expr).source.output_size == 1


def test_a_dropped_column_is_still_refused():
    checked = nodes.CheckedVector(nodes.FeatureVector(2), allow_missing=True, limit=np.inf)
    tree = nodes.Tree(
        np.array([0]), np.array([0.5]), np.array([-1]), np.array([-2]), np.array([False]), np.array([[1.0], [2.0]]), 1
    )
    folded = fold(nodes.BoostedTreesExpr(nodes.SelectVector(checked, [0]), [[tree]], np.zeros(1)))
    assert result(folded, [0.0, 1.0]) == [1.0]
    assert result(folded, [0.0, math.inf]) == "refused"


def test_encoders_that_disagree_are_refused():
    features = nodes.FeatureVector(1)
    accepted = np.array([np.inf]), np.array([True])

    def known(points):
        return nodes.GuardedVector(features, -accepted[0], accepted[0], accepted[1], {0: np.array(points)})

    tree = nodes.Tree(
        np.array([1]), np.array([0.5]), np.array([-1]), np.array([-2]), np.array([False]), np.array([[1.0], [2.0]]), 1
    )
    both = nodes.ConcatVector([known([0.5, 1.0]), known([0.5, 2.0])])
    with pytest.raises(UnsupportedModelError, match="refuse different categories"):
        fold(nodes.BoostedTreesExpr(both, [[tree]], np.zeros(1)))


def test_columns_know_their_feature():
    source = nodes.SelectVector(nodes.ConcatVector([nodes.FeatureVector(2)]), [1, 1, 0])
    assert [column.feature for column in columns_of(source)] == [1, 1, 0]
