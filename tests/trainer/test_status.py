"""trainer status: what is unknown is said, never a crash."""

import json
import re
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from alembic.command import upgrade
from rich.console import Console
from support import add_bars, go_live, insert_event, install_model

from trainer.cli import main
from trainer.dashboard.macros import TimeRange
from trainer.dashboard.page import render, take_snapshot
from trainer.dashboard.panels import dashboard_file, read_dashboard
from trainer.migrations import alembic_config
from trainer.status import next_steps, print_counts, print_health, print_monitoring, status


@pytest.fixture
def told(db):
    def tell():
        found, output = status(db), StringIO()
        console = Console(file=output, width=120)
        print_health(found["health"], console)
        print_counts(found, console)
        return output.getvalue()

    return tell


def test_an_empty_settings_table_is_said(db, told):
    db.execute("DELETE FROM ml_settings")
    text = told()
    assert text.startswith("critical\n  ml_settings has no row")
    assert "rollout unknown" in text


def test_every_value_may_be_unknown(db):
    health = status(db)["health"]
    needed = {"status": "critical", "problems": []}
    print_health({**dict.fromkeys(health), **needed}, Console(file=StringIO()))


def test_a_challenger_and_an_open_breaker_are_told(db, told):
    add_bars(db)
    go_live(db)
    assert "challenger" not in told()
    install_model(db, "next", probability=0.2)
    db.execute("SELECT ml.set_challenger('next', 'test')")
    insert_event(db)
    text = told()
    assert "challenger        next, in shadow" in text
    assert "1 live by ML, 0 live by the rule alone, 0 backfilled, 1 in shadow" in text
    db.execute("SELECT ml.set_challenger('next', 'test', 5)")
    db.execute(
        "INSERT INTO ml_deployments (action, version, reason) VALUES ('breaker_open', 'toy', '4 of 20 calls failed')"
    )
    text = told()
    assert text.startswith("critical\n  the circuit breaker is open since")
    assert "(4 of 20 calls failed)" in text
    assert "challenger        next, canary 5 %" in text
    assert "circuit breaker   open" in text


def test_few_attempts_are_not_judged(db, told):
    assert "no live prediction was for ML to make" in told()
    add_bars(db)
    insert_event(db)  # disabled
    go_live(db)
    insert_event(db)
    text = told()
    assert "1 live prediction for ML to make: too few to judge" in text
    assert "predictions       2: 1 live by ML, 1 live by the rule alone, 0 backfilled" in text
    for _ in range(18):
        insert_event(db)
    insert_event(db, symbol="NONE")
    assert "20 live predictions for ML to make, fallbacks 5.0% (bar_missing 1)" in told()
    assert (
        "predictions       21: 19 live by ML, 1 live that fell back, 1 live by the rule alone, 0 backfilled" in told()
    )
    lines = told().splitlines()
    assert all(line.startswith("  ") and line[2] != " " for line in lines[1:])


# --------------------------------------------------------------------------------------------------- monitoring

NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
SETTINGS = {
    "latency_target_ms": 75, "fallback_warning_rate": 0.1, "fallback_alert_rate": 0.2, "error_warning_rate": 0.05,
    "error_alert_rate": 0.1, "cache_hit_target_rate": 0.8, "cache_hit_alert_rate": 0.6,
}  # fmt: skip


def ago(**passed):
    return (NOW - timedelta(**passed)).isoformat()


def monitoring(width=120, colours=False, encoding="utf-8", **found):
    stream = TextIOWrapper(BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, force_terminal=colours, color_system="standard" if colours else None)
    print_monitoring({"health": {}, **found}, console, NOW)
    stream.seek(0)
    return stream.read()


def test_a_database_that_has_no_monitoring_yet_prints_none_of_it():
    assert monitoring() == ""
    assert (
        monitoring(settings=None, metrics=None, alerts=None, drift=None, performance=None, health={"attempted": 50})
        == ""
    )


@pytest.mark.parametrize(
    ("rates", "lines"),
    [
        ({"fallback_rate": 0.05}, ["fallbacks         \x1b[32m5.0%\x1b[0m  target below 10%, alert above 20%"]),
        ({"fallback_rate": 0.1}, ["\x1b[32m10.0%"]),
        ({"fallback_rate": 0.11}, ["\x1b[33m11.0%"]),
        ({"error_rate": 0.2}, ["errors            \x1b[31m20.0%\x1b[0m  target below 5%, alert above 10%"]),
        ({"cache_hit_rate": 0.81}, ["cache hits        \x1b[32m81.0%\x1b[0m  target above 80%, alert below 60%"]),
        ({"cache_hit_rate": 0.7}, ["\x1b[33m70.0%"]),
        ({"cache_hit_rate": 0.5, "sla_compliance": 0.995}, ["\x1b[31m50.0%", "within 75 ms      99.5% of the calls"]),
        ({"fallback_rate": 0.5, "attempted": 19}, []),
    ],
)
def test_rates_stand_beside_their_targets(rates, lines):
    text = monitoring(colours=True, health={"attempted": 20, **rates}, settings=SETTINGS)
    assert all(line in text for line in lines)
    assert (text == "") == (not lines)


def test_rates_without_settings_have_no_colour():
    text = monitoring(colours=True, health={"attempted": 20, "fallback_rate": 0.5, "sla_compliance": 1})
    assert [line.split() for line in text.splitlines()] == [
        ["fallbacks", "50.0%"],
        ["within", "target", "100.0%", "of", "the", "calls"],
    ]


def test_the_last_hour_is_a_line_of_blocks():
    history = [{"predictions": count} for count in (0, 1, 7, None, 14)]
    assert "live by minute    ▁▂▅▁█  22 predictions in the hour, at most 14" in monitoring(metrics={"history": history})
    assert "live by minute    _.=_#  22 predictions in the hour" in monitoring(
        metrics={"history": history}, encoding="ascii"
    )
    assert monitoring(metrics={"history": [{"predictions": 0}] * 60}) == ""
    many = [{"predictions": 1}] * 60
    for width in (40, 60, 80, 120, 200):
        text = monitoring(width=width, metrics={"history": many})
        assert max(len(line) for line in text.splitlines()) <= width
        assert "60 predictions in the hour" in " ".join(text.split())


def test_alerts_and_verdicts_are_told():
    alerts = {
        "alerts": [
            {
                "rule": "slow",
                "key": "v1",
                "severity": "warning",
                "since": ago(minutes=30),
                "summary": "p95 is [bold]131 ms.",
            },
            {"rule": "down", "severity": "critical"},
        ],
        "pending": [{}],
    }
    drift = {
        "run_at": ago(hours=10), "measured": 50, "insufficient": 2, "drift": ["a", "b", "c", "d"], "watch": ["e"], "quality": [],
    }  # fmt: skip
    performance = [
        {"kind": "realised", "metric": "roc_auc", "value": 0.571, "verdict": "ok"},
        {"kind": "realised", "metric": "brier", "value": 0.2, "verdict": "degraded"},
        {"kind": "estimated", "metric": "roc_auc", "value": 0.58, "verdict": "insufficient_data"},
        {"kind": "estimated", "metric": "ece", "value": 0.031, "verdict": "no_baseline"},
    ]
    scheduler = {"seen": True, "last_tick_at": ago(seconds=31)}
    text = monitoring(alerts=alerts, drift=drift, performance=performance, health={"scheduler": scheduler})
    assert [line.rstrip() for line in text.splitlines()] == [
        "  alerts            2 firing, 1 pending",
        "                    warning slow v1 for 30 min: p95 is [bold]131 ms.",
        "                    critical down:",
        "  drift             drift in a, b, c and 1 more; watch e (10 h ago)",
        "  performance       realised: ROC-AUC 0.571, Brier score 0.200; degraded: brier",
        "  performance       estimated: calibration error 0.031",
        "  scheduler         last run 31 s ago",
    ]


def test_quiet_verdicts():
    none = {"run_at": ago(days=3), "measured": 50, "insufficient": 0, "drift": [], "watch": [], "quality": []}
    assert "drift             none in 50 distributions (3 d ago)" in monitoring(drift=none)
    assert "drift             too few predictions (3 d ago)" in monitoring(drift=none | {"measured": 0})
    assert "poor data in x" in monitoring(drift=none | {"quality": ["x"]})
    few = [{"kind": "realised", "metric": "roc_auc", "value": None, "verdict": "insufficient_data"}]
    assert "performance       too few outcomes to judge" in monitoring(performance=few)
    assert "alerts            none firing" in monitoring(alerts={"alerts": [], "count": 0})
    assert "the rule slow cannot be evaluated: why" in monitoring(alerts={"alerts": [], "errors": {"slow": "why"}})
    assert "scheduler         never seen" in monitoring(health={"scheduler": {"seen": False, "last_tick_at": None}})
    stopped = {"scheduler": {"seen": False, "last_tick_at": ago(hours=3)}}
    assert "scheduler         last run 3 h ago: stopped" in monitoring(health=stopped)


@pytest.mark.parametrize(
    ("health", "found", "first"),
    [
        ({}, {}, "load bars: python -m trainer load-bars FILE..."),
        ({}, {"bars": 1}, "train a model: python -m trainer fit, then compile, verify, deploy and promote"),
        ({}, {"bars": 1, "models": [{}]}, "promote a model: python -m trainer promote"),
        ({"champion": "v"}, {"bars": 1}, "let ML score new events: SELECT ml.enable('why');"),
        ({"champion": "v", "ml_enabled": True}, {"bars": 0}, "load bars: python -m trainer load-bars FILE..."),
        (
            {"champion": "v", "ml_enabled": True, "events_waiting_for_bars": 3},
            {"bars": 1},
            "when the missing bars are loaded, score the events that wait: python -m trainer backfill",
        ),
        ({"champion": "v", "ml_enabled": True}, {"bars": 1}, "see it drawn: python -m trainer dashboard"),
    ],
)
def test_what_to_do_next(health, found, first):
    assert next_steps({"health": health, **found})[0] == first


def test_the_most_urgent_comes_first():
    health = {
        "champion": "v", "ml_enabled": True, "attempted": 20, "error_rate": 0.5, "fallback_rate": 0.5,
        "scheduler": {"seen": False}, "baseline_set_at": None, "last_prediction_at": ago(hours=1),
    }  # fmt: skip
    found = {"health": health, "settings": SETTINGS, "alerts": {"alerts": [{}]}, "bars": 1}
    assert [step.partition(" ")[0] for step in next_steps(found)] == ["50.0%", "see", "run", "once", "see"]
    first = next_steps(found)[0]
    assert first.startswith("50.0% errors and 50.0% fallbacks: SELECT ml_health() -> 'problems' says why")
    assert "ml.rollback('why')" in first
    for quiet in ({"attempted": 19}, {"ml_enabled": False}, {"error_rate": 0.1, "fallback_rate": 0.2}):
        assert next_steps(found | {"health": health | quiet, "settings": SETTINGS})[0].startswith(
            "see what to do about"
        )
    assert next_steps(found | {"settings": None, "alerts": None})[0].startswith("run")


def test_a_scheduler_and_a_baseline_are_advised_when_they_are_missing():
    live = {"champion": "v", "ml_enabled": True, "last_prediction_at": ago(hours=1)}
    steps = next_steps({"health": live | {"scheduler": {"seen": False}, "baseline_set_at": None}, "bars": 1})
    assert [step.partition(":")[0] for step in steps] == [
        "run python -m trainer tick every minute, and nightly every night, from cron or pg_cron",
        "once live scoring is as it should be, keep that as the baseline",
        "see it drawn",
    ]
    seen = live | {"scheduler": {"seen": True}, "baseline_set_at": ago(days=1)}
    assert len(next_steps({"health": seen, "bars": 1})) == 1


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["status", *arguments])
    return ended.value.code, capsys.readouterr().out


def test_the_verb_tells_all_of_it(db, db_url, capsys):
    add_bars(db)
    go_live(db)
    for _ in range(25):
        insert_event(db)
    code, text = run(capsys, "--database-url", db_url)
    assert code == 0
    assert "fallbacks" in text
    assert "target below 10%" in text
    assert "alerts" in text
    assert "see it drawn: python -m trainer dashboard" in " ".join(text.split())
    code, text = run(capsys, "--database-url", db_url, "--json")
    found = json.loads(text)
    assert {
        "health",
        "bars",
        "events",
        "scored",
        "labelled",
        "confirmed",
        "predictions",
        "predictions_by",
        "models",
    } <= set(found)
    assert found["settings"]["latency_target_ms"] == 75
    assert found["alerts"]["count"] == 0
    assert found["drift"] is None
    assert found["performance"] is None


def test_a_critical_status_is_not_an_unknown_one(db, db_url, empty_db_url, capsys):
    db.execute("DELETE FROM ml_settings")
    assert run(capsys, "--database-url", db_url)[0] == 1
    for url, said in (
        (empty_db_url, "trainer migrate"),
        ("postgresql://desk:s3cr3t@127.0.0.1:1/desk", "trainer: No PostgreSQL server answers at 127.0.0.1:1"),
        ("https://example.org", "does not name a PostgreSQL database"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["status", "--database-url", url])
        assert ended.value.code == 4
        errors = capsys.readouterr().err
        assert said in errors and errors.count("\n") == 1


def test_a_database_before_monitoring_is_told_too(empty_db, empty_db_url, capsys):
    upgrade(alembic_config(empty_db_url), "0014")
    add_bars(empty_db)
    go_live(empty_db)
    for _ in range(20):
        insert_event(empty_db)
    code, text = run(capsys, "--database-url", empty_db_url)
    assert code == 0
    assert "target below 10%" in text
    assert not {"alerts", "scheduler", "drift"} & {line.split()[0] for line in text.splitlines()}
    found = json.loads(run(capsys, "--database-url", empty_db_url, "--json")[1])
    assert [found[name] for name in ("metrics", "alerts", "drift", "performance")] == [None] * 4
    assert found["settings"]["latency_target_ms"] == 75
    # The page names what is missing and what to do, and draws the rest.
    dashboard = read_dashboard(dashboard_file())
    now = datetime.now(UTC)
    snapshot = take_snapshot(empty_db, dashboard, TimeRange(now - timedelta(hours=1), now))
    page = render(dashboard, snapshot)
    assert "does not exist. The database may be at an older schema: run `python -m trainer migrate`" in page
    assert snapshot.overview.status == "healthy"


def test_drift_and_performance_of_the_champion_are_told(db, told):
    add_bars(db)
    go_live(db)
    install_model(db, "next")
    db.execute(
        "INSERT INTO ml_baselines (model_version, window_from, window_to, predictions, sources)"
        " VALUES ('toy', now() - interval '1 h', now(), 1, '{insert}')"
    )
    for version, hours, feature, verdict in (
        ("toy", 2, "old", "drift"), ("toy", 1, "rsi_14", "drift"), ("toy", 1, "adx_14", "ok"), ("next", 0, "foreign", "drift"),
    ):  # fmt: skip
        db.execute(
            "INSERT INTO ml_drift (run_at, model_version, baseline_id, window_from, window_to, subject, feature, method, value,"
            " n_baseline, n_current, verdict, quality_verdict) SELECT date_trunc('minute', now()) - %s * interval '1 h', %s, baseline_id, now(), now(),"
            " 'feature', %s, 'jensen_shannon', 0.4, 1, 1, %s, 'ok' FROM ml_baselines",
            (hours, version, feature, verdict),
        )
    db.execute(
        "INSERT INTO ml_performance (run_at, model_version, kind, metric, window_from, window_to, predictions, labelled, value,"
        " verdict) VALUES (now(), 'toy', 'realised', 'roc_auc', now(), now(), 9, 9, 0.61, 'ok')"
    )
    found, stream = status(db), StringIO()
    print_monitoring(found, Console(file=stream, width=120))
    text = stream.getvalue()
    assert re.search(r"drift in rsi_14 \(\d+ min ago\)", text)
    assert "realised: ROC-AUC 0.610" in text
