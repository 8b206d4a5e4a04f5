"""Walks the AST and calls the code generator: the only place that knows both."""

import math
from collections import Counter
from typing import Any

import numpy as np
from m2cgen import ast
from m2cgen.interpreters.interpreter import BaseInterpreter

from trainer.compiler import folding, nodes
from trainer.compiler.code_generator import FLOAT, FLOATS, INTEGER, SINGLE, CodeGenerator, quote_identifier

PARAMETER = "p_features"
SCORES_PARAMETER = "p_scores"
NULL = f"NULL::{FLOAT}"

# A product above this does not underflow to zero, which is an error in PostgreSQL.
SAFE_MAGNITUDE = 1e-300
# A value below this can be left out of a linear sum, because the assembler bounds the coefficients.
NEGLIGIBLE = 1e-100
# The largest double that rounds to zero in single precision.
SINGLE_VANISHING = 7.006492321624085e-46
# A sum recurses in PostgreSQL's parser and planner, once per term.
TERMS_PER_STATEMENT = 500


class PlpgsqlInterpreter(BaseInterpreter):  # type: ignore[misc]
    """Turns one AST into the body of one PL/pgSQL function.

    A column of a vector is an expression of its position for as long as that is possible, so that a linear
    model behind an imputer and a scaler is one loop; trees read columns at random and need them in an array
    variable.
    """

    def __init__(self, runtime_schema: str = "ml") -> None:
        super().__init__()
        self._runtime = quote_identifier(runtime_schema)
        self._reset()

    def _reset(self) -> None:
        self._code = CodeGenerator()
        self._array_names: dict[int, str] = {}
        self._counts: Counter[str] = Counter()
        self.helpers: set[str] = set()
        self._reset_reused_expr_cache()

    def interpret(self, expr: ast.Expr) -> str:
        """Return the function body for ``expr``, whose value is the array that the function returns.

        `helpers` then names the runtime functions that the body calls.
        """
        self._reset()
        vectors = [node for node in nodes.walk(expr) if isinstance(node, nodes.VectorNode)]
        features = next(node for node in vectors if isinstance(node, nodes.FeatureVector))
        self._check_shape(features.output_size)
        if self._needs_null(vectors):
            code = self._code
            code.assign(PARAMETER, code.call("pg_catalog.array_replace", PARAMETER, code.number(np.nan), NULL))
        self._give_vector(expr)
        return self._code.body()

    def _give_vector(self, expr: ast.Expr) -> None:
        result = self._do_interpret(expr)
        is_vector = isinstance(expr, ast.VectorExpr) or expr.output_size > 1
        self._code.give(result if is_vector else self._code.array([result]))

    def _needs_null(self, vectors: list[nodes.VectorNode]) -> bool:
        """Say whether anything tests for NULL, so that NaN must become NULL first."""
        tests = nodes.ImputeVector | nodes.MissingIndicatorVector | nodes.StepVector
        return any(
            isinstance(node, tests) or (isinstance(node, nodes.GuardedVector) and bool(node.known)) for node in vectors
        )

    def _check_shape(self, size: int) -> None:
        code = self._code
        length = code.call("pg_catalog.array_upper", PARAMETER, "1")
        conditions = [
            code.operation(code.call("pg_catalog.array_ndims", PARAMETER), "=", "1"),
            code.operation(code.call("pg_catalog.array_lower", PARAMETER, "1"), "=", "1"),
            code.operation(length, ">=", str(size)),
        ]
        code.open_if(f"({' AND '.join(conditions)}) IS NOT TRUE")
        code.open_if(f"{PARAMETER} IS NULL")
        code.give("NULL")
        code.close("IF")
        code.fail(f"{PARAMETER} must be a one-dimensional array of at least {size} values")
        code.close("IF")
        code.open_if(code.operation(length, ">", str(size)))
        code.assign(PARAMETER, f"{PARAMETER}[1:{size}]")
        code.close("IF")

    def _helper(self, name: str, *arguments: str) -> str:
        self.helpers.add(name)
        return self._code.call(f"{self._runtime}.{name}", *arguments)

    # Vectors of features

    def _array(self, node: nodes.VectorNode) -> str:
        """Give the name of an array variable that holds ``node``, after filling it if that is still to do."""
        if id(node) not in self._array_names:
            self._array_names[id(node)] = self._fill_array(node)
        return self._array_names[id(node)]

    def _fill_array(self, node: nodes.VectorNode) -> str:
        if isinstance(node, nodes.FeatureVector):
            return PARAMETER
        if isinstance(node, nodes.CheckedVector):
            return self._fill_checked(node)
        if isinstance(node, nodes.GuardedVector):
            return self._fill_guarded(node)
        code = self._code
        parts = node.parts if isinstance(node, nodes.ConcatVector) else [node]
        for part in parts:
            self._fill_sources(part)
        columns = self._new_array()
        position = "v_position"
        code.assign(columns, code.numbers([]))
        offset = 0
        for part in parts:
            code.open_count(position, part.output_size)
            target = position if offset == 0 else code.operation(position, "+", str(offset))
            code.assign(code.element(columns, target), self._column(part, position))
            code.close("LOOP")
            offset += part.output_size
        return columns

    def _fill_checked(self, node: nodes.CheckedVector) -> str:
        code = self._code
        columns = self._array(node.source)
        tests = [
            f"{code.number(node.limit)} OPERATOR(pg_catalog.<=) ANY ({columns})",
            f"{code.number(-node.limit)} OPERATOR(pg_catalog.>=) ANY ({columns})",
        ]
        if node.source.may_be_missing and not node.allow_missing:
            first_missing = code.call("pg_catalog.array_position", columns, NULL)
            tests.insert(0, f"{first_missing} IS NOT NULL")
        code.open_if(" OR ".join(tests))
        # NaN sorts above all numbers and comes here too: the helper tells it from a value out of range.
        allow_missing = "TRUE" if node.allow_missing else "FALSE"
        code.perform(self._helper("check_features", columns, code.number(node.limit), allow_missing))
        code.close("IF")
        return columns

    def _fill_guarded(self, node: nodes.GuardedVector) -> str:
        code = self._code
        columns = self._array(node.source)
        tests = []
        if (highest := node.highest.min()) < np.inf:
            tests.append(f"{code.number(highest)} OPERATOR(pg_catalog.<) ANY ({columns})")
        if (lowest := node.lowest.max()) > -np.inf:
            tests.append(f"{code.number(lowest)} OPERATOR(pg_catalog.>) ANY ({columns})")
        if node.source.may_be_missing and not node.missing_allowed.all():
            missing = code.call("pg_catalog.array_replace", columns, code.number(np.nan), NULL)
            tests.append(f"{code.call('pg_catalog.array_position', missing, NULL)} IS NOT NULL")
        if tests:
            code.open_if(" OR ".join(tests))
            # These tests are cheap and may be too strict: the helper looks at each feature's own range.
            code.perform(self._range_check(node, columns))
            code.close("IF")
        for place, points in node.known.items():
            value = code.element(columns, place + 1)
            code.open_if(code.is_between_breakpoints(value, points, odd=False))
            code.fail(f"feature {place + 1} holds a category that this model does not know")
            code.close("IF")
        return columns

    def _range_check(self, node: nodes.GuardedVector, columns: str) -> str:
        code = self._code
        highest, missing = node.highest[0], node.missing_allowed[0]
        if (
            (node.highest == highest).all()
            and (node.lowest == -highest).all()
            and (node.missing_allowed == missing).all()
        ):
            limit = math.nextafter(highest, math.inf)
            return self._helper("check_features", columns, code.number(limit), "TRUE" if missing else "FALSE")
        ranges = (code.numbers(node.lowest), code.numbers(node.highest), code.booleans(node.missing_allowed))
        return self._helper("check_ranges", columns, *ranges)

    def _new_array(self) -> str:
        return self._fresh("v_columns", FLOATS)

    def _fill_sources(self, node: nodes.VectorNode) -> None:
        """Fill the arrays that the columns of ``node`` are made from."""
        whole = nodes.FeatureVector | nodes.CheckedVector | nodes.GuardedVector
        if isinstance(node, whole | nodes.ConcatVector):
            self._array(node)
        else:
            self._fill_sources(node.source)

    def _column(self, node: nodes.VectorNode, position: str) -> str:
        """Give the expression of one column of ``node``; its sources are filled."""
        code = self._code
        if isinstance(node, nodes.SelectVector):
            indices = code.integers(index + 1 for index in node.indices)
            return self._column(node.source, code.element(indices, position))
        if isinstance(node, nodes.ImputeVector):
            fill = code.element(code.numbers(node.fill), position)
            return f"COALESCE({self._column(node.source, position)}, {fill})"
        if isinstance(node, nodes.MissingIndicatorVector):
            test = f"{self._column(node.source, position)} IS NULL"
            return code.choice(test, code.number(1), code.number(0))
        if isinstance(node, nodes.StandardizeVector):
            return self._standardized_column(node, position)
        if isinstance(node, nodes.ScaleVector):
            return self._scaled_column(node, position)
        if isinstance(node, nodes.StepVector):
            return self._step_column(node, position)
        return code.element(self._array(node), position)

    def _standardized_column(self, node: nodes.StandardizeVector, position: str) -> str:
        code = self._code
        value = self._column(node.source, position)
        if node.means is not None:
            value = code.operation(value, "-", code.element(code.numbers(node.means), position))
        if node.scales is None:
            return value
        scale = code.element(code.numbers(node.scales), position)
        # The largest value, exactly, whose quotient rounds to zero; PostgreSQL would raise an error instead.
        vanishing = np.floor(node.scales / 2) * nodes.SMALLEST_MAGNITUDE
        if not (node.centred_magnitude <= vanishing).any():
            return code.operation(value, "/", scale)
        value = self._value_variable(value)
        limit = code.element(code.numbers(vanishing), position)
        test = code.operation(code.call("pg_catalog.abs", value), "<=", limit)
        return code.choice(test, code.number(0), code.operation(value, "/", scale))

    def _scaled_column(self, node: nodes.ScaleVector, position: str) -> str:
        code = self._code
        value = self._value_variable(self._column(node.source, position))
        # The largest magnitude, exactly, whose product rounds to zero; PostgreSQL would raise an error instead.
        vanishing = folding.largest_vanishing_factor(node.scales)
        scale = code.element(code.numbers(node.scales), position)
        limit = code.element(code.numbers(vanishing), position)
        test = code.operation(code.call("pg_catalog.abs", value), "<=", limit)
        product = code.choice(test, code.number(0), code.operation(value, "*", scale))
        result = code.operation(f"({product})", "+", code.element(code.numbers(node.shifts), position))
        if node.bounds is None:
            return result
        low, high = (code.number(bound) for bound in node.bounds)
        value = self._value_variable(result)
        # GREATEST and LEAST pass over NULL.
        return code.choice(f"{value} IS NULL", NULL, f"LEAST(GREATEST({value}, {low}), {high})")

    def _step_column(self, node: nodes.StepVector, position: str) -> str:
        """Look the value up in one array for all columns, in which every column has a first place."""
        code = self._code
        value = self._value_variable(self._column(node.source, position))
        width = max(len(points) for points in node.breakpoints)
        # Padding with infinity keeps the rank: no finite value lies above it.
        bounds = np.full((node.output_size, width), np.inf)
        for row, points in enumerate(node.breakpoints):
            bounds[row, : len(points)] = [math.nextafter(point, math.inf) for point in points]
        before = code.operation(code.operation(position, "-", "1"), "*", str(width))
        first, last = code.operation(before, "+", "1"), code.operation(before, "+", str(width))
        rank = code.call("pg_catalog.width_bucket", value, f"({code.numbers(bounds.ravel())})[{first}:{last}]")
        firsts = np.cumsum([1] + [len(steps) for steps in node.values])[:-1]
        place = code.operation(code.element(code.integers(firsts), position), "+", rank)
        found = code.element(code.numbers_or_null([value for steps in node.values for value in steps]), place)
        missing = code.element(code.numbers_or_null(node.at_missing), position)
        return code.choice(f"{value} IS NULL", missing, found)

    def _value_variable(self, value: str) -> str:
        variable = self._code.declare("v_value", FLOAT)
        self._code.assign(variable, value)
        return variable

    # Linear models

    def interpret_linear_expr(self, expr: nodes.LinearExpr, **_: Any) -> str:
        """Sum products in a loop over constant arrays.

        One long expression would be initialised again in every transaction: for 52 features that is 19 us
        against 9 us for the loop, and 29 us against 12 us behind an imputer and a scaler.
        """
        code = self._code
        size = expr.source.output_size
        score = self._fresh("v_score", FLOAT)
        if expr.output_size == 1:
            self._fill_sources(expr.source)
            code.assign(score, code.number(expr.intercepts[0]))
            code.open_count("v_position", size)
            weight = code.element(code.numbers(expr.coefficients[0]), "v_position")
            product = self._product(expr, self._column(expr.source, "v_position"), weight)
            code.assign(score, code.operation(score, "+", product))
            code.close("LOOP")
            return score
        columns = self._array(expr.source)
        scores = self._fresh("v_scores", FLOATS)
        code.assign(scores, code.numbers([]))
        code.open_count("v_output", expr.output_size)
        code.assign(score, code.element(code.numbers(expr.intercepts), "v_output"))
        code.open_count("v_position", size)
        weight = f"{code.element(code.number_rows(expr.coefficients), 'v_output')}[v_position]"
        product = self._product(expr, code.element(columns, "v_position"), weight)
        code.assign(score, code.operation(score, "+", product))
        code.close("LOOP")
        code.assign(code.element(scores, "v_output"), score)
        code.close("LOOP")
        return scores

    def _product(self, expr: nodes.LinearExpr, value: str, weight: str) -> str:
        code = self._code
        weights = np.abs(expr.coefficients)
        products = weights * expr.source.smallest_magnitude
        if (products[weights != 0] > SAFE_MAGNITUDE).all():
            return code.operation(value, "*", weight)
        value = self._value_variable(value)
        test = code.operation(code.call("pg_catalog.abs", value), "<", code.number(NEGLIGIBLE))
        return code.choice(test, code.number(0), code.operation(value, "*", weight))

    # Neural networks

    def interpret_dense_expr(self, expr: nodes.DenseExpr, **_: Any) -> str:
        """Write a loop over the units, in which one expression adds up all inputs.

        The expression reads its weights from the row of the unit, so that it is as long as one unit. For 60, 32, 16
        and 1 units a row alone in its transaction costs 190 us; with a loop over the inputs as well it costs 270, and
        480 with an expression for each unit, most of it spent on preparing them (40 us per row of many).
        """
        code = self._code
        inputs = self._inputs(expr)
        weights, unit = code.declare("v_weights", FLOATS), code.declare("v_unit", INTEGER)
        score = code.declare("v_activation", FLOAT)
        units = self._fresh("v_units", FLOATS)
        code.assign(units, code.numbers([]))
        code.assign(unit, "0")
        code.open_each(weights, code.number_rows(np.column_stack([expr.weights.T, expr.intercepts])), rows=True)
        code.assign(unit, code.operation(unit, "+", "1"))
        products = [
            f"({code.operation(name, '*', code.element(weights, place))})" for place, name in enumerate(inputs, start=1)
        ]
        terms = [*products, code.element(weights, len(inputs) + 1)]
        for start in range(0, len(terms), TERMS_PER_STATEMENT):
            part = terms[start : start + TERMS_PER_STATEMENT]
            code.assign(score, " OPERATOR(pg_catalog.+) ".join(part if start == 0 else [score, *part]))
        code.assign(code.element(units, unit), self._activated(expr.activation, score))
        code.close("LOOP")
        return units

    def _inputs(self, expr: nodes.DenseExpr) -> list[str]:
        """Give scalar variables with the inputs of a layer, none of them so small that a product underflows."""
        code = self._code
        is_first = isinstance(expr.source, nodes.VectorNode)
        columns = self._array(expr.source) if is_first else self._vector(expr.source)
        names = []
        for place in range(len(expr.weights)):
            name = code.declare(f"v_input_{place + 1}", FLOAT)
            code.assign(name, code.element(columns, place + 1))
            magnitudes = np.abs(expr.weights[place])
            smallest = magnitudes[magnitudes > 0].min(initial=np.inf)
            if is_first and not smallest * expr.source.smallest_magnitude[place] > SAFE_MAGNITUDE:
                code.assign(name, self._without_negligible(name, name))
            names.append(name)
        return names

    def _activated(self, activation: str, score: str) -> str:
        """Give what a unit passes on: zero instead of what is negligible, whose products could underflow."""
        code = self._code
        if activation == "relu":
            return code.choice(code.operation(score, "<", code.number(NEGLIGIBLE)), code.number(0), score)
        if activation == "logistic":
            test = code.operation(score, "<", code.number(math.log(NEGLIGIBLE)))
            return code.choice(test, code.number(0), self._helper("expit", score))
        value = code.call("pg_catalog.tanh", score) if activation == "tanh" else score
        return self._without_negligible(score, value)

    def _without_negligible(self, tested: str, value: str) -> str:
        code = self._code
        test = code.operation(code.call("pg_catalog.abs", tested), "<", code.number(NEGLIGIBLE))
        return code.choice(test, code.number(0), value)

    # Trees: a subclass says how they are written

    def interpret_boosted_trees_expr(self, expr: nodes.BoostedTreesExpr, **_: Any) -> str:
        """Write a sum of trees with one leaf value each; the result is a scalar or the name of an array."""
        raise NotImplementedError

    def interpret_averaged_trees_expr(self, expr: nodes.AveragedTreesExpr, **_: Any) -> str:
        """Write a mean of trees with one leaf vector each; the result is a scalar or an array."""
        raise NotImplementedError

    # Results

    def interpret_softmax_vector(self, expr: nodes.SoftmaxVector, **_: Any) -> str:
        """Call the runtime's softmax."""
        return self._helper("softmax", self._do_interpret(expr.source))

    def interpret_sigmoid_expr(self, expr: ast.SigmoidExpr, **_: Any) -> str:
        """Call the runtime's expit."""
        return self._helper("expit", self._do_interpret(expr.expr))

    def interpret_exp_expr(self, expr: ast.ExpExpr, **_: Any) -> str:
        """Call the runtime's exp that does not fail on underflow."""
        return self._helper("exponential", self._do_interpret(expr.expr))

    def interpret_sigmoid_single_expr(self, expr: nodes.SigmoidSingleExpr, **_: Any) -> str:
        """Call the runtime's logistic function in single precision."""
        self.helpers.add("exponential_single")
        return self._helper("sigmoid_single", self._do_interpret(expr.expr))

    def interpret_exponential_single_expr(self, expr: nodes.ExponentialSingleExpr, **_: Any) -> str:
        """Call the runtime's exp in single precision."""
        return self._helper("exponential_single", self._do_interpret(expr.expr))

    def interpret_softmax_single_vector(self, expr: nodes.SoftmaxSingleVector, **_: Any) -> str:
        """Call the runtime's softmax in single precision."""
        self.helpers.add("exponential_single")
        return self._helper("softmax_single", self._do_interpret(expr.source))

    def interpret_positive_expr(self, expr: nodes.PositiveExpr, **_: Any) -> str:
        """Compare with zero."""
        code = self._code
        test = code.operation(self._do_interpret(expr.expr), ">", code.number(0))
        return code.choice(test, code.number(1), code.number(0))

    def interpret_complement_single_vector(self, expr: nodes.ComplementSingleVector, **_: Any) -> str:
        """Subtract from one in single precision; the scalar is evaluated once."""
        code = self._code
        share = self._fresh("v_share", FLOAT)
        code.assign(share, self._do_interpret(expr.expr))
        difference = code.operation(code.number(1, single=True), "-", f"{share}::{SINGLE}")
        return code.array([code.as_float(difference), share])

    def interpret_signed_square_expr(self, expr: nodes.SignedSquareExpr, **_: Any) -> str:
        """Write |x| * x; the assembler bounds the score, so that the product does not underflow."""
        value = self._value_variable(self._do_interpret(expr.expr))
        return self._code.operation(self._code.call("pg_catalog.abs", value), "*", value)

    def interpret_log_expr(self, expr: ast.LogExpr, **_: Any) -> str:
        """Write the natural logarithm."""
        return self._code.call("pg_catalog.ln", self._do_interpret(expr.expr))

    def interpret_clip_expr(self, expr: nodes.ClipExpr, **_: Any) -> str:
        """Write the nearer bound for a value beyond it."""
        value = self._do_interpret(expr.expr)
        if expr.lowest > -math.inf:
            value = self._code.call("GREATEST", value, self._code.number(expr.lowest))
        return self._code.call("LEAST", value, self._code.number(expr.highest)) if expr.highest < math.inf else value

    def interpret_affine_expr(self, expr: nodes.AffineExpr, **_: Any) -> str:
        """Write a product and a sum; a product with a factor below 1 may underflow."""
        code = self._code
        value, factor = self._do_interpret(expr.expr), code.number(expr.factor)
        is_safe = abs(expr.factor) >= 1
        product = code.operation(factor, "*", value) if is_safe else self._helper("product", factor, value)
        return code.operation(product, "+", code.number(expr.shift)) if expr.shift else product

    def interpret_interpolation_expr(self, expr: nodes.InterpolationExpr, **_: Any) -> str:
        """Call the runtime's broken line."""
        line = [self._code.numbers(values) for values in (expr.points, expr.heights, expr.slopes)]
        value = self._do_interpret(expr.expr)
        if expr.single:
            return self._helper("interpolate_single", value, *line)
        self.helpers.add("product")
        return self._helper("interpolate", value, *line)

    def interpret_normalized_vector(self, expr: nodes.NormalizedVector, **_: Any) -> str:
        """Call the runtime's division by the sum."""
        self.helpers.add("pairwise_sum")
        return self._helper("normalized", self._do_interpret(expr.source))

    def interpret_mean_vector(self, expr: nodes.MeanVector, **_: Any) -> str:
        """Call the runtime's mean."""
        return self._helper("mean_of_rows", self._code.array([self._vector(vector) for vector in expr.exprs]))

    def interpret_average_vector(self, expr: nodes.AverageVector, **_: Any) -> str:
        """Write a sum and a quotient for each element, in a loop where there are several."""
        code, single = self._code, expr.single
        vectors = [self._vector(vector) for vector in expr.exprs]
        means = self._fresh("v_means", FLOATS)
        total = code.declare("v_total_single" if single else "v_total", SINGLE if single else FLOAT)
        position = "v_element" if expr.output_size > 1 else "1"
        code.assign(means, code.numbers([]))
        if expr.output_size > 1:
            code.open_count(position, expr.output_size)
        values = [code.element(vector, position) for vector in vectors]
        if expr.weights is not None:
            values = [self._weighted(value, weight) for value, weight in zip(values, expr.weights, strict=True)]
        if single:
            values = [f"{value}::{SINGLE}" for value in values]
        code.assign(total, " OPERATOR(pg_catalog.+) ".join(values))
        code.assign(code.element(means, position), self._quotient(expr, total))
        if expr.output_size > 1:
            code.close("LOOP")
        return means

    def _weighted(self, value: str, weight: float) -> str:
        """Give a product in parentheses or a call; a product with a weight below 1 may underflow."""
        code = self._code
        if weight == 0 or abs(weight) >= 1:
            return f"({code.operation(value, '*', code.number(weight))})"
        return self._helper("product", value, code.number(weight))

    def _quotient(self, expr: nodes.AverageVector, total: str) -> str:
        """Divide a sum; where the quotient rounds to zero, PostgreSQL would raise an error instead."""
        code = self._code
        divisor = code.number(expr.total)
        if expr.single:
            quotient = code.operation(code.as_float(total), "/", divisor)
            vanishing = SINGLE_VANISHING * expr.total
            return self._unless_vanishing(code.as_float(total), vanishing, code.as_float(f"({quotient})::{SINGLE}"))
        # The largest sum, exactly, whose quotient rounds to zero.
        vanishing = math.floor(abs(expr.total) / 2) * nodes.SMALLEST_MAGNITUDE
        return self._unless_vanishing(total, vanishing, code.operation(total, "/", divisor))

    def _unless_vanishing(self, tested: str, limit: float, value: str) -> str:
        code = self._code
        test = code.operation(code.call("pg_catalog.abs", tested), "<=", code.number(limit))
        return code.choice(test, code.number(0), value) if limit > 0 else value

    def interpret_bin_num_expr(self, expr: ast.BinNumExpr, **_: Any) -> str:
        """Write an infix expression; every operator has parentheses of its own."""
        left, right = self._do_interpret(expr.left), self._do_interpret(expr.right)
        return self._code.operation(left, expr.op.value, right)

    def interpret_num_val(self, expr: ast.NumVal, **_: Any) -> str:
        """Write a typed literal."""
        return self._code.number(expr.value)

    def interpret_given_scores(self, expr: nodes.GivenScores, **_: Any) -> str:
        """Give one score as a scalar, several as an array."""
        if expr.output_size == 1:
            return self._code.element(SCORES_PARAMETER, expr.first + 1)
        return f"{SCORES_PARAMETER}[{expr.first + 1}:{expr.first + expr.output_size}]"

    def interpret_element_expr(self, expr: nodes.ElementExpr, **_: Any) -> str:
        """Pick an element of an array that is evaluated once."""
        return self._code.element(self._vector(expr.source), expr.index + 1)

    def _vector(self, source: ast.Expr) -> str:
        if id(source) not in self._array_names:
            result = self._do_interpret(source)
            if not result.isidentifier():
                variable = self._fresh("v_vector", FLOATS)
                self._code.assign(variable, result)
                result = variable
            self._array_names[id(source)] = result
        return self._array_names[id(source)]

    def _fresh(self, prefix: str, type_name: str) -> str:
        """Declare a variable of its own."""
        self._counts[prefix] += 1
        number = self._counts[prefix]
        return self._code.declare(prefix if number == 1 else f"{prefix}_{number}", type_name)

    def interpret_vector_val(self, expr: ast.VectorVal, **_: Any) -> str:
        """Write an array of scalars."""
        return self._code.array([self._do_interpret(item) for item in expr.exprs])

    def _cache_reused_expr(self, expr: ast.Expr, expr_result: str) -> str:
        variable = self._code.declare(f"v_result_{len(self._cached_expr_results) + 1}", FLOAT)
        self._code.assign(variable, expr_result)
        self._cached_expr_results[expr] = _Reused(variable)
        return variable


class _Reused:
    """What m2cgen's visitor looks up for an expression that was evaluated into a variable."""

    def __init__(self, var_name: str) -> None:
        self.var_name = var_name
