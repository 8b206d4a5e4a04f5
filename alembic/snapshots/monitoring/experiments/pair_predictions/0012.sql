-- Scores of champion and challenger for the same events, one row per event and pair of versions, with the outcome if known.
-- Called by: ml.compare_versions, view ml_challenger_pairs. Calls: nothing.
-- Reads: ml_predictions, pattern_events, ml_settings. Writes: nothing.

-- The row whose score was acted on (role champion or challenger) and the one logged beside it (role shadow) have the same
-- event_id and predicted_at. An event that was scored several times counts with the first time within the bounds.
-- Backfilled and external scores are no test of live scoring. is_win is NULL while the outcome is pending.
CREATE OR REPLACE FUNCTION ml.pair_predictions(
    p_champion text DEFAULT NULL,
    p_challenger text DEFAULT NULL,
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL
)
RETURNS TABLE (
    champion_version text,
    challenger_version text,
    event_id uuid,
    predicted_at timestamptz,
    acted_on text,
    symbol text,
    timeframe text,
    pattern_type text,
    detected_at timestamptz,
    rule_confidence double precision,
    champion_confidence double precision,
    challenger_confidence double precision,
    champion_blended double precision,
    challenger_blended double precision,
    champion_confirmed boolean,
    challenger_confirmed boolean,
    champion_fallback_reason text,
    challenger_fallback_reason text,
    champion_latency_us integer,
    challenger_latency_us integer,
    outcome_label text,
    is_win boolean
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    WITH paired AS (
        SELECT DISTINCT ON (acted.event_id, champion.version, challenger.version)
            champion.version AS champion_version,
            challenger.version AS challenger_version,
            acted.event_id,
            acted.predicted_at,
            acted.role,
            acted.rule_confidence,
            champion.confidence AS champion_confidence,
            challenger.confidence AS challenger_confidence,
            champion.blended AS champion_blended,
            challenger.blended AS challenger_blended,
            champion.fallback_reason AS champion_fallback_reason,
            challenger.fallback_reason AS challenger_fallback_reason,
            champion.latency_us AS champion_latency_us,
            challenger.latency_us AS challenger_latency_us
        FROM public.ml_predictions AS acted
        JOIN public.ml_predictions AS beside
            ON beside.event_id = acted.event_id AND beside.predicted_at = acted.predicted_at
        CROSS JOIN LATERAL (
            SELECT
                CASE WHEN acted.role = 'champion' THEN acted.model_version ELSE beside.model_version END AS version,
                CASE WHEN acted.role = 'champion' THEN acted.ml_confidence ELSE beside.ml_confidence END AS confidence,
                CASE WHEN acted.role = 'champion' THEN acted.blended_confidence ELSE beside.blended_confidence END AS blended,
                CASE WHEN acted.role = 'champion' THEN acted.fallback_reason ELSE beside.fallback_reason END AS fallback_reason,
                CASE WHEN acted.role = 'champion' THEN acted.latency_us ELSE beside.latency_us END AS latency_us
        ) AS champion
        CROSS JOIN LATERAL (
            SELECT
                CASE WHEN acted.role = 'champion' THEN beside.model_version ELSE acted.model_version END AS version,
                CASE WHEN acted.role = 'champion' THEN beside.ml_confidence ELSE acted.ml_confidence END AS confidence,
                CASE WHEN acted.role = 'champion' THEN beside.blended_confidence ELSE acted.blended_confidence END AS blended,
                CASE WHEN acted.role = 'champion' THEN beside.fallback_reason ELSE acted.fallback_reason END AS fallback_reason,
                CASE WHEN acted.role = 'champion' THEN beside.latency_us ELSE acted.latency_us END AS latency_us
        ) AS challenger
        WHERE acted.role IN ('champion', 'challenger')
            AND beside.role = 'shadow'
            -- Another version has stepped in for the one that failed.
            AND coalesce(acted.fallback_reason, '') NOT IN ('champion_failed', 'challenger_failed')
            AND acted.source IN ('insert', 'update')
            AND acted.predicted_at >= coalesce(p_since, '-infinity')
            AND acted.predicted_at < coalesce(p_until, 'infinity')
            AND beside.predicted_at >= coalesce(p_since, '-infinity')
            AND beside.predicted_at < coalesce(p_until, 'infinity')
            AND acted.model_version IS NOT NULL
            AND beside.model_version IS NOT NULL
            AND (p_champion IS NULL OR champion.version = p_champion)
            AND (p_challenger IS NULL OR challenger.version = p_challenger)
        ORDER BY acted.event_id, champion.version, challenger.version, acted.predicted_at
    )
    SELECT
        paired.champion_version,
        paired.challenger_version,
        paired.event_id,
        paired.predicted_at,
        paired.role,
        event.symbol,
        event.timeframe,
        event.pattern_type,
        event.detected_at,
        paired.rule_confidence,
        paired.champion_confidence,
        paired.challenger_confidence,
        paired.champion_blended,
        paired.challenger_blended,
        -- NaN sorts above every threshold.
        paired.champion_blended >= settings.confidence_threshold AND paired.champion_blended < 'infinity',
        paired.challenger_blended >= settings.confidence_threshold AND paired.challenger_blended < 'infinity',
        paired.champion_fallback_reason,
        paired.challenger_fallback_reason,
        paired.champion_latency_us,
        paired.challenger_latency_us,
        event.outcome_label,
        CASE WHEN event.outcome_label IN ('win', 'loss', 'timeout') THEN event.outcome_label = 'win' END
    FROM paired
    LEFT JOIN public.pattern_events AS event ON event.id = paired.event_id
    LEFT JOIN public.ml_settings AS settings ON true
$function$;
COMMENT ON FUNCTION ml.pair_predictions IS
    'Scores of champion and challenger for the same events, one row per event and pair of versions, with the outcome if known.';
REVOKE ALL ON FUNCTION ml.pair_predictions FROM PUBLIC;
