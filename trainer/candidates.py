"""The registry of what a fit may try: families of models, their hyper-parameters, and what they cost in SQL.

Every family takes missing features, gives the same model for the same seed, and can be compiled exactly; the
compiler says so itself, by compiling a small model of the family before any time is spent on it.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from trainer.calibration import Floats
from trainer.compiler import UnsupportedModelError, compile_model
from trainer.compiler.explanations import path_attribution_cost

VOTING = "voting"
Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """A kind of model: how it is built, and the values that a search tries for each hyper-parameter.

    The first value of each parameter is the one to begin with. ``package`` is what must be installed beside
    scikit-learn, ``distributions`` the names under which it may be.
    """

    name: str
    title: str
    build: Callable[[dict[str, Any], int], Any]
    grid: Mapping[str, tuple[Any, ...]]
    package: str | None = None
    distributions: tuple[str, ...] = ()

    def configurations(self, seed: int) -> Iterator[Candidate]:
        """Yield every configuration of the grid once: first values first, the rest in an order that the seed gives."""
        first, *rest = itertools.product(*self.grid.values())
        order = np.random.default_rng([seed, *self.name.encode()]).permutation(len(rest))
        for values in (first, *(rest[place] for place in order)):
            yield configured(self.name, dict(zip(self.grid, values, strict=True)))

    def __len__(self) -> int:
        return int(np.prod([len(values) for values in self.grid.values()]))


@dataclass(frozen=True)
class Candidate:
    """A model to try: its family and hyper-parameters."""

    name: str
    family: str
    parameters: dict[str, Any]

    def build(self, seed: int) -> Any:
        """Return the unfitted estimator."""
        if self.family == VOTING:
            members = [Candidate(**member) for member in self.parameters["members"]]
            return VotingClassifier(
                [(f"{place}_{member.family}", member.build(seed)) for place, member in enumerate(members)],
                voting="soft",
            )
        return FAMILIES[self.family].build(dict(self.parameters), seed)

    @property
    def key(self) -> str:
        """What makes two candidates the same model, whatever their names."""
        return json.dumps([self.family, self.parameters], sort_keys=True)


def configured(family: str, parameters: Parameters) -> Candidate:
    """Return a candidate that is named by its parameters."""
    shown = " ".join(f"{name}={_shown(value)}" for name, value in parameters.items())
    return Candidate(f"{family} {shown}", family, dict(parameters))


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "x".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def ensemble(members: Sequence[Candidate]) -> Candidate:
    """Return the soft vote of candidates: the mean of their probabilities."""
    name = f"vote of {' + '.join(member.name for member in members)}"
    described = [{"name": m.name, "family": m.family, "parameters": m.parameters} for m in members]
    return Candidate(name, VOTING, {"members": described})


# ------------------------------------------------------------------------------------------------- the families


def _imputed(classifier: Any, *, scaled: bool) -> Pipeline:
    steps: list[tuple[str, Any]] = [("impute", SimpleImputer(strategy="median", keep_empty_features=True))]
    if scaled:
        steps.append(("scale", StandardScaler()))
    return Pipeline([*steps, ("classify", classifier)])


def _logistic(parameters: dict[str, Any], seed: int) -> Any:
    return _imputed(LogisticRegression(**parameters, max_iter=1000, random_state=seed), scaled=True)


def _hist_gradient_boosting(parameters: dict[str, Any], seed: int) -> Any:
    # The seed matters only for early stopping and subsampling, which are off.
    return HistGradientBoostingClassifier(**parameters, early_stopping=False, random_state=seed)


def _lightgbm(parameters: dict[str, Any], seed: int) -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        **parameters, deterministic=True, force_row_wise=True, n_jobs=1, verbose=-1, random_state=seed
    )


def _xgboost(parameters: dict[str, Any], seed: int) -> Any:
    from xgboost import XGBClassifier

    return XGBClassifier(**parameters, tree_method="hist", n_jobs=1, random_state=seed)


def _mlp(parameters: dict[str, Any], seed: int) -> Any:
    # A fixed number of passes: early stopping would hold out random events, neighbours in time of those it trains on.
    return _imputed(MLPClassifier(**parameters, random_state=seed), scaled=True)


def _gradient_boosting(parameters: dict[str, Any], seed: int) -> Any:
    return _imputed(GradientBoostingClassifier(**parameters, random_state=seed), scaled=False)


def _extra_trees(parameters: dict[str, Any], seed: int) -> Any:
    return ExtraTreesClassifier(**parameters, n_jobs=1, random_state=seed)


def _random_forest(parameters: dict[str, Any], seed: int) -> Any:
    return RandomForestClassifier(**parameters, n_jobs=1, random_state=seed)


_FOREST = {
    "n_estimators": (100, 50, 200),
    "max_depth": (6, 4, 8),
    "min_samples_leaf": (50, 25, 100, 200),
    "max_features": ("sqrt", 0.25, 0.5),
}

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        # In the order of what a row usually costs in SQL.
        Family(
            "logistic",
            "logistic regression",
            _logistic,
            {"C": (0.01, 0.0003, 0.001, 0.003, 0.03, 0.1, 0.3, 1.0)},
        ),
        Family(
            "mlp",
            "small multilayer perceptron",
            _mlp,
            {
                "hidden_layer_sizes": ([8], [4], [16], [16, 8]),
                "alpha": (10.0, 0.1, 1.0, 30.0),
                "activation": ("relu", "tanh"),
                "learning_rate_init": (0.001, 0.003),
                "max_iter": (30, 15, 60),
            },
        ),
        Family(
            "hist_gradient_boosting",
            "histogram gradient boosting of scikit-learn",
            _hist_gradient_boosting,
            {
                "max_iter": (60, 40, 100, 200),
                "max_leaf_nodes": (8, 4, 15),
                "learning_rate": (0.03, 0.02, 0.05, 0.1),
                "min_samples_leaf": (100, 50, 200),
                "l2_regularization": (10.0, 1.0, 100.0),
            },
        ),
        Family(
            "lightgbm",
            "LightGBM",
            _lightgbm,
            {
                "n_estimators": (60, 40, 100, 200),
                "num_leaves": (8, 4, 15),
                "learning_rate": (0.03, 0.02, 0.05, 0.1),
                "min_child_samples": (100, 50, 200),
                "reg_lambda": (10.0, 1.0, 100.0),
                "colsample_bytree": (0.5, 1.0),
            },
            package="lightgbm",
            distributions=("lightgbm",),
        ),
        Family(
            "xgboost",
            "XGBoost",
            _xgboost,
            {
                "n_estimators": (60, 40, 100, 200),
                "max_depth": (3, 2, 4),
                "learning_rate": (0.03, 0.02, 0.05, 0.1),
                "min_child_weight": (20.0, 10.0, 50.0),
                "reg_lambda": (10.0, 1.0, 100.0),
                "colsample_bytree": (0.5, 1.0),
            },
            package="xgboost",
            distributions=("xgboost", "xgboost-cpu"),
        ),
        Family(
            "gradient_boosting",
            "gradient boosting of scikit-learn",
            _gradient_boosting,
            {
                "n_estimators": (60, 40, 100, 200),
                "max_depth": (3, 2, 4),
                "learning_rate": (0.03, 0.02, 0.05, 0.1),
                "min_samples_leaf": (100, 50, 200),
                "subsample": (0.5, 0.8),
                "max_features": (0.25, "sqrt"),
            },
        ),
        Family("extra_trees", "extremely randomised trees", _extra_trees, _FOREST),
        Family("random_forest", "random forest", _random_forest, _FOREST),
    )
}


def _quick_logistic(strength: float) -> Candidate:
    return Candidate(f"logistic C={strength:g}", "logistic", {"C": strength})


def _quick_boosted(trees: int, leaves: int, rate: float) -> Candidate:
    parameters = {
        "max_iter": trees,
        "max_leaf_nodes": leaves,
        "learning_rate": rate,
        "min_samples_leaf": 100,
        "l2_regularization": 10.0,
    }
    return Candidate(f"boosted {trees}x{leaves}", "hist_gradient_boosting", parameters)


CANDIDATES: tuple[Candidate, ...] = (
    _quick_logistic(0.001),
    _quick_logistic(0.003),
    _quick_logistic(0.01),
    _quick_logistic(0.1),
    _quick_boosted(40, 4, 0.05),
    _quick_boosted(60, 8, 0.03),
    _quick_boosted(100, 8, 0.05),
    _quick_boosted(200, 15, 0.03),
)
"""The quick set: what a fit tries without a search."""


def title_of(candidate: Candidate) -> str:
    """Return what kind of model a candidate is, in words."""
    if candidate.family == VOTING:
        kinds = [FAMILIES[member["family"]].title for member in candidate.parameters["members"]]
        return f"soft vote of {' and '.join(kinds)}"
    return FAMILIES[candidate.family].title


# ---------------------------------------------------------------------------------------- fitting and compiling


def fit_model(candidate: Candidate, features: Floats, is_win: NDArray[np.bool_], seed: int) -> Any:
    """Return the candidate's estimator, fitted on features of shape (events, features), NaN where missing."""
    # Boosting cannot bin a column without values; as a constant it has no split and no weight.
    known = np.where(np.isnan(features).all(axis=0), 0.0, features)
    # One thread: sums in one order, and at this size several only wait for each other.
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # The number of passes is a hyper-parameter: few of them are a way to regularise.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return candidate.build(seed).fit(known, is_win)


def win_probability(model: Any, features: Floats) -> Floats:
    """Return the model's uncalibrated probability of win per row."""
    column = list(model.classes_).index(True)
    with threadpool_limits(limits=1):
        return np.asarray(model.predict_proba(features)[:, column], dtype=np.float64)


def microseconds_per_row(model: Any) -> float:
    """Return what the compiler expects one row of a transaction to cost in SQL; a whole number.

    Raises ``UnsupportedModelError`` for a model that cannot be compiled, or is too large.
    """
    report = compile_model(model, "ml_generated.score").report
    return float(round(report.costs["case" if report.form == "case" else "walk"].one_row))


def can_explain(model: Any) -> bool:
    """Return whether the log can say which features moved a score: exactly, or by the path through the trees."""
    try:
        path_attribution_cost(model)
    except UnsupportedModelError:
        return False
    return True


def reason_not_to_try(family: str) -> str | None:
    """Say in a sentence why a family (or ``voting``) cannot be tried here, or None when it can."""
    package = None if family == VOTING else FAMILIES[family].package
    if package is not None:
        try:
            importlib.import_module(package)
        except ImportError:
            return f"The package {package} is not installed: pip install 'pattern-confidence[boosting]'."
        except OSError as error:
            return f"The package {package} cannot be loaded ({error}): install what it needs."
    return _refusal_of_compiler(family)


@functools.cache
def _refusal_of_compiler(family: str) -> str | None:
    """Compile a small model of the family, fitted on made-up events; return the compiler's sentence if it refuses."""
    if family == VOTING:
        candidate = ensemble([CANDIDATES[0], CANDIDATES[4]])
    else:
        candidate = next(FAMILIES[family].configurations(seed=0))
    random = np.random.default_rng(0)
    features = random.normal(size=(256, 4))
    features[random.random(features.shape) < 0.1] = np.nan
    is_win = random.random(256) < 0.4
    try:
        microseconds_per_row(fit_model(candidate, features, is_win, seed=0))
    except UnsupportedModelError as error:
        return str(error)
    return None
