"""Writes the body of an explanation: the checks of the score function, then what the chosen method adds."""

from collections.abc import Callable

import numpy as np

from trainer.compiler.code_generator import FLOAT, FLOATS, CodeGenerator
from trainer.compiler.explanations.decisions import Decisions
from trainer.compiler.explanations.ensemble import Ensemble, LinearScores
from trainer.compiler.explanations.linear import background_columns, base_values
from trainer.compiler.folding import columns_of
from trainer.compiler.interpreter import NEGLIGIBLE, NULL, PARAMETER, PlpgsqlInterpreter
from trainer.compiler.nodes import Floats

CONTRIBUTIONS = "v_contributions"
DECISIONS = "v_decisions"

TreeWriter = Callable[[CodeGenerator, Ensemble, Decisions], None]


class ExplanationInterpreter(PlpgsqlInterpreter):
    """Turns a raw output into the body of a function that explains it."""

    def explain_trees(self, ensemble: Ensemble, write: TreeWriter) -> str:
        """Return the body for sums of trees; ``write`` adds the contributions of all trees."""
        self._start(ensemble.features, ensemble.base)
        code = self._code
        columns, *_ = [self._array(source) for source in ensemble.sources]
        decisions = Decisions(test for tree in ensemble.trees for test in tree.tests)
        if decisions.tests:
            may_be_missing = any(source.may_be_missing for source in ensemble.sources)
            code.assign(code.declare(DECISIONS, "bytea"), decisions.text(code, columns, may_be_missing))
            write(code, ensemble, decisions)
        if ensemble.last_is_rest:
            self._fill_last_output(ensemble)
        code.give(CONTRIBUTIONS)
        return code.body()

    def explain_scores(self, scores: LinearScores, background: Floats) -> str:
        """Return the body for linear scores."""
        self._start(scores.features, base_values(scores, background))
        code = self._code
        width = scores.features + 1
        for part in scores.parts:
            columns = columns_of(part.source)
            targets = [column.feature + 1 for column in columns]
            self._fill_sources(part.source)
            code.open_count("v_position", part.source.output_size)
            distance = code.declare("v_distance", FLOAT)
            middle = code.element(code.numbers(background_columns(columns, background)), "v_position")
            code.assign(distance, code.operation(self._column(part.source, "v_position"), "-", middle))
            # Coefficients are bounded: what is left out is nothing, and no product underflows.
            code.open_if(code.operation(code.call("pg_catalog.abs", distance), ">", code.number(NEGLIGIBLE)))
            for output, weights in enumerate(part.coefficients / len(scores.parts)):
                target = code.element(code.integers(target + output * width for target in targets), "v_position")
                contribution = code.element(CONTRIBUTIONS, target)
                product = code.operation(distance, "*", code.element(code.numbers(weights), "v_position"))
                code.assign(contribution, code.operation(contribution, "+", product))
            code.close("IF")
            code.close("LOOP")
        code.give(CONTRIBUTIONS)
        return code.body()

    def _start(self, features: int, base: Floats) -> None:
        """Write the checks and the contributions of nothing at all."""
        self._reset()
        code = self._code
        self._check_shape(features)
        code.assign(PARAMETER, code.call("pg_catalog.array_replace", PARAMETER, code.number(np.nan), NULL))
        nothing = [[0.0] * features + [value] for value in base.tolist()]
        code.assign(code.declare(CONTRIBUTIONS, FLOATS), code.numbers(value for row in nothing for value in row))

    def _fill_last_output(self, ensemble: Ensemble) -> None:
        """Write the last output's contributions, which make all outputs' contributions add up to zero."""
        code = self._code
        width = ensemble.features + 1
        code.open(f"FOR v_output IN 0..{ensemble.outputs - 2} LOOP")
        code.open_count("v_feature", ensemble.features)
        shift = code.operation("v_output", "*", str(width))
        other = code.element(CONTRIBUTIONS, code.operation("v_feature", "+", shift))
        last = code.element(CONTRIBUTIONS, code.operation("v_feature", "+", str((ensemble.outputs - 1) * width)))
        code.assign(last, code.operation(last, "-", other))
        code.close("LOOP")
        code.close("LOOP")
