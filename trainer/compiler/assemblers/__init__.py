"""Model -> AST: one module per family, and the list of what can be compiled."""

from typing import Any

from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import Assembler
from trainer.compiler.assemblers.calibration import CalibratedClassifierAssembler
from trainer.compiler.assemblers.columns import Columns, check_width, class_key, is_absent, require_fitted, unfrozen
from trainer.compiler.assemblers.hist_gradient_boosting import (
    HistGradientBoostingClassifierAssembler,
    HistGradientBoostingRegressorAssembler,
)
from trainer.compiler.assemblers.lightgbm import LGBMClassifierAssembler, LGBMRegressorAssembler
from trainer.compiler.assemblers.linear import (
    GeneralizedLinearAssembler,
    LogisticRegressionAssembler,
    ScoreClassifierAssembler,
    SGDClassifierAssembler,
    SingleTargetAssembler,
)
from trainer.compiler.assemblers.neural_network import MLPClassifierAssembler, MLPRegressorAssembler
from trainer.compiler.assemblers.pipeline import transform
from trainer.compiler.assemblers.tree import (
    AveragedTreesAssembler,
    GradientBoostingClassifierAssembler,
    GradientBoostingRegressorAssembler,
)
from trainer.compiler.assemblers.voting import VotingClassifierAssembler, VotingRegressorAssembler
from trainer.compiler.assemblers.xgboost import XGBClassifierAssembler, XGBRegressorAssembler
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.limits import MAXIMUM_CLASSES, MAXIMUM_FEATURES, check_limit

SUPPORTED_MODELS: dict[str, type[Assembler]] = {
    # Linear classifiers
    "sklearn_LogisticRegression": LogisticRegressionAssembler,
    "sklearn_LogisticRegressionCV": LogisticRegressionAssembler,
    "sklearn_SGDClassifier": SGDClassifierAssembler,
    # Classifiers without probabilities, inside CalibratedClassifierCV only
    "sklearn_LinearSVC": ScoreClassifierAssembler,
    "sklearn_PassiveAggressiveClassifier": ScoreClassifierAssembler,
    "sklearn_Perceptron": ScoreClassifierAssembler,
    "sklearn_RidgeClassifier": ScoreClassifierAssembler,
    "sklearn_RidgeClassifierCV": ScoreClassifierAssembler,
    # Calibration
    "sklearn_CalibratedClassifierCV": CalibratedClassifierAssembler,
    # Linear regressors
    "sklearn_ARDRegression": SingleTargetAssembler,
    "sklearn_BayesianRidge": SingleTargetAssembler,
    "sklearn_ElasticNet": SingleTargetAssembler,
    "sklearn_ElasticNetCV": SingleTargetAssembler,
    "sklearn_GammaRegressor": GeneralizedLinearAssembler,
    "sklearn_HuberRegressor": SingleTargetAssembler,
    "sklearn_Lars": SingleTargetAssembler,
    "sklearn_LarsCV": SingleTargetAssembler,
    "sklearn_Lasso": SingleTargetAssembler,
    "sklearn_LassoCV": SingleTargetAssembler,
    "sklearn_LassoLars": SingleTargetAssembler,
    "sklearn_LassoLarsCV": SingleTargetAssembler,
    "sklearn_LassoLarsIC": SingleTargetAssembler,
    "sklearn_LinearRegression": SingleTargetAssembler,
    "sklearn_LinearSVR": SingleTargetAssembler,
    "sklearn_OrthogonalMatchingPursuit": SingleTargetAssembler,
    "sklearn_OrthogonalMatchingPursuitCV": SingleTargetAssembler,
    "sklearn_PassiveAggressiveRegressor": SingleTargetAssembler,
    "sklearn_PoissonRegressor": GeneralizedLinearAssembler,
    "sklearn_QuantileRegressor": SingleTargetAssembler,
    "sklearn_Ridge": SingleTargetAssembler,
    "sklearn_RidgeCV": SingleTargetAssembler,
    "sklearn_SGDRegressor": SingleTargetAssembler,
    "sklearn_TheilSenRegressor": SingleTargetAssembler,
    "sklearn_TweedieRegressor": GeneralizedLinearAssembler,
    # Trees and forests
    "sklearn_DecisionTreeClassifier": AveragedTreesAssembler,
    "sklearn_DecisionTreeRegressor": AveragedTreesAssembler,
    "sklearn_ExtraTreeClassifier": AveragedTreesAssembler,
    "sklearn_ExtraTreeRegressor": AveragedTreesAssembler,
    "sklearn_ExtraTreesClassifier": AveragedTreesAssembler,
    "sklearn_ExtraTreesRegressor": AveragedTreesAssembler,
    "sklearn_RandomForestClassifier": AveragedTreesAssembler,
    "sklearn_RandomForestRegressor": AveragedTreesAssembler,
    # Boosting
    "sklearn_GradientBoostingClassifier": GradientBoostingClassifierAssembler,
    "sklearn_GradientBoostingRegressor": GradientBoostingRegressorAssembler,
    "sklearn_HistGradientBoostingClassifier": HistGradientBoostingClassifierAssembler,
    "sklearn_HistGradientBoostingRegressor": HistGradientBoostingRegressorAssembler,
    "lightgbm_LGBMClassifier": LGBMClassifierAssembler,
    "lightgbm_LGBMRegressor": LGBMRegressorAssembler,
    "xgboost_XGBClassifier": XGBClassifierAssembler,
    "xgboost_XGBRegressor": XGBRegressorAssembler,
    "xgboost_XGBRFClassifier": XGBClassifierAssembler,
    "xgboost_XGBRFRegressor": XGBRegressorAssembler,
    # Neural networks
    "sklearn_MLPClassifier": MLPClassifierAssembler,
    "sklearn_MLPRegressor": MLPRegressorAssembler,
    # Ensembles of any of these
    "sklearn_VotingClassifier": VotingClassifierAssembler,
    "sklearn_VotingRegressor": VotingRegressorAssembler,
}


def final_estimator(model: Any) -> Any:
    """Return the estimator at the end of a pipeline, or ``model`` itself."""
    model = unfrozen(model)
    while class_key(model) == "sklearn_Pipeline" and model.steps:
        model = unfrozen(model.steps[-1][1])
    return model


def first_fitted(model: Any) -> Any:
    """Return the step of a pipeline that sees the features as they come, or ``model`` itself."""
    model = unfrozen(model)
    while class_key(model) == "sklearn_Pipeline":
        model = unfrozen(next(step for _, step in model.steps if not is_absent(step)))
    return model


def assemble(model: Any) -> ast.Expr:
    """Return the AST of a fitted estimator or pipeline.

    Its value is the vector of probabilities in the order of ``classes_``, or a scalar for a regressor. Raises
    `UnsupportedModelError` for a model that is not fitted, is not in `SUPPORTED_MODELS`, or has a setting
    that cannot be reproduced exactly.
    """
    supported_assembler(model)
    require_fitted(first_fitted(model))
    size = int(first_fitted(model).n_features_in_)
    check_limit("features", size, MAXIMUM_FEATURES)
    return assembler_of(model, Columns(nodes.FeatureVector(size))).assemble()


def assembler_of(model: Any, columns: Columns) -> Assembler:
    """Return the assembler of the estimator at the end of ``model``, behind its transformers."""
    assembler = supported_assembler(model)
    estimator = final_estimator(model)
    name = type(estimator).__name__
    model = unfrozen(model)
    while model is not estimator:
        for _, step in model.steps[:-1]:
            columns = transform(step, columns)
        model = unfrozen(model.steps[-1][1])
    check_width(estimator, columns)
    if hasattr(estimator, "classes_") and getattr(estimator, "n_outputs_", 1) == 1:
        check_limit("classes", len(estimator.classes_), MAXIMUM_CLASSES)
    if columns.is_sparse and class_key(estimator).startswith("xgboost_"):
        raise UnsupportedModelError(
            f"{name} behind a transformer with sparse output, whose zeros it takes for missing values, is not"
            " supported; use sparse_output=False and sparse_threshold=0."
        )
    return assembler(estimator, columns.vector, columns.is_sparse)


def _refusal(estimator: Any, name: str) -> str:
    """Return the sentence for a model of another class: what to give instead."""
    if isinstance(estimator, type):
        return f"{estimator.__name__} is a class; give a fitted instance of it."
    if name == "Booster":
        return "Booster is not supported; give the estimator of scikit-learn's kind, as LGBMClassifier or XGBRegressor."
    return (
        f"{name} is not supported; use a linear model, a tree, a forest, boosting or a neural network of scikit-learn,"
        " LightGBM or XGBoost, alone, calibrated, voting or in a Pipeline (trainer.compiler.SUPPORTED_MODELS lists the"
        " classes)."
    )


def supported_assembler(model: Any) -> type[Assembler]:
    """Return the class that assembles the estimator at the end of ``model``; refuse one that is not fitted."""
    estimator = final_estimator(model)
    name = type(estimator).__name__
    if estimator is not model and is_absent(estimator):
        name = f"{type(model).__name__} without an estimator"
    assembler = SUPPORTED_MODELS.get(class_key(estimator))
    if assembler is None:
        raise UnsupportedModelError(_refusal(estimator, name))
    require_fitted(estimator)
    return assembler
