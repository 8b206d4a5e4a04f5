"""CalibratedClassifierCV: each fold's response through its calibrators, then the mean over folds."""

from typing import Any

import numpy as np
from m2cgen import ast

from trainer.compiler import assemblers, nodes
from trainer.compiler.assemblers.base import Assembler, with_complement
from trainer.compiler.assemblers.columns import Columns
from trainer.compiler.errors import UnsupportedModelError

# What the library adds to a probability before it takes the logarithm.
LOGARITHM_SHIFT = 1e-12


class CalibratedClassifierAssembler(Assembler):
    """The calibrators take decision_function where the base has one, predict_proba where it has not."""

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``."""
        folds = [self._fold(fold) for fold in self.model.calibrated_classifiers_]
        return folds[0] if len(folds) == 1 else nodes.MeanVector(folds)

    def _fold(self, fold: Any) -> ast.Expr:
        if len(fold.estimator.classes_) != len(fold.classes):
            raise UnsupportedModelError(
                "CalibratedClassifierCV has a fold whose training rows lack a class; fit it with cv=StratifiedKFold()."
            )
        base = assemblers.assembler_of(fold.estimator, Columns(self.source, self.is_sparse))
        takes_scores = hasattr(fold.estimator, "decision_function")
        response = nodes.elements(base.decision_function() if takes_scores else base.assemble())
        if len(fold.classes) == 2 and not takes_scores:
            response = response[1:]
        if fold.method == "temperature":
            return _heated(fold.calibrators[0], base, response, takes_scores)
        if fold.method == "sigmoid":
            positive = [_logistic(calibrator, value) for calibrator, value in _pairs(fold, response)]
        elif fold.method == "isotonic":
            positive = [_isotonic(calibrator, value) for calibrator, value in _pairs(fold, response)]
        else:
            raise UnsupportedModelError(
                f"CalibratedClassifierCV with method={fold.method!r} is not supported;"
                " use sigmoid, isotonic or temperature."
            )
        if len(positive) > 1:
            return nodes.NormalizedVector(ast.VectorVal(positive))
        negative, share = with_complement(positive[0]).exprs
        if fold.method == "isotonic":
            # A line can end above 1 by rounding; the library then takes 1, after the complement.
            share = nodes.ClipExpr(share, -np.inf, 1.0)
        return ast.VectorVal([negative, share])


def _pairs(fold: Any, response: list[ast.Expr]) -> list[tuple[Any, ast.Expr]]:
    return list(zip(fold.calibrators, response, strict=True))


def _logistic(calibrator: Any, value: ast.Expr) -> ast.Expr:
    slope, intercept = float(calibrator.a_), float(calibrator.b_)
    if not np.isfinite([slope, intercept]).all():
        raise UnsupportedModelError(
            "CalibratedClassifierCV holds a sigmoid whose numbers are not finite; use method='isotonic'."
        )
    return ast.SigmoidExpr(nodes.AffineExpr(value, -slope, -intercept))


def _isotonic(calibrator: Any, value: ast.Expr) -> ast.Expr:
    points, heights = calibrator.X_thresholds_, calibrator.y_thresholds_
    line = nodes.InterpolationExpr(value, points, heights, single=points.dtype == np.float32)
    if not np.isfinite(line.slopes).all():
        raise UnsupportedModelError(
            "CalibratedClassifierCV holds an isotonic calibrator with an infinite slope; use method='sigmoid'."
        )
    return line


def _heated(calibrator: Any, base: Assembler, response: list[ast.Expr], takes_scores: bool) -> ast.Expr:
    """Return the softmax of scores, or of logarithms of probabilities, times one factor.

    The library tells scores of several classes from probabilities by their values: it would mistake them if every row
    of a call held numbers from 0 to 1 that sum to one. That accident is not reproduced.
    """
    if any(nodes.is_single(share) for share in response):
        raise UnsupportedModelError(
            "CalibratedClassifierCV with method='temperature' of an XGBoost model, whose probabilities are float32, is"
            " not supported; use method='sigmoid' or 'isotonic'."
        )
    if not takes_scores and getattr(base.model, "objective_", None) == "multiclassova":
        raise UnsupportedModelError(
            "CalibratedClassifierCV with method='temperature' of objective='multiclassova', whose probabilities do not"
            " sum to one, is not supported; use method='sigmoid' or 'isotonic'."
        )
    if not takes_scores:
        shares = response if len(response) > 1 else with_complement(response[0]).exprs
        response = [
            ast.LogExpr(ast.BinNumExpr(share, ast.NumVal(LOGARITHM_SHIFT), ast.BinNumOpType.ADD)) for share in shares
        ]
    heated = [nodes.AffineExpr(logit, float(calibrator.beta_)) for logit in response]
    if len(heated) == 1:
        heated[0].to_reuse = True
        heated.insert(0, nodes.AffineExpr(heated[0], -1.0))
    return nodes.SoftmaxVector(ast.VectorVal(heated))
