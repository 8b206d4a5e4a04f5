"""Performance of live predictions: which count, what is measured and estimated, and how a run judges it."""

import math
import re
import threading

import numpy as np
import psycopg
import pytest
from performance_data import add_baseline, log_performance
from sklearn import metrics
from support import install_model, one, rows, value

FIRST, END, NEXT = "2026-03-02T00:00:00Z", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"
DECISIONS = ("accuracy", "precision", "recall", "f1", "false_positive_rate", "false_negative_rate")
WORSE_ABOVE = ("false_positive_rate", "false_negative_rate", "brier", "log_loss", "ece")
EVERY_METRIC = (*DECISIONS, "roc_auc", "average_precision", "brier", "log_loss", "ece")


@pytest.fixture
def log(db):
    """Return a database with a champion ``toy`` that has a month of predictions, and outcomes of all of them by END."""
    install_model(db, "toy")
    log_performance(db, "toy", FIRST, days=27, events=1200, pattern_types=("hammer", "Doji", "hammer"))
    return db


def measured(db, window_from=FIRST, window_to=END, **arguments):
    """Return the value of every metric by version, pattern type, score and metric."""
    names = "".join(f", {name} => %s" for name in arguments)
    found = rows(
        db,
        f"SELECT * FROM ml.measure_performance(p_from => %s, p_to => %s{names})",
        window_from,
        window_to,
        *arguments.values(),
    )
    return {(row["model_version"], row["pattern_type"], row["score"], row["metric"]): row for row in found}


def run(db, at=END, window="30 days"):
    """Run and return the stored rows by version, pattern type, kind and metric."""
    report = value(db, "SELECT ml.run_performance(%s, %s)", at, window)
    found = rows(db, "SELECT * FROM ml_performance WHERE run_at = %s", at)
    return report, {(row["model_version"], row["pattern_type"], row["kind"], row["metric"]): row for row in found}


def verdicts(stored, kind, pattern_type="", version="toy"):
    """Return the verdict of each metric."""
    return {key[3]: row["verdict"] for key, row in stored.items() if key[:3] == (version, pattern_type, kind)}


# ----------------------------------------------------------------------------------------------------- measured


def test_each_metric_is_that_of_the_score_that_it_is_about(log):
    found = measured(log)
    data = rows(
        log,
        "SELECT p.*, lower(e.pattern_type) AS pattern_type, e.outcome_label = 'win' AS win FROM ml_predictions AS p"
        " JOIN pattern_events AS e ON e.id = p.event_id",
    )
    for pattern_type in ("", "hammer", "doji"):
        part = [row for row in data if pattern_type in ("", row["pattern_type"])]
        win = np.array([row["win"] for row in part])
        confidence = np.array([row["ml_confidence"] for row in part])
        confirmed = np.array([row["blended_confidence"] for row in part]) >= 0.55
        expected = {
            ("blended_confidence", "accuracy"): metrics.accuracy_score(win, confirmed),
            ("blended_confidence", "precision"): metrics.precision_score(win, confirmed),
            ("blended_confidence", "recall"): metrics.recall_score(win, confirmed),
            ("blended_confidence", "f1"): metrics.f1_score(win, confirmed),
            ("blended_confidence", "true_positives"): int((win & confirmed).sum()),
            ("blended_confidence", "false_positives"): int((~win & confirmed).sum()),
            ("blended_confidence", "false_negatives"): int((win & ~confirmed).sum()),
            ("blended_confidence", "true_negatives"): int((~win & ~confirmed).sum()),
            ("ml_confidence", "roc_auc"): metrics.roc_auc_score(win, confidence),
            ("ml_confidence", "average_precision"): metrics.average_precision_score(win, confidence),
            ("ml_confidence", "brier"): metrics.brier_score_loss(win, confidence),
            ("ml_confidence", "log_loss"): metrics.log_loss(win, confidence),
        }
        for (score, metric), number in expected.items():
            row = found["toy", pattern_type, score, metric]
            assert row["value"] == pytest.approx(number, abs=1e-12), (pattern_type, metric)
            assert (row["predictions"], row["labelled"], row["wins"]) == (len(part), len(part), win.sum())
            assert row["threshold"] == (0.55 if score == "blended_confidence" else None)
    # Each metric once, and both error rates besides.
    assert len(found) == 3 * (len(EVERY_METRIC) + 4)
    only = measured(log, p_pattern_type="DOJI")
    assert {key[1] for key in only} == {"doji"}
    assert only["toy", "doji", "ml_confidence", "roc_auc"] == found["toy", "doji", "ml_confidence", "roc_auc"]


def test_scores_can_be_compared_on_the_same_events(log):
    found = measured(log, p_scores=["ml_confidence", "rule_confidence"], p_threshold=0.5)
    data = rows(log, "SELECT rule_confidence, outcome_label = 'win' AS win FROM pattern_events")
    win, rule = np.array([row["win"] for row in data]), np.array([row["rule_confidence"] for row in data])
    assert found["toy", "", "rule_confidence", "roc_auc"]["value"] == pytest.approx(metrics.roc_auc_score(win, rule))
    assert found["toy", "", "rule_confidence", "accuracy"]["value"] == pytest.approx(
        metrics.accuracy_score(win, rule >= 0.5)
    )
    assert ("toy", "", "rule_confidence", "brier") not in found  # never meant to be a probability
    assert ("toy", "", "ml_confidence", "brier") in found
    assert {key[2] for key in found} == {"ml_confidence", "rule_confidence"}


ADD_PREDICTIONS = """
    INSERT INTO ml_predictions (
        event_id, predicted_at, source, model_version, role, ml_confidence_raw, ml_confidence, rule_confidence,
        blended_confidence
    )
    SELECT event_id, predicted_at + %s::interval, %s, 'toy', %s, 0.99, 0.99, 0.9, 0.95 FROM ml_predictions
"""


@pytest.mark.parametrize(
    ("later", "source", "role"),
    [
        ("0 s", "insert", "shadow"),
        ("-1 s", "backfill", "champion"),
        ("-1 s", "external", "champion"),
        ("-1 s", "insert", "rule"),
        ("1 hour", "update", "champion"),
    ],
)
def test_only_the_first_live_prediction_that_was_acted_on_counts(log, later, source, role):
    before = measured(log)
    log.execute(ADD_PREDICTIONS, (later, source, role))
    assert measured(log) == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE pattern_events SET outcome_label = NULL", "no_outcome"),
        ("UPDATE pattern_events SET outcome_label = 'unclear'", "no_outcome"),
        ("UPDATE pattern_events SET outcome_at = NULL", "no_outcome_time"),
        ("UPDATE pattern_events SET outcome_at = now() + interval '1 day'", "no_outcome"),
        ("INSERT INTO ml_predictions SELECT * FROM ml_predictions WHERE false", None),
    ],
)
def test_outcomes_that_do_not_count_are_left_out(log, change, reason):
    log.execute("SET session_replication_role = replica")
    log.execute(change)
    found = rows(
        log, "SELECT left_out, count(*) AS events FROM ml.prediction_outcomes(p_version => 'toy') GROUP BY left_out"
    )
    assert found == [{"left_out": reason, "events": 1200}]
    row = measured(log).get(("toy", "", "blended_confidence", "accuracy"))
    assert (row is None) if reason else (row["labelled"] == 1200)


def test_a_model_of_another_label_or_in_its_training_window_is_not_measured(db):
    install_model(db, "toy", card={"label": {"name": "D1"}})
    log_performance(db, "toy", FIRST, events=300)
    assert measured(db) == {}
    assert rows(db, "SELECT DISTINCT left_out FROM ml.prediction_outcomes()") == [{"left_out": "other_label"}]
    install_model(db, "early")
    log_performance(db, "early", "2020-06-01T00:00:00Z", events=300)
    assert measured(db, "2020-06-01T00:00:00Z", "2020-07-01T00:00:00Z") == {}
    # Nor estimated: what it has seen, it is sure of.
    assert rows(db, "SELECT * FROM ml.estimate_performance('2020-06-01T00:00:00Z', '2020-07-01T00:00:00Z')") == []


def test_quick_outcomes_alone_do_not_count(log):
    """By the middle of the month the events of the last two days are not judged, though some outcomes are known."""
    at = "2026-03-16T00:00:00Z"
    found = rows(log, "SELECT * FROM ml.prediction_outcomes(p_version => 'toy', p_at => %s)", at)
    assert all(row["predicted_at"].isoformat() <= at.replace("Z", "+00:00") for row in found)
    known = [row for row in found if row["left_out"] is None]
    open_ones = [row for row in found if row["left_out"] == "label_window_open"]
    assert max(row["detected_at"] for row in known) < min(row["detected_at"] for row in open_ones)
    assert len(known) + len(open_ones) < len(found)


def test_versions_are_measured_apart(log):
    install_model(log, "other")
    log_performance(log, "other", FIRST, days=27, events=600, error=2.0, role="challenger", seed=0.1)
    found = measured(log)
    assert (
        found["toy", "", "ml_confidence", "roc_auc"]["value"] > found["other", "", "ml_confidence", "roc_auc"]["value"]
    )
    assert set(measured(log, p_model_version="other")) == {key for key in found if key[0] == "other"}


def test_blank_pattern_types_and_missing_scores_do_not_get_in_the_way(log):
    log.execute("SET session_replication_role = replica")
    log.execute("UPDATE pattern_events SET pattern_type = '' WHERE pattern_type = 'Doji'")
    log.execute(
        "UPDATE ml_predictions SET rule_confidence = 'NaN', blended_confidence = NULL"
        " WHERE event_id IN (SELECT id FROM pattern_events ORDER BY id LIMIT 100)"
    )
    found = measured(log, p_scores=["ml_confidence", "blended_confidence", "rule_confidence"])
    assert {key[1] for key in found} == {"", "(none)", "hammer"}
    assert [found["toy", "", score, "accuracy"]["n"] for score in ("ml_confidence", "blended_confidence")] == [
        1200,
        1100,
    ]
    assert found["toy", "", "rule_confidence", "roc_auc"]["n"] == 1100


def test_the_reliability_table_is_of_the_same_events(log):
    found = rows(log, "SELECT * FROM ml.reliability_table(%s, %s)", FIRST, END)
    assert [row["bin"] for row in found] == list(range(1, 9))
    assert sum(row["events"] for row in found) == 1200
    assert all(row["low"] <= row["mean_probability"] <= row["high"] for row in found)  # it knows the probabilities
    gaps = sum(abs(row["mean_probability"] - row["win_rate"]) * row["events"] for row in found) / 1200
    assert measured(log)["toy", "", "ml_confidence", "ece"]["value"] == pytest.approx(gaps, abs=1e-12)
    blocks = rows(log, "SELECT * FROM ml.reliability_table(%s, %s, p_method => 'equal_count', p_bins => 7)", FIRST, END)
    assert [row["events"] for row in blocks] == [171] * 6 + [174]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("ml.measure_performance(p_threshold => 1.5)", "p_threshold is 1.5: it must be 0 to 1"),
        ("ml.measure_performance(p_threshold => 'NaN')", "p_threshold is NaN: it must be 0 to 1"),
        ("ml.measure_performance(p_scores => '{raw}')", "p_scores is {raw}: it may hold ml_confidence, blended"),
        ("ml.estimate_performance(p_threshold => -1)", "p_threshold is -1: it must be 0 to 1"),
        ("ml.reliability_table(p_bins => 0)", "p_bins is 0: it must be 1 to 10000"),
        ("ml.reliability_table(p_method => 'quantile')", "p_method is quantile: it must be equal_width or equal_count"),
        ("ml.run_performance(NULL)", "p_at is NULL: give the time"),
        ("ml.run_performance('infinity')", "p_at is infinity: give the time"),
        ("ml.run_performance(now(), '0 s')", "p_window is 00:00:00: it must be longer than nothing"),
        ("ml.run_performance(now(), NULL)", "p_window is NULL: it must be longer than nothing"),
        ("ml.store_baseline_performance(7)", "there is no baseline 7: see table ml_baselines"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_a_sentence(log, call, sentence):
    with pytest.raises(psycopg.Error, match=re.escape(sentence)):
        log.execute(f"SELECT * FROM {call}")


# ----------------------------------------------------------------------------------------------------- estimated


def test_what_was_estimated_comes_true_when_the_probabilities_are_right(db):
    """Outcomes take a month longer here: first there are none to measure, and then they lie within the band."""
    install_model(db, "toy")
    log_performance(db, "toy", "2026-02-01T00:00:00Z", days=28, events=2000)
    add_baseline(db, "toy", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")
    log_performance(db, "toy", FIRST, days=30, events=2000, seed=0.9)
    db.execute("SET session_replication_role = replica")
    db.execute("UPDATE pattern_events SET outcome_at = '2026-06-01' WHERE detected_at >= %s", (FIRST,))
    _, stored = run(db)
    estimates = {key[3]: row for key, row in stored.items() if key[2] == "estimated"}
    assert set(verdicts(stored, "realised").values()) == {"insufficient_data"}
    assert set(estimates) == set(EVERY_METRIC) - {"brier", "log_loss", "ece"}
    db.execute("UPDATE pattern_events SET outcome_at = detected_at + interval '1 hour'")
    realised = {key[3]: row["value"] for key, row in measured(db).items() if key[1] == ""}
    for metric, row in estimates.items():
        assert row["value"] == pytest.approx(realised[metric], abs=0.05)
        if metric not in ("average_precision", "false_negative_rate"):
            assert row["low"] < row["value"] < row["high"]
            assert row["low"] < realised[metric] < row["high"], metric
            assert row["verdict"] == "ok"


def test_the_band_comes_from_the_window_itself_without_a_baseline(log):
    log.execute("SET session_replication_role = replica")
    log.execute("UPDATE pattern_events SET outcome_label = NULL WHERE detected_at >= '2026-03-15'")
    found = rows(log, "SELECT * FROM ml.estimate_performance(%s, %s) WHERE pattern_type = ''", FIRST, END)
    errors = {row["metric"]: row["sampling_error"] for row in found}
    assert errors.pop("average_precision") is None
    assert all(error > 0 for error in errors.values())
    assert all((row["low"] is None) == (row["metric"] == "average_precision") for row in found)
    accuracy = measured(log)["toy", "", "blended_confidence", "accuracy"]["value"]
    waiting = found[0]["estimated"]
    assert waiting + found[0]["labelled"] == found[0]["predictions"] == 1200
    assert errors["accuracy"] == pytest.approx(math.sqrt(accuracy * (1 - accuracy) / waiting), rel=1e-12)
    log.execute("UPDATE pattern_events SET outcome_label = NULL WHERE detected_at >= '2026-03-05'")
    found = rows(log, "SELECT * FROM ml.estimate_performance(%s, %s)", FIRST, END)
    assert found
    assert all(row["sampling_error"] is None and row["low"] is None for row in found)


# ----------------------------------------------------------------------------------------------------------- runs


def test_on_an_empty_database_a_run_says_that_there_is_nothing(db):
    report, stored = run(db)
    assert (report["versions"], stored) == ([], {})
    assert rows(db, "SELECT * FROM ml.measure_performance()") == []
    assert rows(db, "SELECT * FROM ml.reliability_table()") == []
    assert rows(db, "SELECT * FROM ml_model_performance") == []
    assert rows(db, "SELECT * FROM ml.retraining_reasons('v0002')") == []


def test_a_run_without_a_baseline_measures_and_judges_nothing(log):
    report, stored = run(log)
    assert report["versions"] == [
        {
            "model_version": "toy", "predictions": 1200, "labelled": 1200, "rows": len(stored),
            "verdict": "no_baseline", "degraded": [],
        }
    ]  # fmt: skip
    for pattern_type in ("", "hammer", "doji"):
        assert verdicts(stored, "realised", pattern_type) == dict.fromkeys(EVERY_METRIC, "no_baseline")
    # All outcomes are known: there is nothing to estimate.
    assert set(verdicts(stored, "estimated").values()) == {"insufficient_data"}
    now = measured(log)
    for metric in EVERY_METRIC:
        score = "blended_confidence" if metric in DECISIONS else "ml_confidence"
        row = stored["toy", "", "realised", metric]
        assert (row["value"], row["low"], row["high"]) == tuple(
            now["toy", "", score, metric][name] for name in ("value", "low", "high")
        )
        assert row["lower_limit"] is None


@pytest.fixture
def second_month(log):
    """Return the log with a baseline over its month, and the function that adds another month and runs at its end."""
    add_baseline(log, "toy", FIRST, END)
    assert value(log, "SELECT ml.store_baseline_performance(1)") == 3 * len(EVERY_METRIC)

    def add(**options):
        log_performance(
            log, "toy", END, **{"days": 27, "events": 1200, "pattern_types": ("hammer", "Doji", "hammer"), **options}
        )
        return run(log, NEXT)

    return add


def test_nothing_is_degraded_when_nothing_has_changed(second_month):
    report, stored = second_month(seed=0.7)
    assert report["versions"][0]["verdict"] == "ok"
    for pattern_type in ("", "hammer", "doji"):
        assert verdicts(stored, "realised", pattern_type) == dict.fromkeys(EVERY_METRIC, "ok")


def test_a_world_that_has_changed_shows_in_what_is_realised(log, second_month):
    """Wins have become rare. An estimate cannot know: that is what CBPE does not see, and outcomes do."""
    report, stored = second_month(seed=0.7, shift=-0.35)
    found = verdicts(stored, "realised")
    assert [found[metric] for metric in ("precision", "f1", "ece")] == ["degraded"] * 3
    assert {one_of["metric"] for one_of in report["versions"][0]["degraded"] if "pattern_type" not in one_of} == {
        metric for metric, verdict in found.items() if verdict == "degraded"
    }
    sentences = [row["retraining_reasons"] for row in rows(log, "SELECT ml.retraining_reasons('toy')")]
    assert sentences == []  # a run of last spring is no news
    log.execute("UPDATE ml_performance SET run_at = now() - interval '1 hour'")
    sentences = [row["retraining_reasons"] for row in rows(log, "SELECT ml.retraining_reasons('toy')")]
    assert any(
        re.fullmatch(
            r"realised precision of toy is 0\.\d+, beyond 0\.\d+; the baseline has 0\.\d+ \(window up to 2026-05-01\)",
            text,
        )
        for text in sentences
    )
    assert any(re.match(r"the calibration error of toy is 0\.\d+, surely above 0\.05 ", text) for text in sentences)
    assert rows(log, "SELECT ml.retraining_reasons('other')") == []


def test_a_model_that_ranks_no_better_than_chance_is_degraded(second_month):
    _, stored = second_month(seed=0.7, error=1.6)
    found = verdicts(stored, "realised")
    assert [found[metric] for metric in ("roc_auc", "average_precision", "brier")] == ["degraded"] * 3


def test_limits_are_three_standard_errors_of_the_difference(log, second_month):
    _, stored = second_month(seed=0.2, error=0.2)
    baseline = {(row["pattern_type"], row["metric"]): row for row in rows(log, "SELECT * FROM ml_baseline_performance")}
    now = measured(log, END, NEXT)
    for pattern_type in ("", "hammer", "doji"):
        for metric in EVERY_METRIC:
            row = stored["toy", pattern_type, "realised", metric]
            before = baseline[pattern_type, metric]
            score = "blended_confidence" if metric in DECISIONS else "ml_confidence"
            after = now["toy", pattern_type, score, metric]
            assert row["baseline"] == before["value"]
            if metric in DECISIONS:
                rate = (lambda x: x / (2 - x)) if metric == "f1" else (lambda x: x)
                pooled = (rate(before["value"]) * before["n"] + rate(after["value"]) * after["n"]) / (
                    before["n"] + after["n"]
                )
                margin = 3 * math.sqrt(pooled * (1 - pooled) * (1 / before["n"] + 1 / after["n"]))
                margin *= 2 / (1 + pooled) ** 2 if metric == "f1" else 1
            else:
                margin = 3 * math.hypot(before["standard_error"], after["standard_error"])
            assert row["lower_limit"] == pytest.approx(before["value"] - margin, abs=1e-12)
            assert row["upper_limit"] == pytest.approx(before["value"] + margin + (after["by_chance"] or 0), abs=1e-12)
            degraded = row["value"] > row["upper_limit"] if metric in WORSE_ABOVE else row["value"] < row["lower_limit"]
            assert row["verdict"] == ("degraded" if degraded else "ok")


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "brier", "log_loss", "ece"])
def test_a_verdict_turns_at_the_limit(log, metric):
    now = measured(log)["toy", "", "ml_confidence", metric]
    margin = 3 * math.hypot(0.01, now["standard_error"]) + (now["by_chance"] or 0)
    sign = -1 if metric in WORSE_ABOVE else 1
    found = []
    for beyond in (-1e-9, 1e-9):
        baseline = add_baseline(log, "toy", FIRST, END)
        log.execute(
            "INSERT INTO ml_baseline_performance (baseline_id, metric, value, standard_error, n) VALUES (%s, %s, %s, 0.01, 1000)",
            (baseline, metric, now["value"] + sign * (margin + beyond)),
        )
        found.append(run(log)[1]["toy", "", "realised", metric]["verdict"])
    assert found == ["ok", "degraded"]


@pytest.mark.parametrize(
    ("change", "judged"),
    [
        ("confidence_threshold = 0.5", EVERY_METRIC[len(DECISIONS) :]),
        ("ml_weight = 0.7", EVERY_METRIC[len(DECISIONS) :]),
        ("latency_target_ms = 70", EVERY_METRIC),
    ],
)
def test_decisions_of_another_threshold_or_blend_are_not_compared(log, second_month, change, judged):
    log.execute(f"UPDATE ml_settings SET {change}")
    _, stored = second_month(seed=0.7)
    assert verdicts(stored, "realised") == {
        metric: "ok" if metric in judged else "no_baseline" for metric in EVERY_METRIC
    }


@pytest.mark.parametrize(
    ("change", "too_few"),
    [
        ("outcome_label = NULL WHERE id NOT IN (SELECT id FROM chosen LIMIT 199)", EVERY_METRIC),
        ("outcome_label = 'win' WHERE id NOT IN (SELECT id FROM losers LIMIT 19)", EVERY_METRIC),
        ("outcome_label = 'loss' WHERE id NOT IN (SELECT id FROM winners LIMIT 19)", EVERY_METRIC),
    ],
)
def test_few_outcomes_or_one_class_are_insufficient(log, second_month, change, too_few):
    log_performance(log, "toy", END, days=27, events=600)
    log.execute("SET session_replication_role = replica")
    log.execute(
        "CREATE TEMP TABLE chosen AS SELECT id, outcome_label FROM pattern_events WHERE detected_at >= %s", (END,)
    )
    log.execute("CREATE TEMP VIEW winners AS SELECT id FROM chosen WHERE outcome_label = 'win'")
    log.execute("CREATE TEMP VIEW losers AS SELECT id FROM chosen WHERE outcome_label <> 'win'")
    log.execute(f"UPDATE pattern_events SET {change} AND detected_at >= '{END}'")
    _, stored = run(log, NEXT)
    assert verdicts(stored, "realised") == dict.fromkeys(too_few, "insufficient_data")
    assert ("toy", "hammer", "realised", "accuracy") not in stored


def test_a_precision_of_a_few_confirmed_events_is_not_judged(log, second_month):
    log_performance(log, "toy", END, days=27, events=600)
    log.execute("SET session_replication_role = replica")
    log.execute(
        "UPDATE ml_predictions SET blended_confidence = 0.1 WHERE predicted_at >= %s AND id NOT IN"
        " (SELECT p.id FROM ml_predictions AS p JOIN pattern_events AS e ON e.id = p.event_id"
        " WHERE p.predicted_at >= %s AND e.outcome_label <> 'win' AND p.blended_confidence > 0.6 LIMIT 3)",
        (END, END),
    )
    _, stored = run(log, NEXT)
    row = stored["toy", "", "realised", "precision"]
    assert (row["value"], row["verdict"]) == (0.0, "insufficient_data")
    assert stored["toy", "", "realised", "recall"]["verdict"] == "degraded"


def test_a_baseline_gets_its_performance_when_its_outcomes_are_known(db):
    install_model(db, "toy")
    log_performance(db, "toy", FIRST, days=27, events=1200)
    add_baseline(db, "toy", FIRST, "2026-03-08T00:00:00Z")
    # Of the first week hardly anything is known at its end.
    run(db, "2026-03-08T00:00:00Z")
    assert value(db, "SELECT count(*) FROM ml_baseline_performance") == 0
    run(db, "2026-03-20T00:00:00Z")
    stored = rows(db, "SELECT * FROM ml_baseline_performance ORDER BY pattern_type, metric")
    assert {row["metric"] for row in stored} == set(EVERY_METRIC)
    run(db, END)
    assert rows(db, "SELECT * FROM ml_baseline_performance ORDER BY pattern_type, metric") == stored
    with pytest.raises(psycopg.Error, match="never changed"):
        db.execute("UPDATE ml_baseline_performance SET value = 1")
    with pytest.raises(psycopg.Error, match="never changed"):
        db.execute("DELETE FROM ml_baseline_performance")


def test_the_newest_baseline_counts(log, second_month):
    log_performance(log, "toy", END, days=27, events=1200, shift=-0.35, seed=0.7)
    _, stored = run(log, NEXT)
    assert stored["toy", "", "realised", "precision"]["verdict"] == "degraded"
    add_baseline(log, "toy", END, NEXT)
    _, stored = run(log, NEXT)
    assert stored["toy", "", "realised", "precision"]["verdict"] == "ok"


def test_a_run_is_repeated_in_place(log):
    first = run(log)
    assert run(log) == first
    assert value(log, "SELECT count(DISTINCT run_at) FROM ml_performance") == 1
    run(log, "2026-04-02T00:00:00Z")
    assert value(log, "SELECT count(DISTINCT run_at) FROM ml_performance") == 2


def test_two_runs_at_once_leave_the_rows_of_one(log, db_url):
    problems = []

    def once():
        try:
            with psycopg.connect(db_url) as connection:
                connection.execute("SELECT ml.run_performance(%s)", (END,))
        except psycopg.Error as error:
            problems.append(error)

    threads = [threading.Thread(target=once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    counted = value(log, "SELECT count(*) FROM ml_performance")
    assert len(run(log)[1]) == counted


def test_the_time_zone_of_a_session_changes_nothing(log):
    expected = run(log)[1]
    log.execute("SET timezone = 'Pacific/Kiritimati'")
    assert run(log)[1] == expected


def test_the_view_shows_the_newest_run(log, second_month):
    second_month(seed=0.7)
    found = rows(log, "SELECT * FROM ml_model_performance")
    assert {row["run_at"] for row in found} == {value(log, "SELECT %s::timestamptz", NEXT)}
    assert {(row["pattern_type"], row["metric"]) for row in found} == {
        (pattern_type, metric) for pattern_type in ("", "hammer", "doji") for metric in EVERY_METRIC
    }
    row = one(log, "SELECT * FROM ml_model_performance WHERE metric = 'roc_auc' AND pattern_type = ''")
    stored = one(
        log,
        "SELECT * FROM ml_performance WHERE run_at = %s AND metric = 'roc_auc' AND kind = 'realised' AND pattern_type = ''",
        NEXT,
    )
    assert (row["realised"], row["baseline"], row["verdict"]) == (stored["value"], stored["baseline"], "ok")


# ----------------------------------------------------------------------------------------- reasons for retraining


DRIFT = """
    INSERT INTO ml_drift (
        run_at, model_version, baseline_id, window_from, window_to, subject, feature, method, value, n_baseline, n_current,
        verdict, quality_verdict
    )
    SELECT now() - %s::interval, 'toy', 1, now() - interval '1 day', now(), subject, feature, 'jensen_shannon', 0.4, 1000, 1000,
        verdict, 'ok'
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS found (subject, feature, verdict)
"""


@pytest.mark.parametrize(
    ("age", "found", "expected"),
    [
        ("1 hour", [("feature", "a", "drift"), ("feature", "b", "ok")], "1 of 2 features have drifted"),
        ("1 hour", [("feature", "a", "drift"), ("feature", "b", "insufficient_data")], "1 of 1 features have drifted"),
        ("1 hour", [("feature", "a", "drift"), ("feature", "b", "ok"), ("feature", "c", "watch")], None),
        ("8 days", [("feature", "a", "drift")], None),
        ("1 hour", [("score", "ml_confidence", "drift"), ("feature", "a", "ok")], "ml_confidence of toy has drifted"),
        ("1 hour", [("score", "rule_confidence", "drift")], None),
        ("1 hour", [("feature", "a", "insufficient_data")], None),
    ],
)
def test_drift_is_a_reason_when_it_is_that_of_half_the_features_or_of_the_score(db, age, found, expected):
    install_model(db, "toy")
    add_baseline(db, "toy", FIRST, END)
    db.execute(DRIFT, (age, *map(list, zip(*found, strict=True))))
    sentences = [row["retraining_reasons"] for row in rows(db, "SELECT ml.retraining_reasons('toy')")]
    assert len(sentences) == (expected is not None)
    assert all(sentence.startswith(expected) for sentence in sentences)
