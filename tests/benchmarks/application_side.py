"""Scoring inside the INSERT against scoring in an application, over the whole way from the event to its log row.

Run it with ``python tests/benchmarks/application_side.py``; ``--quick`` is a smoke run of under a minute, ``--json``
writes all times. Everything happens on one throw-away server without fsync and on the same events, the variants in turn
in each round, so that the ratios hold on a machine whose speed drifts.

INSERT alone         Into a table without triggers: what both sides pay.
ours                 One INSERT. The trigger computes 60 features, scores, calibrates, blends; a second one logs.
ours, explained      The same as it is deployed: the log row also says which features moved the score. The application
                     does not.
application          After its own INSERT it fetches the last bars of the series, computes the same features with
                     TA-Lib and pandas (tests/features/oracle.py), calls predict_proba of the fitted model, updates the
                     event with score and blend, and inserts the log row.
features for free    The application without the time of its features, which is code for tests and not for speed: what
                     is left if they cost nothing.
ours, backfill       In bulk only: INSERT with ML disabled, then ml.backfill, which scores sets instead of rows.

The application is a good one: it runs beside the server and talks to it over the Unix socket; its model is in memory;
it has one connection with prepared statements and binary results; the INSERT and the query of the bars share a round
trip, as do the UPDATE and the log row (pipeline mode). Its tables have the same columns and indexes, but it does less:
features go to the log row only, derived prices nowhere, while the trigger stores both in the event. In bulk it computes
each series once for all of its events, calls predict_proba once, and writes with COPY and one UPDATE; the events are
those of the newest bars of each series, of which it needs the least history.

The trigger reads indicators that are kept when bars arrive; what that costs is the last table. The application sees as
many bars as it fetches (``--bars``), so that averages without an end (Wilder's, exponential ones) differ from those
over the whole history: the table of differences shows it, and that they vanish with all bars.
"""

import argparse
import json
import os
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
from compiled_models import LIBRARIES, SIZES, fit, number_text, print_table, say, write
from psycopg import sql
from psycopg.types.json import Jsonb
from threadpoolctl import threadpool_limits

from trainer.bars import load_bars
from trainer.compiler import (
    compile_model,
    explanation_cost,
    export_explanation,
    export_path_attribution,
    runtime_sql,
)
from trainer.database import connect
from trainer.migrations import upgrade
from trainer.resources import sample_bars
from trainer.server import ThrowawayServer
from trainer.sql import statement

sys.path.insert(0, str(Path(__file__).parents[1] / "features"))
import oracle

Connection = psycopg.Connection[Any]
Times = dict[str, list[float]]

CLASSES = ["rest", "win"]
SIGMOID = (-4.0, 2.0)  # any calibrator will do
EXPLANATION_BUDGET = 250.0  # microseconds; costlier models log the contributions along the path
RULE = 0.7
WARM_UP = 30  # plans become generic and caches fill during a session's first calls
HISTORY = 300  # bars that every event has before it

INSERT = """
    INSERT INTO {}.pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)
    VALUES (%s, '1d', 'bullish_engulfing', %s, 0.7)
"""
BULK = """
    INSERT INTO {}.pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)
    SELECT symbol, '1d', 'bullish_engulfing', detected_at, 0.7 FROM application.chosen
"""
NEWEST_EVENTS = """
    SELECT symbol, ts
    FROM (SELECT symbol, ts, row_number() OVER (PARTITION BY symbol ORDER BY ts DESC) AS age FROM price_bars) AS bar
    WHERE symbol <> 'FB'
    ORDER BY age, symbol
    LIMIT %s
"""
# The application's own tables: the same columns and indexes, no triggers.
APPLICATION_TABLES = """
    CREATE SCHEMA application;
    CREATE TABLE application.pattern_events (LIKE public.pattern_events INCLUDING ALL);
    ALTER TABLE application.pattern_events SET (toast_tuple_target = 8160);
    CREATE TABLE application.ml_predictions (LIKE public.ml_predictions INCLUDING ALL);
    CREATE TABLE application.chosen (symbol text, detected_at timestamptz);
"""
APPLICATION_INSERT = """
    INSERT INTO application.pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence)
    VALUES (%s, %s, '1d', 'bullish_engulfing', %s, 0.7)
"""
APPLICATION_BARS = """
    SELECT extract(epoch FROM ts)::float8, open, high, low, close, volume FROM price_bars
    WHERE symbol = %s AND timeframe = '1d' AND ts <= %s ORDER BY ts DESC LIMIT %s
"""
APPLICATION_UPDATE = """
    UPDATE application.pattern_events
    SET ml_confidence_raw = %s, ml_confidence = %s, blended_confidence = %s, prediction_class = %s, model_version = %s
    WHERE id = %s
"""
LOG_COLUMNS = """
    event_id, source, model_version, role, arm, ml_confidence_raw, ml_confidence, rule_confidence, blended_confidence,
    prediction_class, features, ml_weight, rule_weight
"""
LOG_TYPES = ["uuid", "text", "text", "text", "text", *["float8"] * 4, "text", "float8[]", "float8", "float8"]
APPLICATION_LOG = (
    f"INSERT INTO application.ml_predictions ({LOG_COLUMNS}) VALUES ({', '.join(['%s'] * len(LOG_TYPES))})"
)
SCORED_TABLE = """
    CREATE TEMPORARY TABLE scored (
        id uuid, ml_confidence_raw float8, ml_confidence float8, blended_confidence float8, prediction_class text
    ) ON COMMIT DELETE ROWS
"""
BULK_UPDATE = """
    UPDATE application.pattern_events AS event
    SET
        ml_confidence_raw = scored.ml_confidence_raw, ml_confidence = scored.ml_confidence,
        blended_confidence = scored.blended_confidence, prediction_class = scored.prediction_class,
        model_version = %s
    FROM scored WHERE event.id = scored.id
"""
LOGGED = """
    SELECT
        event.symbol, event.detected_at, logged.features, logged.ml_confidence_raw, logged.ml_confidence,
        logged.blended_confidence
    FROM {schema}.ml_predictions AS logged JOIN {schema}.pattern_events AS event ON event.id = logged.event_id
    ORDER BY event.symbol, event.detected_at
"""


# ---------------------------------------------------------------------------------------------------- preparation


@dataclass
class Case:
    """A fitted model of one size and the names of its features."""

    size: str
    model: Any
    names: list[str]


def prepare(connection: Connection, options: argparse.Namespace) -> list[Case]:
    """Load the shipped bars, fit and register a model of each size, create the application's tables."""
    connection.execute(runtime_sql())
    load_bars(connection, sample_bars())
    names = [row[0] for row in connection.execute("SELECT name FROM ml_features ORDER BY position")]
    rows = connection.execute(
        "SELECT ml.feature_array(f.features) FROM price_bars AS b CROSS JOIN LATERAL ml.compute_event_features("
        "ROW(b.symbol, b.timeframe, 'bullish_engulfing', NULL, b.ts, NULL, NULL, NULL, NULL, NULL, NULL)::ml.event_inputs"
        ") AS f WHERE b.symbol <> 'FB' ORDER BY b.symbol, b.ts"
    ).fetchall()
    features = np.array([row[0] for row in rows], dtype=np.float64)
    # Half of the outcome follows the momentum, so that trees have something to split on.
    generator = np.random.default_rng(0)
    momentum = np.nan_to_num(features[:, names.index("rsi_14")], nan=50.0) / 100
    outcome = generator.random(len(features)) < 0.5 * momentum + 0.1
    cases = []
    for size in options.sizes:
        say(f"fitting {size}")
        case = Case(size, fit(options.library, size, features, outcome), names)
        cases.append(case)
        for explained in (False, True) if options.explanations else (False,):
            register(connection, case, features, explained=explained)
    connection.execute("SELECT ml.enable('benchmark')")
    connection.execute(APPLICATION_TABLES)
    return cases


def version_of(size: str, *, explained: bool) -> str:
    """Return the version under which a model is registered."""
    return f"{size}_explained" if explained else size


def register(connection: Connection, case: Case, features: np.ndarray, *, explained: bool) -> None:
    """Install a compiled model and register it with golden rows and a calibrator, as a deployment does."""
    version = version_of(case.size, explained=explained)
    connection.execute(compile_model(case.model, f"ml_generated.score_{version}", case.names, set_based=True).sql)
    if explained:
        connection.execute(export_explanation(case.model, f"ml_generated.explain_{version}", case.names))
        if explanation_cost(case.model) > EXPLANATION_BUDGET:
            connection.execute(export_path_attribution(case.model, f"ml_generated.attribute_{version}", case.names))
    connection.execute(
        sql.SQL(statement("features_function").decode()).format(
            function=sql.Identifier("ml_generated", f"features_{version}"),
            attributes=sql.SQL(", ").join(sql.SQL("p_features.{}").format(sql.Identifier(name)) for name in case.names),
        )
    )
    golden = features[[400, 1600]]
    card = {
        "golden_rows": [
            {
                "features": {n: None if np.isnan(x) else float(x) for n, x in zip(case.names, row, strict=True)},
                "probabilities": probabilities.tolist(),
            }
            for row, probabilities in zip(golden, case.model.predict_proba(golden), strict=True)
        ]
    }
    connection.execute(
        "INSERT INTO ml_models (version, algorithm, classes, feature_names, artefact_sha256, card, metrics, data_window)"
        " VALUES (%s, 'benchmark', %s, %s, repeat('0', 64), %s, '{}', '[,]')",
        (version, CLASSES, case.names, Jsonb(card)),
    )
    connection.execute(
        "INSERT INTO ml_calibrators (calibrator_version, model_version, method, a, b) VALUES (%s, %s, 'sigmoid', %s, %s)",
        (f"{version}-1", version, *SIGMOID),
    )


def promote(connection: Connection, version: str) -> None:
    """Make a version the champion, whoever is it now."""
    champion = connection.execute("SELECT version FROM ml_aliases WHERE alias = 'champion'").fetchone()
    connection.execute("SELECT ml.promote(%s, %s, 'benchmark', true)", (version, champion[0] if champion else None))


def empty_tables(connection: Connection) -> None:
    """Empty what events are written to."""
    for schema in ("public", "application"):
        connection.execute(f"TRUNCATE {schema}.pattern_events, {schema}.ml_predictions")
    connection.execute("CHECKPOINT")


# ---------------------------------------------------------------------------------------------------- application


@dataclass
class Application:
    """Scores events as a service beside the database does, and keeps the time of each step."""

    connection: Connection
    case: Case
    bars: int
    steps: Times = field(default_factory=lambda: defaultdict(list))
    ml_weight: float = 0.0
    rule_weight: float = 0.0
    _since: float = 0.0

    def start(self) -> None:
        """Read the configuration and make what one session needs once."""
        weights = self.connection.execute("SELECT ml_weight, rule_weight FROM ml_settings").fetchone()
        assert weights is not None
        self.ml_weight, self.rule_weight = weights
        self.connection.execute(SCORED_TABLE)

    def score_one(self, symbol: str, detected_at: datetime) -> None:
        """Store one event, score it, store the score and log it."""
        event = uuid.uuid4()
        self._begin()
        with self.connection.pipeline(), self.connection.cursor(binary=True) as cursor:
            self.connection.execute(APPLICATION_INSERT, (event, symbol, detected_at), prepare=True)
            cursor.execute(APPLICATION_BARS, (symbol, detected_at, self.bars), prepare=True)
            rows = cursor.fetchall()
        self._done("INSERT, fetch bars")
        features = self.features(rows, [len(rows) - 1])
        self._done("features")
        (score,) = self.scores(features)
        self._done("predict_proba")
        with self.connection.pipeline():
            self.connection.execute(APPLICATION_UPDATE, (*score, self.case.size, event), prepare=True)
            self.connection.execute(APPLICATION_LOG, self._log_row(event, score, features[0]), prepare=True)
        self._done("UPDATE, log")

    def score_many(self) -> None:
        """Store the chosen events, score them, store the scores and log them."""
        self._begin()
        with self.connection.cursor(binary=True) as cursor:
            cursor.execute(f"{BULK.format('application')} RETURNING id, symbol, detected_at")
            events = pd.DataFrame(cursor.fetchall(), columns=["id", "symbol", "detected_at"])
            self._done("INSERT, fetch bars")
            parts = []
            for symbol, group in events.groupby("symbol"):
                # The bars before the first event and those from it on.
                stamps = group["detected_at"].map(datetime.timestamp).to_numpy()
                span = self.bars + 2 * int((stamps.max() - stamps.min()) / 86_400)
                cursor.execute(APPLICATION_BARS, (symbol, group["detected_at"].max(), span))
                rows = cursor.fetchall()
                self._done("INSERT, fetch bars")
                times = np.array([row[0] for row in reversed(rows)])
                parts.append(self.features(rows, np.searchsorted(times, stamps)))
                self._done("features")
            events = pd.concat([group for _, group in events.groupby("symbol")])
        features = np.vstack(parts)
        scores = self.scores(features)
        self._done("predict_proba")
        with self.connection.transaction(), self.connection.cursor() as cursor:
            with cursor.copy("COPY scored FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["uuid", "float8", "float8", "float8", "text"])
                for event, score in zip(events["id"], scores, strict=True):
                    copy.write_row((event, *score))
            cursor.execute(BULK_UPDATE, (self.case.size,))
            with cursor.copy(f"COPY application.ml_predictions ({LOG_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(LOG_TYPES)
                for event, score, row in zip(events["id"], scores, features, strict=True):
                    copy.write_row(self._log_row(event, score, row))
        self._done("UPDATE, log")

    def features(self, rows: list[tuple[float, ...]], at: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the features of events at bars ``at`` of a series, which comes newest bar first."""
        table = np.array(rows[::-1])
        bars = pd.DataFrame(table[:, 1:], columns=["open", "high", "low", "close", "volume"])
        bars["ts"] = pd.to_datetime(table[:, 0], unit="s", utc=True)
        count = len(at)
        levels = dict.fromkeys(("entry_price", "target_price", "stop_price", "support", "resistance"), np.nan)
        events = pd.DataFrame(
            {"sign": 1.0, "type_bars": 2, "start": -1, "reversal": 1.0, **levels}, index=pd.RangeIndex(count)
        )
        known = oracle.indicators(bars)
        return oracle.features(known, np.asarray(at), events)[self.case.names].to_numpy(float)

    def scores(self, features: np.ndarray) -> list[tuple[float, float, float, str]]:
        """Return raw, calibrated and blended probability and the class of each row."""
        probabilities = self.case.model.predict_proba(features)
        raw = probabilities[:, 1]
        calibrated = 1 / (1 + np.exp(SIGMOID[0] * raw + SIGMOID[1]))
        blended = (self.ml_weight * calibrated + self.rule_weight * RULE) / (self.ml_weight + self.rule_weight)
        classes = [CLASSES[place] for place in probabilities.argmax(axis=1)]
        return list(zip(raw.tolist(), calibrated.tolist(), blended.tolist(), classes, strict=True))

    def _log_row(self, event: uuid.UUID, score: tuple[float, float, float, str], features: np.ndarray) -> list[Any]:
        raw, calibrated, blended, predicted = score
        values = [None if number != number else number for number in features.tolist()]
        return [
            event, "insert", self.case.size, "champion", "ml", raw, calibrated, RULE, blended, predicted, values,
            self.ml_weight, self.rule_weight,
        ]  # fmt: skip

    def _begin(self) -> None:
        for name in ("INSERT, fetch bars", "features", "predict_proba", "UPDATE, log"):
            self.steps[name].append(0.0)
        self._since = time.perf_counter()

    def _done(self, step: str) -> None:
        now = time.perf_counter()
        self.steps[step][-1] += (now - self._since) * 1e6
        self._since = now


@contextmanager
def application(url: str, case: Case, bars: int) -> Iterator[Application]:
    """Start an application with a connection of its own."""
    with connect(url, autocommit=True) as connection:
        started = Application(connection, case, bars)
        started.start()
        yield started


# ---------------------------------------------------------------------------------------------------- measurement


def timed(way: Callable[[], Any]) -> float:
    """Return the microseconds of a call."""
    started = time.perf_counter()
    way()
    return (time.perf_counter() - started) * 1e6


def measure(url: str, control: Connection, options: argparse.Namespace, cases: list[Case]) -> dict[str, Any]:
    """Return the times of all variants, singles per event and bulk per event, in microseconds."""
    singles: dict[str, Times] = {case.size: defaultdict(list) for case in cases}
    bulk: dict[str, Times] = {case.size: defaultdict(list) for case in cases}
    single_steps: dict[str, Times] = {case.size: defaultdict(list) for case in cases}
    bulk_steps: dict[str, Times] = {case.size: defaultdict(list) for case in cases}
    possible = control.execute(
        "SELECT symbol, ts FROM (SELECT symbol, ts, row_number() OVER (PARTITION BY symbol ORDER BY ts) AS place"
        " FROM price_bars) AS bar WHERE place >= %s AND symbol <> 'FB' ORDER BY md5(ts::text || symbol)",
        (HISTORY,),
    ).fetchall()
    control.execute(f"INSERT INTO application.chosen {NEWEST_EVENTS}", (options.bulk,))
    count = WARM_UP + options.singles
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        first = number * count % (len(possible) - count)
        events = possible[first : first + count]
        for case in cases:
            times, many = singles[case.size], bulk[case.size]
            for variant in ("INSERT alone", "ours", *(["ours, explained"] if options.explanations else [])):
                schema = "application" if variant == "INSERT alone" else "public"
                empty_tables(control)
                promote(control, version_of(case.size, explained=variant == "ours, explained"))
                with connect(url, autocommit=True) as session:
                    for place, event in enumerate(events):
                        elapsed = timed(
                            lambda s=session, e=event, n=schema: s.execute(INSERT.format(n), e, prepare=True)
                        )
                        if place >= WARM_UP:
                            times[variant].append(elapsed)
                    if schema == "public":
                        refuse_fallbacks(control, count, explained=variant == "ours, explained")
                    empty_tables(control)
                    elapsed = timed(lambda s=session, n=schema: s.execute(BULK.format(n)))
                    many[variant].append(elapsed / options.bulk)
                    if schema == "public":
                        refuse_fallbacks(control, options.bulk, explained=variant == "ours, explained")
                    if variant == "ours":
                        many["ours, backfill"].append(later(control, session, options.bulk) / options.bulk)
            empty_tables(control)
            with application(url, case, options.bars) as app:
                for place, event in enumerate(events):
                    elapsed = timed(lambda a=app, e=event: a.score_one(*e))
                    if place >= WARM_UP:
                        times["application"].append(elapsed)
                for name, steps in app.steps.items():
                    single_steps[case.size][name] += steps[WARM_UP:]
                empty_tables(control)
                app.steps.clear()
                many["application"].append(timed(app.score_many) / options.bulk)
                for name, steps in app.steps.items():
                    bulk_steps[case.size][name] += [step / options.bulk for step in steps]
    return {"singles": singles, "bulk": bulk, "single steps": single_steps, "bulk steps": bulk_steps}


def refuse_fallbacks(control: Connection, events: int, *, explained: bool = False) -> None:
    """Raise an error unless so many events have been scored and logged: a fallback would be a cheap INSERT."""
    logged = control.execute(
        "SELECT count(*), count(ml_confidence), count(contributions), min(fallback_reason) FROM ml_predictions"
    ).fetchone()
    assert logged is not None
    if logged[:3] != (events, events, events if explained else 0):
        raise RuntimeError("of {} events {} were logged, {} scored, {} explained: {}".format(events, *logged))


def later(control: Connection, session: Connection, events: int) -> float:
    """Return the microseconds of a bulk INSERT with ML disabled and the backfill of its events."""
    empty_tables(control)
    control.execute("SELECT ml.disable('benchmark')")
    elapsed = timed(lambda: session.execute(BULK.format("public")))
    control.execute("SELECT ml.enable('benchmark')")
    elapsed += timed(lambda: session.execute("SELECT ml.backfill(%s)", (events,)))
    control.execute("DELETE FROM ml_predictions WHERE source = 'insert'")
    refuse_fallbacks(control, events)
    return elapsed


def differences(url: str, control: Connection, options: argparse.Namespace, case: Case) -> list[dict[str, Any]]:
    """Score the same events on both sides and return how far they are apart, for some bars and for all of them."""
    promote(control, version_of(case.size, explained=False))
    lines = []
    for bars in (options.bars, 1_000_000):
        empty_tables(control)
        control.execute(BULK.format("public"))
        chosen = control.execute("SELECT symbol, detected_at FROM application.chosen").fetchall()
        with application(url, case, bars) as app:
            for event in chosen:
                app.score_one(*event)
        ours, theirs = (
            control.execute(LOGGED.format(schema=schema)).fetchall() for schema in ("public", "application")
        )
        assert len(ours) == len(theirs) == len(chosen)
        mine, others = (np.array([row[2] for row in rows], dtype=float) for rows in (ours, theirs))
        scale = np.nanmax(np.abs(mine), axis=0, initial=0.0)
        apart = np.nan_to_num(np.abs(mine - others)).max(axis=0) / np.where(scale > 0, scale, 1.0)
        library = app.scores(mine)
        lines.append(
            {
                "bars": bars,
                "events": len(ours),
                "missing": int((np.isnan(mine) != np.isnan(others)).sum()),
                "features": float(apart.max()),
                "worst": case.names[int(apart.argmax())],
                "ml_confidence_raw": max(abs(a[3] - b[3]) for a, b in zip(ours, theirs, strict=True)),
                "ml_confidence": max(abs(a[4] - b[4]) for a, b in zip(ours, theirs, strict=True)),
                "blended": max(abs(a[5] - b[5]) for a, b in zip(ours, theirs, strict=True)),
                "library": max(abs(a[3] - b[0]) for a, b in zip(ours, library, strict=True)),
            }
        )
    return lines


def bar_upkeep(url: str, control: Connection, bars: int) -> dict[str, list[float]]:
    """Return the microseconds of inserting a new bar, with and without the triggers that keep indicators."""
    times: dict[str, list[float]] = {}
    newest = control.execute("SELECT max(ts) FROM price_bars WHERE symbol = 'IBM' AND timeframe = '1d'").fetchone()
    assert newest is not None
    query = "INSERT INTO price_bars VALUES ('IBM', '1d', %s, 200, 201, 199, 200.5, 1000000)"
    for name, switch in (("without indicators", "DISABLE"), ("with indicators", "ENABLE")):
        control.execute(f"ALTER TABLE price_bars {switch} TRIGGER USER")
        with connect(url, autocommit=True) as session:
            taken = [
                timed(lambda s=session, d=day: s.execute(query, (newest[0] + timedelta(days=d),), prepare=True))
                for day in range(1, WARM_UP + bars + 1)
            ]
        times[name] = taken[WARM_UP:]
        control.execute("DELETE FROM price_bars WHERE symbol = 'IBM' AND timeframe = '1d' AND ts > %s", newest)
    return times


# --------------------------------------------------------------------------------------------------------- output


def print_results(figures: dict[str, Any]) -> None:
    """Print every table."""
    rows = []
    for size, times in figures["singles"].items():
        theirs = np.percentile(times["application"], [50, 95])
        times = {**times, "features for free": without_features(times["application"], figures["single steps"][size])}
        for variant, taken in times.items():
            p50, p95 = np.percentile(taken, [50, 95])
            rows.append(
                [size, variant, number_text(p50), number_text(p95), ratio(theirs[0] / p50), ratio(theirs[1] / p95)]
            )
    header = ["model", "one event", "p50, us", "p95, us", "application / this, p50", "p95"]
    print_table("Single events by a client, one transaction each", header, rows)

    rows = []
    for size, times in figures["bulk"].items():
        theirs = float(np.median(times["application"]))
        times = {**times, "features for free": without_features(times["application"], figures["bulk steps"][size])}
        for variant, taken in times.items():
            rows.append([size, variant, number_text(float(np.median(taken))), ratio(theirs / float(np.median(taken)))])
    print_table("Bulk, one batch", ["model", "variant", "us per event", "application / this"], rows)

    rows = []
    for way, steps_of in (("one event", figures["single steps"]), ("bulk", figures["bulk steps"])):
        for size, steps in steps_of.items():
            rows.append([size, way, *(number_text(float(np.median(taken))) for taken in steps.values())])
    names = list(next(iter(figures["single steps"].values())))
    print_table("Where the application's time goes, us per event", ["model", "", *names], rows)

    rows = [
        [
            f"{line['bars']:,}" if line["bars"] < 1_000_000 else "all", f"{line['events']:,}", str(line["missing"]),
            f"{line['features']:.2g} ({line['worst']})", f"{line['ml_confidence_raw']:.2g}",
            f"{line['ml_confidence']:.2g}", f"{line['blended']:.2g}", f"{line['library']:.2g}",
        ]
        for line in figures["differences"]
    ]  # fmt: skip
    header = ["bars fetched", "events", "missing on one side only", "features, of their range", "ml_confidence_raw"]
    header += ["ml_confidence", "blended_confidence", "ml_confidence_raw, ours from the library on our features"]
    print_table("Largest differences between both sides", header, rows, words=0)

    rows = [
        [name, *(number_text(p) for p in np.percentile(taken, [50, 95]))]
        for name, taken in figures["bar upkeep"].items()
    ]
    print_table("A new bar of a series, us", ["INSERT of a bar", "p50", "p95"], rows, words=1)


def without_features(times: list[float], steps: dict[str, list[float]]) -> list[float]:
    """Return what is left of an application's times without its features."""
    return [whole - part for whole, part in zip(times, steps["features"], strict=True)]


def ratio(value: float) -> str:
    """Return how many times as long the application takes."""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


# ----------------------------------------------------------------------------------------------------------- main


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=LIBRARIES, default="lightgbm")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--singles", type=int, default=200, help="events one by one, of a variant in a round")
    parser.add_argument("--bulk", type=int, default=1000, help="events of a batch")
    parser.add_argument("--bars", type=int, default=HISTORY, help="bars that the application fetches for an event")
    parser.add_argument(
        "--no-explanations", dest="explanations", action="store_false", help='leave out "ours, explained"'
    )
    parser.add_argument("--quick", action="store_true", help="small and medium, one round, few events")
    parser.add_argument("--bin", help="PostgreSQL's programs for the throw-away server, in place of the embedded ones")
    parser.add_argument("--json", type=Path, help="write all times to this file")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.singles, options.bulk = 1, 60, 300
        options.sizes = [size for size in options.sizes if size != "large"] or options.sizes
    if options.bin:
        os.environ["PG_BIN"] = options.bin
    return options


def main() -> None:
    """Measure on a throw-away server and print."""
    options = parse_options()
    # The application's numerical libraries stay on one thread, as the server's session does.
    with ThrowawayServer() as server, threadpool_limits(1):
        url = server.url("postgres")
        upgrade(url)
        with connect(url, autocommit=True) as control:
            cases = prepare(control, options)
            figures = measure(url, control, options, cases)
            figures["differences"] = differences(url, control, options, cases[-1])
            figures["bar upkeep"] = bar_upkeep(url, control, options.singles)
            version = control.info.parameter_status("server_version")
    write(f"PostgreSQL {version}, {options.library}, {options.bars} bars, batches of {options.bulk:,} events\n")
    print_results(figures)
    if options.json:
        options.json.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
