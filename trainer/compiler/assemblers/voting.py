"""Voting ensembles: the mean of their members' probabilities or numbers, in numpy's order.

numpy adds up the members one after the other and divides once. It does so for many rows at a time; a VotingRegressor
of eight and more members that is asked for a single row adds them up pairwise, which differs in the last bit.
"""

from typing import Any

import numpy as np
from m2cgen import ast

from trainer.compiler import assemblers, nodes
from trainer.compiler.assemblers.base import Assembler
from trainer.compiler.assemblers.columns import Columns
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.limits import MAXIMUM_MEMBERS, check_limit

# Between these bounds, a product with a probability or with a number of usual size neither underflows nor overflows.
SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-100, 1e100


class VotingAssembler(Assembler):
    """What both kinds share: the members, which the library has fitted on the columns that the ensemble sees."""

    @property
    def name(self) -> str:
        """The name of the model's class, for messages."""
        return type(self.model).__name__

    def average(self, outputs: int, axis: int) -> nodes.AverageVector:
        """Return the mean of the members, each of ``outputs`` elements; ``axis`` is the one that numpy sums over."""
        check_limit("members", len(self.model.estimators_), MAXIMUM_MEMBERS)
        members = [self._member(estimator, outputs) for estimator in self.model.estimators_]
        single = all(nodes.is_single(member) for member in members)
        weights = self.model._weights_not_none
        if weights is None:
            return nodes.AverageVector(members, None, len(members), single=single)
        given = self._checked(np.asanyarray(weights), len(members))
        number = np.float32 if single else np.float64
        if np.result_type(number, given.dtype) != np.float64:
            raise UnsupportedModelError(
                f"{self.name} with weights of type {given.dtype} over XGBoost models only, whose probabilities are"
                " float32, is not supported; give the weights as a list of numbers."
            )
        shape = (len(members), 1, 1) if axis == 0 else (1, len(members))
        try:
            _, total = np.average(np.zeros(shape, dtype=number), axis=axis, weights=given, returned=True)
        except ZeroDivisionError as error:
            raise UnsupportedModelError(
                f"{self.name} has weights that sum to zero; give weights with another sum."
            ) from error
        return nodes.AverageVector(members, given.astype(np.float64).tolist(), float(np.ravel(total)[0]))

    def _member(self, estimator: Any, outputs: int) -> ast.Expr:
        expr = assemblers.assembler_of(estimator, Columns(self.source, self.is_sparse)).assemble()
        if expr.output_size != outputs:
            raise UnsupportedModelError(
                f"{self.name} has a member, {type(estimator).__name__}, with {expr.output_size} classes where the"
                f" ensemble has {outputs}; fit all members on all classes."
            )
        return expr if isinstance(expr, ast.VectorExpr) or outputs > 1 else ast.VectorVal([expr])

    def _checked(self, weights: Any, members: int) -> Any:
        if weights.shape != (members,):
            raise UnsupportedModelError(
                f"{self.name} has {members} fitted members and weights for {len(np.atleast_1d(weights))}; give one"
                " weight per member and fit again."
            )
        if weights.dtype.kind not in "biuf" or weights.dtype.itemsize > 8:
            raise UnsupportedModelError(
                f"{self.name} with weights of type {weights.dtype} is not supported; give the weights as a list of"
                " numbers."
            )
        magnitudes = np.abs(weights[weights != 0].astype(np.float64))
        if not ((magnitudes >= SMALLEST_WEIGHT) & (magnitudes <= LARGEST_WEIGHT)).all():
            raise UnsupportedModelError(
                f"{self.name} has a weight that is not finite or whose absolute value lies outside {SMALLEST_WEIGHT} to"
                f" {LARGEST_WEIGHT}; give weights of usual size."
            )
        return weights


class VotingClassifierAssembler(VotingAssembler):
    """Soft voting: the mean of the members' probabilities, which they give for the codes of the classes."""

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``; refuse hard voting, which has none."""
        if self.model.voting != "soft":
            raise UnsupportedModelError(
                f"VotingClassifier with voting={self.model.voting!r} has no predict_proba; use voting='soft'."
            )
        return self.average(len(self.model.classes_), axis=0)


class VotingRegressorAssembler(VotingAssembler):
    """The mean of the members' numbers."""

    def assemble(self) -> ast.Expr:
        """Return a scalar."""
        return nodes.ElementExpr(self.average(1, axis=1), 0)
