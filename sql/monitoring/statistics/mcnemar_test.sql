-- McNemar's test of two decisions on the same cases: exact for few discordant pairs, else chi-square with continuity correction.
-- Called by: ml.compare_versions, ml.compare_with_rules. Calls: ml.binomial_cdf, ml.chi_square_survival.
-- Reads: nothing. Writes: nothing.

-- Equals statsmodels 0.15 mcnemar(exact=...). A pair with a NULL is left out. difference is the share of second minus
-- that of first. Without a discordant pair there is nothing to test: statistic and p_value are NULL.
CREATE OR REPLACE FUNCTION ml.mcnemar_test(
    p_first boolean[],
    p_second boolean[],
    p_exact_below integer DEFAULT 25,
    OUT pairs bigint,
    OUT both_true bigint,
    OUT first_only bigint,
    OUT second_only bigint,
    OUT neither_true bigint,
    OUT difference double precision,
    OUT is_exact boolean,
    OUT statistic double precision,
    OUT p_value double precision
)
LANGUAGE plpgsql
IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_discordant bigint;
BEGIN
    SELECT
        count(*),
        count(*) FILTER (WHERE pair.first AND pair.second),
        count(*) FILTER (WHERE pair.first AND NOT pair.second),
        count(*) FILTER (WHERE NOT pair.first AND pair.second),
        count(*) FILTER (WHERE NOT pair.first AND NOT pair.second)
    INTO pairs, both_true, first_only, second_only, neither_true
    FROM unnest(p_first, p_second) AS pair (first, second)
    WHERE pair.first IS NOT NULL AND pair.second IS NOT NULL;

    difference := (second_only - first_only)::double precision / nullif(pairs, 0);
    v_discordant := first_only + second_only;
    IF v_discordant = 0 THEN
        RETURN;
    END IF;
    is_exact := v_discordant < p_exact_below;
    IF is_exact THEN
        statistic := least(first_only, second_only);
        p_value := least(1, 2 * ml.binomial_cdf(least(first_only, second_only), v_discordant, 0.5));
    ELSE
        statistic := (abs(first_only - second_only) - 1)::double precision ^ 2 / v_discordant;
        p_value := ml.chi_square_survival(statistic, 1);
    END IF;
END
$function$;
COMMENT ON FUNCTION ml.mcnemar_test IS
    'McNemar''s test of two decisions on the same cases: exact for few discordant pairs, else chi-square with continuity correction.';
REVOKE ALL ON FUNCTION ml.mcnemar_test FROM PUBLIC;
