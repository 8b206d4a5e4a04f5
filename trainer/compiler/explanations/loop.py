"""Writes the loop over the steps of the quadrature."""

from collections.abc import Callable, Sequence

import numpy as np

from trainer.compiler.code_generator import FLOAT, FLOATS, INTEGER, INTEGERS, CodeGenerator
from trainer.compiler.explanations.ensemble import Ensemble
from trainer.compiler.explanations.steps import KIND_SHIFT, SPLIT_BITS, Split, Step, Table
from trainer.compiler.nodes import Floats


class LoopWriter:
    """Writes the loop over the steps of one table.

    The arrays of the table are written where they are read, each at one place if possible: as variables they would be
    copied at every call.
    """

    def __init__(
        self,
        code: CodeGenerator,
        table: Table,
        ensemble: Ensemble,
        positions: Sequence[float],
        weights: Sequence[float],
    ) -> None:
        self._code = code
        self._table = table
        self._outputs = ensemble.tree_outputs
        self._width = ensemble.features + 1
        self._size = self._width * ensemble.outputs
        self._positions = positions
        self._start_weights = weights
        self._nodes = range(len(positions))
        self._weights = self._variables("v_weight")
        self._values = self._variables("v_value")
        # What stands for u = 1 - t, and the factor of contributions.
        self._unknown = [code.number(1 - position) for position in self._positions]
        self._densities: list[str] | None = None

    def _variables(self, prefix: str) -> list[str]:
        return [self._code.declare(f"{prefix}_{node + 1}", FLOAT) for node in self._nodes]

    def write(self) -> None:
        """Write the loop, and a loop over outputs around it where there are several."""
        code, table = self._code, self._table
        if table.kinds & {Step.SWITCH, Step.SWITCH_AGAIN}:
            code.assign(code.declare("v_waiting", INTEGER), "0")
            code.assign(code.declare("v_firsts", FLOATS), code.numbers([]))
        if table.kinds & {Step.ENTER_FIRST, Step.ENTER_SECOND}:
            code.assign(code.declare("v_failed", INTEGERS), code.integers([0] * self._size))
        if self._outputs > 1:
            code.open(f"FOR v_output IN 0..{self._outputs - 1} LOOP")
        if table.pairs:
            code.assign(code.declare("v_pair", INTEGER), "0")
        step, split = code.declare("v_step", INTEGER), code.declare("v_split", INTEGER)
        code.open_each(step, code.integers(table.steps))
        code.assign(split, code.operation(step, "&", str((1 << SPLIT_BITS) - 1)))
        first_is_left = code.operation(code.operation(step, ">>", str(SPLIT_BITS)), "&", "1")
        hot, change = code.declare("v_hot", FLOAT), code.declare("v_change", FLOAT)
        code.assign(hot, self._is_hot(table.splits, split, first_is_left))
        code.assign(change, code.operation(hot, "-", self._share(table.splits, split)))
        self._dispatch(
            [
                (Step.DOWN, self._write_down),
                (Step.SWITCH, self._write_switch),
                (Step.LEAVE_SECOND, self._write_other_steps),
            ]
        )
        code.close("LOOP")
        if self._outputs > 1:
            code.close("LOOP")

    def _dispatch(self, cases: Sequence[tuple[Step, Callable[[], None]]], after: int = -1) -> None:
        """Write the cases that occur; a case takes the steps up to its own, from the case before it or ``after``."""
        occurring = []
        for kind, write_case in cases:
            if any(after < known <= kind for known in self._table.kinds):
                occurring.append((kind, write_case))
            after = kind
        code = self._code
        for number, (kind, write_case) in enumerate(occurring):
            test = code.operation("v_step", "<", str((kind + 1) << KIND_SHIFT))
            if len(occurring) > 1 and number == 0:
                code.open_if(test)
            elif 0 < number < len(occurring) - 1:
                code.otherwise_if(test)
            elif number:
                code.otherwise()
            write_case()
        if len(occurring) > 1:
            code.close("IF")

    # Expressions

    def _is_hot(self, rows: Sequence[Split], number: str, first_is_left: str) -> str:
        """Give one if the first child of a split is hot, else zero."""
        code = self._code
        place = code.element(code.integers(row.test for row in rows), number)
        goes_right = code.call("pg_catalog.get_byte", "v_decisions", place)
        return code.as_float(code.operation(goes_right, "#", first_is_left))

    def _share(self, rows: Sequence[Split], number: str) -> str:
        """Give the share of the first child of a split."""
        return self._code.element(self._code.numbers(row.share for row in rows), number)

    def _leaf(self, leaves: Sequence[Floats], number: str) -> str:
        code = self._code
        if self._outputs > 1:
            number = code.operation(number, "+", code.operation("v_output", "*", str(len(leaves))))
        return code.element(code.numbers(np.array(leaves).T.ravel()), number)

    def _target(self, rows: Sequence[Split], number: str) -> str:
        code = self._code
        target = code.element(code.integers(row.target for row in rows), number)
        if self._outputs > 1:
            target = code.operation(target, "+", code.operation("v_output", "*", str(self._width)))
        return target

    def _factor(self, node: int) -> str:
        """Give the factor of the first child."""
        code = self._code
        return code.operation("v_hot", "-", code.operation("v_change", "*", self._unknown[node]))

    def _assign_rest(self) -> None:
        """Write the assignment of one if the second child is hot, else zero."""
        code = self._code
        code.assign(code.declare("v_rest", FLOAT), code.operation(code.number(1), "-", "v_hot"))

    def _second_factor(self, node: int) -> str:
        code = self._code
        return code.operation("v_rest", "+", code.operation("v_change", "*", self._unknown[node]))

    def _scale_weights(self, operator: str, factor: Callable[[int], str]) -> None:
        for node in self._nodes:
            self._code.assign(self._weights[node], self._code.operation(self._weights[node], operator, factor(node)))

    def _contribute(self, target: str, amount: str) -> None:
        code = self._code
        contribution = code.element("v_contributions", target)
        code.assign(contribution, code.operation(contribution, "+", amount))

    def _first(self, node: int) -> str:
        """Give the value of a first child that waits for the second one."""
        return self._code.element("v_firsts", self._code.operation("v_waiting", "+", str(node + 1)))

    def _line(self, node: int) -> str:
        """Give the value of a pair."""
        code = self._code
        return code.operation("v_level", "-", code.operation("v_slope", "*", code.number(1 - self._positions[node])))

    # Steps

    def _write_down(self) -> None:
        self._scale_weights("*", self._factor)

    def _write_switch(self) -> None:
        code = self._code
        for node in self._nodes:
            code.assign(self._first(node), self._values[node])
        code.assign("v_waiting", code.operation("v_waiting", "+", str(len(self._nodes))))
        self._assign_rest()
        self._scale_weights("*", lambda node: code.operation(self._second_factor(node), "/", self._factor(node)))

    def _write_second(self) -> None:
        """Let the second child take the place of the first one."""
        code = self._code
        code.assign("v_hot", code.operation(code.number(1), "-", "v_hot"))
        code.assign("v_change", code.operation(code.number(0), "-", "v_change"))

    def _write_other_steps(self) -> None:
        code, splits = self._code, self._table.splits
        code.assign(code.declare("v_target", INTEGER), self._target(splits, "v_split"))
        code.assign(code.declare("v_leaf", FLOAT), self._leaf([split.second_leaf for split in splits], "v_split"))
        self._dispatch(
            [
                (Step.JOIN_LEAF, self._write_join_leaf),
                (Step.JOIN_PAIR_AGAIN, self._write_steps_with_pairs),
                (Step.JOIN, self._write_join),
                (Step.START, self._write_start),
                (Step.LEAF, self._write_leaf),
                (Step.JOIN_AGAIN, lambda: self._write_again(self._write_steps_again)),
                (Step.ENTER_FIRST, lambda: self._write_count(0, 1)),
                (Step.LEAVE_FIRST, lambda: self._write_count(0, -1)),
                (Step.ENTER_SECOND, lambda: self._write_count(1, 1)),
                (Step.LEAVE_SECOND, lambda: self._write_count(1, -1)),
            ],
            after=Step.SWITCH,
        )

    def _write_start(self) -> None:
        for weight, start in zip(self._weights, self._start_weights, strict=True):
            self._code.assign(weight, self._code.number(start))

    def _write_join_leaf(self) -> None:
        code = self._code
        self._scale_weights("/", self._factor)
        self._write_contribution(self._values)
        for node in self._nodes:
            step = code.operation(self._factor(node), "*", self._values[node])
            code.assign(self._values[node], code.operation("v_leaf", "+", step))

    def _write_join(self) -> None:
        code = self._code
        self._write_second()
        self._scale_weights("/", self._factor)
        code.assign("v_waiting", code.operation("v_waiting", "-", str(len(self._nodes))))
        self._write_joined([self._first(node) for node in self._nodes])

    def _write_joined(self, others: Sequence[str]) -> None:
        """Write the contribution of a split and its value, with the last child's value in ``v_value_...``."""
        code = self._code
        differences = [code.operation(self._values[node], "-", others[node]) for node in self._nodes]
        self._write_contribution(differences)
        for node in self._nodes:
            step = code.operation(self._factor(node), "*", differences[node])
            code.assign(self._values[node], code.operation(others[node], "+", step))

    def _write_contribution(self, differences: Sequence[str]) -> None:
        """Write the contribution of a split whose children's values differ by ``differences``."""
        code = self._code
        terms = [code.operation(self._weights[node], "*", differences[node]) for node in self._nodes]
        if self._densities is not None:
            terms = [code.operation(term, "*", density) for term, density in zip(terms, self._densities, strict=True)]
        self._contribute("v_target", code.operation("v_change", "*", _sum(code, terms)))

    def _write_leaf(self) -> None:
        code = self._code
        code.assign("v_leaf", self._leaf([split.first_leaf for split in self._repeated()], "v_split"))
        for value in self._values:
            code.assign(value, "v_leaf")

    def _write_count(self, cold_when_hot: int, number: int) -> None:
        """Write the count of the tests of a feature that do not hold on the way."""
        code = self._code
        code.open_if(code.operation("v_hot", "=", code.number(cold_when_hot)))
        failed = code.element("v_failed", "v_target")
        code.assign(failed, code.operation(failed, "+", str(number)))
        code.close("IF")

    # Steps with pairs

    def _write_steps_with_pairs(self) -> None:
        """Write the steps that have a pair, whose value is ``v_level - v_slope * u``."""
        code, pairs = self._code, self._table.pairs
        hot, level, slope = (code.declare(name, FLOAT) for name in ("v_pair_hot", "v_level", "v_slope"))
        target = code.declare("v_pair_target", INTEGER)
        code.assign("v_pair", code.operation("v_pair", "+", "1"))
        code.assign(hot, self._is_hot(pairs, "v_pair", "1"))
        code.assign(slope, self._leaf([pair.first_leaf for pair in pairs], "v_pair"))
        second = self._leaf([pair.second_leaf for pair in pairs], "v_pair")
        code.assign(level, code.operation(second, "+", code.operation(hot, "*", slope)))
        code.assign(slope, code.operation(code.operation(hot, "-", self._share(pairs, "v_pair")), "*", slope))
        code.assign(target, self._target(pairs, "v_pair"))
        self._dispatch(
            [
                (Step.JOIN_PAIR, self._write_join_pair),
                (Step.PAIR_LEAF, self._write_pair_leaf),
                (Step.PAIR, self._write_pair),
                (Step.JOIN_PAIR_AGAIN, lambda: self._write_again(self._write_join_pair)),
            ],
            after=Step.JOIN_LEAF,
        )

    def _write_pair(self) -> None:
        code = self._code
        self._contribute("v_pair_target", code.operation("v_slope", "*", _sum(code, self._weights)))
        for node in self._nodes:
            code.assign(self._values[node], self._line(node))

    def _write_pair_leaf(self) -> None:
        code = self._code
        sum_of_weights, moment = code.declare("v_sum", FLOAT), code.declare("v_moment", FLOAT)
        code.assign(sum_of_weights, _sum(code, self._weights))
        moments = [code.operation(self._weights[node], "*", self._unknown[node]) for node in self._nodes]
        code.assign(moment, _sum(code, moments))

        def integral(constant: str, slope: str) -> str:
            """Give the integral of weight * (constant - slope * u)."""
            first, second = code.operation(constant, "*", sum_of_weights), code.operation(slope, "*", moment)
            return code.operation(first, "-", second)

        self._contribute("v_pair_target", code.operation("v_slope", "*", integral("v_hot", "v_change")))
        self._contribute("v_target", code.operation("v_change", "*", integral("v_level", "v_slope")))
        # The pair is written as its distance from the leaf, so that the split's value is
        # leaf + (hot - change * u) * (level - slope * u).
        constant, linear, square = (code.declare(name, FLOAT) for name in ("v_constant", "v_linear", "v_square"))
        code.assign(constant, code.operation("v_leaf", "+", code.operation("v_hot", "*", "v_level")))
        products = (code.operation("v_change", "*", "v_level"), code.operation("v_hot", "*", "v_slope"))
        code.assign(linear, code.operation(products[0], "+", products[1]))
        code.assign(square, code.operation("v_change", "*", "v_slope"))
        for node in self._nodes:
            unknown = self._unknown[node]
            line = code.operation(linear, "-", code.operation(square, "*", unknown))
            code.assign(self._values[node], code.operation(constant, "-", code.operation(unknown, "*", line)))

    def _write_join_pair(self) -> None:
        code = self._code
        self._assign_rest()
        self._scale_weights("/", self._factor)
        terms = [code.operation(self._weights[node], "*", self._second_factor(node)) for node in self._nodes]
        self._contribute("v_pair_target", code.operation("v_slope", "*", _sum(code, terms)))
        self._write_joined([self._line(node) for node in self._nodes])

    # Steps whose feature was tested above

    def _repeated(self) -> list[Split]:
        """Return the splits whose feature was tested above: the first ones of all."""
        return [split for split in self._table.splits if split.earlier]

    def _write_steps_again(self) -> None:
        self._dispatch(
            [
                (Step.DOWN_AGAIN, self._write_down),
                (Step.SWITCH_AGAIN, self._write_switch),
                (Step.JOIN_LEAF_AGAIN, self._write_join_leaf),
                (Step.JOIN_AGAIN, self._write_join),
            ],
            after=Step.LEAF,
        )

    def _write_again(self, write_steps: Callable[[], None]) -> None:
        """Write steps for which u is something else, or nothing when a test above does not hold."""
        code = self._code
        fresh = self._unknown
        self._unknown, self._densities = self._variables("v_unknown"), self._variables("v_density")
        repeated = self._repeated()
        earlier = code.declare("v_earlier", FLOAT)
        code.assign(earlier, code.element(code.numbers(split.earlier for split in repeated), "v_split"))
        code.open_if(code.operation(code.element("v_failed", "v_target"), "=", "0"))
        for position, unknown, density in zip(self._positions, self._unknown, self._densities, strict=True):
            code.assign(unknown, code.operation(code.number(1 - position), "*", earlier))
            either = code.operation(code.number(position), "+", unknown)
            code.assign(density, code.operation(earlier, "/", code.operation(either, "*", either)))
            code.assign(unknown, code.operation(unknown, "/", either))
        code.otherwise()
        # As if both children were cold, so that no factor is a difference of nearly equal numbers.
        code.assign("v_hot", code.number(0))
        code.assign("v_change", code.operation("v_hot", "-", self._share(repeated, "v_split")))
        for unknown, density in zip(self._unknown, self._densities, strict=True):
            code.assign(unknown, code.number(1))
            code.assign(density, code.number(0))
        code.close("IF")
        write_steps()
        self._unknown, self._densities = fresh, None


def _sum(code: CodeGenerator, terms: Sequence[str]) -> str:
    result = terms[0]
    for term in terms[1:]:
        result = code.operation(result, "+", term)
    return result
