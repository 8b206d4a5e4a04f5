"""Views of panels: their columns, their numbers against pandas, and what a filter on time reads."""

import math
import re
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest
from panel_data import DAY, LIVE, add_drift, add_outcomes, add_performance, add_transitions, frame, now
from prediction_log import log, prediction, random_predictions
from support import add_bars, go_live, insert_event, one, rows, value

SQL = Path(__file__).parents[2] / "sql"
VIEWS = sorted(file.stem for file in (SQL / "monitoring" / "panels").glob("v_ml_*.sql"))

# A view gives its reader no right on the functions that it calls.
FUNCTIONS = (
    "ml.histogram_quantile", "ml.merge_histograms", "ml.metrics_by_minute", "ml.metrics_by_hour",
    "ml.summarize_outcomes", "ml.summarize_adoption",
)  # fmt: skip


def view(db, name, where="true"):
    """Return a view as a data frame."""
    cursor = db.execute(f"SELECT * FROM ml.{name} WHERE {where}")
    return pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description])


def same(actual, expected, keys, **tolerance):
    """Say that two data frames have the same rows by their keys, and the same numbers."""
    actual = actual.set_index(keys)[expected.columns.drop(keys)].sort_index()
    expected = expected.set_index(keys).sort_index()
    pd.testing.assert_frame_equal(
        actual.astype(float), expected.astype(float), check_index_type=False, check_names=False, **tolerance
    )


@pytest.fixture(params=["never rolled up", "rolled up", "rolled up half way"])
def logged(request, db):
    """A log of two days with some busy minutes, of which all, half or nothing is rolled up."""
    predictions = random_predictions(600, now() - 2 * DAY, 2 * DAY - timedelta(seconds=5), seed=4)
    for hours in (30, 3):
        predictions += random_predictions(250, now() - timedelta(hours=hours), timedelta(minutes=3), seed=hours)
    early = [row for row in predictions if row["predicted_at"] < now() - DAY]
    late = [row for row in predictions if row["predicted_at"] >= now() - DAY]
    log(db, early)
    if request.param == "rolled up half way":
        # A run that was for yesterday: what is later is counted from the log.
        assert value(db, "SELECT ml.roll_up(now() - interval '1 day')")["status"] == "done"
    log(db, late)
    if request.param == "rolled up":
        value(db, "SELECT ml.roll_up()")
    return frame(predictions)


# ------------------------------------------------------------------------------------------------- columns


def test_there_is_a_view_for_each_panel_of_the_contract(db):
    there = {row["name"] for row in rows(db, "SELECT viewname::text AS name FROM pg_views WHERE schemaname = 'ml'")}
    assert len(VIEWS) == 21
    assert set(VIEWS) <= there


def test_columns_are_time_then_labels_then_numbers_with_their_units(db):
    for name in VIEWS:
        columns = rows(
            db,
            "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,"
            " col_description(a.attrelid, a.attnum) AS comment"
            " FROM pg_attribute AS a WHERE a.attrelid = %s::regclass AND a.attnum > 0 ORDER BY a.attnum",
            f"ml.{name}",
        )
        letters = {"timestamp with time zone": "t", "text": "l", "double precision": "n", "bigint": "n", "integer": "n"}
        kinds = "".join(letters[column["type"]] for column in columns)
        assert re.fullmatch("tl*n+", kinds), name
        assert columns[0]["name"] == "time", name
        said = {column["name"]: column["comment"] for column in columns if letters[column["type"]] != "l"}
        assert all(said.values()), (name, said)


def test_an_empty_database_has_no_rows_or_one(db):
    for name in VIEWS:
        found = view(db, name)
        if name in {"v_ml_memory", "v_ml_io"}:
            assert (found["time"] <= now()).all()
        else:
            assert len(found) == {"v_ml_active": 1, "v_ml_network": 1}.get(name, 0), name


def test_readers_need_no_right_on_the_tables_below(db):
    log(db, random_predictions(20, now() - DAY, DAY))
    with db.transaction(force_rollback=True):
        db.execute("CREATE ROLE panel_reader; GRANT USAGE ON SCHEMA ml TO panel_reader")
        for function in FUNCTIONS:
            db.execute(f"GRANT EXECUTE ON FUNCTION {function} TO panel_reader")
        for name in VIEWS:
            db.execute(f"GRANT SELECT ON ml.{name} TO panel_reader")
        db.execute("SET LOCAL ROLE panel_reader")
        for name in VIEWS:
            db.execute(f"SELECT * FROM ml.{name}")
        for table in ("pattern_events", "ml_predictions", "ml_metrics_1m", "ml_drift", "ml_aliases"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
                db.execute(f"SELECT * FROM {table}")


def test_the_dashboard_role_may_call_what_the_views_call(db):
    for function in FUNCTIONS:
        assert value(
            db, "SELECT bool_and(has_function_privilege('ml_dashboard', p.oid, 'EXECUTE')) FROM pg_proc AS p"
            " WHERE p.oid::regproc::text = %s", function,
        )  # fmt: skip


# ------------------------------------------------------------------------------------------------- numbers of the log


def test_latency_is_that_of_the_log(db, logged):
    timed = logged[logged.live & logged.timed].assign(within=lambda d: d.latency_us <= 75_000)
    groups = timed.groupby(["time", "model_version"])
    expected = pd.DataFrame({
        "mean_ms": groups["latency_us"].mean() / 1000,
        "timed": groups.size(),
        "cold_calls": groups["cold"].sum(),
        "sla_compliance": groups["within"].mean(),
    }).reset_index()  # fmt: skip
    found = view(db, "v_ml_latency_1m")
    same(found, expected, ["time", "model_version"])

    # The call of rank ceil(fraction * n), exactly.
    for column, fraction, calls in (
        ("p50_ms", 0.5, timed[~timed.cold]), ("p95_ms", 0.95, timed[~timed.cold]), ("p99_ms", 0.99, timed[~timed.cold]),
        ("cold_p95_ms", 0.95, timed[timed.cold]),
    ):  # fmt: skip
        exact = calls.groupby(["time", "model_version"])["latency_us"].agg(
            np.quantile, q=fraction, method="inverted_cdf"
        )
        ratio = found.set_index(["time", "model_version"])[column].dropna() / (exact.clip(lower=1) / 1000)
        assert len(ratio) == len(exact)
        assert ratio.between(1 / 1.1181, 1.1181).all()


def test_throughput_is_that_of_the_log(db, logged):
    counted = logged[logged.role != "shadow"].assign(
        used=lambda d: d.attempted & d.fallback_reason.isna(),
        fell_back=lambda d: d.attempted & d.fallback_reason.notna(),
    )
    groups = counted.groupby(["time", "source"])
    expected = pd.DataFrame({
        "predictions": groups.size(),
        "attempted": groups["attempted"].sum(),
        "used": groups["used"].sum(),
        "fallbacks": groups["fell_back"].sum(),
        "errors": groups["error_sqlstate"].count(),
        "per_minute": groups.size(),
    }).reset_index()  # fmt: skip
    same(view(db, "v_ml_throughput_1m"), expected, ["time", "source"])
    calls = view(db, "v_ml_calls")
    by_way = calls.groupby("entry_point")["calls"].sum().to_dict()
    assert by_way == {
        "INSERT INTO pattern_events": (counted.source == "insert").sum(),
        "UPDATE pattern_events": (counted.source == "update").sum(),
        "ml.backfill, ml.rescore": (counted.source == "backfill").sum(),
        "log_ml_prediction": (counted.source == "external").sum(),
    }


def test_cache_hits_are_those_of_the_log(db, logged):
    rescored = logged[logged.live & logged.attempted & (logged.source == "update")]
    groups = rescored.groupby("time")
    expected = pd.DataFrame({
        "rescorings": groups.size(),
        "cache_hits": groups["cache_hit"].sum(),
        "cache_misses": groups.size() - groups["cache_hit"].sum(),
    }).reset_index()  # fmt: skip
    rate = expected["cache_hits"] / expected["rescorings"]
    expected["cache_hit_rate"] = rate.where(expected["rescorings"] >= 20)
    same(view(db, "v_ml_cache_1m"), expected, ["time"])


def test_the_cache_hit_rate_needs_20_rescorings(db):
    at = now().replace(second=0, microsecond=0) - timedelta(hours=1)
    log(db, [prediction(at, source="update", cache_hit=n < 15) for n in range(19)])
    assert view(db, "v_ml_cache_1m")["cache_hit_rate"].tolist() == [None]
    log(db, [prediction(at, source="update", cache_hit=False)])
    assert view(db, "v_ml_cache_1m")["cache_hit_rate"].tolist() == [0.75]


def test_distributions_of_confidence_are_those_of_the_log(db, logged):
    live = logged[logged.live].assign(time=lambda d: d.time.dt.floor("h"))
    edges = np.arange(21) / 20
    expected = []
    for (time, version), group in live.groupby(["time", "model_version"]):
        counts = {}
        for kind in ("ml", "rule", "blended"):
            given = group[f"{kind}_confidence"].astype(float)
            counts[kind] = np.histogram(given[(given >= 0) & (given <= 1)], edges)[0]
        expected += [
            {"time": time, "model_version": version, "bin": f"{edges[n]:.2f}-{edges[n + 1]:.2f}",
             "bin_from": edges[n], **{kind: counts[kind][n] for kind in counts}}
            for n in range(20)
        ]  # fmt: skip
    same(view(db, "v_ml_confidence_hist"), pd.DataFrame(expected), ["time", "model_version", "bin"])


def test_reasons_and_versions_are_those_of_the_log(db, logged):
    without = logged[logged.live & logged.fallback_reason.notna()].assign(
        reason=lambda d: d.fallback_reason, kind=lambda d: np.where(d.role == "rule", "decision", "fallback")
    )
    expected = without.groupby(["time", "reason", "kind"]).size().rename("predictions").reset_index()
    same(view(db, "v_ml_fallback_reasons"), expected, ["time", "reason", "kind"])

    live = logged[logged.source.isin(LIVE)]
    expected = live.groupby(["time", "model_version", "role"]).size().rename("predictions").reset_index()
    same(view(db, "v_ml_versions"), expected, ["time", "model_version", "role"])


def test_time_of_scoring_is_that_of_the_log(db, logged):
    timed = logged[logged.source.isin(LIVE) & logged.timed]
    seconds = timed.groupby(["time", "model_version"])["latency_us"].sum().astype(float) / 1e6
    expected = pd.DataFrame({"scoring_seconds": seconds, "busy_share": seconds / 60}).reset_index()
    same(view(db, "v_ml_cpu"), expected, ["time", "model_version"])


def test_roles_beside_each_other_are_those_of_the_log(db, logged):
    scored = logged[logged.source.isin(LIVE) & logged.attempted].assign(time=lambda d: d.time.dt.floor("h"))
    for kind in ("ml", "blended"):
        given = scored[f"{kind}_confidence"].astype(float)
        scored[kind] = given.where((given >= 0) & (given <= 1))
    groups = scored.groupby(["time", "role", "model_version"])
    acted = scored[scored.role != "shadow"].groupby("time").size()
    expected = pd.DataFrame({
        "predictions": groups.size(),
        "fallback_rate": groups["fallback_reason"].count() / groups.size(),
        "error_rate": groups["error_sqlstate"].count() / groups.size(),
        "mean_ml_confidence": groups["ml"].mean(),
        "mean_blended_confidence": groups["blended"].mean(),
    }).reset_index()  # fmt: skip
    expected["share"] = expected["predictions"] / expected["time"].map(acted)
    same(view(db, "v_ml_canary"), expected, ["time", "role", "model_version"])


def test_feature_success_leaves_out_events_without_features(db):
    at = now().replace(second=0, microsecond=0) - timedelta(hours=2)
    reasons = [None] * 6 + ["bar_missing", "bar_missing", "timeframe_unknown", "error", "score_invalid", "breaker_open"]
    log(db, [prediction(at, fallback_reason=reason) for reason in reasons])
    log(db, [prediction(at, role="rule", fallback_reason="disabled"), prediction(at, source="backfill")])
    assert rows(db, "SELECT * FROM ml.v_ml_feature_success") == [
        {"time": at, "attempted": 12, "bar_missing": 2, "timeframe_unknown": 1, "errors": 1, "extracted": 8,
         "success_rate": 8 / 12},
    ]  # fmt: skip


def test_old_series_have_hours_and_count_nothing_twice(db):
    predictions = random_predictions(3000, now() - 20 * DAY, 20 * DAY, seed=8)
    log(db, predictions)
    value(db, "SELECT ml.roll_up(p_limit => 1000000)")
    counted = frame(predictions)
    counted = counted[counted.role != "shadow"]
    found = view(db, "v_ml_throughput_1m")
    assert found["predictions"].sum() == len(counted)

    until = one(db, "SELECT hours_until FROM ml.panel_bounds")["hours_until"]
    assert timedelta(days=2, hours=23) <= now() - until <= timedelta(days=3, hours=1)
    old = counted[counted.time < until]
    expected = old.groupby([old.time.dt.floor("h"), "source"]).size().rename("predictions").reset_index()
    expected["per_minute"] = expected["predictions"] / 60
    same(found[found.time < until], expected, ["time", "source"])
    assert set(view(db, "v_ml_cpu", "time < now() - interval '4 days'")["time"].dt.minute) == {0}


def test_a_pause_of_the_scheduler_leaves_no_gap(db):
    predictions = random_predictions(2000, now() - 12 * DAY, 12 * DAY, seed=9)
    early = [row for row in predictions if row["predicted_at"] < now() - 6 * DAY]
    log(db, early)
    value(db, "SELECT ml.roll_up(now() - interval '6 days', 1000000)")
    log(db, [row for row in predictions if row["predicted_at"] >= now() - 6 * DAY])
    expected = sum(row["role"] != "shadow" for row in predictions)
    for view_name, column in (("v_ml_throughput_1m", "predictions"), ("v_ml_calls", "calls")):
        assert view(db, view_name)[column].sum() == expected
    hist = view(db, "v_ml_confidence_hist")
    live = [row for row in predictions if row["source"] in LIVE and row["role"] != "shadow"]
    assert hist["rule"].sum() == sum(
        row["rule_confidence"] is not None and 0 <= row["rule_confidence"] <= 1 for row in live
    )


@pytest.mark.parametrize("kept", ["1 day", "30 days"])
def test_every_step_of_catching_up_shows_the_whole_log(db, kept):
    """However far the roll-ups are, in hours or in minutes, each prediction is counted once."""
    db.execute("UPDATE ml_settings SET retention_metrics_1m = %s", (kept,))
    predictions = random_predictions(1200, now() - 12 * DAY, 12 * DAY, seed=12)
    log(db, predictions)
    expected = sum(row["role"] != "shadow" for row in predictions)
    live = [row for row in predictions if row["source"] in LIVE and row["role"] != "shadow"]
    rules = sum(row["rule_confidence"] is not None and 0 <= row["rule_confidence"] <= 1 for row in live)
    calls = 0
    while True:
        assert value(db, "SELECT sum(predictions)::bigint FROM ml.v_ml_throughput_1m") == expected
        assert value(db, "SELECT sum(rule)::bigint FROM ml.v_ml_confidence_hist") == rules
        left = value(db, "SELECT ml.roll_up(p_limit => 250)")["left_minutes"]
        calls += 1
        if left == 0:
            break
    assert calls > 3
    assert value(db, "SELECT sum(predictions)::bigint FROM ml.v_ml_throughput_1m") == expected


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Pacific/Chatham"])
def test_no_setting_of_the_session_changes_a_row(db, zone):
    log(db, random_predictions(500, now() - 10 * DAY, 10 * DAY, seed=5))
    value(db, "SELECT ml.roll_up(p_limit => 1000000)")
    names = ["v_ml_throughput_1m", "v_ml_confidence_hist", "v_ml_canary", "v_ml_accuracy", "v_ml_adoption"]
    queries = [
        f"SELECT x::text FROM (SELECT extract(epoch FROM time), v.* FROM ml.{n} AS v) x ORDER BY 1" for n in names
    ]
    db.execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'")
    epochs = [f"SELECT array_agg(extract(epoch FROM time) ORDER BY time) FROM ml.{name}" for name in names]
    before = [value(db, query) for query in epochs]
    assert all(db.execute(query).fetchall() is not None for query in queries)
    db.execute(f"SET TimeZone = '{zone}'; SET DateStyle = 'German'; SET extra_float_digits = -15; SET search_path = ''")
    assert [value(db, query) for query in epochs] == before


def test_a_filter_on_time_reaches_the_index_of_what_is_stored(db):
    log(db, random_predictions(300, now() - 10 * DAY, 10 * DAY))
    value(db, "SELECT ml.roll_up(p_limit => 1000000)")
    db.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    for name in ("v_ml_latency_1m", "v_ml_throughput_1m", "v_ml_fallback_reasons", "v_ml_versions", "v_ml_cpu"):
        plan = "\n".join(
            line for (line,) in db.execute(
                f"EXPLAIN SELECT * FROM ml.{name} WHERE time BETWEEN '2026-01-02T03:04:05Z' AND '2026-01-02T04:04:05Z'"
            )
        )  # fmt: skip
        conditions = [line for line in plan.splitlines() if "Index Cond" in line and "2026-01-02 04:04:05" in line]
        assert len(conditions) == 2, plan


# ------------------------------------------------------------------------------------------------- outcomes


def judged(data, threshold=0.55):
    """Return the predictions that count: acted on, scored, the first of each event and day."""
    for kind in ("ml", "blended"):
        data[kind] = data[f"{kind}_confidence"].astype(float)
    counted = data[
        data.source.isin(LIVE) & data.role.isin(["champion", "challenger"]) & data.fallback_reason.isna()
        & data.ml.between(0, 1) & data.blended.between(0, 1)
    ].sort_values("predicted_at").drop_duplicates(["time", "event_id"])  # fmt: skip
    known = counted.outcome_label.isin(["win", "loss", "timeout"])
    return counted.assign(
        known=known, won=known & (counted.outcome_label == "win"), confirmed=counted.blended >= threshold,
        tenth=np.minimum(np.floor(counted.ml * 10).astype(int), 9),
    )  # fmt: skip


def test_accuracy_and_wrong_decisions_are_those_of_log_and_outcomes(db):
    counted = judged(add_outcomes(db))
    keys = ["time", "model_version", "pattern_type"]

    def summary(group):
        known = group[group.known]
        right = (known.won == known.confirmed).sum()
        negatives, positives = (~known.won).sum(), known.won.sum()
        return pd.Series({
            "predictions": len(group), "labelled": len(known), "wins": known.won.sum(), "correct": right,
            "accuracy": right / len(known) if len(known) else np.nan,
            "win_rate": known.won.mean(), "mean_confidence": known.ml.mean(),
            "brier": ((known.ml - known.won) ** 2).mean(),
            "true_positives": (known.won & known.confirmed).sum(), "true_negatives": (~known.won & ~known.confirmed).sum(),
            "false_positives": (~known.won & known.confirmed).sum(), "false_negatives": (known.won & ~known.confirmed).sum(),
            "false_positive_rate": (~known.won & known.confirmed).sum() / negatives if negatives else np.nan,
            "false_negative_rate": (known.won & ~known.confirmed).sum() / positives if positives else np.nan,
        })  # fmt: skip

    expected = counted.groupby(keys).apply(summary, include_groups=False).reset_index()
    wrong = ["true_positives", "true_negatives", "false_positives", "false_negatives",
             "false_positive_rate", "false_negative_rate"]  # fmt: skip
    assert expected["labelled"].sum() > 50
    same(view(db, "v_ml_accuracy"), expected.drop(columns=wrong), keys, atol=1e-12)
    same(view(db, "v_ml_fp_fn"), expected[expected.labelled > 0][keys + wrong], keys, atol=1e-12)


def test_reliability_is_that_of_log_and_outcomes(db):
    counted = judged(add_outcomes(db, seed=6))
    known = counted[counted.known].assign(
        bin=lambda d: [f"{n / 10:.1f}-{(n + 1) / 10:.1f}" for n in d.tenth], bin_from=lambda d: d.tenth / 10
    )
    keys = ["time", "model_version", "pattern_type", "bin", "bin_from"]
    groups = known.groupby(keys)
    expected = pd.DataFrame(
        {"labelled": groups.size(), "wins": groups["won"].sum(), "confidence_sum": groups["ml"].sum()}
    ).reset_index()
    same(view(db, "v_ml_reliability"), expected, keys, atol=1e-12)


def test_adoption_is_that_of_log_and_events(db):
    data = add_outcomes(db, seed=7)
    live = data[data.live & (data.fallback_reason != "disabled")]
    blended = live.blended_confidence.astype(float)
    live = live.assign(
        used=live.attempted & live.fallback_reason.isna(), confirmed=(blended >= 0.55) & (blended < math.inf)
    )
    keys = ["time", "symbol", "pattern_type"]
    groups = live.groupby(keys)
    expected = pd.DataFrame(
        {"predictions": groups.size(), "used": groups["used"].sum(), "confirmed": groups["confirmed"].sum()}
    ).reset_index()
    expected["ml_usage_rate"] = expected["used"] / expected["predictions"]
    same(view(db, "v_ml_adoption"), expected, keys)


def test_the_threshold_of_now_decides(db):
    data = add_outcomes(db, count=200)
    for threshold in (0.2, 0.8):
        db.execute("UPDATE ml_settings SET confidence_threshold = %s", (threshold,))
        counted = judged(data, threshold)
        assert view(db, "v_ml_fp_fn")["true_positives"].sum() == (counted.won & counted.confirmed).sum()


def add_day(db, days, count, event=None):
    """Log so many scores of a day, of as many events; or of one event that is gone."""
    with db.transaction():
        db.execute(
            "CREATE TEMPORARY TABLE drawn ON COMMIT DROP AS"
            " SELECT coalesce(%s, gen_random_uuid()) AS id, n FROM generate_series(1, %s) AS n",
            (event, count),
        )
        if event is None:
            db.execute("ALTER TABLE pattern_events DISABLE TRIGGER USER")
            db.execute(
                "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence, outcome_label)"
                " SELECT id, 'S', '1d', 'doji', now(), 0.5, CASE WHEN n % 4 = 0 THEN 'win' ELSE 'loss' END FROM drawn"
            )
            db.execute("ALTER TABLE pattern_events ENABLE TRIGGER USER")
        db.execute(
            "INSERT INTO ml_predictions (event_id, predicted_at, source, role, model_version, ml_confidence, blended_confidence)"
            " SELECT id, date_trunc('day', %s::timestamptz, 'UTC') + n * interval '1 second', 'insert', 'champion', 'v1',"
            " 0.4, 0.6 FROM drawn",
            (now() - days * DAY,),
        )


def test_only_much_in_thirty_days_is_estimated_from_one_event_in_n(db):
    """A busy day alone is counted; beyond 60,000 predictions in all days, one event in two counts twice."""
    log(db, [prediction((now() - days * DAY).replace(hour=12)) for days in (2, 3, 5)])
    add_day(db, 2, 6000)
    add_day(db, 3, 500)
    for query in ("SELECT * FROM ml.v_ml_accuracy ORDER BY time", "SELECT * FROM ml.v_ml_adoption ORDER BY time"):
        assert [row["predictions"] for row in rows(db, query)] == [500, 6000]
    add_day(db, 5, 60_000, event="5b8f1a34-9f4f-4e21-a4a7-0f54f6f6a001")
    few, many = rows(db, "SELECT * FROM ml.v_ml_accuracy ORDER BY time")
    assert few["predictions"] == pytest.approx(500, rel=0.25)
    for column, truth in (("predictions", 6000), ("labelled", 6000), ("wins", 1500)):
        assert many[column] % 2 == 0
        assert many[column] == pytest.approx(truth, rel=0.12)
    assert many["win_rate"] == pytest.approx(0.25, abs=0.05)
    assert many["mean_confidence"] == pytest.approx(0.4)
    few, many = rows(db, "SELECT * FROM ml.v_ml_adoption ORDER BY time")
    assert many["predictions"] == many["used"] == many["confirmed"] == pytest.approx(6000, rel=0.1)
    assert value(db, "SELECT day_step FROM ml.panel_bounds") == 2


def test_adoption_leaves_out_what_came_while_ml_was_disabled(db):
    add_bars(db)
    insert_event(db)  # disabled
    go_live(db)
    insert_event(db)
    db.execute("SELECT ml.disable('test')")
    insert_event(db)
    found = one(db, "SELECT * FROM ml.v_ml_adoption")
    assert (found["predictions"], found["used"], found["ml_usage_rate"]) == (1, 1, 1)


# ------------------------------------------------------------------------------------------------- the server


def test_scoring_now_is_seen_by_everyone(db, url_of):
    add_bars(db)
    go_live(db)
    with psycopg.connect(url_of(db)) as writer:
        insert_event(writer)
        found = one(db, "SELECT * FROM ml.v_ml_active")
        assert found["writing_transactions"] == 1
        assert found["running_statements"] == 0
        assert found["longest_seconds"] == 0
        db.execute("SET ROLE pg_monitor")
        db.execute("RESET ROLE")
        writer.rollback()
    assert value(db, "SELECT writing_transactions FROM ml.v_ml_active") == 0


def test_a_running_insert_is_counted_until_it_ends(db, url_of):
    with psycopg.connect(url_of(db)) as blocker, psycopg.connect(url_of(db), autocommit=True) as writer:
        blocker.execute("LOCK TABLE pattern_events IN SHARE MODE")
        writer.execute("SET lock_timeout = '30s'")
        with writer.pipeline():
            writer.execute(
                "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
                " VALUES ('T', '1d', 'doji', now(), 0.5)"
            )
            deadline = now() + timedelta(seconds=20)
            while (found := one(db, "SELECT * FROM ml.v_ml_active"))["waiting_statements"] == 0 and now() < deadline:
                pass
            blocker.rollback()
    assert (found["running_statements"], found["waiting_statements"]) == (1, 1)
    assert found["longest_seconds"] >= 0
    assert value(db, "SELECT running_statements FROM ml.v_ml_active") == 0


def test_hidden_sessions_are_counted(db, url_of):
    db.execute("CREATE ROLE panel_reader_of_sessions")
    try:
        with psycopg.connect(url_of(db)) as other, db.transaction(force_rollback=True):
            other.execute("SELECT 1")
            db.execute("GRANT USAGE ON SCHEMA ml TO panel_reader_of_sessions")
            db.execute("GRANT SELECT ON ml.v_ml_active TO panel_reader_of_sessions")
            assert value(db, "SELECT hidden_sessions FROM ml.v_ml_active") == 0
            db.execute("SET LOCAL ROLE panel_reader_of_sessions")
            assert value(db, "SELECT hidden_sessions FROM ml.v_ml_active") >= 1
    finally:
        db.execute("DROP ROLE panel_reader_of_sessions")


def test_sizes_are_those_of_the_catalog(db):
    go_live(db)
    log(db, random_predictions(200, now() - 10 * DAY, 10 * DAY))
    found = view(db, "v_ml_memory").set_index(["kind", "name"])["bytes"]
    expected = value(
        db, "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'ml_predictions'::regclass"
    )
    assert found["table", "ml_predictions"] + found["index", "ml_predictions"] == expected
    assert found["index", "price_bars"] == value(db, "SELECT pg_indexes_size('price_bars')")
    assert found["model", "toy"] == value(
        db, "SELECT sum(octet_length(prosrc)) FROM pg_proc WHERE proname IN ('score_toy', 'features_toy')"
    )
    assert not found.index.duplicated().any()


def test_blocks_are_those_of_the_statistics(db):
    db.execute("SELECT count(*) FROM price_bars; SELECT pg_stat_force_next_flush()")
    found = one(db, "SELECT * FROM ml.v_ml_io WHERE table_name = 'price_bars'")
    expected = one(db, "SELECT * FROM pg_statio_user_tables WHERE relname = 'price_bars'")
    kinds = ("heap", "idx", "toast", "tidx")
    assert found["blocks_read"] == sum(expected[f"{kind}_blks_read"] or 0 for kind in kinds)
    assert found["blocks_hit"] == sum(expected[f"{kind}_blks_hit"] or 0 for kind in kinds)
    names = view(db, "v_ml_io")["table_name"]
    assert names.is_unique
    assert not names.str.startswith("ml_predictions_").any()


def test_the_network_carries_no_model(db):
    found = one(db, "SELECT * FROM ml.v_ml_network")
    assert (found["peer"], found["remote_calls"], found["lag_ms"]) == ("model", 0, 0)


# ------------------------------------------------------------------------------------------------- runs of jobs


def test_drift_is_what_runs_stored(db):
    at = now().replace(microsecond=0)
    add_drift(db, at, [("rsi_14", 0.35, "drift"), ("atr_14", None, "insufficient_data")])
    assert rows(db, "SELECT time, feature, verdict, value, n_current FROM ml.v_ml_drift_heatmap ORDER BY feature") == [
        {"time": at, "feature": "atr_14", "verdict": "insufficient_data", "value": None, "n_current": 400},
        {"time": at, "feature": "rsi_14", "verdict": "drift", "value": 0.35, "n_current": 400},
    ]


def test_realised_and_estimated_stand_beside_each_other(db):
    at = now().replace(microsecond=0)
    add_performance(
        db, at,
        [("realised", 0.6, 0.55, 0.65, ""), ("estimated", 0.62, 0.6, 0.64, ""), ("realised", 0.5, None, None, "doji")],
    )  # fmt: skip
    found = rows(db, "SELECT * FROM ml.v_ml_realised_estimated ORDER BY pattern_type")
    shared = {"time": at, "model_version": "v1", "metric": "roc_auc", "baseline": 0.61, "lower_limit": 0.58,
              "upper_limit": None, "labelled": 300}  # fmt: skip
    nothing = dict.fromkeys(("estimated", "estimated_low", "estimated_high", "realised_low", "realised_high"))
    assert found == [
        {**shared, "pattern_type": "all", "realised": 0.6, "realised_low": 0.55, "realised_high": 0.65,
         "estimated": 0.62, "estimated_low": 0.6, "estimated_high": 0.64},
        {**shared, **nothing, "pattern_type": "doji", "realised": 0.5},
    ]  # fmt: skip


def test_alerts_are_repeated_every_hour_while_they_last(db):
    start = now().replace(minute=10, second=0, microsecond=0) - timedelta(hours=5)
    steps = [
        ("slow", "normal", "pending", 0), ("slow", "pending", "firing", 5), ("slow", "firing", "resolved", 150),
        ("slow", "resolved", "normal", 210), ("drops", "normal", "firing", 200),
    ]  # fmt: skip
    add_transitions(db, start, steps)
    slow = rows(db, "SELECT time, state, state_code FROM ml.v_ml_alert_timeline WHERE rule = 'slow' ORDER BY time")
    minutes = [(round((row["time"] - start).total_seconds() / 60), row["state"]) for row in slow]
    assert minutes == [
        (0, "pending"), (5, "firing"), (50, "firing"), (110, "firing"), (150, "resolved"), (210, "normal"),
    ]  # fmt: skip
    assert [row["state_code"] for row in slow] == [1, 2, 2, 2, 3, 0]
    drops = rows(db, "SELECT time, state FROM ml.v_ml_alert_timeline WHERE rule = 'drops' ORDER BY time")
    assert {row["state"] for row in drops} == {"firing"}
    assert now() - drops[-1]["time"] < timedelta(minutes=1)
    assert max(b["time"] - a["time"] for a, b in pairwise(drops)) <= timedelta(hours=1)
