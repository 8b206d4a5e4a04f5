-- Aggregate: the sum of histograms, bin by bin; an empty array when there are none.
-- Called by: readers of ml_metrics_1m and ml_metrics_1h. Calls: ml.add_histograms. Reads: nothing. Writes: nothing.

CREATE AGGREGATE ml.merge_histograms(bigint []) (
    SFUNC = ml.add_histograms,
    STYPE = bigint [],
    INITCOND = '{}',
    COMBINEFUNC = ml.add_histograms,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE ml.merge_histograms(bigint []) IS
    'Aggregate: the sum of histograms, bin by bin; an empty array when there are none.';
REVOKE ALL ON FUNCTION ml.merge_histograms(bigint []) FROM PUBLIC;
