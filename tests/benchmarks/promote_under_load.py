"""Writers insert events while the champion is switched to and fro: no insert fails, none waits, none is split.

Run it with ``python tests/benchmarks/promote_under_load.py --seconds 60 --writers 16``; ``--json`` prints the figures
only. Without ``--database-url`` it uses a throw-away server; with it, a migrated database with two models, whose events
are deleted. A quarter of the time goes by before the first switch, for comparison. Exit code 1 when a statement failed,
mixed two models or waited for a switch, or when a prediction is neither in the log nor among the drops.
"""

import argparse
import json
import random
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from typing import Any

import numpy as np
import psycopg

from trainer.bars import load_bars
from trainer.database import connect
from trainer.migrations import upgrade
from trainer.resources import sample_bars
from trainer.server import ThrowawayServer

INSERT = (
    "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence, metadata)"
    " SELECT b.symbol, '1d', 'bullish_engulfing', b.ts, 0.7, jsonb_build_object('statement', %s::text)"
    " FROM unnest(%s::text[], %s::timestamptz[]) AS b (symbol, ts)"
)
# One row per statement: how many rows, how many of them logged, by how many versions.
STATEMENTS = """
    SELECT
        count(*) AS statements,
        coalesce(sum(s.events), 0)::bigint AS events,
        coalesce(sum(s.logged), 0)::bigint AS logged,
        count(*) FILTER (WHERE s.versions > 1) AS mixed,
        coalesce(sum(s.fallbacks), 0)::bigint AS fallbacks
    FROM (
        SELECT
            count(*) AS events,
            count(log.id) AS logged,
            greatest(
                count(DISTINCT coalesce(event.model_version, '')), count(DISTINCT log.model_version)
            ) AS versions,
            count(log.fallback_reason) AS fallbacks
        FROM pattern_events AS event
        LEFT JOIN ml_predictions AS log ON log.event_id = event.id
        GROUP BY event.metadata ->> 'statement'
    ) AS s
"""
WAITING = (
    "SELECT wait_event, %s = ANY (pg_blocking_pids(pid)) FROM pg_stat_activity"
    " WHERE application_name = 'writer' AND wait_event_type = 'Lock' AND datname = current_database()"
)


class Load:
    """Writers, one switcher and one observer, and what they have seen."""

    def __init__(self, url: str, most_rows: int) -> None:
        self.url = url
        self.most_rows = most_rows
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.waits: dict[bool, list[float]] = {False: [], True: []}  # by whether switches were going on; milliseconds
        self.switches: dict[str, list[float]] = {"promote": [], "rollback": []}
        self.failed: list[str] = []
        self.switching = False
        self.switcher_pid = 0
        self.samples = self.blocked = 0
        self.other_waits: Counter[str] = Counter()

    def write(self, bars: list[tuple[Any, ...]], seed: int) -> None:
        """Insert one to ``most_rows`` events by a statement, again and again."""
        chance = random.Random(seed)  # noqa: S311  a workload, no secret
        with connect(self.url, autocommit=True) as session:
            session.execute("SET application_name = 'writer'")
            session.execute("SET statement_timeout = '30s'")
            while not self.stop.is_set():
                chosen = chance.sample(bars, 1 if chance.random() < 0.5 else chance.randint(2, self.most_rows))
                switching = self.switching
                started = time.perf_counter()
                try:
                    session.execute(INSERT, (str(uuid.uuid4()), [bar[0] for bar in chosen], [bar[1] for bar in chosen]))
                except psycopg.Error as error:
                    with self.lock:
                        self.failed.append(f"insert: {error}")
                with self.lock:
                    self.waits[switching].append((time.perf_counter() - started) * 1e3)

    def switch(self, versions: tuple[str, str], pause: float) -> None:
        """Promote the second version and roll back to the first, again and again."""
        with connect(self.url, autocommit=True) as session:
            self.switcher_pid = session.info.backend_pid
            while not self.stop.is_set():
                for name, query, arguments in (
                    ("promote", "SELECT ml.promote(%s, %s, 'under load')", (versions[1], versions[0])),
                    ("rollback", "SELECT ml.rollback('under load')", ()),
                ):
                    started = time.perf_counter()
                    try:
                        session.execute(query.encode(), arguments)
                    except psycopg.Error as error:
                        self.failed.append(f"switch: {error}")
                        return
                    self.switches[name].append((time.perf_counter() - started) * 1e3)
                    time.sleep(pause)

    def observe(self) -> None:
        """Count writers that wait for a lock, and those that wait for one of the switcher's."""
        with connect(self.url, autocommit=True) as session:
            while not self.stop.wait(0.02):
                self.samples += 1
                for kind, for_a_switch in session.execute(WAITING, (self.switcher_pid,)):
                    self.blocked += for_a_switch
                    self.other_waits[kind] += not for_a_switch


def run(url: str, seconds: float, writers: int, most_rows: int, pause: float) -> dict[str, Any]:
    """Run the drill and return its figures; times are in milliseconds."""
    with connect(url, autocommit=True) as control:
        if not control.execute("SELECT EXISTS (SELECT FROM price_bars)").fetchone()[0]:  # type: ignore[index]
            load_bars(control, sample_bars())
        control.execute("TRUNCATE pattern_events, ml_predictions")
        control.execute("SELECT ml.enable('promote_under_load')")
        champion = control.execute("SELECT version FROM ml_aliases WHERE alias = 'champion'").fetchone()
        other = control.execute(
            "SELECT version FROM ml_models WHERE version <> %s ORDER BY created_at DESC, version DESC LIMIT 1", champion
        ).fetchone()
        if champion is None or other is None:
            raise SystemExit("The database needs a champion and one more model: run `python -m trainer migrate`.")
        bars = control.execute("SELECT symbol, ts FROM price_bars WHERE timeframe = '1d' AND symbol <> 'FB'").fetchall()
        load = Load(url, most_rows)
        threads = [threading.Thread(target=load.write, args=(bars, seed)) for seed in range(writers)]
        threads.append(threading.Thread(target=load.observe))
        for thread in threads:
            thread.start()
        time.sleep(seconds / 4)
        load.switching = True
        threads.append(threading.Thread(target=load.switch, args=((champion[0], other[0]), pause)))
        threads[-1].start()
        time.sleep(seconds * 3 / 4)
        load.stop.set()
        for thread in threads:
            thread.join()
        cursor = control.execute(STATEMENTS.encode())
        counted = dict(zip((column.name for column in cursor.description or ()), cursor.fetchone() or (), strict=True))
        dropped = dict(
            control.execute(
                "SELECT error_sqlstate, count(*) FROM ml_log_drops AS d JOIN pattern_events AS e ON e.id = d.event_id GROUP BY 1"
            ).fetchall()
        )
        by_version = dict(
            control.execute("SELECT model_version, count(*) FROM pattern_events GROUP BY 1 ORDER BY 1").fetchall()
        )

    def spread(times: list[float]) -> dict[str, float]:
        named = {"p50": 50, "p99": 99, "longest": 100}
        return {name: round(float(np.percentile(times, q)), 1) for name, q in named.items()} if times else {}

    return {
        "seconds": seconds,
        "writers": writers,
        **counted,
        "events_by_version": by_version,
        "failed": load.failed[:20],
        "failed_statements": len(load.failed),
        "dropped_from_log": dropped,
        "switches": sum(map(len, load.switches.values())),
        "promote_ms": spread(load.switches["promote"]),
        "rollback_ms": spread(load.switches["rollback"]),
        "insert_ms_before": spread(load.waits[False]),
        "insert_ms_during": spread(load.waits[True]),
        "samples": load.samples,
        "waits_for_a_switch": load.blocked,
        "waits_for_other_writers": dict(load.other_waits),
    }


def main() -> int:
    """Run the drill and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--most-rows", type=int, default=40, help="rows of the largest statement")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two switches")
    parser.add_argument("--database-url", help="a database to use up; default: a throw-away server")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON only")
    options = parser.parse_args()
    with ExitStack() as stack:
        url = options.database_url
        if url is None:
            server = stack.enter_context(ThrowawayServer())
            url = f"postgresql://{server.user}@:{server.port}/postgres?host={server.host}"
            upgrade(url)
        figures = run(url, options.seconds, options.writers, options.most_rows, options.pause)
    if options.json:
        print(json.dumps(figures))  # noqa: T201
    else:
        for name, figure in figures.items():
            print(f"{name:<20}{figure}")  # noqa: T201
    fine = not figures["failed_statements"] and not figures["mixed"] and not figures["waits_for_a_switch"]
    recorded = figures["logged"] + sum(figures["dropped_from_log"].values())
    return 0 if fine and recorded == figures["events"] else 1


if __name__ == "__main__":
    sys.exit(main())
