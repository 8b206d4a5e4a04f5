-- Rebuilds bar indicators by hand, of all series or some, from a time on; returns the number of bars.
-- Called by: nothing. Calls: ml.recompute_bar_indicators. Reads: public.price_bars, ml.bar_states.
-- Writes: ml.bar_series.

CREATE OR REPLACE FUNCTION ml.refresh_bar_indicators(
    p_symbol text DEFAULT NULL, p_timeframe text DEFAULT NULL, p_since timestamptz DEFAULT NULL
)
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_symbol text;
    v_timeframe text;
    v_count bigint := 0::bigint;
BEGIN
    FOR v_symbol, v_timeframe IN
        SELECT c.symbol, c.timeframe
        FROM (
            SELECT b.symbol, b.timeframe FROM public.price_bars AS b
            UNION
            SELECT s.symbol, s.timeframe FROM ml.bar_states AS s
        ) AS c
        WHERE (p_symbol IS NULL OR c.symbol = p_symbol) AND (p_timeframe IS NULL OR c.timeframe = p_timeframe)
        ORDER BY c.symbol COLLATE "C", c.timeframe COLLATE "C"
    LOOP
        INSERT INTO ml.bar_series (symbol, timeframe, changed_in)
        VALUES (v_symbol, v_timeframe, pg_catalog.pg_current_xact_id())
        ON CONFLICT ON CONSTRAINT bar_series_pkey DO UPDATE SET changed_in = excluded.changed_in
        WHERE bar_series.changed_in <> excluded.changed_in;
        v_count := v_count + ml.recompute_bar_indicators(v_symbol, v_timeframe, coalesce(p_since, '-infinity'));
    END LOOP;
    RETURN v_count;
END
$function$;
COMMENT ON FUNCTION ml.refresh_bar_indicators IS
    'Rebuilds bar indicators by hand, of all series or some, from a time on; returns the number of bars.';
REVOKE ALL ON FUNCTION ml.refresh_bar_indicators FROM PUBLIC;
