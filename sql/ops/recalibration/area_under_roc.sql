-- Area under the ROC curve, ties counting one half, and its standard error with spans free to move together.
-- Called by: ml.recalibrate. Calls: ml.clustered_mean. Reads: nothing. Writes: nothing.
--
-- DeLong, DeLong and Clarke-Pearson 1988, for clustered data as Obuchowski 1997: the error is that of the mean of
-- every event's placement, weighted by the inverse share of its class.

CREATE OR REPLACE FUNCTION ml.area_under_roc(
    p_score double precision[],
    p_is_win boolean[],
    p_spans date[],
    OUT auc double precision,
    OUT standard_error double precision
)
LANGUAGE sql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
    WITH ranked AS (
        SELECT
            given.is_win,
            given.span,
            rank() OVER (ORDER BY given.score) + (count(*) OVER (PARTITION BY given.score) - 1) / 2.0::float8 AS place,
            rank() OVER within + (count(*) OVER (PARTITION BY given.is_win, given.score) - 1) / 2.0::float8 AS place_within,
            count(*) OVER ()::float8 AS events,
            count(*) OVER (PARTITION BY given.is_win)::float8 AS of_class
        FROM unnest(p_score, p_is_win, p_spans) AS given (score, is_win, span)
        WINDOW within AS (PARTITION BY given.is_win ORDER BY given.score)
    ),

    -- Of a win: the share of the others below it; of another: the share of the wins above it.
    placed AS (
        SELECT
            r.span, r.is_win, r.events / r.of_class AS weight,
            CASE
                WHEN r.is_win THEN (r.place - r.place_within) / nullif(r.events - r.of_class, 0)
                ELSE 1 - (r.place - r.place_within) / nullif(r.events - r.of_class, 0)
            END AS placement
        FROM ranked AS r
    ),

    area AS (SELECT avg(p.placement) FILTER (WHERE p.is_win) AS auc FROM placed AS p)

    SELECT a.auc, CASE WHEN a.auc IS NOT NULL THEN error.standard_error END
    FROM area AS a
    CROSS JOIN LATERAL (
        SELECT array_agg(p.weight * (p.placement - a.auc)) AS influence, array_agg(p.span) AS spans FROM placed AS p
    ) AS i
    CROSS JOIN LATERAL ml.clustered_mean(i.influence, i.spans) AS error
$function$;
COMMENT ON FUNCTION ml.area_under_roc IS
    'Area under the ROC curve, ties counting one half, and its standard error with spans free to move together.';
REVOKE ALL ON FUNCTION ml.area_under_roc FROM PUBLIC;
