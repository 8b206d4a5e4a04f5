-- For how many events the score of ML was used and how many it confirmed, day by day, by symbol and pattern type; 30 days.
-- Called by: dashboards. Calls: nothing. Reads: ml_predictions, pattern_events, ml_settings. Writes: nothing.

-- A day at a time, so that a filter on time leaves the other days unread.
CREATE VIEW ml.v_ml_adoption AS
SELECT
    day.time,
    used.symbol,
    used.pattern_type,
    used.predictions,
    used.used,
    used.confirmed,
    used.used / used.predictions::double precision AS ml_usage_rate
FROM pg_catalog.generate_series(
    pg_catalog.date_trunc('day', pg_catalog.statement_timestamp(), 'UTC') - interval '30 days',
    pg_catalog.date_trunc('day', pg_catalog.statement_timestamp(), 'UTC'),
    interval '1 day'
) AS day (time)
CROSS JOIN LATERAL (
    SELECT
        event.symbol,
        event.pattern_type,
        count(*) AS predictions,
        count(*) FILTER (WHERE p.role <> 'rule' AND p.fallback_reason IS NULL) AS used,
        count(*) FILTER (
            -- NaN sorts above every threshold.
            WHERE p.blended_confidence >= (SELECT s.confidence_threshold FROM public.ml_settings AS s)
                AND p.blended_confidence < 'infinity'
        ) AS confirmed
    FROM public.ml_predictions AS p
    JOIN public.pattern_events AS event ON event.id = p.event_id
    WHERE p.predicted_at >= day.time AND p.predicted_at < day.time + interval '1 day'
        AND p.source IN ('insert', 'update') AND p.role <> 'shadow'
    GROUP BY event.symbol, event.pattern_type
) AS used;
COMMENT ON VIEW ml.v_ml_adoption IS
    'For how many events the score of ML was used and how many it confirmed, day by day, by symbol and pattern type; 30 days.';
COMMENT ON COLUMN ml.v_ml_adoption.time IS
    'Start of the day (UTC) of the predictions; of the whole year without symbols: v_ml_throughput_1m.';
COMMENT ON COLUMN ml.v_ml_adoption.predictions IS 'Live predictions of INSERT and UPDATE; events deleted since are left out.';
COMMENT ON COLUMN ml.v_ml_adoption.used IS 'Those whose ML score was used.';
COMMENT ON COLUMN ml.v_ml_adoption.confirmed IS 'Those with a blended confidence at or above the threshold of now.';
COMMENT ON COLUMN ml.v_ml_adoption.ml_usage_rate IS 'Share (0 to 1) of used in predictions.';
