"""Trees as tables, float32 thresholds, bounds that nodes carry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from m2cgen import ast
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from trainer.compiler import UnsupportedModelError, assemble, nodes
from trainer.compiler.assemblers.tree import FLOAT32_LIMIT, fold_float32, tree_from_nodes
from trainer.compiler.reference import leaf_of

doubles = st.floats(allow_nan=False, allow_infinity=False, min_value=-3.4028235e38, max_value=3.4028235e38)


def rounded(value: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float32(value))


@given(doubles)
def test_folded_threshold_is_the_largest_double_that_still_goes_left(threshold):
    folded = float(fold_float32(np.array([threshold]))[0])
    assert rounded(folded) <= threshold or folded == np.inf
    if np.isfinite(folded):
        assert rounded(np.nextafter(folded, np.inf)) > threshold


@given(doubles, doubles)
def test_folded_threshold_decides_as_float32_does(value, threshold):
    folded = float(fold_float32(np.array([threshold]))[0])
    for x in (value, threshold, np.nextafter(threshold, np.inf), np.nextafter(threshold, -np.inf)):
        if abs(x) < FLOAT32_LIMIT:
            assert (x <= folded) == (rounded(x) <= threshold)


def test_folded_threshold_at_the_ends():
    largest = float(np.finfo(np.float32).max)
    given_ = np.array([np.inf, -np.inf, largest, -largest, 1e300, -1e300, 0.0, -0.0, 5e-324])
    folded = fold_float32(given_)
    assert folded[0] == np.inf
    assert folded[1] == -np.inf
    assert folded[2] == np.nextafter(FLOAT32_LIMIT, 0)
    assert -largest <= folded[3] < np.nextafter(np.float32(-largest), np.float32(0))
    assert folded[4] == np.inf
    assert folded[5] == -np.inf
    assert folded[6] == folded[7] == folded[8] == 2.0**-150


def test_tree_table_separates_splits_from_leaves():
    #        0
    #      1   4
    #     2 3
    tree = tree_from_nodes(
        is_leaf=[False, False, True, True, True],
        feature=[5, 6, -2, -2, -2],
        threshold=[0.5, 1.5, 0, 0, 0],
        left=[1, 2, -1, -1, -1],
        right=[4, 3, -1, -1, -1],
        missing_left=[0, 1, 0, 0, 0],
        leaf_values=np.array([[9], [9], [10.0], [20.0], [30.0]]),
    )
    assert tree.feature.tolist() == [5, 6]
    assert tree.left.tolist() == [1, -1]
    assert tree.right.tolist() == [-3, -2]
    assert tree.leaves.ravel().tolist() == [10, 20, 30]
    assert (tree.splits, tree.depth) == (2, 2)
    row = [0.0] * 5
    for five, six, leaf in [(0.5, 1.5, 0), (0.5, 2.0, 1), (1.0, 0.0, 2), (None, 0.0, 2), (0.0, None, 0)]:
        assert leaf_of(tree, [*row, five, six]) == leaf


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e-300])
def test_leaf_value_that_postgres_would_choke_on(value):
    with pytest.raises(UnsupportedModelError, match="leaf"):
        tree_from_nodes([True], [0], [0.0], [0], [0], [0], np.array([[value]]))


def test_leaves_are_the_librarys_own():
    X, y = load_iris(return_X_y=True)
    model = DecisionTreeClassifier(random_state=0).fit(X, y)
    (tree,) = assemble(model).trees
    leaf = model.tree_.children_left < 0
    assert np.array_equal(tree.leaves, model.tree_.value[leaf, 0, :])
    assert tree.depth == model.get_depth()
    assert tree.splits + len(tree.leaves) == model.tree_.node_count


@given(
    st.floats(-1e6, 1e6),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5),
    st.floats(1e-3, 1e6),
)
def test_smallest_magnitude_is_a_lower_bound(mean, values, scale):
    node = nodes.StandardizeVector(nodes.FeatureVector(1), np.array([mean]), np.array([scale]))
    for value in [*values, np.nextafter(mean, np.inf), np.nextafter(mean, -np.inf)]:
        result = abs((value - mean) / scale)
        assert result == 0 or result >= node.smallest_magnitude[0]


def test_walk_visits_every_node_once():
    features = nodes.FeatureVector(2)
    score = nodes.LinearExpr(nodes.ConcatVector([features, features]), np.ones((1, 4)), np.zeros(1))
    sigmoid = ast.SigmoidExpr(score)
    expr = ast.VectorVal([ast.BinNumExpr(ast.NumVal(1.0), sigmoid, ast.BinNumOpType.SUB), sigmoid])
    found = list(nodes.walk(expr))
    assert len(found) == len({id(node) for node in found}) == 7
    assert features in found
