"""The statement trigger: what is logged, and what happens when it cannot be."""

import threading
import time

import psycopg
import pytest
from support import PROBABILITY, RULE, START, add_bars, event, go_live, insert_event, predictions, rows, value


def drop_partitions(db):
    for row in rows(
        db, "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'ml_predictions'::regclass"
    ):
        db.execute(f"DROP TABLE {row['name']}")


def test_the_log_row_holds_all_that_a_replay_needs(db):
    add_bars(db)
    go_live(
        db,
        features=("day_of_week", "rsi_14", "volume_percentile_100"),
        card={"golden_rows": [{"features": {}, "probabilities": [1 - PROBABILITY, PROBABILITY]}]},
    )
    stored = insert_event(db)
    (logged,) = predictions(db)
    assert logged["event_id"] == stored["id"]
    assert str(logged["id"]) == stored["ml_metadata"]["scoring"]["prediction_id"]
    assert logged["source"] == "insert"
    assert logged["role"] == "champion"
    assert logged["arm"] == "ml"
    assert logged["model_version"] == "toy"
    assert logged["ml_confidence"] == logged["ml_confidence_raw"] == PROBABILITY
    assert logged["rule_confidence"] == RULE
    assert logged["blended_confidence"] == stored["blended_confidence"]
    assert logged["features"] == [
        stored["ml_features"][name] for name in ("day_of_week", "rsi_14", "volume_percentile_100")
    ]
    assert logged["cache_hit"] is False
    assert logged["fallback_reason"] is None
    assert logged["latency_us"] > 0


def test_logged_features_are_bit_equal_to_the_computed_ones(db):
    times = add_bars(db)
    names = [row["name"] for row in rows(db, "SELECT name FROM ml_features ORDER BY position")]
    go_live(
        db,
        features=tuple(names),
        card={"golden_rows": [{"features": {}, "probabilities": [1 - PROBABILITY, PROBABILITY]}]},
    )
    db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT symbol, timeframe, 'hammer', ts, 0.5 FROM price_bars"
    )
    different = value(
        db,
        """
        SELECT count(*) FROM pattern_events AS e
        JOIN ml_predictions AS p ON p.event_id = e.id
        CROSS JOIN LATERAL ml.compute_event_features(ROW(
            e.symbol, e.timeframe, e.pattern_type, NULL, e.detected_at, NULL, NULL, NULL, NULL, NULL, NULL
        )::ml.event_inputs) AS computed
        WHERE array_send(ml.feature_array(computed.features)) <> array_send(p.features)
            OR e.ml_metadata #>> '{scoring,feature_hash}' <> encode(sha256(array_send(p.features)), 'hex')
        """,
    )
    assert different == 0
    assert value(db, "SELECT count(*) FROM ml_predictions") == len(times)


def test_a_missing_partition_loses_no_event(db):
    add_bars(db)
    go_live(db)
    drop_partitions(db)
    stored = insert_event(db)
    assert stored["model_version"] == "toy"
    (dropped,) = rows(db, "SELECT * FROM ml_log_drops")
    assert dropped["event_id"] == stored["id"]
    assert dropped["error_sqlstate"] == "23514"
    health = value(db, "SELECT ml_health()")
    assert health["status"] == "critical"
    assert health["log_drops_24h"] == 1
    db.execute("SELECT ml.create_prediction_partitions()")
    insert_event(db)
    assert len(predictions(db)) == 1


def test_a_lost_log_and_a_lost_list_of_drops_is_a_warning(db):
    add_bars(db)
    go_live(db)
    db.execute("DROP TABLE ml_predictions, ml_log_drops CASCADE")
    notices = []
    db.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    assert insert_event(db)["model_version"] == "toy"
    assert len(notices) == 1
    assert "not logged" in notices[0]


def test_the_exception_block_is_what_saves_the_insert(db):
    add_bars(db)
    go_live(db)
    drop_partitions(db)
    definition = value(db, "SELECT pg_get_functiondef('ml.log_predictions'::regproc)")
    start = definition.index("    EXCEPTION WHEN OTHERS THEN\n        v_sqlstate")
    end = definition.index("    END;", start)
    db.execute(definition[:start] + definition[end:])
    with pytest.raises(psycopg.errors.CheckViolation):
        insert_event(db)


def test_the_user_does_not_wait_for_a_locked_log(db, db_url):
    add_bars(db)
    go_live(db)
    insert_event(db)
    with psycopg.connect(db_url) as other:
        other.execute("LOCK TABLE ml_predictions IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        stored = insert_event(db)
        waited = time.monotonic() - started
        other.rollback()
    assert waited < 2
    assert stored["model_version"] == "toy"
    assert value(db, "SELECT error_sqlstate FROM ml_log_drops") == "55P03"


def test_an_update_of_a_label_logs_nothing_in_the_same_transaction_either(db):
    add_bars(db)
    go_live(db)
    with db.transaction():
        stored = insert_event(db)
        db.execute("UPDATE pattern_events SET outcome_label = 'win'")
    assert len(predictions(db)) == 1
    assert event(db, stored["id"])["outcome_label"] == "win"


def test_concurrent_writers_log_every_event_once(db, db_url):
    add_bars(db)
    go_live(db)

    def write() -> None:
        with psycopg.connect(db_url, autocommit=True) as connection:
            for _ in range(25):
                connection.execute(
                    "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
                    " VALUES ('TEST', '1d', 'hammer', %s, 0.5)",
                    (START,),
                )

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(db, "SELECT count(*) FROM pattern_events") == 100
    assert value(db, "SELECT count(DISTINCT event_id) FROM ml_predictions") == 100
    assert value(db, "SELECT count(*) FROM ml_predictions") == 100


def test_log_ml_prediction_takes_what_exists_nowhere(db):
    logged = value(db, "SELECT log_ml_prediction('00000000-0000-0000-0000-000000000000', 'never-seen', 0.85, 0.7)")
    (row,) = predictions(db)
    assert row["id"] == logged
    assert (row["source"], row["model_version"]) == ("external", "never-seen")
    assert (row["ml_confidence_raw"], row["ml_confidence"]) == (0.85, 0.7)
    assert value(db, "SELECT ml_health()")["predictions"] == 0
