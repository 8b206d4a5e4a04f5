-- Aggregate: the sum of objects of counts, key by key; an empty object when there are none.
-- Called by: readers of ml_metrics_1m and ml_metrics_1h. Calls: ml.add_counts. Reads: nothing. Writes: nothing.

CREATE AGGREGATE ml.merge_counts(jsonb) (
    SFUNC = ml.add_counts,
    STYPE = jsonb,
    INITCOND = '{}',
    COMBINEFUNC = ml.add_counts,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE ml.merge_counts(jsonb) IS
    'Aggregate: the sum of objects of counts, key by key; an empty object when there are none.';
REVOKE ALL ON FUNCTION ml.merge_counts(jsonb) FROM PUBLIC;
