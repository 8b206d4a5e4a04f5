"""Model -> AST: one module per family, and the list of what can be compiled."""

from typing import Any

from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import Assembler
from trainer.compiler.assemblers.hist_gradient_boosting import (
    HistGradientBoostingClassifierAssembler,
    HistGradientBoostingRegressorAssembler,
)
from trainer.compiler.assemblers.linear import LogisticRegressionAssembler, SingleTargetAssembler
from trainer.compiler.assemblers.pipeline import class_key, is_absent, require_fitted, transform
from trainer.compiler.assemblers.tree import (
    AveragedTreesAssembler,
    GradientBoostingClassifierAssembler,
    GradientBoostingRegressorAssembler,
)
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.limits import MAXIMUM_CLASSES, MAXIMUM_FEATURES, check_limit

SUPPORTED_MODELS: dict[str, type[Assembler]] = {
    # Linear classifiers
    "sklearn_LogisticRegression": LogisticRegressionAssembler,
    "sklearn_LogisticRegressionCV": LogisticRegressionAssembler,
    # Linear regressors
    "sklearn_ARDRegression": SingleTargetAssembler,
    "sklearn_BayesianRidge": SingleTargetAssembler,
    "sklearn_ElasticNet": SingleTargetAssembler,
    "sklearn_ElasticNetCV": SingleTargetAssembler,
    "sklearn_HuberRegressor": SingleTargetAssembler,
    "sklearn_Lars": SingleTargetAssembler,
    "sklearn_LarsCV": SingleTargetAssembler,
    "sklearn_Lasso": SingleTargetAssembler,
    "sklearn_LassoCV": SingleTargetAssembler,
    "sklearn_LassoLars": SingleTargetAssembler,
    "sklearn_LinearRegression": SingleTargetAssembler,
    "sklearn_Ridge": SingleTargetAssembler,
    "sklearn_RidgeCV": SingleTargetAssembler,
    "sklearn_SGDRegressor": SingleTargetAssembler,
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
}


def final_estimator(model: Any) -> Any:
    """Return the estimator at the end of a pipeline, or ``model`` itself."""
    while class_key(model) == "sklearn_Pipeline" and model.steps:
        model = model.steps[-1][1]
    return model


def first_fitted(model: Any) -> Any:
    """Return the step of a pipeline that sees the features as they come, or ``model`` itself."""
    while class_key(model) == "sklearn_Pipeline":
        model = next(step for _, step in model.steps if not is_absent(step))
    return model


def assemble(model: Any) -> ast.Expr:
    """Return the AST of a fitted estimator or pipeline.

    Its value is the vector of probabilities in the order of ``classes_``, or a scalar for a regressor. Raises
    `UnsupportedModelError` for a model that is not fitted, is not in `SUPPORTED_MODELS`, or has a setting
    that cannot be reproduced exactly.
    """
    estimator = final_estimator(model)
    name = type(estimator).__name__
    if estimator is not model and is_absent(estimator):
        name = f"{type(model).__name__} without an estimator"
    assembler = SUPPORTED_MODELS.get(class_key(estimator))
    if assembler is None:
        supported = ", ".join(sorted(key.split("_", 1)[1] for key in SUPPORTED_MODELS))
        raise UnsupportedModelError(f"{name} is not supported; supported are {supported}.")
    require_fitted(estimator)
    require_fitted(first_fitted(model))
    size = int(first_fitted(model).n_features_in_)
    check_limit("features", size, MAXIMUM_FEATURES)
    source: nodes.VectorNode = nodes.FeatureVector(size)
    while model is not estimator:
        for _, step in model.steps[:-1]:
            source = transform(step, source)
        model = model.steps[-1][1]
    if estimator.n_features_in_ != source.output_size:
        raise UnsupportedModelError(
            f"{name} was fitted on {estimator.n_features_in_} columns and receives {source.output_size};"
            " fit the pipeline as a whole."
        )
    if hasattr(estimator, "classes_") and getattr(estimator, "n_outputs_", 1) == 1:
        check_limit("classes", len(estimator.classes_), MAXIMUM_CLASSES)
    return assembler(estimator, source).assemble()
