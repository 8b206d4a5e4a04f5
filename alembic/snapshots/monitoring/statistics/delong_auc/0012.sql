-- Area under the ROC curve of one score with DeLong's standard error and interval.
-- Called by: people. Calls: ml.normal_quantile. Reads: nothing. Writes: nothing.

-- E. R. DeLong et al. (1988), from placements in O(n log n), which X. Sun and W. Xu (2014) have from mid-ranks. The area
-- equals scikit-learn's roc_auc_score. A case with a NULL, NaN or infinite score or a NULL class is left out. One class only: NULLs; one case
-- of a class: no standard error. A perfect separation has standard error 0, which few cases do not justify.
CREATE OR REPLACE FUNCTION ml.delong_auc(
    p_scores double precision[],
    p_positive boolean[],
    p_level double precision DEFAULT 0.95,
    OUT positives bigint,
    OUT negatives bigint,
    OUT auc double precision,
    OUT standard_error double precision,
    OUT low double precision,
    OUT high double precision
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_half double precision;
BEGIN
    SELECT
        count(*) FILTER (WHERE placed.positive), count(*) FILTER (WHERE NOT placed.positive),
        avg(placed.others_below) FILTER (WHERE placed.positive),
        var_samp(placed.others_below) FILTER (WHERE placed.positive),
        var_samp(placed.others_below) FILTER (WHERE NOT placed.positive)
    INTO positives, negatives, auc, standard_error, v_half
    FROM (
        -- How many of the other class lie below, ties as half. Both windows share one sort.
        SELECT
            score.positive,
            CASE
                WHEN score.positive
                    THEN count(*) FILTER (WHERE NOT score.positive) OVER up_to
                        - count(*) FILTER (WHERE NOT score.positive) OVER tied / 2.0::double precision
                ELSE count(*) FILTER (WHERE score.positive) OVER up_to
                    - count(*) FILTER (WHERE score.positive) OVER tied / 2.0::double precision
            END AS others_below
        FROM unnest(p_scores, p_positive) AS score (value, positive)
        WHERE score.value > '-infinity' AND score.value < 'infinity' AND score.positive IS NOT NULL
        WINDOW up_to AS (ORDER BY score.value), tied AS (PARTITION BY score.value)
    ) AS placed;
    auc := auc / nullif(negatives, 0);
    standard_error := sqrt(
        standard_error / positives / nullif(negatives, 0)::double precision ^ 2
        + v_half / negatives / nullif(positives, 0)::double precision ^ 2);
    v_half := standard_error * ml.normal_quantile((1 + p_level) / 2);
    low := auc - v_half;
    high := auc + v_half;
    IF low < 0 THEN
        low := 0;
    END IF;
    IF high > 1 THEN
        high := 1;
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.delong_auc IS
    'Area under the ROC curve of one score with DeLong''s standard error and interval.';
REVOKE ALL ON FUNCTION ml.delong_auc FROM PUBLIC;
