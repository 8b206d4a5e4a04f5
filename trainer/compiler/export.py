"""Model -> SQL text: assemble, fold, check the size, choose the forms, write."""

import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, get_args

from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.assemblers import assemble, final_estimator, first_fitted
from trainer.compiler.code_generator import (
    FLOAT,
    FLOATS,
    Parameter,
    function_name_with,
    function_statements,
    json_text,
    quote_function_name,
    quote_identifier,
)
from trainer.compiler.costs import (
    CASE_START,
    Costs,
    case_costs,
    layer_costs,
    linear_costs,
    rows_that_pay,
    visited_splits,
    walk_costs,
)
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.folding import fold
from trainer.compiler.forms.case import CaseInterpreter
from trainer.compiler.forms.decisions import MAXIMUM_DEPTH
from trainer.compiler.forms.inline import MAXIMUM_TREES, LinkInterpreter, inline_text, split_at_scores
from trainer.compiler.forms.tiered import TieredInterpreter
from trainer.compiler.forms.walk import WalkInterpreter
from trainer.compiler.interpreter import PARAMETER, SCORES_PARAMETER
from trainer.compiler.limits import (
    MAXIMUM_ARGUMENTS,
    MAXIMUM_CASE_SPLITS,
    MAXIMUM_SPLITS,
    MAXIMUM_SQL_BYTES,
    MAXIMUM_STEPS,
    MAXIMUM_WEIGHTS,
    check_limit,
)
from trainer.compiler.report import CompileReport
from trainer.compiler.runtime import HELPERS

Form = Literal["auto", "walk", "case", "tiered"]

# Microseconds by which one row in the CASE form may exceed the walk, so that the CASE form alone will do.
NEGLIGIBLE = 20.0


@dataclass(frozen=True)
class CompiledModel:
    """The SQL text of a model and what is to be said about it."""

    sql: str
    report: CompileReport


def export_to_postgres(
    model: Any,
    function_name: str = "ml_generated.score",
    feature_names: Sequence[str] | None = None,
    *,
    form: Form = "auto",
    set_based: bool = False,
    row_type: str | None = None,
    runtime_schema: str = "ml",
    revoke_from_public: bool = False,
) -> str:
    """Return SQL that creates a function equal to ``predict_proba`` (of a regressor: ``predict``).

    The text holds CREATE OR REPLACE FUNCTION and COMMENT ON FUNCTION, and REVOKE ALL ... FROM PUBLIC when
    ``revoke_from_public`` is set; no transaction control. ``function_name`` is ``name`` or ``schema.name``,
    and the schema must exist. The functions call helpers that `runtime_sql` installs in ``runtime_schema``.

    The function takes ``float8[]``, one value per feature in the order of fitting; NULL and NaN are missing
    values, values beyond the last feature are ignored, a NULL array gives NULL. It returns ``float8[]``: one
    probability per class in the order of ``classes_``, or one value for a regressor. It raises SQLSTATE 22023
    for an array that is too short or not one-dimensional and for a value that the library refuses (infinity,
    a magnitude beyond float32, a missing value), and 22003 where arithmetic on finite values overflows.

    ``form`` says how trees are written; all forms give the same numbers. ``walk`` is cheapest for single rows,
    ``case`` for many rows of one transaction, ``tiered`` starts as the one and becomes the other (with a second
    function, ``<name>_case_<hash>``, and not in parallel plans), ``auto`` chooses. ``set_based`` adds
    ``<name>_columns``, which takes one float8 per feature and which PostgreSQL inlines into the statement that calls
    it: the cheapest for whole tables. ``row_type`` adds a function of the same name that takes a row: a composite
    type or a table, ``type`` or ``schema.type``, with a numeric attribute of each feature's name. Whatever takes
    several functions needs a ``function_name`` with its schema.

    ``feature_names`` defaults to those the model was fitted with, else ``x0``, ``x1``, ... Raises
    `UnsupportedModelError` for whatever cannot be reproduced exactly.
    """
    return compile_model(
        model,
        function_name,
        feature_names,
        form=form,
        set_based=set_based,
        row_type=row_type,
        runtime_schema=runtime_schema,
        revoke_from_public=revoke_from_public,
    ).sql


def compile_model(
    model: Any,
    function_name: str = "ml_generated.score",
    feature_names: Sequence[str] | None = None,
    *,
    form: Form = "auto",
    set_based: bool = False,
    row_type: str | None = None,
    runtime_schema: str = "ml",
    revoke_from_public: bool = False,
) -> CompiledModel:
    """Return the text of `export_to_postgres` together with its `CompileReport`."""
    if form not in get_args(Form):
        raise UnsupportedModelError(f"There is no form {form!r}; choose one of {', '.join(get_args(Form))}.")
    _refuse_helper_name(function_name, runtime_schema)
    expr = fold(assemble(model))
    names = feature_names_of(model, feature_names)
    size = _size(expr)
    writer = _Writer(function_name, names, runtime_schema, revoke_from_public, _description(model))
    form = writer.write_array_functions(expr, form, size)
    if set_based:
        writer.write_columns_function(expr, size)
    if row_type is not None:
        writer.write_row_function(row_type)

    estimator = final_estimator(model)
    sql = _header(model, names, writer) + "\n".join(writer.texts)
    sql_bytes = len(sql.encode())
    check_limit("bytes of SQL", sql_bytes, MAXIMUM_SQL_BYTES)
    report = CompileReport(
        algorithm=type(estimator).__name__,
        library=_library(estimator),
        features=tuple(names),
        classes=tuple(_labels(estimator)),
        sql_bytes=sql_bytes,
        trees=len(size.trees),
        splits=size.splits,
        leaves=sum(len(tree.leaves) for tree in size.trees),
        max_depth=size.depth,
        steps=size.steps,
        weights=size.weights,
        form=form,
        functions=tuple(writer.functions),
        costs=writer.costs,
        session_rows=writer.tiers[0] if writer.tiers else None,
        transaction_rows=writer.tiers[1] if writer.tiers else None,
        runtime_helpers=tuple(sorted(writer.helpers)),
        notes=tuple(writer.notes),
    )
    return CompiledModel(sql, report)


def _refuse_helper_name(function_name: str, runtime_schema: str) -> None:
    """Refuse to overwrite a helper, with which every compiled model of the database would change."""
    quote_function_name(function_name)
    schema, _, name = function_name.rpartition(".")
    if schema == runtime_schema and name in HELPERS:
        raise UnsupportedModelError(f"{function_name} is a function that compiled models call; choose another name.")


@dataclass(frozen=True)
class _Size:
    """The size of all trees, neural networks and linear scores of a folded AST.

    ``case_splits`` counts a split once for each output it is written for.
    """

    trees: list[nodes.Tree]
    splits: int
    case_splits: int
    steps: int
    depth: int
    visited: float
    case_visited: float
    layers: list[nodes.DenseExpr]
    scores: list[nodes.LinearExpr]

    @property
    def weights(self) -> int:
        """The number of weights of neural networks."""
        return sum(layer.weights.size for layer in self.layers)


def _size(expr: ast.Expr) -> _Size:
    sums = [node for node in nodes.walk(expr) if isinstance(node, nodes.TreeExpr)]
    copies = [node.output_size if isinstance(node, nodes.AveragedTreesExpr) else 1 for node in sums]
    trees = [tree for node in sums for tree in node.trees]
    size = _Size(
        trees=trees,
        splits=sum(tree.splits for tree in trees),
        case_splits=sum(k * tree.splits for node, k in zip(sums, copies, strict=True) for tree in node.trees),
        steps=sum(tree.depth for tree in trees),
        depth=max((tree.depth for tree in trees), default=0),
        visited=visited_splits(trees),
        case_visited=sum(k * visited_splits(node.trees) for node, k in zip(sums, copies, strict=True)),
        layers=[node for node in nodes.walk(expr) if isinstance(node, nodes.DenseExpr)],
        scores=[node for node in nodes.walk(expr) if isinstance(node, nodes.LinearExpr)],
    )
    check_limit("weights of neural networks", size.weights, MAXIMUM_WEIGHTS)
    check_limit("splits", size.splits, MAXIMUM_SPLITS)
    check_limit("splits on its longest paths", size.steps, MAXIMUM_STEPS)
    return size


@dataclass
class _Writer:
    """Collects the functions of one model."""

    name: str
    features: list[str]
    runtime_schema: str
    revoke_from_public: bool
    description: str
    texts: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    costs: dict[str, Costs] = field(default_factory=dict)
    helpers: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    tiers: tuple[int, int] | None = None
    case_name: str | None = None

    def write_array_functions(self, expr: ast.Expr, form: Form, size: _Size) -> Form:
        """Write the function that takes an array, in one form or two, and return the form that was taken."""
        walk, case = walk_costs(size.splits, size.visited), case_costs(size.case_splits, size.case_visited)
        if not size.trees:
            form = "walk"
        others = layer_costs(size.layers).plus(linear_costs(size.scores))
        walk, case = walk.plus(others), case.plus(others)
        obstacle = _case_obstacle(size)
        session = rows_that_pay(case.first_call - walk.first_call, walk, case)
        transaction = rows_that_pay(size.case_splits * CASE_START, walk, case)
        if form == "auto" and obstacle:
            self.notes.append(obstacle)
            form = "walk"
        elif form == "auto":
            form = "case" if case.one_row <= walk.one_row + NEGLIGIBLE else "tiered" if transaction < 2**30 else "walk"
            if form == "tiered" and not self.has_schema:
                self.notes.append(_schema_obstacle(self.name))
                form = "walk"
        if obstacle and form != "walk":
            raise UnsupportedModelError(obstacle)
        interpreter: WalkInterpreter | CaseInterpreter
        if form == "tiered":
            self._require_schema()
            case_interpreter = CaseInterpreter(self.runtime_schema)
            case_name = self._internal("_case", case_interpreter.interpret(expr))
            self.case_name = case_name
            self.tiers = (session, transaction)
            interpreter = TieredInterpreter(self.runtime_schema, quote_function_name(case_name), *self.tiers)
            # It changes settings, which PostgreSQL forbids while a parallel plan runs, in the leader as well.
            self._write_plpgsql(self.name, interpreter, expr, "UNSAFE")
            self._write_plpgsql(case_name, case_interpreter, expr)
        else:
            interpreter = (CaseInterpreter if form == "case" else WalkInterpreter)(self.runtime_schema)
            self._write_plpgsql(self.name, interpreter, expr)
        self.costs.update({key: value for key, value in (("walk", walk), ("case", case)) if form in (key, "tiered")})
        return form

    def write_columns_function(self, expr: ast.Expr, size: _Size) -> None:
        """Write the function that takes a number per feature, or say why there is none."""
        count = len(self.features)
        self._require_schema()
        if count > MAXIMUM_ARGUMENTS:
            self.notes.append(
                f"There is no function of columns: the model has {count} features, and a PostgreSQL function takes at"
                f" most {MAXIMUM_ARGUMENTS} arguments."
            )
            return
        fallback = self.case_name or self.name
        arguments = f"{quote_function_name(fallback)}(ARRAY[{', '.join(f'${n + 1}' for n in range(count))}])"
        body = f"\nSELECT {arguments}\n"
        if size.trees and (obstacle := _case_obstacle(size) or _inline_obstacle(expr)):
            self.notes.append(obstacle)
        elif size.trees:
            sums, rest = split_at_scores(expr)
            link = None
            if not isinstance(rest, nodes.GivenScores):
                interpreter = LinkInterpreter(self.runtime_schema)
                text = interpreter.link(rest)
                link = self._internal("_link", text)
                self.helpers |= interpreter.helpers
                parameter = Parameter(SCORES_PARAMETER, FLOATS)
                comment = f"{self.description}, from the sums of the trees; {self._derived('_columns')} calls it."
                self._add(link, [parameter], "plpgsql", "SAFE", text, comment)
            quoted_link = None if link is None else quote_function_name(link)
            body = inline_text(sums, count, quote_function_name(fallback), quoted_link)
            self.costs["columns"] = case_costs(size.case_splits, size.case_visited)
        # Without names, which CREATE OR REPLACE could not change.
        parameters = [Parameter("", FLOAT)] * count
        comment = (
            f"{self.description}; for the columns of a set, inlined into the statement that calls it; the arguments"
            f" are {json_text(self.features)}."
        )
        self._add(self._derived("_columns"), parameters, "sql", "SAFE", body, comment)

    def write_row_function(self, row_type: str) -> None:
        """Write the function that takes a row."""
        self._require_schema()
        items = ", ".join(f"(p_row.{quote_identifier(name)})::{FLOAT}" for name in self.features)
        # Not a SQL function: inlining the array into the calling statement costs more than the call.
        body = f"\nBEGIN\n  RETURN {quote_function_name(self.name)}(ARRAY[{items}]);\nEND\n"
        safety = "UNSAFE" if self.tiers else "SAFE"
        parameter = Parameter("p_row", quote_function_name(row_type))
        self._add(self.name, [parameter], "plpgsql", safety, body, f"{self.description}; takes a row.")

    def _write_plpgsql(
        self, name: str, interpreter: WalkInterpreter | CaseInterpreter, expr: ast.Expr, safety: str = "SAFE"
    ) -> None:
        body = interpreter.interpret(expr)
        self.helpers |= interpreter.helpers
        comment = f"{self.description}; {PARAMETER} holds {json_text(self.features)}."
        self._add(name, [Parameter(PARAMETER, FLOATS)], "plpgsql", safety, body, comment)

    def _add(self, name: str, parameters: list[Parameter], language: str, safety: str, body: str, comment: str) -> None:
        quoted = quote_function_name(name)
        self.functions.append(f"{quoted}({', '.join(parameter.type_name for parameter in parameters)})")
        self.texts.append(
            function_statements(quoted, parameters, language, safety, body, comment, self.revoke_from_public)
        )

    @property
    def has_schema(self) -> bool:
        """Say whether one function can call another whatever the caller's search_path."""
        return "." in self.name

    def _require_schema(self) -> None:
        if not self.has_schema:
            raise UnsupportedModelError(_schema_obstacle(self.name))

    def _derived(self, suffix: str) -> str:
        return function_name_with(self.name, suffix)

    def _internal(self, suffix: str, body: str) -> str:
        """Return the name of a function that only this text calls: no other model's function can have it."""
        return self._derived(f"{suffix}_{hashlib.sha256(body.encode()).hexdigest()[:8]}")


def _case_obstacle(size: _Size) -> str | None:
    """Return why a model cannot be written as CASE expressions."""
    if size.depth > MAXIMUM_DEPTH:
        return (
            f"No CASE form: a tree is {size.depth:,} splits deep, and PostgreSQL's max_stack_depth ends nested"
            f" expressions at some {MAXIMUM_DEPTH:,}."
        )
    if size.case_splits > MAXIMUM_CASE_SPLITS:
        return (
            f"No CASE form: it would hold {size.case_splits:,} splits, and beyond {MAXIMUM_CASE_SPLITS:,} its first"
            " call takes seconds and a session hundreds of megabytes."
        )
    return None


def _schema_obstacle(name: str) -> str:
    """Return why a function without a schema stays alone."""
    return (
        f"Several functions for one model need a schema in their name, so that they find each other whatever the"
        f" caller's search_path: give schema.{name}."
    )


def _inline_obstacle(expr: ast.Expr) -> str | None:
    """Return why a sum of trees cannot be one expression of SQL."""
    sums, rest = split_at_scores(expr)
    if any(isinstance(node, nodes.VectorNode) for node in nodes.walk(rest)):
        return (
            "The function of columns is not inlined: besides trees, the model has members that are none, which one"
            " expression of SQL cannot hold."
        )
    terms = max(
        len(node.trees) if isinstance(node, nodes.AveragedTreesExpr) else len(node.trees) // node.output_size
        for node in sums
    )
    if terms > MAXIMUM_TREES:
        return (
            f"The function of columns is not inlined: it would add {terms:,} trees in one expression, and PostgreSQL's"
            f" max_stack_depth ends a sum at some {MAXIMUM_TREES:,}."
        )
    return None


def _header(model: Any, names: list[str], writer: _Writer) -> str:
    """Return the comment that opens the text; nothing in it can end it, since JSON has no line breaks."""
    statements = "\n".join(writer.texts)
    lines = [
        f"Compiled by pattern-confidence {_version('pattern-confidence')} from a {_chain(model)}.",
        f"Features ({len(names)}): {json_text(names)[1:-1]}",
        f"SHA-256 of the statements below: {hashlib.sha256(statements.encode()).hexdigest()}",
    ]
    wrapped = [
        part for line in lines for part in textwrap.wrap(line, 117, subsequent_indent="  ", break_on_hyphens=False)
    ]
    return "".join(f"-- {part}\n" for part in wrapped) + "\n"


def _chain(model: Any) -> str:
    """Return the class and the library of a model, of a pipeline those of its last step."""
    estimator = final_estimator(model)
    prefix = "" if estimator is model else f"{type(model).__name__} ending in "
    return f"{prefix}{type(estimator).__name__} ({_library(estimator)})"


def _library(estimator: Any) -> str:
    module = type(estimator).__module__.split(".")[0]
    package = {"sklearn": "scikit-learn"}.get(module, module)
    return f"{package} {_version(package) or _version(f'{package}-cpu')}".rstrip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _description(model: Any) -> str:
    estimator = final_estimator(model)
    labels = _labels(estimator)
    result = f"probabilities of the classes {json_text(labels)}" if labels else "the predicted value"
    return f"{type(estimator).__name__}: {result}"


def _labels(estimator: Any) -> list[Any]:
    classes = getattr(estimator, "classes_", ())
    return [label.item() if hasattr(label, "item") else label for label in classes]


def feature_names_of(model: Any, feature_names: Sequence[str] | None) -> list[str]:
    """Return the given names if they fit the model, else those of its fitting, else ``x0``, ``x1``, ..."""
    first = first_fitted(model)
    size = int(first.n_features_in_)
    fitted = getattr(first, "feature_names_in_", None)
    if feature_names is None:
        return [str(name) for name in fitted] if fitted is not None else [f"x{number}" for number in range(size)]
    if isinstance(feature_names, str):
        raise UnsupportedModelError("feature_names is one text; give a list with one name per feature.")
    names = list(feature_names)
    if not all(isinstance(name, str) for name in names):
        raise UnsupportedModelError("feature_names holds something that is not text; give one name per feature.")
    if len(names) != size:
        raise UnsupportedModelError(f"feature_names holds {len(names)} names and the model has {size} features.")
    if len(set(names)) != size:
        raise UnsupportedModelError("feature_names holds a name twice; give every feature a name of its own.")
    # LightGBM keeps the names that it was fitted with, but for blanks.
    kept = [name.replace(" ", "_") for name in names] if type(first).__module__.startswith("lightgbm") else names
    if fitted is not None and list(fitted) not in (names, kept):
        raise UnsupportedModelError("feature_names differs from the names or the order that the model was fitted with.")
    return names
