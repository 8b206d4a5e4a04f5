"""The exact text of small models; rewrite the files with UPDATE_GOLDEN=1 and read the diff."""

import os
from pathlib import Path

import numpy as np
import pglast
import pytest
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import binary_probabilities
from trainer.compiler.forms.walk import WalkInterpreter

GOLDEN = Path(__file__).parent / "golden"


def stump(missing_left: bool, leaves: list[list[float]], feature: int = 0, threshold: float = 0.5) -> nodes.Tree:
    return nodes.Tree(
        feature=np.array([feature]),
        threshold=np.array([threshold]),
        left=np.array([-1]),
        right=np.array([-2]),
        missing_left=np.array([missing_left]),
        leaves=np.array(leaves),
        depth=1,
    )


LEAF = nodes.Tree(
    *(np.array([], dtype=kind) for kind in (int, float, int, int, bool)), leaves=np.array([[0.25]]), depth=0
)


def features(size: int = 2) -> nodes.FeatureVector:
    return nodes.FeatureVector(size)


def finite(allow_missing: bool) -> nodes.CheckedVector:
    return nodes.CheckedVector(features(), allow_missing, np.inf)


def imputed_with_indicator() -> nodes.VectorNode:
    checked = finite(allow_missing=True)
    watched = nodes.MissingIndicatorVector(nodes.SelectVector(checked, [1]))
    return nodes.ConcatVector([nodes.ImputeVector(checked, np.array([1.0, 2.0])), watched])


def scaled() -> nodes.VectorNode:
    imputed = nodes.ImputeVector(finite(allow_missing=True), np.array([1.0, 2.0]))
    return nodes.StandardizeVector(imputed, np.array([1.0, 2.0]), np.array([3.0, 0.5]))


def linear(source: nodes.VectorNode, outputs: int = 1) -> nodes.LinearExpr:
    return nodes.LinearExpr(source, np.full((outputs, source.output_size), 0.5), np.zeros(outputs))


def layers(activation: str) -> nodes.DenseExpr:
    hidden = nodes.DenseExpr(finite(False), np.array([[0.5, -1.0, 2.0], [1.0, 0.25, 0.0]]), np.zeros(3), activation)
    return nodes.DenseExpr(hidden, np.array([[1.0], [2.0], [-0.5]]), np.array([0.125]), "identity")


def averaged_stumps() -> list[nodes.AveragedTreesExpr]:
    leaves = [[0.25, 0.75], [1.0, 0.0]]
    return [nodes.AveragedTreesExpr(features(), [stump(False, leaves, threshold=place)]) for place in (0.5, 1.5)]


EXPRESSIONS = {
    "layers_logistic": lambda: nodes.ElementExpr(layers("logistic"), 0),
    "layers_relu": lambda: binary_probabilities(nodes.ElementExpr(layers("relu"), 0)),
    "layers_tanh": lambda: nodes.ElementExpr(layers("tanh"), 0),
    "vote": lambda: nodes.AverageVector(averaged_stumps(), None, 2.0),
    "vote_single": lambda: nodes.AverageVector(
        [ast.VectorVal([nodes.BoostedTreesExpr(features(), [[LEAF]], np.zeros(1), single=True)])] * 2,
        None,
        2.0,
        single=True,
    ),
    "vote_weighted": lambda: nodes.AverageVector(averaged_stumps(), [3.0, 0.5], 3.5),
    "boosted_binary": lambda: binary_probabilities(
        nodes.BoostedTreesExpr(
            features(),
            [[stump(True, [[0.1], [0.2]]), LEAF, stump(False, [[0.3], [0.4]], 1)]],
            np.array([-0.5]),
        )
    ),
    "boosted_without_missing": lambda: nodes.BoostedTreesExpr(
        finite(allow_missing=False), [[stump(True, [[0.1], [0.2]])]], np.array([3.0])
    ),
    "boosted_classes": lambda: nodes.SoftmaxVector(
        nodes.BoostedTreesExpr(
            features(), [[stump(False, [[0.1], [0.2]])], [LEAF], [stump(False, [[0.3], [0.4]])]], np.zeros(3)
        )
    ),
    "averaged": lambda: nodes.AveragedTreesExpr(
        finite(allow_missing=True),
        [stump(False, [[0.25, 0.75], [1.0, 0.0]]), stump(False, [[0.5, 0.5], [0.0, 1.0]])],
    ),
    "linear_plain": lambda: linear(finite(allow_missing=False)),
    "linear_scaled": lambda: binary_probabilities(linear(scaled())),
    "linear_indicator": lambda: nodes.SoftmaxVector(linear(imputed_with_indicator(), outputs=3)),
    "standardized_without_mean": lambda: nodes.AveragedTreesExpr(
        nodes.StandardizeVector(finite(allow_missing=True), None, np.array([20.0, 1.0])),
        [stump(False, [[1.0], [2.0]])],
    ),
    "exponential": lambda: ast.ExpExpr(nodes.BoostedTreesExpr(features(), [[LEAF]], np.array([1.0]))),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_text(name):
    body = WalkInterpreter().interpret(EXPRESSIONS[name]())
    text = (
        f"CREATE FUNCTION {name}(p_features double precision[]) RETURNS double precision[]\n"
        f"LANGUAGE plpgsql AS $function${body}$function$;\n"
    )
    pglast.parse_plpgsql(text)
    path = GOLDEN / f"{name}.sql"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over():
    assert {path.stem for path in GOLDEN.iterdir()} == set(EXPRESSIONS)


def test_helpers_are_reported():
    interpreter = WalkInterpreter("x")
    assert '"x".softmax(' in interpreter.interpret(EXPRESSIONS["linear_indicator"]())
    assert interpreter.helpers == {"check_features", "softmax"}
