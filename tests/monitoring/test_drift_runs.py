"""Runs of drift: verdicts, minimum numbers, corrections, data quality, storage, and the views on it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg
import pytest
from drift_data import DAY, MONDAY, add_predictions, register
from scipy.stats import false_discovery_control, ks_2samp
from support import add_bars, go_live, insert_event, one, rows, value

METHODS = (
    "jensen_shannon", "hellinger", "psi", "jensen_shannon_natural", "wasserstein", "kolmogorov_smirnov", "chi_square",
)  # fmt: skip
TUESDAY = MONDAY + DAY
WEDNESDAY = TUESDAY + DAY


@pytest.fixture
def log(db):
    db.execute("SELECT ml.create_prediction_partitions('2025-12-20', 8)")
    return db


def normal(count, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(shift, 1, count)


def prepare(db, reference, current, categories=(), **options):
    """Make a version with a baseline of one day, and the predictions of the next."""
    names = [f"x{place}" for place in range(len(reference))]
    register(db, "m1", names, [names[place] for place in categories], live=True)
    add_predictions(db, "m1", reference, MONDAY)
    if max(map(len, current)):
        length = max(map(len, current))
        add_predictions(db, "m1", current, TUESDAY, length=length, seed=1, **options)
    db.execute("SELECT ml_set_baseline('test', %s, %s)", (MONDAY, TUESDAY))


def drift(db, method="jensen_shannon", **options):
    more = "".join(f", {name} => %s" for name in options)
    found = rows(db, f"SELECT * FROM ml.feature_drift(%s, %s, %s{more})", TUESDAY, WEDNESDAY, method, *options.values())
    return {row["feature"]: row for row in found}


def run(db, method="jensen_shannon", at=WEDNESDAY, window="24 hours"):
    return value(db, "SELECT ml.run_drift(%s, %s, %s)", at, window, method)


def test_a_shift_gets_the_verdict_of_its_distance(log):
    prepare(log, [normal(3000)] * 3, [normal(2000, shift, seed=1) for shift in (0, 0.35, 1.0)])
    found = drift(log)
    assert [found[f"x{place}"]["verdict"] for place in range(3)] == ["ok", "watch", "drift"]
    assert (found["x0"]["watch_threshold"], found["x0"]["drift_threshold"]) == (0.1, 0.3)
    assert (found["x0"]["n_baseline"], found["x0"]["n_current"]) == (3000, 2000)


def test_the_limits_are_settings(log):
    prepare(log, [normal(3000)], [normal(2000, 0.35, seed=1)])
    log.execute("UPDATE ml_settings SET drift_watch_distance = 0.11, drift_alert_distance = 0.12")
    assert drift(log)["x0"]["verdict"] == "drift"
    log.execute("UPDATE ml_settings SET drift_alert_distance = 0.9, drift_watch_distance = 0.8")
    assert drift(log)["x0"]["verdict"] == "ok"


def test_a_method_says_nothing_below_its_minimum(log):
    minimums = {
        "jensen_shannon": 200, "hellinger": 1000, "psi": 500, "jensen_shannon_natural": 500, "wasserstein": 1000,
        "kolmogorov_smirnov": 30, "chi_square": 30,
    }  # fmt: skip
    sizes = sorted({minimum - less for minimum in minimums.values() for less in (0, 1)})
    prepare(log, [normal(1200)] * len(sizes), [normal(size, 2, 1) for size in sizes])
    for method, minimum in minimums.items():
        found = drift(log, method)
        verdicts = [found[f"x{place}"]["verdict"] for place in range(len(sizes))]
        assert verdicts == ["drift" if size >= minimum else "insufficient_data" for size in sizes], method
        assert all(found[f"x{place}"]["value"] is not None for place in range(len(sizes)))


def test_watch_needs_more_than_drift(log):
    """A Jensen-Shannon distance of 0.1 is noise among some hundred values."""
    shifted = normal(999, 0.45, seed=1)
    prepare(log, [normal(3000)], [shifted])
    found = drift(log)["x0"]
    assert found["value"] > 0.1
    assert found["verdict"] == "ok"
    add_predictions(log, "m1", [shifted[:1]], TUESDAY, length=1, seed=2)
    assert drift(log)["x0"]["verdict"] == "watch"


def test_no_drift_is_hardly_ever_drift(log):
    """Features of one distribution: hardly one drifts, at the least number of values that a method takes."""
    sizes = [200] * 20 + [500] * 20 + [1000] * 20
    current = [normal(size, seed=100 + place) for place, size in enumerate(sizes)]
    prepare(log, [normal(1500, seed=place) for place in range(60)], current)
    for method in ("jensen_shannon", "hellinger", "psi", "jensen_shannon_natural", "wasserstein", "kolmogorov_smirnov"):
        verdicts = [row["verdict"] for row in drift(log, method).values() if row["subject"] == "feature"]
        assert verdicts.count("drift") <= 1, method
        assert verdicts.count("insufficient_data") <= 40


def test_p_values_are_corrected_for_the_number_of_features(log):
    reference = [normal(400, seed=place) for place in range(12)]
    current = [normal(300, place / 35, seed=50 + place) for place in range(12)]
    prepare(log, reference, current)
    p_values = np.array([ks_2samp(a, b).pvalue for a, b in zip(reference, current, strict=True)])
    expected = {
        "none": p_values <= 0.05,
        "bonferroni": p_values <= 0.05 / 12,
        "benjamini_hochberg": false_discovery_control(p_values) <= 0.05,
    }
    assert len({int(kept.sum()) for kept in expected.values()}) == 3
    for correction, kept in expected.items():
        found = drift(log, "kolmogorov_smirnov", p_correction=correction)
        assert [found[f"x{place}"]["verdict"] == "drift" for place in range(12)] == kept.tolist(), correction
        assert found["x0"]["p_value"] == pytest.approx(p_values[0], rel=0.1)


def test_categories_are_compared_by_category(log):
    flags = np.arange(1000) % 2 * 1.0
    prepare(log, [flags, flags], [flags, np.where(np.arange(1000) < 950, 1.0, 2.0)], categories=(0, 1))
    for method, used in (
        ("jensen_shannon", "jensen_shannon"), ("kolmogorov_smirnov", "chi_square"), ("wasserstein", "jensen_shannon_natural"),
        ("psi", "psi"), ("hellinger", "hellinger"),
    ):  # fmt: skip
        found = drift(log, method)
        assert (found["x0"]["method"], found["x0"]["verdict"]) == (used, "ok")
        assert found["x1"]["verdict"] == "drift"
        assert (found["x0"]["quality_verdict"], found["x1"]["quality_verdict"]) == ("ok", "issue")
        assert (found["x1"]["unseen_rate"], found["x1"]["out_of_range_rate"]) == (0.05, None)


def test_data_quality(log):
    row = np.arange(1000)
    reference, now = np.where(row % 50 == 0, None, normal(1000)), normal(1000, seed=1)
    cases = {
        "same": (now, "ok"),
        "as many missing": (np.where(row % 50 == 0, None, now), "ok"),
        "more missing": (np.where(row % 10 == 0, None, now), "issue"),
        "NaN": (np.where(row == 0, np.nan, now), "issue"),
        "infinite": (np.where(row == 0, np.inf, now), "issue"),
        "few beyond": (np.where(row < 3, 50.0, now), "ok"),
        "many beyond": (np.where(row < 30, 50.0, now), "issue"),
    }
    prepare(log, [reference] * len(cases), [current for current, _ in cases.values()])
    found = drift(log)
    verdicts = {case: found[f"x{place}"]["quality_verdict"] for place, case in enumerate(cases)}
    assert verdicts == {case: verdict for case, (_, verdict) in cases.items()}


def test_values_outside_the_catalogue_are_an_issue_and_rounding_is_not(log):
    names = ("rsi_14", "atr_14_percentile_100")  # percent, and a share of 0 to 1
    register(log, "m1", names, live=True)
    generator = np.random.default_rng(0)
    add_predictions(log, "m1", [generator.uniform(0, 100, 500), generator.uniform(0.1, 1, 500)], MONDAY)
    log.execute("SELECT ml_set_baseline('test', %s, %s)", (MONDAY, TUESDAY))
    add_predictions(
        log,
        "m1",
        [[*generator.uniform(1, 99, 299), 101], [*generator.uniform(0.1, 1, 299), 1 + 2**-52]],
        TUESDAY,
        seed=1,
    )
    found = drift(log)
    assert (found["rsi_14"]["quality_verdict"], found["rsi_14"]["invalid_rate"]) == ("issue", pytest.approx(1 / 300))
    share = found["atr_14_percentile_100"]
    assert (share["quality_verdict"], share["invalid_rate"]) == ("ok", 0)
    # NULL scores on both sides: nothing to judge, and no issue.
    assert (found["ml_confidence"]["verdict"], found["ml_confidence"]["quality_verdict"]) == ("insufficient_data", "ok")


def test_hardly_any_data_is_a_verdict_and_never_an_error(log):
    count = 300
    odd = ([np.nan, np.inf, -np.inf, None, 1e308, -1e308, 5e-324] * 43)[:count]
    reference = [[], np.full(count, 3.0), np.arange(count) % 2.0, [None, *normal(count - 1)], odd, normal(count)]
    current = [normal(count), np.full(count, 4.0), np.arange(count) % 2.0 + 0.5, [], normal(count), odd]
    prepare(log, [*reference, np.zeros(count)], [[]] * 7, categories=(2, 6))
    for day, size in enumerate((0, 1, 2, count), start=1):
        if size:
            sides = [[*side[:size]] for side in [*current, np.zeros(count)]]
            add_predictions(log, "m1", sides, MONDAY + day * DAY, length=size, seed=day)
        for method in METHODS:
            said = run(log, method, at=MONDAY + (day + 1) * DAY + METHODS.index(method) * DAY / 1000)
            assert (said["status"], said["rows"]) == ("done", 7 + 3)
            methods = {"wasserstein": "jensen_shannon_natural", "kolmogorov_smirnov": "chi_square"}
            found = {
                row["feature"]: row
                for row in rows(
                    log, "SELECT * FROM ml_feature_drift WHERE run_at = %s AND method IN (%s, %s, 'kolmogorov_smirnov')",
                    MONDAY + (day + 1) * DAY + METHODS.index(method) * DAY / 1000, method, methods.get(method, method),
                )
            }  # fmt: skip
            assert all(row["verdict"] and row["quality_verdict"] and row["sentence"] for row in found.values())
            if size == count and method in {"jensen_shannon", "chi_square"}:
                assert found["x1"]["verdict"] == "drift"  # one value became another
                assert found["x6"]["verdict"] == "ok"
            if size < 30:
                assert {row["verdict"] for row in found.values()} == {"insufficient_data"}


def test_scores_drift_too(log):
    register(log, "m1", ["x0"], live=True)
    generator = np.random.default_rng(2)
    add_predictions(log, "m1", [normal(1000)], MONDAY, scores=generator.beta(2, 5, 1000))
    add_predictions(log, "m1", [normal(1000, seed=1)], TUESDAY, scores=generator.beta(5, 2, 1000), seed=1)
    log.execute("SELECT ml_set_baseline('test', %s, %s)", (MONDAY, TUESDAY))
    said = run(log)
    assert said["versions"][0]["scores"] == {
        "ml_confidence": "drift", "blended_confidence": "drift", "rule_confidence": "drift",
    }  # fmt: skip
    # Features say nothing of it, and the score of features is theirs alone.
    assert said["versions"][0]["verdict"] == "ok"
    assert said["feature_drift_score"] < 0.1


def test_a_score_beyond_those_of_the_baseline_is_drift_and_no_poor_data(log):
    register(log, "m1", ["x0"], live=True)
    generator = np.random.default_rng(3)
    add_predictions(log, "m1", [normal(1000)], MONDAY, scores=generator.uniform(0.1, 0.3, 1000))
    add_predictions(log, "m1", [normal(1000) + 20], TUESDAY, scores=generator.uniform(0.6, 0.8, 1000), seed=1)
    log.execute("SELECT ml_set_baseline('test', %s, %s)", (MONDAY, TUESDAY))
    found = drift(log)
    assert (found["x0"]["out_of_range_rate"], found["x0"]["quality_verdict"]) == (1, "issue")
    score = found["ml_confidence"]
    assert (score["out_of_range_rate"], score["quality_verdict"], score["verdict"]) == (1, "ok", "drift")


def test_a_version_has_drifted_when_half_of_its_features_have(log):
    steady, moved = normal(500, seed=1), normal(500, 3, seed=2)
    prepare(log, [normal(500)] * 4, [steady, steady, steady, moved])
    said = run(log)
    summary = said["versions"][0]
    assert (summary["verdict"], summary["share_drifted"], summary["features_drifted"]) == ("ok", 0.25, 1)
    assert said["feature_drift_score"] == max(row["value"] for row in drift(log).values() if row["value"])
    log.execute("DELETE FROM ml_predictions WHERE predicted_at >= %s", (TUESDAY,))
    add_predictions(log, "m1", [steady, moved, steady, moved], TUESDAY, seed=3)
    assert run(log)["versions"][0]["verdict"] == "drift"
    worst = rows(log, "SELECT feature, verdict, sentence FROM ml_feature_drift LIMIT 2")
    assert {row["feature"] for row in worst} == {"x1", "x3"}
    assert "has drifted from the baseline (jensen_shannon" in worst[0]["sentence"]


def test_a_second_run_replaces_the_first(log):
    prepare(log, [normal(500)], [normal(500, seed=1)])
    first = run(log)
    before = rows(log, "SELECT * FROM ml_drift ORDER BY subject, feature")
    assert first["run_at"] == "2026-01-07T00:00:00+00:00"
    assert len(before) == first["rows"] == 4
    assert run(log)["versions"] == first["versions"]
    assert rows(log, "SELECT * FROM ml_drift ORDER BY subject, feature") == before
    add_predictions(log, "m1", [normal(500, 4, seed=2)], TUESDAY, seed=5)
    assert run(log)["feature_drift_score"] > first["feature_drift_score"]
    assert value(log, "SELECT count(*) FROM ml_drift") == 4
    run(log, "psi")
    assert value(log, "SELECT count(*) FROM ml_drift") == 8


def test_runs_at_the_same_time_take_turns(log, db_url):
    prepare(log, [normal(500)], [normal(500, seed=1)])

    def call(_):
        with psycopg.connect(db_url, autocommit=True) as connection:
            return run(connection)

    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(call, range(3)))
    assert [one_said["status"] for one_said in said] == ["done"] * 3
    assert value(log, "SELECT count(*) FROM ml_drift") == 4


def test_a_baseline_in_the_making_holds_nobody_up(log, db_url):
    prepare(log, [normal(500)], [normal(500, seed=1)])
    before = value(log, "SELECT max(baseline_id) FROM ml_baselines")
    with psycopg.connect(db_url) as other:
        made = value(other, "SELECT ml_set_baseline('next', %s, %s)", TUESDAY, WEDNESDAY)["baseline_id"]
        log.execute("SET lock_timeout = '100ms'")
        assert run(log)["versions"][0]["baseline_id"] == before
        add_predictions(log, "m1", [normal(1)], TUESDAY, length=1, seed=3)
        other.commit()
    assert run(log)["versions"][0]["baseline_id"] == made


def test_the_score_is_that_of_the_newest_run_so_far(log):
    prepare(log, [normal(500)], [normal(500, 3, seed=1)])
    assert value(log, "SELECT ml.feature_drift_score()") is None
    run(log)
    run(log, at=WEDNESDAY + DAY)  # nothing in its window: too few values to judge
    query = "SELECT ml.feature_drift_score(%s)"
    assert value(log, query, WEDNESDAY - DAY) is None
    assert value(log, query, WEDNESDAY) == pytest.approx(drift(log)["x0"]["value"])
    assert value(log, query, WEDNESDAY + DAY) is None
    run(log, "psi", at=WEDNESDAY + 2 * DAY)
    assert value(log, query, WEDNESDAY + 2 * DAY) is None


def test_a_run_by_another_method_does_not_hide_the_nights(log):
    prepare(log, [normal(1000)], [normal(1000, 1.5, seed=1)])
    run(log)
    before = rows(log, "SELECT * FROM ml_feature_drift")
    assert before[0]["verdict"] == "drift"
    run(log, "psi", at=WEDNESDAY + DAY / 24)
    after = rows(log, "SELECT * FROM ml_feature_drift")
    assert after[: len(before)] == before
    assert {row["method"] for row in after[len(before) :]} == {"psi"}


def test_a_canary_is_measured_against_its_own_baseline(log):
    prepare(log, [normal(500)], [normal(500, seed=1)])
    register(log, "m2", ["x0"])
    add_predictions(log, "m2", [normal(300, seed=7)], TUESDAY, role="challenger", seed=8)
    said = run(log)
    assert [summary["model_version"] for summary in said["versions"]] == ["m1"]
    assert said["problems"] == ["m2 has no baseline: set one with ml_set_baseline(p_model_version => 'm2')"]
    log.execute("SELECT ml_set_baseline('test', %s, %s, 'm2')", (TUESDAY, WEDNESDAY))
    said = run(log)
    assert [summary["model_version"] for summary in said["versions"]] == ["m1", "m2"]
    assert said["problems"] == []


def test_without_a_window_a_run_takes_as_much_as_it_needs(log):
    prepare(log, [normal(500)], [normal(150, 3, seed=1)])
    assert run(log)["versions"][0]["verdict"] == "insufficient_data"
    add_predictions(log, "m1", [normal(80, 3, seed=2)], WEDNESDAY - 6 * DAY, length=80, seed=9)
    said = run(log, window=None)
    assert said["versions"][0]["window_from"] == "2025-12-31T00:00:00+00:00"
    assert said["versions"][0]["features_judged"] == 1
    add_predictions(log, "m1", [normal(60, 3, seed=3)], TUESDAY, length=60, seed=10)
    said = run(log, window=None)
    assert said["versions"][0]["window_from"] == "2026-01-06T00:00:00+00:00"
    assert said["versions"][0]["verdict"] == "drift"
    said = run(log, window=None, at=WEDNESDAY + 20 * DAY)
    assert said["versions"][0]["window_from"] == "2025-12-28T00:00:00+00:00"


def test_without_a_baseline_a_run_says_what_to_do(db):
    said = value(db, "SELECT ml.run_drift()")
    assert said["status"] == "no_baseline"
    champion = value(db, "SELECT version FROM ml_aliases WHERE alias = 'champion'")
    assert said["problems"] == [
        f"{champion} has no baseline: set one with ml_set_baseline(p_model_version => '{champion}')"
    ]
    assert rows(db, "SELECT * FROM ml.feature_drift()") == []
    assert rows(db, "SELECT * FROM ml_feature_drift") == []
    db.execute("DELETE FROM ml_aliases")
    assert value(db, "SELECT ml.run_drift()")["problems"] == []


def test_what_makes_no_sense_is_refused_in_one_sentence(db):
    with pytest.raises(psycopg.Error, match="cosine is not a method of drift: use jensen_shannon, hellinger"):
        db.execute("SELECT * FROM ml.feature_drift(p_method => 'cosine')")
    with pytest.raises(psycopg.Error, match="cosine is not a method of drift"):
        db.execute("SELECT ml.run_drift(p_method => 'cosine')")
    with pytest.raises(psycopg.Error, match="sidak is not a correction"):
        db.execute("SELECT * FROM ml.feature_drift(p_correction => 'sidak')")
    with pytest.raises(psycopg.Error, match="is empty: its start must come before its end"):
        db.execute("SELECT * FROM ml.feature_drift(now(), now())")
    for window in ("0 hours", "-1 day", "1000 years"):
        with pytest.raises(psycopg.Error, match="needs a time and a window above zero"):
            db.execute("SELECT ml.run_drift(p_window => %s)", (window,))


def test_features_logged_from_elsewhere_may_be_too_few_or_too_many(log):
    prepare(log, [normal(300), normal(300)], [normal(300, seed=1), normal(300, seed=2)])
    log.execute("UPDATE ml_predictions SET features = features[1:1] WHERE predicted_at >= %s", (TUESDAY,))
    found = drift(log)
    assert (found["x0"]["n_current"], found["x1"]["n_current"], found["x1"]["missing_rate"]) == (300, 0, 1)
    assert found["x1"]["quality_verdict"] == "issue"
    log.execute("UPDATE ml_predictions SET features = features || '{1,2,3}' WHERE predicted_at >= %s", (TUESDAY,))
    assert drift(log)["x0"]["n_current"] == 300


def test_real_events_make_a_baseline_and_a_run(db):
    times = add_bars(db, count=300)
    go_live(db)
    for place in range(210):
        insert_event(db, returning="id", detected_at=times[80 + place])
    assert (
        value(db, "SELECT ml_set_baseline('first week', now() - interval '1 hour', now() + interval '1 hour')")["rows"]
        == 5
    )
    said = value(db, "SELECT ml.run_drift(now() + interval '1 hour')")
    assert said["versions"][0]["features_judged"] == 2
    assert said["feature_drift_score"] == 0
    found = one(db, "SELECT * FROM ml_feature_drift WHERE feature = 'day_of_week'")
    assert (found["verdict"], found["quality_verdict"], found["unseen_rate"]) == ("ok", "ok", 0)
    assert found["sentence"] == "day_of_week: as in the baseline (jensen_shannon 0.000)"
