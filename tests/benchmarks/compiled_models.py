"""Compiled models in all their forms, beside the native library, PL/Python and orbital, on the same rows in one run.

Run it with ``python tests/benchmarks/compiled_models.py``; ``--quick`` is a smoke run of under a minute, ``--json``
writes all times. The server is a throw-away one without fsync (``--bin`` names other binaries, for a server with JIT
and PL/Python) or the one behind ``--url``, where the role must be a superuser and a schema comes and goes. All variants
are measured in turn in each round, and every figure is a median.

Three models on 52 features, 5 % of them NULL: 50 trees of 8 leaves, 200 of 31, 500 of 63. JIT is off where not said,
and plans are generic, as they are in a trigger.

first call     A prepared statement's first execution in a new session, by a client.
1, 5, 15, ...  Microseconds per row of a transaction of so many rows, inside the server: a procedure reads row after
               row by its key, scores it and commits, so that there is no client and no round trip. "columns" and
               PL/Python's "one call" are for sets and take all rows of a transaction in one statement. The line "no
               model" is the same without a score; it is not subtracted anywhere.
many rows      Microseconds per row of one statement over the whole table, from its first row to its last: what a
               statement pays once (planning, preparing, JIT's compilation) is in the first call.
memory         What the session's memory contexts have grown by after the first call; for "tiered" after it has
               switched to CASE. "private" is what the process has grown by (RssAnon), JIT's code included; it is
               known on the same machine only.
bit-equal      Share of the rows whose probabilities are the library's own, every bit of every class.

The native library runs in Python on one thread: ``predict_proba`` is what applications call, ``booster`` is the library
without scikit-learn's checks. PL/Python calls the same two; it keeps the model, loaded from a joblib file, in GD. "one
call" hands all rows to one ``predict_proba``, and its "many rows" is the whole statement.

orbital writes a pipeline as one SELECT. It takes neither of these libraries, so that both sides get scikit-learn's
GradientBoosting of 100 trees of depth 3. It is asked for the probability of one class, which spares it the other two
columns, while ours returns all classes. "many rows" is there the second execution of a prepared statement. Wrong is a
probability that differs from the library's by more than 1e-6, as it does when a row takes another way through a tree.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import psycopg
import sklearn
from psycopg import sql
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from threadpoolctl import threadpool_limits

from trainer.compiler import UnsupportedModelError, compile_model, runtime_sql
from trainer.database import connect
from trainer.server import ThrowawayServer

Connection = psycopg.Connection[Any]
Times = dict[str, list[float]]

FEATURES = 52
MISSING_SHARE = 0.05
TRAINING_ROWS = 10_000
SIZES = {"small": (50, 8), "medium": (200, 31), "large": (500, 63)}
LIBRARIES = ("lightgbm", "hist", "xgboost")
PARTS = ("forms", "plpython", "native", "orbital")
BLOCKS = (5, 15, 50, 200)
WRONG = 1e-6
WARM_UP = 10  # plans are made and caches fill during a session's first calls
SCHEMA = "compiled_models_benchmark"
NAMES = [f"x{number}" for number in range(FEATURES)]

SESSION = """
    SET jit = off;
    SET plan_cache_mode = force_generic_plan;
    SET max_parallel_workers_per_gather = 0;
"""
# At -O0 and without inlining: compiled code of this size costs seconds already without being optimised.
JIT = "SET jit = on; SET jit_above_cost = 0; SET jit_optimize_above_cost = -1; SET jit_inline_above_cost = -1"
# {query} scores the row v_id, or those from v_id to v_last when it runs once for a transaction.
PROCEDURE = """
    CREATE PROCEDURE {name}(p_transactions integer, p_rows integer, INOUT p_times float8[]) LANGUAGE plpgsql AS $$
    DECLARE
        v_count integer := (SELECT count(*) FROM {schema}.arrays);
        v_steps integer := CASE WHEN {takes_sets} THEN 1 ELSE p_rows END;
        v_id integer;
        v_last integer;
        v_scores float8[];
        v_started timestamptz;
    BEGIN
        FOR v_transaction IN 1..p_transactions LOOP
            v_started := clock_timestamp();
            FOR v_step IN 1..v_steps LOOP
                v_id := (v_transaction * p_rows + v_step) % (v_count - p_rows);
                v_last := v_id + p_rows - 1;
                {query};
            END LOOP;
            COMMIT;
            p_times[v_transaction] := extract(epoch FROM clock_timestamp() - v_started) * 1e6;
        END LOOP;
    END $$
"""
PYTHON_LOAD = """
if "model" not in GD:
    import os, sys
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path[:0] = {paths}
    import joblib, numpy
    GD["model"] = joblib.load({file})
    GD["array"] = numpy.array
"""
PYTHON_FUNCTION = "CREATE FUNCTION {} (p_features float8[]) RETURNS float8[] LANGUAGE plpython3u IMMUTABLE AS {}"
# NULLs arrive as None, which numpy makes NaN.
PYTHON_ROW = "return GD['model'].predict_proba(GD['array']([p_features], dtype=float))[0].tolist()"
PYTHON_SET = "return GD['model'].predict_proba(GD['array'](p_features, dtype=float))[:, 1].tolist()"
# The difference is computed as scikit-learn's wrappers compute it, in XGBoost's single precision as well.
PYTHON_BOOSTER = """
row = GD["array"]([p_features], dtype=float)
win = {predict}[0]
return [float(1 - win), float(win)]
"""
BOOSTER_CALLS = {
    "lightgbm": "GD['model'].booster_.predict(row, num_threads=1)",
    "xgboost": "GD['model'].get_booster().inplace_predict(row)",
}


# ------------------------------------------------------------------------------------------------ rows and models


def make_rows(count: int, *, missing: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features of shape (count, 52), NaN where missing, and a binary outcome that follows some of them."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(count, FEATURES))
    signal = features[:, 0] * features[:, 1] + np.sin(2 * features[:, 2]) + 0.5 * features[:, 3:8].sum(axis=1)
    outcome = (signal + generator.normal(size=count) > 0).astype(int)
    features[generator.random(features.shape) < missing] = np.nan
    return features, outcome


def fit(library: str, size: str, features: np.ndarray, outcome: np.ndarray) -> Any:
    """Fit a model of a size; every library is told the number of trees and of leaves, and to use one thread."""
    trees, leaves = SIZES[size]
    model: Any
    if library == "lightgbm":
        from lightgbm import LGBMClassifier

        model = LGBMClassifier(n_estimators=trees, num_leaves=leaves, n_jobs=1, verbose=-1, random_state=0)
    elif library == "xgboost":
        from xgboost import XGBClassifier

        model = XGBClassifier(
            n_estimators=trees, max_leaves=leaves, max_depth=0, grow_policy="lossguide", n_jobs=1, random_state=0
        )
    else:
        model = HistGradientBoostingClassifier(
            max_iter=trees, max_leaf_nodes=leaves, early_stopping=False, random_state=0
        )
    return model.fit(features, outcome)


def booster_prediction(model: Any) -> Callable[[np.ndarray], Any] | None:
    """Return the library's own prediction without scikit-learn's checks, where it has one."""
    if type(model).__module__.startswith("lightgbm"):
        return lambda rows: model.booster_.predict(rows, num_threads=1)
    if type(model).__module__.startswith("xgboost"):
        return model.get_booster().inplace_predict
    return None


# -------------------------------------------------------------------------------------------------------- database


def name_of(*parts: str) -> sql.Identifier:
    """Return the name of an object of the benchmark's schema."""
    return sql.Identifier(SCHEMA, "_".join(parts))


def columns_of(table: str, names: Sequence[str] = NAMES) -> sql.Composed:
    """Return the columns of a table, separated by commas."""
    return sql.SQL(", ").join(sql.Identifier(table, name) for name in names)


@contextmanager
def new_session(url: str) -> Iterator[Connection]:
    """Open a session as triggers find it, without JIT and with generic plans."""
    with connect(url, autocommit=True) as connection:
        connection.execute(SESSION)
        yield connection


def value(connection: Connection, query: Any, parameters: Sequence[Any] | None = None, **options: Any) -> Any:
    """Return the only value of a query."""
    row = connection.execute(query, parameters, **options).fetchone()
    assert row is not None
    return row[0]


def fill(connection: Connection, name: str, rows: np.ndarray) -> None:
    """Create a pair of tables with the same rows: ``name`` has an array, ``name_columns`` a column per feature."""
    connection.execute(sql.SQL("CREATE TABLE {} (id integer PRIMARY KEY, features float8[])").format(name_of(name)))
    connection.execute(
        sql.SQL("CREATE TABLE {} (id integer PRIMARY KEY, {})").format(
            name_of(name, "columns"), sql.SQL(", ").join(sql.SQL("{} float8").format(sql.Identifier(n)) for n in NAMES)
        )
    )
    listed = [[None if number != number else number for number in row] for row in rows.tolist()]
    copy = "COPY {} FROM STDIN"
    with connection.cursor().copy(sql.SQL(copy).format(name_of(name))) as arrays:
        for number, row in enumerate(listed):
            arrays.write_row((number, row))
    with connection.cursor().copy(sql.SQL(copy).format(name_of(name, "columns"))) as columns:
        for number, row in enumerate(listed):
            columns.write_row((number, *row))
    for table in (name_of(name), name_of(name, "columns")):
        connection.execute(sql.SQL("VACUUM ANALYZE {}").format(table))


def context_bytes(connection: Connection) -> float:
    """Return the size of a session's memory contexts."""
    return float(value(connection, "SELECT sum(total_bytes) FROM pg_backend_memory_contexts"))


def private_bytes(connection: Connection) -> float:
    """Return the private memory of a session's process, NaN when it is not on this machine."""
    process = Path("/proc", str(connection.info.backend_pid))
    if not connection.info.host.startswith("/") or not process.is_dir():
        return np.nan
    lines = (process / "status").read_text().splitlines()
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


# ------------------------------------------------------------------------------------------------------- variants


@dataclass
class Variant:
    """A way to score in the database: a call for a row ``t`` of a table, and whether it is meant for sets."""

    size: str
    name: str
    call: sql.Composable
    table: str = "arrays"
    takes_sets: bool = False
    functions: list[str] = field(default_factory=list)
    session_rows: int = 0
    # A statement of its own for a set, where that is not a call per row; {condition} chooses the rows of t.
    set_query: str | None = None

    @property
    def procedure(self) -> sql.Identifier:
        """The procedure that scores rows of a transaction one by one."""
        return name_of("run", self.size, self.name.replace(" ", "_"))

    def query_of_row(self) -> sql.Composed:
        """Return the query of one row, by its key."""
        if self.set_query:
            return self.query_of_set("t.id = %s")
        return sql.SQL("SELECT {} FROM {} AS t WHERE t.id = %s").format(self.call, name_of(self.table))

    def query_of_set(self, condition: str) -> sql.Composed:
        """Return the query that scores rows of the table and returns one number."""
        # OFFSET 0 keeps the score from being computed again for each use of it.
        text = self.set_query or (
            "SELECT sum(s.score[1]) FROM (SELECT {call} AS score FROM {table} AS t WHERE {condition} OFFSET 0) AS s"
        )
        return sql.SQL(text).format(call=self.call, table=name_of(self.table), condition=sql.SQL(condition))

    def microseconds_of_row(self, connection: Connection, count: int) -> float:
        """Score the whole table and return the microseconds of a row."""
        if self.set_query:
            started = time.perf_counter()
            value(connection, self.query_of_set("true"))
            return (time.perf_counter() - started) * 1e6 / count
        # A row's time is taken after its score.
        query = """
            SELECT (extract(epoch FROM max(s.at) - min(s.at)) * 1e6 / (count(*) - 1))::float8, sum(s.score[1])
            FROM (SELECT {} AS score, clock_timestamp() AS at FROM {} AS t OFFSET 0) AS s
        """
        return float(value(connection, sql.SQL(query).format(self.call, name_of(self.table))))

    def create_procedure(self, connection: Connection) -> None:
        """Create the procedure."""
        if self.takes_sets:
            query = sql.SQL("v_scores[1] := ({})").format(self.query_of_set("t.id BETWEEN v_id AND v_last"))
        else:
            query = sql.SQL("SELECT {} INTO v_scores FROM {} AS t WHERE t.id = v_id").format(
                self.call, name_of(self.table)
            )
        connection.execute(
            sql.SQL(PROCEDURE).format(
                name=self.procedure,
                schema=sql.Identifier(SCHEMA),
                takes_sets=sql.SQL("true" if self.takes_sets else "false"),
                query=query,
            )
        )


def no_model(size: str) -> Variant:
    """Return the variant that reads rows and scores nothing."""
    return Variant(size, "no model", sql.SQL("t.features"))


def install_forms(connection: Connection, size: str, model: Any, remarks: list[str]) -> list[Variant]:
    """Install every form of a model."""
    variants = []
    for form in ("walk", "case", "tiered"):
        name = f"{size}_{form}"
        try:
            compiled = compile_model(model, f"{SCHEMA}.{name}", NAMES, form=form, runtime_schema=SCHEMA)
        except UnsupportedModelError as error:
            remarks.append(f"{size}, {form}: {error}")
            continue
        connection.execute(compiled.sql)
        variants.append(
            Variant(
                size,
                form,
                sql.SQL("{}(t.features)").format(name_of(name)),
                functions=[name, f"{name}_case"] if form == "tiered" else [name],
                session_rows=compiled.report.session_rows or 0,
            )
        )
    name = f"{size}_set"
    compiled = compile_model(model, f"{SCHEMA}.{name}", NAMES, form="walk", set_based=True, runtime_schema=SCHEMA)
    connection.execute(compiled.sql)
    remarks += [f"{size}, columns: {note}" for note in compiled.report.notes]
    call = sql.SQL("{}({})").format(name_of(name, "columns"), columns_of("t"))
    functions = [f"{name}_columns", f"{name}_link"]
    return [*variants, Variant(size, "columns", call, "arrays_columns", takes_sets=True, functions=functions)]


def install_python(connection: Connection, size: str, model: Any, folder: Path) -> list[Variant]:
    """Install PL/Python functions that load the model from a file when a session calls them first."""
    file = folder / f"{size}.joblib"
    joblib.dump(model, file)
    file.chmod(0o644)
    paths = [path for path in sys.path if path.endswith("site-packages")]
    load = PYTHON_LOAD.format(paths=repr(paths), file=repr(str(file)))
    bodies = {"row": PYTHON_ROW, "set": PYTHON_SET}
    if predict := BOOSTER_CALLS.get(type(model).__module__.split(".")[0]):
        bodies["booster"] = PYTHON_BOOSTER.format(predict=predict)
    for name, body in bodies.items():
        function = name_of(size, "python", name)
        connection.execute(sql.SQL(PYTHON_FUNCTION).format(function, sql.Literal(load + body)))
    one_call = (
        "SELECT (SELECT sum(p) FROM unnest({call}(array_agg(t.features ORDER BY t.id))) AS p)"
        " FROM {table} AS t WHERE {condition}"
    )
    labels = {"row": "PL/Python", "booster": "PL/Python, booster"}
    return [
        *(
            Variant(size, labels[name], sql.SQL("{}(t.features)").format(name_of(size, "python", name)))
            for name in bodies
            if name in labels
        ),
        Variant(size, "PL/Python, one call", name_of(size, "python", "set"), takes_sets=True, set_query=one_call),
    ]


def python_obstacle(connection: Connection) -> str | None:
    """Create the language PL/Python; return why that is not possible."""
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS plpython3u")
        connection.execute(
            sql.SQL(
                "CREATE FUNCTION {}() RETURNS text LANGUAGE plpython3u AS"
                " 'import sys; return \"%d.%d\" % sys.version_info[:2]'"
            ).format(name_of("python_version"))
        )
        theirs = value(connection, sql.SQL("SELECT {}()").format(name_of("python_version")))
    except psycopg.Error as error:
        return f"PL/Python is not available on this server: {error.diag.message_primary}."
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return None if theirs == ours else f"PL/Python is Python {theirs}, and this script with its libraries is {ours}."


# ------------------------------------------------------------------------------------------------- measurements


def first_call(url: str, variant: Variant, times: Times) -> None:
    """Measure the first call in a new session and what the session keeps."""
    with new_session(url) as connection:
        # Everything but the model is warm: the table, its index, the view of memory contexts.
        value(connection, sql.SQL("SELECT {} FROM {} AS t WHERE t.id = %s").format(columns_of("t", ["id"]), name_of(variant.table)), (1,), prepare=True)  # fmt: skip
        context_bytes(connection)
        contexts, private = context_bytes(connection), private_bytes(connection)
        started = time.perf_counter()
        value(connection, variant.query_of_row(), (1,), prepare=True)
        times["first call"].append((time.perf_counter() - started) * 1e3)
        see_rows(connection, variant)
        times["memory"].append((context_bytes(connection) - contexts) / 1e6)
        times["private"].append((private_bytes(connection) - private) / 1e6)


def see_rows(connection: Connection, variant: Variant) -> None:
    """Score as many rows as make a tiered function leave the walk, twice: once to get there, once to be there."""
    if variant.session_rows:
        query = "SELECT count(s.score) FROM (SELECT {} AS score FROM {} AS t, generate_series(1, %s) LIMIT %s) AS s"
        rows = variant.session_rows + 1_000
        for _ in range(2):
            connection.execute(sql.SQL(query).format(variant.call, name_of(variant.table)), (rows, rows), prepare=False)


def steady(url: str, variant: Variant, times: Times, singles: int, count: int) -> None:
    """Measure a session that has been at work for a while: transactions of all sizes, then the whole table."""
    with new_session(url) as connection:
        call = sql.SQL("CALL {}(%s, %s, '{{}}')").format(variant.procedure)
        value(connection, call, (WARM_UP, 1))
        see_rows(connection, variant)
        for block in (1, *BLOCKS):
            transactions = max(singles // block, 5)
            measured = value(connection, call, (WARM_UP + transactions, block))[WARM_UP:]
            times[str(block)].append(float(np.median(measured)) / block)
        times["many rows"].append(variant.microseconds_of_row(connection, count))


def compiled_at_run_time(url: str, variant: Variant, times: Times, count: int) -> None:
    """Measure the set form with JIT: what compiling costs each statement, and a row after that."""
    with new_session(url) as connection:
        private = private_bytes(connection)
        connection.execute(JIT)
        started = time.perf_counter()
        row = variant.microseconds_of_row(connection, count)
        times["first call"].append((time.perf_counter() - started) * 1e3 - row * count / 1e3)
        times["many rows"].append(row)
        times["private"].append((private_bytes(connection) - private) / 1e6)


def equal_share(url: str, variant: Variant, expected: np.ndarray, settings: str = "") -> float:
    """Return the share of the table's rows whose probabilities are the library's, every bit."""
    with new_session(url) as connection:
        if settings:
            connection.execute(settings)
        if variant.set_query:
            query = "SELECT unnest({}(array_agg(t.features ORDER BY t.id))) FROM {} AS t"
            expected = expected[:, 1:]
        else:
            query = "SELECT {} FROM {} AS t ORDER BY t.id"
        see_rows(connection, variant)
        rows = connection.execute(sql.SQL(query).format(variant.call, name_of(variant.table))).fetchall()
    scores = np.array([row[0] for row in rows], dtype=float).reshape(expected.shape)
    return float((scores == expected).all(axis=1).mean())


def function_bytes(connection: Connection, functions: list[str]) -> float:
    """Return the size of the texts of functions."""
    return float(
        value(
            connection,
            "SELECT coalesce(sum(octet_length(prosrc)), 0) FROM pg_proc"
            " WHERE pronamespace = %s::regnamespace AND proname = ANY (%s)",
            (SCHEMA, functions),
        )
    )


def native(model: Any, rows: np.ndarray, calls: int, times: Times) -> None:
    """Measure the library in Python on one thread: one row at a time, and all rows in a batch."""
    booster = booster_prediction(model)
    with threadpool_limits(1):
        for name, predict in (("predict_proba", model.predict_proba), ("booster", booster)):
            if predict is None:
                continue
            taken = []
            for number in range(WARM_UP + calls):
                row = rows[number % len(rows)][None]
                started = time.perf_counter()
                predict(row)
                taken.append((time.perf_counter() - started) * 1e6)
            times[f"{name}, one row"].append(float(np.median(taken[WARM_UP:])))
            started = time.perf_counter()
            predict(rows)
            times[f"{name}, batch"].append((time.perf_counter() - started) * 1e6 / len(rows))


# -------------------------------------------------------------------------------------------------- forms, PL/Python


def run_forms(url: str, options: argparse.Namespace, folder: Path, report: dict[str, Any]) -> None:
    """Measure forms, PL/Python and the native library, interleaved, and print a table for each."""
    training = make_rows(TRAINING_ROWS, missing=MISSING_SHARE, seed=0)
    rows, _ = make_rows(options.rows, missing=MISSING_SHARE, seed=1)
    figures: dict[str, dict[str, Times]] = {}
    natives: dict[str, Times] = {}
    equal: dict[str, float] = {}
    kilobytes: dict[str, float] = {}
    remarks: list[str] = []
    variants: list[Variant] = []
    models: dict[str, Any] = {}
    with connect(url, autocommit=True) as connection:
        connection.execute(runtime_sql(SCHEMA))
        fill(connection, "arrays", rows)
        connection.execute("SET jit = on")
        if not value(connection, "SELECT pg_jit_available()"):
            remarks.append("This server has no JIT.")
            options.jit_sizes = []
        obstacle = python_obstacle(connection) if "plpython" in options.parts else None
        for size in options.sizes:
            model = models[size] = fit(options.library, size, *training)
            of_size = [no_model(size)]
            if "forms" in options.parts:
                of_size += install_forms(connection, size, model, remarks)
            if size in options.python_sizes and "plpython" in options.parts and not obstacle:
                of_size += install_python(connection, size, model, folder)
            for variant in of_size:
                variant.create_procedure(connection)
                kilobytes[key(variant)] = function_bytes(connection, variant.functions) / 1e3
            variants += of_size
        for model in models.values():
            # Read before the sizes are compared, so that no measurement pays for a lazy import.
            model.predict_proba(rows[:2])

    with threadpool_limits(1):
        expected = {size: model.predict_proba(rows) for size, model in models.items()}
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        for size, model in models.items():
            if "native" in options.parts:
                native(model, rows, options.singles, natives.setdefault(size, defaultdict(list)))
        # The other way round in every other round, so that no variant always follows the same one.
        for variant in variants[:: -1 if number % 2 else 1]:
            times = figures.setdefault(key(variant), defaultdict(list))
            first_call(url, variant, times)
            steady(url, variant, times, options.singles, len(rows))
            if variant.name == "columns" and variant.size in options.jit_sizes and number < options.jit_rounds:
                compiled_at_run_time(url, variant, figures.setdefault(jit_key(variant), defaultdict(list)), len(rows))
    for variant in variants:
        if variant.name != "no model":
            equal[key(variant)] = equal_share(url, variant, expected[variant.size])
        if jit_key(variant) in figures:
            equal[jit_key(variant)] = equal_share(url, variant, expected[variant.size], JIT)

    report["forms"] = {"times": figures, "native": natives, "bit_equal": equal, "kilobytes": kilobytes}
    compiled = [v for v in variants if not v.name.startswith("PL/Python")]
    beside = ("no model", "tiered", "columns")
    python = [
        variant
        for variant in variants
        if variant.size in options.python_sizes and (variant.name.startswith("PL/Python") or variant.name in beside)
    ]
    if "forms" in options.parts:
        title = f"Compiled models, {options.library}, {len(rows):,} rows"
        print_forms(title, compiled, figures, equal, kilobytes)
        for size in models:
            compare_jit(size, figures, remarks)
    if "plpython" in options.parts:
        if obstacle:
            remarks.append(obstacle)
        else:
            print_forms(f"PL/Python, {options.library}, the same run", python, figures, equal, kilobytes)
    if "native" in options.parts:
        print_native(options.library, natives)
    write("".join(f"- {remark}\n" for remark in remarks) + "\n" if remarks else "")


def key(variant: Variant) -> str:
    """Return the name of a variant's figures."""
    return f"{variant.size}, {variant.name}"


def jit_key(variant: Variant) -> str:
    """Return the name of a variant's figures with JIT."""
    return f"{key(variant)}, JIT"


def compare_jit(size: str, figures: dict[str, dict[str, list[float]]], remarks: list[str]) -> None:
    """Say from how many rows of a statement on JIT pays."""
    without, compiled = figures.get(f"{size}, columns"), figures.get(f"{size}, columns, JIT")
    if without and compiled:
        gain = middle(without, "many rows") - middle(compiled, "many rows")
        price = (middle(compiled, "first call") - middle(without, "first call")) * 1e3
        pays = f"from {price / gain:,.0f} rows on" if gain > 0 else "for no number of rows"
        remarks.append(f"{size}: JIT at -O0 is paid for by every statement (its first call), which pays {pays}.")


def print_forms(
    title: str,
    variants: list[Variant],
    figures: dict[str, dict[str, list[float]]],
    equal: dict[str, float],
    kilobytes: dict[str, float],
) -> None:
    """Print the figures of variants as a table."""
    blocks = [str(block) for block in (1, *BLOCKS)]
    header = ["model", "form", "first call, ms", *(f"{block}, us" for block in blocks), "many rows, us"]
    header += ["memory, MB", "private, MB", "SQL, kB", "bit-equal"]
    rows = []
    for variant in variants:
        for name, label in ((key(variant), variant.name), (jit_key(variant), f"{variant.name}, JIT at -O0")):
            if name not in figures:
                continue
            times = figures[name]
            cells = [number_text(middle(times, column)) for column in ("first call", *blocks, "many rows", "memory")]
            size = kilobytes.get(name, 0.0)
            cells += [number_text(middle(times, "private")), number_text(size) if size else ""]
            rows.append([variant.size, label, *cells, share_text(equal[name]) if name in equal else ""])
    print_table(title, header, rows)


def print_native(library: str, natives: dict[str, Times]) -> None:
    """Print the figures of the native library."""
    names = [f"{name}, {way}" for name in ("predict_proba", "booster") for way in ("one row", "batch")]
    rows = [[size, *(number_text(middle(times, name)) for name in names)] for size, times in natives.items()]
    print_table(f"{library} in Python, one thread, us per row", ["model", *names], rows, words=1)


# ------------------------------------------------------------------------------------------------------- orbital


def orbital_statement(model: Any, table: str) -> str:
    """Return orbital's SELECT for a fitted model, with the column id passed through."""
    import orbital
    from orbital.types import DoubleColumnType, Int64ColumnType

    pipeline = model if isinstance(model, Pipeline) else Pipeline([("model", model)])
    columns: dict[str, Any] = {name: DoubleColumnType() for name in NAMES}
    parsed = orbital.parse_pipeline(pipeline, features={**columns, "id": Int64ColumnType(passthrough=True)})
    projection = orbital.ResultsProjection(select=["id"])
    return orbital.export_sql(table, parsed, dialect="postgres", projection=projection)


def threshold_rows(model: GradientBoostingClassifier, rows: np.ndarray, count: int) -> np.ndarray:
    """Return rows of which one feature is a threshold of the model, or the next number below or above it."""
    generator = np.random.default_rng(2)
    trees = [tree.tree_ for tree in model.estimators_.ravel()]
    splits = [(f, t) for tree in trees for f, t in zip(tree.feature, tree.threshold, strict=True) if f >= 0]
    made = rows[generator.integers(len(rows), size=count)].copy()
    for place in range(count):
        feature, threshold = splits[generator.integers(len(splits))]
        made[place, feature] = (np.nextafter(threshold, -np.inf), threshold, np.nextafter(threshold, np.inf))[place % 3]
    return made


def time_calls(ways: dict[str, Callable[[], Any]], calls: int, times: Times) -> None:
    """Add the microseconds of so many calls of each way."""
    for name, way in ways.items():
        for number in range(WARM_UP + calls):
            started = time.perf_counter()
            way()
            elapsed = (time.perf_counter() - started) * 1e6
            if number >= WARM_UP:
                times[name].append(elapsed)


def run_orbital(url: str, options: argparse.Namespace, report: dict[str, Any]) -> None:
    """Compare with orbital: cost on complete rows, exactness on complete rows, on thresholds and with NULLs."""
    try:
        import orbital  # noqa: F401
    except ImportError:
        write("orbital is not installed: pip install orbital.\n\n")
        return
    complete, _ = make_rows(options.rows, missing=0.0, seed=1)
    training, outcome = make_rows(TRAINING_ROWS, missing=0.0, seed=0)
    model = GradientBoostingClassifier(n_estimators=options.orbital_trees, max_depth=3, random_state=0)
    model.fit(training[: options.orbital_training], outcome[: options.orbital_training])
    started = time.perf_counter()
    theirs = orbital_statement(model, "picked")
    their_export = time.perf_counter() - started
    started = time.perf_counter()
    ours = compile_model(model, f"{SCHEMA}.boosting", NAMES, set_based=True, runtime_schema=SCHEMA)
    our_export = time.perf_counter() - started
    with connect(url, autocommit=True) as connection:
        connection.execute(runtime_sql(SCHEMA))
        connection.execute(ours.sql)
        fill(connection, "complete", complete)
        fill(connection, "thresholds", threshold_rows(model, complete, options.rows))
    figures = measure_orbital(url, options, theirs, len(complete))

    rows = []
    for label, side in (("array", "ours"), ("columns", "ours, columns"), ("SELECT", "orbital")):
        cells = [number_text(float(np.median(figures[f"{side}, {way}"]))) for way in ("ad hoc", "prepared", "first")]
        text, export = (theirs, their_export) if side == "orbital" else (ours.sql, our_export)
        rows.append(
            [side.split(",")[0], label, *cells, number_text(float(np.median(figures[f"{side}, bulk"]))),
             number_text(len(text) / 1e3), number_text(export * 1e3)]
        )  # fmt: skip
    trip = number_text(float(np.median(figures["no model"])))
    header = ["", "form", "ad hoc, us", "prepared, us", "first call of a session, us", "many rows, us/row"]
    header += ["SQL, kB", "export, ms"]
    title = f"orbital: GradientBoosting, {options.orbital_trees} trees of depth 3, single rows by a client"
    print_table(f"{title} (a round trip without a model: {trip} us)", header, rows)
    report["orbital"] = {"times": figures}
    report["orbital"]["exactness"] = orbital_exactness(url, options, model, theirs)


def measure_orbital(url: str, options: argparse.Namespace, theirs: str, count: int) -> Times:
    """Return the times of both sides, interleaved: microseconds of a statement, per row in bulk."""
    table, columns = name_of("complete"), name_of("complete", "columns")
    probability = sql.Identifier("output_probability.1")
    scored = {
        "ours": sql.SQL("SELECT ({}(t.features))[2] FROM {} AS t WHERE t.id = {{}}").format(name_of("boosting"), table),
        "ours, columns": sql.SQL("SELECT ({}({}))[2] FROM {} AS t WHERE t.id = {{}}").format(
            name_of("boosting", "columns"), columns_of("t"), columns
        ),
        "orbital": sql.SQL("WITH picked AS (SELECT * FROM {} WHERE id = {{}}) SELECT s.{} FROM ({}) AS s").format(
            columns, probability, sql.SQL(theirs)
        ),
    }
    bulk = {
        "ours": sql.SQL("SELECT sum(s.p[2]) FROM (SELECT {}(t.features) AS p FROM {} AS t OFFSET 0) AS s").format(
            name_of("boosting"), table
        ),
        "ours, columns": sql.SQL("SELECT sum(s.p[2]) FROM (SELECT {}({}) AS p FROM {} AS t OFFSET 0) AS s").format(
            name_of("boosting", "columns"), columns_of("t"), columns
        ),
        "orbital": sql.SQL("WITH picked AS (SELECT * FROM {}) SELECT sum(s.{}) FROM ({}) AS s").format(
            columns, probability, sql.SQL(theirs)
        ),
    }
    times: Times = defaultdict(list)
    generator = np.random.default_rng(3)
    for number in range(options.rounds):
        say(f"orbital, round {number + 1} of {options.rounds}")
        for side in list(scored)[:: -1 if number % 2 else 1]:
            prepared = sql.SQL(scored[side].as_string(None).replace("{}", "%s"))
            with new_session(url) as connection:
                started = time.perf_counter()
                value(connection, prepared, (1,), prepare=True)
                times[f"{side}, first"].append((time.perf_counter() - started) * 1e6)

                def ad_hoc(session: Connection = connection, query: str = scored[side].as_string(None)) -> None:
                    value(session, query.replace("{}", str(generator.integers(count))), prepare=False)

                def by_plan(session: Connection = connection, query: sql.SQL = prepared) -> None:
                    value(session, query, (int(generator.integers(count)),), prepare=True)

                ways = {f"{side}, ad hoc": ad_hoc, f"{side}, prepared": by_plan}
                time_calls(ways, options.singles // 4, times)
                for _ in range(2):
                    started = time.perf_counter()
                    value(connection, bulk[side], prepare=True)
                    elapsed = (time.perf_counter() - started) * 1e6 / count
                times[f"{side}, bulk"].append(elapsed)
        with new_session(url) as connection:

            def trip(session: Connection = connection) -> None:
                query = sql.SQL("SELECT t.features[1] FROM {} AS t WHERE t.id = %s").format(table)
                value(session, query, (int(generator.integers(count)),), prepare=True)

            time_calls({"no model": trip}, options.singles // 4, times)
    return times


def forest_for_both(features: np.ndarray, outcome: np.ndarray) -> RandomForestClassifier:
    """Return a forest fitted with NULLs that orbital takes too.

    orbital makes every different split a column of a subquery, of which PostgreSQL takes some 1,600. A split between
    missing and present has an infinite threshold, on which skl2onnx searches for ever.
    """
    for seed in range(100):
        forest = RandomForestClassifier(25, max_depth=5, min_samples_leaf=20, n_jobs=1, random_state=seed)
        forest.fit(features, outcome)
        if all(np.isfinite(tree.tree_.threshold).all() for tree in forest.estimators_):
            return forest
    raise ValueError("every forest has a split between missing and present")


def orbital_exactness(url: str, options: argparse.Namespace, model: Any, statement: str) -> list[dict[str, Any]]:
    """Compare both sides with the library on rows of several kinds; return and print the figures."""
    holed, _ = make_rows(options.rows, missing=MISSING_SHARE, seed=4)
    holed_training, holed_outcome = make_rows(TRAINING_ROWS, missing=MISSING_SHARE, seed=0)
    used = options.orbital_training
    forest = forest_for_both(holed_training[:used], holed_outcome[:used])
    imputed = make_pipeline(
        SimpleImputer(strategy="median"),
        GradientBoostingClassifier(n_estimators=options.orbital_trees, max_depth=3, random_state=0),
    ).fit(holed_training[:used], holed_outcome[:used])
    with connect(url, autocommit=True) as connection:
        fill(connection, "holed", holed)
        for name, fitted in (("forest", forest), ("imputed", imputed)):
            connection.execute(compile_model(fitted, f"{SCHEMA}.{name}", NAMES, runtime_schema=SCHEMA).sql)
        cases = [
            ("GradientBoosting", "complete rows", model, "boosting", "complete"),
            ("GradientBoosting", "on a threshold, or 1 ulp beside it", model, "boosting", "thresholds"),
            ("GradientBoosting", "5 % NULL, which the library refuses", model, "boosting", "holed"),
            ("SimpleImputer, GradientBoosting", "5 % NULL", imputed, "imputed", "holed"),
            ("RandomForest fitted with NULLs", "5 % NULL", forest, "forest", "holed"),
        ]
        statements = {"boosting": statement}
        statements |= {
            name: orbital_statement(fitted, "picked") for name, fitted in (("forest", forest), ("imputed", imputed))
        }
        lines: list[dict[str, Any]] = []
        for label, kind, fitted, name, table in cases:
            stored = connection.execute(sql.SQL("SELECT features FROM {} ORDER BY id").format(name_of(table)))
            rows = np.array([row[0] for row in stored.fetchall()], dtype=float)
            expected = None if name == "boosting" and table == "holed" else fitted.predict_proba(rows)[:, 1]
            ours = sql.SQL("SELECT ({}(t.features))[2] FROM {} AS t ORDER BY t.id").format(
                name_of(name), name_of(table)
            )
            lines.append({"model": label, "rows": kind, "side": "ours", **judge(connection, ours, expected)})
            theirs = sql.SQL("WITH picked AS (SELECT * FROM {}) SELECT s.{} FROM ({}) AS s ORDER BY s.id").format(
                name_of(table, "columns"), sql.Identifier("output_probability.1"), sql.SQL(statements[name])
            )
            lines.append({"model": label, "rows": kind, "side": "orbital", **judge(connection, theirs, expected)})
    header = ["model", "rows", "side", "largest difference", "bit-equal", "wrong"]
    table_rows = [
        [line["model"], line["rows"], line["side"], line["difference"], line["bit_equal"], line["wrong"]]
        for line in lines
    ]
    print_table(f"orbital: exactness on {options.rows:,} rows of each kind", header, table_rows, words=3)
    return lines


def judge(connection: Connection, query: sql.Composed, expected: np.ndarray | None) -> dict[str, str]:
    """Compare the result of a query with what the library says, None when it refuses."""
    try:
        scores = np.array([row[0] for row in connection.execute(query).fetchall()], dtype=float)
    except psycopg.Error as error:
        return {
            "difference": f"refuses ({error.sqlstate})",
            "bit_equal": "",
            "wrong": "no" if expected is None else "all",
        }
    if expected is None:
        return {"difference": "gives numbers", "bit_equal": "", "wrong": share_text(float(np.isfinite(scores).mean()))}
    difference = np.where(np.isnan(scores), np.inf, np.abs(scores - expected))
    return {
        "difference": f"{difference.max():.2g}",
        "bit_equal": share_text(float((scores == expected).mean())),
        "wrong": share_text(float((difference > WRONG).mean())),
    }


# -------------------------------------------------------------------------------------------------------- output


def middle(times: dict[str, list[float]], name: str) -> float:
    """Return the median of what the rounds gave, NaN without any."""
    return float(np.median(times[name])) if times.get(name) else np.nan


def number_text(number: float) -> str:
    """Return a number with about three digits, nothing for NaN."""
    if np.isnan(number):
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def share_text(share: float) -> str:
    """Return a share in per cent; 100 % means all, not nearly all."""
    return f"{np.floor(share * 1e4) / 1e2:g} %"


def print_table(title: str, header: list[str], rows: list[list[str]], words: int = 2) -> None:
    """Print a Markdown table whose first columns hold words."""
    rule = ["---" if number < words else "---:" for number in range(len(header))]
    lines = [header, rule, *rows]
    write(f"\n### {title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n")


def write(text: str) -> None:
    """Write to standard output, which is nothing but Markdown."""
    sys.stdout.write(text)
    sys.stdout.flush()


def say(text: str) -> None:
    """Say how far the run is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


# ---------------------------------------------------------------------------------------------------------- main


@contextmanager
def server_url(options: argparse.Namespace) -> Iterator[str]:
    """Give the server to measure on."""
    if options.url:
        yield options.url
        return
    if options.bin:
        os.environ["PG_BIN"] = options.bin
    with ThrowawayServer() as server:
        yield server.url("postgres")


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=LIBRARIES, default="lightgbm")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--singles", type=int, default=400, help="rows of each size of transaction in a round")
    parser.add_argument("--rows", type=int, default=4000, help="rows of the table")
    parser.add_argument(
        "--jit-rounds", type=int, default=2, help="rounds with JIT, which takes 10 s for the large model"
    )
    parser.add_argument("--quick", action="store_true", help="small and medium, one round, few rows")
    parser.add_argument("--url", help="a server to measure on, in place of a throw-away one")
    parser.add_argument("--bin", help="PostgreSQL's programs for the throw-away server, in place of the embedded ones")
    parser.add_argument("--json", type=Path, help="write all times to this file")
    options = parser.parse_args()
    options.orbital_trees, options.orbital_training = 100, TRAINING_ROWS
    options.jit_sizes = options.python_sizes = options.sizes
    if options.quick:
        options.rounds, options.singles, options.rows, options.jit_rounds = 1, 100, 1000, 1
        options.sizes = [size for size in options.sizes if size != "large"] or options.sizes
        options.jit_sizes = options.python_sizes = [size for size in options.sizes if size == "small"]
        options.orbital_trees, options.orbital_training = 40, 2000
    return options


def main() -> None:
    """Measure and print."""
    options = parse_options()
    report: dict[str, Any] = {"options": {name: str(option) for name, option in vars(options).items()}}
    with server_url(options) as url, tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with connect(url, autocommit=True) as connection:
            version = value(connection, "SHOW server_version")
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
        write(
            f"PostgreSQL {version}, scikit-learn {sklearn.__version__}, numpy {np.__version__}, {os.cpu_count()} CPUs\n"
        )
        try:
            if {"forms", "plpython", "native"} & set(options.parts):
                run_forms(url, options, Path(folder), report)
            if "orbital" in options.parts:
                run_orbital(url, options, report)
        finally:
            with connect(url, autocommit=True) as connection:
                connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
