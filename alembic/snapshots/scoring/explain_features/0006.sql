-- What each feature of one vector contributes to the raw output of a version's model, the largest first.
-- Called by: ml.explain, ml.explain_predictions. Calls: ml.compute_contributions. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.explain_features(p_version text, p_features double precision[], p_exact boolean DEFAULT true)
RETURNS TABLE (
    feature text,
    value double precision,
    contribution double precision,
    rank integer,
    method text,
    base_value double precision
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $function$
    SELECT
        one.feature, one.value, one.contribution,
        (row_number() OVER (ORDER BY abs(one.contribution) DESC, one.place))::integer,
        computed.method, computed.base_value
    FROM ml.compute_contributions(p_version, p_features, p_exact) AS computed
    CROSS JOIN LATERAL ROWS FROM (
        unnest(computed.feature_names), unnest(p_features), unnest(computed.contributions)
    ) WITH ORDINALITY AS one (feature, value, contribution, place)
    WHERE one.feature IS NOT NULL
    ORDER BY 4
$function$;
COMMENT ON FUNCTION ml.explain_features IS
    'What each feature of one vector contributes to the raw output of a version''s model, the largest first.';
REVOKE ALL ON FUNCTION ml.explain_features FROM PUBLIC;
