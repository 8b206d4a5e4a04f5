-- For how many events the score of ML was used and how many were confirmed while ML was on, by day, symbol, type; 30 days.
-- Called by: dashboards. Calls: ml.summarize_adoption. Reads: ml.panel_bounds. Writes: nothing.

-- A day at a time, so that a filter on time leaves the other days unread.
CREATE VIEW ml.v_ml_adoption AS
SELECT
    day.time,
    adoption.symbol,
    adoption.pattern_type,
    adoption.predictions,
    adoption.used,
    adoption.confirmed,
    adoption.used / adoption.predictions::double precision AS ml_usage_rate
FROM pg_catalog.generate_series(
    (SELECT b.days_from FROM ml.panel_bounds AS b), pg_catalog.statement_timestamp(), interval '24 hours'
) AS day (time)
CROSS JOIN LATERAL ml.summarize_adoption(day.time, (SELECT b.day_step FROM ml.panel_bounds AS b)) AS adoption;
COMMENT ON VIEW ml.v_ml_adoption IS
    'For how many events the score of ML was used and how many were confirmed while ML was on, by day, symbol, type; 30 days.';
COMMENT ON COLUMN ml.v_ml_adoption.time IS
    'Start of the day (UTC) of the predictions: 30 days; older ones without symbols: v_ml_throughput_1m.';
COMMENT ON COLUMN ml.v_ml_adoption.predictions IS
    'Live predictions of INSERT and UPDATE while ML was on (not disabled), without events deleted since. When all days together have more than 60,000 predictions, about: one event in n counts n times, as in all counts here.';
COMMENT ON COLUMN ml.v_ml_adoption.used IS 'Those whose ML score was used.';
COMMENT ON COLUMN ml.v_ml_adoption.confirmed IS 'Those with a blended confidence at or above the threshold of now.';
COMMENT ON COLUMN ml.v_ml_adoption.ml_usage_rate IS 'Share (0 to 1) of used in predictions.';
