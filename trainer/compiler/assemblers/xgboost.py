"""XGBoost: float32 features, thresholds, leaves, sums and links.

The numbers come from the model as the library saves it in JSON, which holds every float32 exactly. What is reproduced
is ``predict_proba`` and ``predict`` of the scikit-learn interface, which read the rows in place, without a DMatrix.

A feature is rounded to float32 before it is tested, so every test is turned into one of the unrounded number: nothing
is rounded per row, and infinity and numbers beyond float32, which the library takes, need no special case.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from m2cgen import ast
from numpy.typing import NDArray

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import Assembler
from trainer.compiler.assemblers.tree import FLOAT32_LIMIT, fold_float32, tree_from_nodes
from trainer.compiler.errors import UnsupportedModelError

Singles = NDArray[np.float32]

SCORE_OBJECTIVES = (
    "reg:squarederror",
    "reg:squaredlogerror",
    "reg:pseudohubererror",
    "reg:absoluteerror",
    "reg:quantileerror",
    "binary:logitraw",
)
EXPONENTIAL_OBJECTIVES = ("count:poisson", "reg:gamma", "reg:tweedie")
LOGISTIC_OBJECTIVES = ("binary:logistic", "reg:logistic")
HINGE_OBJECTIVE = "binary:hinge"
SOFTMAX_OBJECTIVES = ("multi:softprob", "multi:softmax")

COLUMNS = ("left_children", "right_children", "split_conditions", "split_indices", "default_left", "sum_hessian")


class XGBoostAssembler(Assembler):
    """Base margin plus one leaf per tree; the classes below add the link function."""

    @property
    def name(self) -> str:
        """The name of the model's class, for messages."""
        return type(self.model).__name__

    def read(self) -> "SavedModel":
        """Return the model as the library saves it; refuse what cannot be reproduced."""
        model, name = self.model, self.name
        if not isinstance(model.objective, str | None):
            raise UnsupportedModelError(
                f"{name} with a custom objective, whose link function the library does not know, is not supported;"
                " use one of the library's own, such as binary:logistic."
            )
        if (model.device or "cpu") != "cpu":
            raise UnsupportedModelError(
                f"{name} with device={model.device!r}, which rounds differently, is not supported; call"
                " set_params(device='cpu')."
            )
        if abs(model.missing) >= FLOAT32_LIMIT:
            raise UnsupportedModelError(
                f"{name} with missing={model.missing}, which float32 rounds to infinity, is not supported; use NaN, the"
                " default."
            )
        return SavedModel.of(name, model.get_booster(), getattr(model, "best_iteration", None))

    def scores(self, saved: "SavedModel") -> nodes.BoostedTreesExpr:
        """Return one score per output."""
        sentinel = None if np.isnan(self.model.missing) else _interval(self.model.missing)
        groups: list[list[nodes.Tree]] = [[] for _ in saved.base]
        for table, group, weight in zip(saved.trees, saved.groups, saved.weights, strict=True):
            leaves = np.array(table["split_conditions"], dtype=np.float32)
            if saved.adds_apart:
                leaves = (leaves + saved.base[group]) - saved.base[group]
            groups[group].append(_tree(table, leaves * weight, sentinel))
        return nodes.BoostedTreesExpr(self.source, groups, saved.base.astype(np.float64), single=True)

    def refuse_objective(self, objective: str, supported: Iterable[str]) -> UnsupportedModelError:
        """Return the error that names the objective of a model that cannot be compiled."""
        return UnsupportedModelError(
            f"{self.name} with objective={objective!r} is not supported; use one of {', '.join(supported)}."
        )


class XGBClassifierAssembler(XGBoostAssembler):
    """The logistic function of one score for two classes, the softmax of one score per class for more.

    With ``multi:softmax`` the library leaves the softmax to numpy, whose exponential depends on the processor: its
    probabilities differ from these, which are those of ``multi:softprob``, by one or two units in the last place.
    """

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``."""
        if self.model.n_classes_ == 1:
            raise UnsupportedModelError(f"{self.name} was fitted on a single class; fit it on at least two.")
        saved = self.read()
        if saved.objective in SOFTMAX_OBJECTIVES:
            return nodes.SoftmaxSingleVector(self.scores(saved))
        if saved.objective in LOGISTIC_OBJECTIVES:
            return nodes.ComplementSingleVector(nodes.SigmoidSingleExpr(self.scores(saved)))
        if saved.objective == HINGE_OBJECTIVE:
            return nodes.ComplementSingleVector(nodes.PositiveExpr(self.scores(saved)))
        raise self.refuse_objective(saved.objective, (*LOGISTIC_OBJECTIVES, HINGE_OBJECTIVE, *SOFTMAX_OBJECTIVES))


class XGBRegressorAssembler(XGBoostAssembler):
    """The score itself, or what the objective makes of it."""

    def assemble(self) -> ast.Expr:
        """Return a scalar."""
        saved = self.read()
        if saved.objective in SCORE_OBJECTIVES:
            return self.scores(saved)
        if saved.objective in EXPONENTIAL_OBJECTIVES:
            return nodes.ExponentialSingleExpr(self.scores(saved))
        if saved.objective in LOGISTIC_OBJECTIVES:
            return nodes.SigmoidSingleExpr(self.scores(saved))
        if saved.objective == HINGE_OBJECTIVE:
            return nodes.PositiveExpr(self.scores(saved))
        supported = (*SCORE_OBJECTIVES, *EXPONENTIAL_OBJECTIVES, *LOGISTIC_OBJECTIVES, HINGE_OBJECTIVE)
        raise self.refuse_objective(saved.objective, supported)


@dataclass(frozen=True)
class SavedModel:
    """What a saved model says: tables of nodes, with the output and the weight of each, and a base per output.

    With ``adds_apart``, the library adds each tree to the base by itself, takes the base off again and multiplies by
    the weight, and each of these steps rounds.
    """

    objective: str
    base: Singles
    trees: list[Mapping[str, Any]]
    groups: list[int]
    weights: Singles
    adds_apart: bool

    @classmethod
    def of(cls, name: str, booster: Any, best_iteration: int | None) -> "SavedModel":
        """Return the content of ``booster`` up to ``best_iteration``; refuse what is no sum of trees."""
        document = json.loads(booster.save_raw("json"))
        learner = document["learner"]
        boosting = learner["gradient_booster"]
        if boosting["name"] not in ("gbtree", "dart"):
            raise UnsupportedModelError(
                f"{name} with booster={boosting['name']!r} is not supported; use gbtree, or a linear model of"
                " scikit-learn."
            )
        model = boosting.get("gbtree", boosting)["model"]
        if not model["trees"]:
            raise UnsupportedModelError(f"{name} has no trees; set n_estimators to at least 1.")
        if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in model["trees"]):
            raise UnsupportedModelError(
                f"{name} with multi_strategy='multi_output_tree' is not supported; fit one model per target."
            )
        if int(learner["learner_model_param"].get("num_target", 1)) > 1:
            raise UnsupportedModelError(
                f"{name} was fitted on several targets or quantiles; fit one model for each of them."
            )
        _check_categories(name, model.get("cats", {}).get("enc", []))
        end = model["iteration_indptr"][-1 if best_iteration is None else best_iteration + 1]
        # Up to XGBoost 3.2 dart is a booster of its own; later ones know weights, which 3.3 and 3.4 keep elsewhere.
        weights = boosting.get("weight_drop", model.get("weight_drop", [1.0] * end))
        return cls(
            objective=learner["objective"]["name"],
            base=_base_margin(booster, document, model),
            trees=model["trees"][:end],
            groups=model["tree_info"][:end],
            weights=np.array(weights[:end], dtype=np.float32),
            adds_apart=boosting["name"] == "dart",
        )


def _check_categories(name: str, encodings: Iterable[Mapping[str, Any]]) -> None:
    """Refuse categories that are not their own codes: a feature of type float8 would not say which is meant."""
    for place, encoding in enumerate(encodings, start=1):
        if "offsets" in encoding and not encoding["offsets"]:
            continue
        if "offsets" in encoding or encoding["values"] != list(range(len(encoding["values"]))):
            raise UnsupportedModelError(
                f"{name} was fitted on categories of feature {place} that are not the numbers 0, 1, 2, ...; fit it on"
                " their codes (Series.cat.codes) with feature_types."
            )


def _base_margin(booster: Any, document: Mapping[str, Any], model: Mapping[str, Any]) -> Singles:
    """Return what the library adds leaves to, one number per output.

    It keeps the base in units of the target and takes the link function's inverse by the C library's float32
    logarithm. So it is asked itself, with a copy of the model whose leaves are zero.
    """
    end = model["iteration_indptr"][1]
    copy = {
        **{name: value for name, value in model.items() if name != "weight_drop"},
        "gbtree_model_param": {**model["gbtree_model_param"], "num_trees": str(end)},
        "iteration_indptr": [0, end],
        "tree_info": model["tree_info"][:end],
        "trees": [{**tree, "split_conditions": [0.0] * len(tree["split_conditions"])} for tree in model["trees"][:end]],
    }
    learner = {**document["learner"], "gradient_booster": {"name": "gbtree", "model": copy}}
    text = json.dumps({**document, "learner": learner})
    empty = type(booster)({"nthread": 1}, model_file=bytearray(text.encode()))
    margin = empty.inplace_predict(np.zeros((1, booster.num_features())), predict_type="margin")
    return np.ravel(margin).astype(np.float32)


def _last_below(thresholds: Singles) -> nodes.Floats:
    """Return, per threshold, the largest double whose float32 is less than it."""
    with np.errstate(over="ignore"):
        before = np.nextafter(thresholds, np.float32(-np.inf))
    return np.where(np.isinf(before), -FLOAT32_LIMIT, fold_float32(before.astype(np.float64)))


def _interval(sentinel: float) -> set[float]:
    """Return the two doubles between which, the first excluded, all have the float32 of ``sentinel``."""
    value = np.float32(sentinel)
    with np.errstate(over="ignore"):
        ends = np.array([value, np.nextafter(value, np.float32(np.inf))])
    return set(_last_below(ends).tolist())


def _tree(table: Mapping[str, Any], leaves: Singles, sentinel: set[float] | None) -> nodes.Tree:
    """Return the tree of one table of nodes; ``leaves`` has what each adds to the sum, splits included."""
    rows = _reachable(table)
    number = {row: place for place, row in enumerate(rows.tolist())}
    column = {name: np.array(table[name])[rows] for name in COLUMNS}
    is_leaf = column["left_children"] < 0
    thresholds = _last_below(column["split_conditions"].astype(np.float32))
    default_left = column["default_left"].astype(bool)
    points = {int(row): {float(thresholds[row])} for row in np.flatnonzero(~is_leaf)}
    points |= {number[row]: _breakpoints(categories) for row, categories in _categories(table) if row in number}
    if sentinel is not None:
        for row, given in points.items():
            is_left = sum(point < max(sentinel) for point in given) % 2 == 0
            if is_left != default_left[row]:
                points[row] = given ^ sentinel
    for row, given in points.items():
        # Without a breakpoint, every value goes left.
        thresholds[row] = min(given, default=np.inf)
    return tree_from_nodes(
        is_leaf=is_leaf,
        feature=column["split_indices"],
        threshold=thresholds,
        left=[number.get(child, -1) for child in column["left_children"].tolist()],
        right=[number.get(child, -1) for child in column["right_children"].tolist()],
        missing_left=default_left,
        leaf_values=leaves[rows, np.newaxis],
        cover=column["sum_hessian"],
        breakpoints={row: np.array(sorted(given)) for row, given in points.items() if len(given) > 1},
    )


def _reachable(table: Mapping[str, Any]) -> nodes.Integers:
    """Return the nodes below the root, parents first: a table keeps the nodes that pruning took away."""
    rows = [0]
    for row in rows:
        if table["left_children"][row] >= 0:
            rows += [table["left_children"][row], table["right_children"][row]]
    return np.array(rows)


def _categories(table: Mapping[str, Any]) -> Iterable[tuple[int, list[int]]]:
    """Yield the splits on sets of categories, each with the categories that go right."""
    bounds = zip(table["categories_nodes"], table["categories_segments"], table["categories_sizes"], strict=True)
    for row, first, size in bounds:
        yield row, table["categories"][first : first + size]


def _breakpoints(categories: Iterable[int]) -> set[float]:
    """Return breakpoints of which an odd number lie below the values that truncate to one of ``categories``."""
    points: set[float] = set()
    for category in categories:
        # Where one category ends and the next begins, there is no breakpoint.
        points ^= set(_last_below(np.array([category, category + 1], dtype=np.float32)).tolist())
    return points
