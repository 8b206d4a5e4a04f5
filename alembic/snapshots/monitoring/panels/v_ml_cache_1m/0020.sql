-- How many re-scorings found features and model unchanged and kept the stored score, minute by minute.
-- Called by: dashboards. Calls: nothing. Reads: ml.panel_minutes. Writes: nothing.

CREATE VIEW ml.v_ml_cache_1m AS
SELECT
    bucket AS time,
    sum(rescorings)::bigint AS rescorings,
    sum(cache_hits)::bigint AS cache_hits,
    (sum(rescorings) - sum(cache_hits))::bigint AS cache_misses,
    CASE WHEN sum(rescorings) >= 20 THEN sum(cache_hits)::double precision / sum(rescorings)::double precision END
        AS cache_hit_rate
FROM ml.panel_minutes
WHERE is_live AND rescorings > 0
GROUP BY bucket;
COMMENT ON VIEW ml.v_ml_cache_1m IS
    'How many re-scorings found features and model unchanged and kept the stored score, minute by minute.';
COMMENT ON COLUMN ml.v_ml_cache_1m.time IS 'Start of the minute; of the hour where ml.panel_minutes has hours.';
COMMENT ON COLUMN ml.v_ml_cache_1m.rescorings IS 'Attempted predictions that an UPDATE of an event asked for.';
COMMENT ON COLUMN ml.v_ml_cache_1m.cache_hits IS 'Re-scorings that kept the stored score.';
COMMENT ON COLUMN ml.v_ml_cache_1m.cache_misses IS 'Re-scorings that computed a new score.';
COMMENT ON COLUMN ml.v_ml_cache_1m.cache_hit_rate IS
    'Share (0 to 1) of re-scorings; NULL below 20 in the bucket: add up cache_hits and rescorings over a longer time.';
