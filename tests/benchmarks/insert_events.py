"""What scoring adds to an INSERT: without triggers, with no-op triggers, with ours, for two models, with a shadow.

Run it with ``python tests/benchmarks/insert_events.py``; ``--json`` prints the raw figures. It uses a throw-away server
without fsync, so that the figures are processor time and not the disk's; every variant is measured in turn in each
round, on the same events, so that the ratios hold on a machine whose speed drifts.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier

from trainer.bars import load_bars
from trainer.compiler import compile_model
from trainer.database import connect
from trainer.migrations import upgrade
from trainer.resources import sample_bars
from trainer.server import ThrowawayServer

INSERT = (
    "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
    " VALUES (%s, '1d', 'bullish_engulfing', %s, 0.7)"
)
BULK = (
    "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
    " SELECT symbol, timeframe, 'bullish_engulfing', ts, 0.7 FROM price_bars WHERE symbol <> 'FB' ORDER BY ts LIMIT %s"
)
WARM_UP = 30  # plans become generic and caches fill during a session's first calls
# One transaction per row inside the server: no client, no round trip, no scheduling between two processes.
SERVER_LOOP = """
    CREATE PROCEDURE insert_one_by_one(p_count integer, INOUT p_times float8[]) LANGUAGE plpgsql AS $$
    DECLARE
        v_symbols text[];
        v_ts timestamptz[];
        v_started timestamptz;
    BEGIN
        SELECT array_agg(symbol), array_agg(ts) INTO v_symbols, v_ts
        FROM (SELECT symbol, ts FROM price_bars WHERE symbol <> 'FB' ORDER BY md5(ts::text || symbol) LIMIT p_count) AS b;
        FOR v_place IN 1..p_count LOOP
            v_started := clock_timestamp();
            INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)
            VALUES (v_symbols[v_place], '1d', 'bullish_engulfing', v_ts[v_place], 0.7);
            COMMIT;
            p_times[v_place] := extract(epoch FROM clock_timestamp() - v_started) * 1e6;
        END LOOP;
    END $$
"""
VARIANTS = ("no trigger", "no-op triggers", "ML disabled", "champion", "HistGB 200 x 31", "champion and shadow")


def prepare(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Load the shipped bars and two models; return the version of each model variant."""
    load_bars(connection, sample_bars())
    champion = connection.execute("SELECT version FROM ml_aliases WHERE alias = 'champion'").fetchone()
    names = [row[0] for row in connection.execute("SELECT name FROM ml_features ORDER BY position")]
    rows = connection.execute(
        "SELECT ml.feature_array(f.features) FROM price_bars AS b CROSS JOIN LATERAL ml.compute_event_features("
        "ROW(b.symbol, b.timeframe, 'bullish_engulfing', NULL, b.ts, NULL, NULL, NULL, NULL, NULL, NULL)::ml.event_inputs"
        ") AS f WHERE b.symbol <> 'FB'"
    ).fetchall()
    features = np.array([row[0] for row in rows], dtype=np.float64)
    outcome = np.random.default_rng(0).random(len(features)) < 0.3
    model = HistGradientBoostingClassifier(max_iter=200, max_leaf_nodes=31, early_stopping=False, random_state=0)
    connection.execute(compile_model(model.fit(features, outcome), "ml_generated.score_large", names).sql)
    connection.execute(
        "CREATE FUNCTION ml_generated.features_large(p_features ml.feature_vector) RETURNS float8[] LANGUAGE plpgsql"
        " IMMUTABLE AS $$ BEGIN RETURN ml.feature_array(p_features); END $$"
    )
    connection.execute(
        "INSERT INTO ml_models VALUES ('large', 'benchmark', '{rest,win}', %s, repeat('0', 64), '{}', '{}', '[,]')",
        (names,),
    )
    connection.execute("SELECT ml.enable()")
    connection.execute("CREATE FUNCTION no_op() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
    connection.execute("CREATE TRIGGER no_op_row BEFORE INSERT ON pattern_events FOR EACH ROW EXECUTE FUNCTION no_op()")
    connection.execute(
        "CREATE TRIGGER no_op_statement AFTER INSERT ON pattern_events REFERENCING NEW TABLE AS new_rows"
        " FOR EACH STATEMENT EXECUTE FUNCTION no_op()"
    )
    connection.execute(SERVER_LOOP)
    live = champion[0] if champion else ""
    return {"champion": live, "HistGB 200 x 31": "large", "champion and shadow": live}


def switch(connection: psycopg.Connection[Any], variant: str, versions: dict[str, str]) -> None:
    """Bring the table into the state of a variant."""
    connection.execute("ALTER TABLE pattern_events DISABLE TRIGGER USER")
    if variant == "no-op triggers":
        for name in ("no_op_row", "no_op_statement"):
            connection.execute(f"ALTER TABLE pattern_events ENABLE TRIGGER {name}")
    elif variant != "no trigger":
        for name in ("pattern_events_10_score", "pattern_events_90_log_insert"):
            connection.execute(f"ALTER TABLE pattern_events ENABLE TRIGGER {name}")
        connection.execute("UPDATE ml_settings SET enabled = %s", (variant != "ML disabled",))
        if variant in versions:
            connection.execute(
                "UPDATE ml_aliases SET version = %s, calibrator_version = (SELECT max(calibrator_version)"
                " FROM ml_calibrators WHERE model_version = %s) WHERE alias = 'champion'",
                (versions[variant], versions[variant]),
            )
    connection.execute("DELETE FROM ml_aliases WHERE alias = 'challenger'")
    if variant == "champion and shadow":
        connection.execute("INSERT INTO ml_aliases (alias, version) VALUES ('challenger', 'large')")
    connection.execute("TRUNCATE pattern_events, ml_predictions")
    connection.execute("CHECKPOINT")


def measure(url: str, rounds: int, singles: int, bulk: int) -> dict[str, dict[str, list[float]]]:
    """Return the times of every variant in microseconds: single rows by a client and in the server, bulk per row."""
    figures: dict[str, dict[str, list[float]]] = {
        variant: {"first": [], "single": [], "server": [], "bulk": [], "backfill": []} for variant in VARIANTS
    }
    with connect(url, autocommit=True) as control:
        versions = prepare(control)
        events = control.execute(
            "SELECT symbol, ts FROM price_bars WHERE symbol <> 'FB' ORDER BY md5(ts::text)"
        ).fetchall()
        for number in range(rounds):
            chosen = events[number * singles : (number + 1) * singles]
            for variant in VARIANTS:
                switch(control, variant, versions)
                times = figures[variant]
                with connect(url, autocommit=True) as session:
                    for place, event in enumerate(chosen):
                        started = time.perf_counter()
                        session.execute(INSERT, event, prepare=place > 0)
                        elapsed = (time.perf_counter() - started) * 1e6
                        if place == 0:
                            times["first"].append(elapsed)
                        elif place > WARM_UP:
                            times["single"].append(elapsed)
                    row = session.execute("CALL insert_one_by_one(%s, '{}')", (WARM_UP + singles,)).fetchone()
                    times["server"] += row[0][WARM_UP:] if row else []
                    started = time.perf_counter()
                    session.execute(BULK, (bulk,))
                    times["bulk"].append((time.perf_counter() - started) / bulk * 1e6)
                    if variant in versions:
                        control.execute("UPDATE ml_settings SET enabled = false")
                        control.execute("TRUNCATE pattern_events")
                        session.execute(BULK, (bulk,))
                        control.execute("UPDATE ml_settings SET enabled = true")
                        started = time.perf_counter()
                        session.execute("SELECT ml.backfill(%s)", (bulk,))
                        times["backfill"].append((time.perf_counter() - started) / bulk * 1e6)
    return figures


def show(figures: dict[str, dict[str, list[float]]], console: Console) -> None:
    """Print the figures as a table; ratios are to the variant without triggers."""
    table = Table(box=None, pad_edge=False)
    table.add_column("microseconds")
    for name in ("first call", "p50", "p95", "p99", "in server", "ratio", "bulk/row", "ratio", "backfill/row"):
        table.add_column(name, justify="right")
    base_server = np.median(figures["no trigger"]["server"])
    base_bulk = np.median(figures["no trigger"]["bulk"])
    for variant, times in figures.items():
        p50, p95, p99 = np.percentile(times["single"], [50, 95, 99])
        bulk = np.median(times["bulk"])
        table.add_row(
            variant, f"{np.median(times['first']):,.0f}", f"{p50:,.0f}", f"{p95:,.0f}", f"{p99:,.0f}",
            f"{np.median(times['server']):,.0f}", f"{np.median(times['server']) / base_server:.1f}", f"{bulk:,.1f}", f"{bulk / base_bulk:.1f}",
            f"{np.median(times['backfill']):,.1f}" if times["backfill"] else "",
        )  # fmt: skip
    console.print(table)


def main() -> None:
    """Measure on a throw-away server and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--singles", type=int, default=400, help="single-row INSERTs of a variant in a round")
    parser.add_argument("--bulk", type=int, default=4000, help="rows of a bulk INSERT")
    parser.add_argument("--json", type=Path, help="write all times to this file")
    options = parser.parse_args()
    with ThrowawayServer() as server:
        url = f"postgresql://{server.user}@:{server.port}/postgres?host={server.host}"
        upgrade(url)
        figures = measure(url, options.rounds, options.singles, options.bulk)
    if options.json:
        options.json.write_text(json.dumps(figures))
    show(figures, Console(width=120))


if __name__ == "__main__":
    main()
