"""A log of an experiment, written as its owner: predictions of two versions and of the rules, and events with outcomes."""

from typing import Any

import psycopg

# Event number n: its wins are drawn with probability p, the champion and the challenger score it with errors of their
# own, and the rule knows little. %(...)s are the sizes of the experiment.
EVENTS = """
    CREATE TEMPORARY TABLE drawn AS
    SELECT
        n,
        gen_random_uuid() AS id,
        '2026-01-05'::timestamptz + n * interval '30 seconds' AS at,
        p,
        least(greatest(p + %(champion_error)s * (random() - 0.5), 0.001), 0.999) AS champion,
        least(greatest(p + %(challenger_error)s * (random() - 0.5), 0.001), 0.999) AS challenger,
        least(greatest(0.3 * p + 0.7 * random(), 0.001), 0.999) AS rule,
        random() < %(canary)s / 100.0 AS in_canary,
        random() < %(rollout)s / 100.0 AS in_rollout,
        CASE WHEN random() < %(labelled)s THEN CASE WHEN random() < p THEN 'win' WHEN random() < 0.5 THEN 'loss' ELSE 'timeout' END END
            AS outcome
    FROM (SELECT n, 0.1 + 0.8 * random() AS p FROM generate_series(1, %(events)s) AS n) AS numbers;

    INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence, outcome_label)
    SELECT id, 'TEST', '1d', 'hammer', at, rule, outcome FROM drawn;

    INSERT INTO ml_predictions (
        event_id, predicted_at, source, model_version, role, arm, ml_confidence_raw, ml_confidence, rule_confidence,
        blended_confidence, latency_us, fallback_reason
    )
    SELECT
        id, at, 'insert',
        CASE WHEN side.is_champion THEN 'alpha' ELSE 'beta' END,
        CASE WHEN side.is_champion = in_canary THEN 'shadow' WHEN side.is_champion THEN 'champion' ELSE 'challenger' END,
        'ml', score, score, rule, 0.6 * score + 0.4 * rule, (exp(random()) * 300)::integer, NULL
    FROM drawn
    CROSS JOIN (VALUES (true), (false)) AS side (is_champion)
    CROSS JOIN LATERAL (SELECT CASE WHEN side.is_champion THEN champion ELSE challenger END AS score) AS scored
    WHERE in_rollout
    UNION ALL
    SELECT id, at, 'insert', NULL, 'rule', 'rule', NULL, NULL, rule, rule, 20, 'not_in_rollout'
    FROM drawn WHERE NOT in_rollout
"""


def fill_log(
    db: psycopg.Connection[Any],
    events: int,
    *,
    champion_error: float = 0.6,
    challenger_error: float = 0.6,
    canary: float = 0,
    rollout: float = 100,
    labelled: float = 1,
    seed: float = 0.5,
) -> None:
    """Write an experiment of ``alpha`` (champion) against ``beta`` into an empty log; ``drawn`` holds what was drawn."""
    with db.transaction():
        db.execute("SELECT ml.create_prediction_partitions('2026-01-01')")
        db.execute("ALTER TABLE pattern_events DISABLE TRIGGER USER")
        db.execute("SELECT setseed(%s)", (seed,))
        sizes = {
            "events": events,
            "champion_error": champion_error,
            "challenger_error": challenger_error,
            "canary": canary,
            "rollout": rollout,
            "labelled": labelled,
        }
        with psycopg.ClientCursor(db) as cursor:
            cursor.execute(EVENTS.encode(), sizes)
        db.execute("ALTER TABLE pattern_events ENABLE TRIGGER USER")
        db.execute("ANALYZE pattern_events, ml_predictions")
