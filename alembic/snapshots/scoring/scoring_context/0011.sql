-- Switches, weights, champion, calibrator and circuit breaker as one row: all that scoring needs besides the event.
-- Called by: ml.score_pattern_event, ml.score_batch, ml.backfill. Calls: nothing.
-- Reads: ml_settings, ml.scoring_models, ml_aliases, ml.breaker_switch, ml.challenger_switch, ml.owned_objects.
-- Writes: nothing.

CREATE VIEW ml.scoring_context AS
SELECT
    settings.enabled,
    settings.ml_weight,
    settings.rule_weight,
    settings.rollout_percent,
    settings.rollout_salt,
    champion.version AS model_version,
    champion.classes,
    champion.calibrator_version,
    champion.calibration_method,
    champion.calibration_a,
    champion.calibration_b,
    champion.knots_x,
    champion.knots_y,
    -- A column that the user had before is read, and never filled.
    ARRAY(SELECT owned.name FROM ml.owned_objects AS owned WHERE owned.kind = 'column') AS filled_columns,
    'champion' AS alias,
    -- NULL also when ml.check_challenger has stopped it: until ml.set_challenger() names one again.
    (
        SELECT other.version FROM public.ml_aliases AS other
        WHERE other.alias = 'challenger'
            AND (SELECT switch.action FROM ml.challenger_switch AS switch) IS DISTINCT FROM 'challenger_stop'
    ) AS challenger_version,
    settings.canary_percent,
    settings.shadow_percent,
    settings.breaker_enabled,
    settings.breaker_latency_ms,
    settings.breaker_cooldown,
    -- NULL while the circuit breaker is closed: a promotion or a rollback closes it as well, and that of another version
    -- says nothing about this one.
    (
        SELECT CASE WHEN switch.action = 'breaker_open' AND switch.version = champion.version THEN switch.occurred_at END
        FROM ml.breaker_switch AS switch
    ) AS breaker_opened_at,
    champion.has_calibrator_parts,
    settings.breaker_minimum_calls
FROM public.ml_settings AS settings
LEFT JOIN ml.scoring_models AS champion ON champion.alias = 'champion';
COMMENT ON VIEW ml.scoring_context IS
    'Switches, weights, champion, calibrator and circuit breaker as one row: all that scoring needs besides the event.';
