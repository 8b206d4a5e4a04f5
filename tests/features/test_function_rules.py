"""Rules that hold for every function here, read from the catalogs of the database."""

from typing import Any

import psycopg
import pytest

FUNCTIONS = {
    "compute_event_features",
    "feature_array",
    "maintain_bar_indicators",
    "recompute_bar_indicators",
    "refresh_bar_indicators",
}


def _functions(db: psycopg.Connection[Any]) -> dict[str, tuple[Any, ...]]:
    rows = db.execute(
        """
        SELECT p.proname, p.provolatile::text, p.prosecdef, coalesce(p.proconfig, '{}'), p.prosrc, p.proacl::text,
            obj_description(p.oid, 'pg_proc')
        FROM pg_proc AS p WHERE p.pronamespace = 'ml'::regnamespace AND p.proname = ANY (%s)
        """,
        [list(FUNCTIONS)],
    ).fetchall()
    assert {row[0] for row in rows} == FUNCTIONS
    return {row[0]: row[1:] for row in rows}


def test_the_path_of_an_event_keeps_one_snapshot_and_catches_nothing(db: psycopg.Connection[Any]) -> None:
    functions = _functions(db)
    assert functions["compute_event_features"][0] == "s"
    assert functions["feature_array"][0] == "i"
    source = functions["compute_event_features"][3].upper()
    assert "EXCEPTION" not in source
    assert "ASSERT" not in source


def test_definer_functions_are_closed(db: psycopg.Connection[Any]) -> None:
    for name, (_, definer, settings, _, rights, comment) in _functions(db).items():
        assert comment, name
        assert rights is not None and not any(item.startswith("=") for item in rights.strip("{}").split(",")), name
        if definer:
            assert "search_path=pg_catalog, pg_temp" in settings, name


def test_feature_array_is_inlined(db: psycopg.Connection[Any]) -> None:
    plan = db.execute(
        """
        EXPLAIN (VERBOSE, COSTS OFF)
        SELECT ml.feature_array(v) FROM (SELECT NULL::ml.feature_vector AS v FROM generate_series(1, 2) OFFSET 0) AS s
        """
    ).fetchall()
    text = " ".join(row[0] for row in plan)
    assert "ARRAY[" in text
    assert "feature_array" not in text


def test_the_bar_is_found_by_the_index_however_small_the_tables_were(db: psycopg.Connection[Any]) -> None:
    """A plan made while the tables were empty and vacuumed must not read them whole when they are not."""
    db.execute("VACUUM ANALYZE ml.bar_indicators, ml.bar_states, ml.pattern_types, ml_timeframes, price_bars")
    call = """
        SELECT count((r.features).rsi_14) FROM price_bars AS b, LATERAL ml.compute_event_features(
            ROW('A', '1d', 'hammer', NULL, b.ts, NULL, NULL, NULL, NULL, NULL, NULL)::ml.event_inputs
        ) AS r
    """
    db.execute("INSERT INTO price_bars VALUES ('A', '1d', '2019-01-01', 1, 1, 1, 1, 1)")
    db.execute(call)
    db.execute(
        """
        INSERT INTO price_bars
        SELECT 'A', '1d', '2019-01-01'::timestamptz + k * interval '1 day', 5, 6 + k % 3, 4, 5 + k % 2, 1
        FROM generate_series(1, 3000) AS k
        """
    )
    scans = "SELECT pg_stat_get_xact_tuples_returned('ml.bar_indicators'::regclass)"
    with db.transaction():
        assert db.execute(call).fetchone()[0] > 2900
        assert db.execute(scans).fetchone()[0] == 0  # tuples returned by sequential scans


def test_plpgsql_check_finds_nothing(db: psycopg.Connection[Any]) -> None:
    available = db.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'plpgsql_check'").fetchone()[0]
    if not available:
        pytest.skip("this server has no plpgsql_check")
    db.execute("CREATE EXTENSION plpgsql_check")
    findings = db.execute(
        """
        SELECT p.proname, c.*
        FROM pg_proc AS p
        CROSS JOIN LATERAL plpgsql_check_function_tb(
            p.oid, CASE WHEN p.prorettype = 'trigger'::regtype THEN 'price_bars'::regclass ELSE 0 END,
            oldtable => CASE WHEN p.prorettype = 'trigger'::regtype THEN 'old_bars' END,
            newtable => CASE WHEN p.prorettype = 'trigger'::regtype THEN 'changed_bars' END,
            security_warnings => true, extra_warnings => true, performance_warnings => true
        ) AS c
        WHERE p.pronamespace = 'ml'::regnamespace AND p.proname = ANY (%s)
            AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'plpgsql')
        """,
        [list(FUNCTIONS)],
    ).fetchall()
    assert findings == []
