"""ml_set_baseline: what it freezes, of which predictions, and what it refuses."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg
import pytest
from drift_data import DAY, MONDAY, add_predictions, register
from support import one, rows, value

NAMES = ("steady", "skewed", "flag", "empty", "constant", "broken")


@pytest.fixture
def log(db):
    db.execute("SELECT ml.create_prediction_partitions('2025-11-01', 20)")
    register(db, "m1", NAMES, ["flag"], live=True)
    return db


def columns(count, seed=0):
    generator = np.random.default_rng(seed)
    steady = generator.normal(size=count)
    return [
        steady,
        generator.exponential(size=count) ** 2,
        generator.integers(0, 2, count).astype(float),
        [],
        np.full(count, 7.5),
        np.where(np.arange(count) < 10, [np.nan, np.inf] * (count // 2), steady),
    ]


def set_baseline(db, reason=None, start=None, end=None, version=None):
    return value(db, "SELECT ml_set_baseline(%s, %s, %s, %s)", reason, start, end, version)


def feature(db, baseline_id, name):
    return one(db, "SELECT * FROM ml_baseline_features WHERE baseline_id = %s AND feature = %s", baseline_id, name)


def test_it_freezes_what_numpy_finds(log):
    data = columns(600)
    scores = np.random.default_rng(1).random(600)
    add_predictions(log, "m1", data, MONDAY, scores=scores)
    said = set_baseline(log, "after a week", end=MONDAY + DAY)
    assert (said["status"], said["predictions"], said["rows"]) == ("success", 600, len(NAMES) + 3)
    assert said["sources"] == ["insert", "update"]
    stored = one(log, "SELECT * FROM ml_baselines")
    assert (stored["baseline_id"], stored["reason"], stored["model_version"]) == (
        said["baseline_id"],
        "after a week",
        "m1",
    )
    assert stored["created_by"] == value(log, "SELECT session_user::text")
    assert stored["window_to"] - stored["window_from"] == 30 * DAY

    for name, sample in (("steady", data[0]), ("skewed", data[1]), ("blended_confidence", scores)):
        found = feature(log, said["baseline_id"], name)
        counts, edges = np.histogram(sample, bins="doane")
        assert found["counts"] == counts.tolist()
        assert found["edges"] == pytest.approx(edges.tolist(), rel=1e-12)
        assert (found["mean"], found["sd_pop"]) == pytest.approx((sample.mean(), sample.std()), rel=1e-12)
        assert (found["n"], found["n_missing"], found["n_not_finite"]) == (600, 0, 0)
        assert found["sample"] == sorted(sample.tolist())
        assert found["kind"] == "numeric" and found["categories"] is None
    flag = feature(log, said["baseline_id"], "flag")
    ones = int(data[2].sum())
    assert (flag["kind"], flag["categories"], flag["edges"]) == ("categorical", {"0": 600 - ones, "1": ones}, [0, 1])
    empty = feature(log, said["baseline_id"], "empty")
    assert (empty["n"], empty["n_missing"], empty["edges"], empty["sample"]) == (0, 600, None, [])
    constant = feature(log, said["baseline_id"], "constant")
    assert (constant["edges"], constant["counts"], constant["sd_pop"]) == ([7.5, 7.5], [600], 0)
    broken = feature(log, said["baseline_id"], "broken")
    assert (broken["n"], broken["n_not_finite"], broken["n_missing"]) == (590, 10, 0)


def test_only_what_was_acted_on_live_counts(log):
    add_predictions(log, "m1", columns(300), MONDAY)
    add_predictions(log, "m1", columns(40, 1), MONDAY, length=40, source="update", role="challenger")
    for unlike in (
        {"role": "shadow"}, {"source": "backfill"}, {"source": "external"}, {"cache_hit": True}, {"role": "rule"},
    ):  # fmt: skip
        add_predictions(log, "m1", columns(100, 2), MONDAY, length=100, **unlike)
    register(log, "m2", NAMES)
    add_predictions(log, "m2", columns(100, 3), MONDAY, length=100)
    add_predictions(log, "m1", columns(100, 4), MONDAY - 31 * DAY, length=100)
    log.execute(
        "INSERT INTO ml_predictions (event_id, predicted_at, source, role, model_version, fallback_reason)"
        " VALUES (gen_random_uuid(), %s, 'insert', 'champion', 'm1', 'bar_missing')",
        (MONDAY,),
    )
    assert set_baseline(log, end=MONDAY + DAY)["predictions"] == 340
    assert value(log, "SELECT predictions FROM ml_baselines") == 340
    assert set_baseline(log, end=MONDAY + DAY, start=MONDAY - 40 * DAY)["predictions"] == 440


def test_few_predictions_are_taken_with_a_warning_and_replace_no_better_baseline(log):
    with pytest.raises(psycopg.Error, match=r"m1 has no prediction with features .* score events first"):
        set_baseline(log, end=MONDAY + DAY)
    add_predictions(log, "m1", columns(150), MONDAY, length=150)
    said = set_baseline(log, end=MONDAY + DAY)
    assert (said["status"], said["predictions"], said["sources"]) == ("success", 150, ["insert", "update"])
    assert "m1 has 150 predictions" in said["warning"] and "verdicts take 200" in said["warning"]
    add_predictions(log, "m1", columns(60), MONDAY, length=60, source="backfill")
    said = set_baseline(log, end=MONDAY + DAY)
    assert (said["predictions"], said["sources"]) == (210, ["insert", "update", "backfill"])
    assert "warning" not in said
    assert value(log, "SELECT sources FROM ml_baselines ORDER BY baseline_id DESC LIMIT 1") == [
        "insert",
        "update",
        "backfill",
    ]
    add_predictions(log, "m1", columns(198), MONDAY + 3 * DAY, length=198)
    with pytest.raises(
        psycopg.Error, match=r"only 198 predictions .* fewer than its baseline: wait until there are 200"
    ):
        set_baseline(log, start=MONDAY + 3 * DAY, end=MONDAY + 4 * DAY)
    assert value(log, "SELECT count(*) FROM ml_baselines") == 2


def test_what_makes_no_sense_is_refused_in_one_sentence(log):
    with pytest.raises(psycopg.Error, match="there is no model nothing: SELECT version FROM ml_models"):
        set_baseline(log, version="nothing")
    with pytest.raises(psycopg.Error, match="p_from must come before p_to"):
        set_baseline(log, start=MONDAY + DAY, end=MONDAY)
    log.execute("DELETE FROM ml_aliases")
    with pytest.raises(psycopg.Error, match=r"there is no champion .* ml\.promote"):
        set_baseline(log)
    assert rows(log, "SELECT * FROM ml_baselines") == []


def test_a_baseline_never_changes(log):
    add_predictions(log, "m1", columns(200), MONDAY)
    set_baseline(log, end=MONDAY + DAY)
    for statement in (
        "UPDATE ml_baselines SET reason = 'x'", "DELETE FROM ml_baseline_features", "UPDATE ml_baseline_features SET n = 1",
    ):  # fmt: skip
        with pytest.raises(psycopg.Error, match="never changed"):
            log.execute(statement)


def test_two_at_once_make_two_and_the_newest_wins(log, db_url):
    add_predictions(log, "m1", columns(200), MONDAY)

    def call(reason):
        with psycopg.connect(db_url, autocommit=True) as connection:
            return set_baseline(connection, reason, end=MONDAY + DAY)["baseline_id"]

    with ThreadPoolExecutor(2) as pool:
        made = sorted(pool.map(call, ["first", "second"]))
    assert len(set(made)) == 2
    assert value(log, "SELECT count(*) FROM ml_baseline_features") == 2 * (len(NAMES) + 3)
    compared = rows(log, "SELECT DISTINCT baseline_id FROM ml.feature_drift(%s, %s)", MONDAY, MONDAY + DAY)
    assert [row["baseline_id"] for row in compared] == [made[-1]]


def test_the_window_does_not_depend_on_the_session(log):
    add_predictions(log, "m1", columns(200), MONDAY)
    log.execute("SET timezone = 'America/New_York'; SET datestyle = 'German'; SET extra_float_digits = -10")
    set_baseline(log, end="2026-04-20T00:00:00Z", start="2026-01-01T00:00:00Z")
    log.execute("RESET extra_float_digits")
    assert (
        value(log, "SELECT sum(sample[1]) FROM ml_baseline_features WHERE feature = 'steady'") == columns(200)[0].min()
    )
    assert value(log, "SELECT count(*) FROM ml.feature_drift(p_to => %s)", MONDAY + DAY) == len(NAMES) + 3


def test_the_sample_of_many_predictions_is_stable_and_fair(log):
    generator = np.random.default_rng(3)
    add_predictions(log, "m1", [generator.normal(size=6000), *[[]] * 5], MONDAY, length=6000)
    first, second = (set_baseline(log, end=MONDAY + DAY)["baseline_id"] for _ in range(2))
    samples = [feature(log, made, "steady")["sample"] for made in (first, second)]
    assert samples[0] == samples[1]
    assert len(samples[0]) == 5000
    assert abs(np.mean(samples[0])) < 0.06
    assert feature(log, first, "steady")["n"] == 6000


def test_performance_is_stored_where_it_can_be(log):
    add_predictions(log, "m1", columns(200), MONDAY)
    log.execute("DROP FUNCTION IF EXISTS ml.store_baseline_performance(bigint)")
    assert set_baseline(log, end=MONDAY + DAY)["performance"] is None
    log.execute(
        "CREATE FUNCTION ml.store_baseline_performance(p_baseline_id bigint) RETURNS bigint LANGUAGE sql"
        " RETURN p_baseline_id + 1000"
    )
    said = set_baseline(log, end=MONDAY + DAY)
    assert said["performance"] == said["baseline_id"] + 1000
