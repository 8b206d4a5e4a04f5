-- Keeps bar indicators equal to the bars: recomputes each touched series from its first changed bar on.
-- Called by: the statement triggers of public.price_bars. Calls: ml.recompute_bar_indicators.
-- Reads: public.price_bars. Writes: ml.bar_series, ml.bar_states, ml.bar_indicators.

-- A definer function: whoever may write bars needs no right on anything in schema ml.
-- The transition table of an INSERT or DELETE is changed_bars; an UPDATE has old_bars as well.
CREATE OR REPLACE FUNCTION ml.maintain_bar_indicators()
RETURNS trigger
LANGUAGE plpgsql
VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    v_symbols text[];
    v_timeframes text[];
    v_since timestamptz[];
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        -- Not TRUNCATE: scoring reads these tables and must not wait for the end of this transaction.
        DELETE FROM ml.bar_indicators;
        DELETE FROM ml.bar_states;
        DELETE FROM ml.bar_series;
        RETURN NULL;
    END IF;

    IF TG_OP = 'UPDATE' THEN
        -- A feed that sends its last bars again changes nothing and costs nothing.
        SELECT
            pg_catalog.array_agg(c.symbol ORDER BY c.symbol COLLATE "C", c.timeframe COLLATE "C"),
            pg_catalog.array_agg(c.timeframe ORDER BY c.symbol COLLATE "C", c.timeframe COLLATE "C"),
            pg_catalog.array_agg(c.since ORDER BY c.symbol COLLATE "C", c.timeframe COLLATE "C")
        INTO v_symbols, v_timeframes, v_since
        FROM (
            SELECT d.symbol, d.timeframe, pg_catalog.min(d.ts) AS since
            FROM (
                (SELECT b.* FROM changed_bars AS b EXCEPT SELECT b.* FROM old_bars AS b)
                UNION ALL
                (SELECT b.* FROM old_bars AS b EXCEPT SELECT b.* FROM changed_bars AS b)
            ) AS d
            GROUP BY d.symbol, d.timeframe
        ) AS c;
    ELSE
        SELECT
            pg_catalog.array_agg(c.symbol ORDER BY c.symbol COLLATE "C", c.timeframe COLLATE "C"),
            pg_catalog.array_agg(c.timeframe ORDER BY c.symbol COLLATE "C", c.timeframe COLLATE "C"),
            pg_catalog.array_agg(c.since ORDER BY c.symbol COLLATE "C", c.timeframe COLLATE "C")
        INTO v_symbols, v_timeframes, v_since
        FROM (
            SELECT b.symbol, b.timeframe, pg_catalog.min(b.ts) AS since
            FROM changed_bars AS b
            GROUP BY b.symbol, b.timeframe
        ) AS c;
    END IF;

    FOR i IN 1 .. coalesce(pg_catalog.cardinality(v_symbols), 0) LOOP
        -- Taken in sorted order and held to the end of the transaction; what another one committed meanwhile is seen by
        -- the statements that follow.
        INSERT INTO ml.bar_series (symbol, timeframe, changed_in)
        VALUES (v_symbols[i], v_timeframes[i], pg_catalog.pg_current_xact_id())
        ON CONFLICT ON CONSTRAINT bar_series_pkey DO UPDATE SET changed_in = excluded.changed_in
        WHERE bar_series.changed_in <> excluded.changed_in;
        PERFORM ml.recompute_bar_indicators(v_symbols[i], v_timeframes[i], v_since[i]);
    END LOOP;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION ml.maintain_bar_indicators IS
    'Keeps bar indicators equal to the bars: recomputes each touched series from its first changed bar on.';
REVOKE ALL ON FUNCTION ml.maintain_bar_indicators FROM PUBLIC;
