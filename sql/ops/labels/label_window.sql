-- Where the outcome of one event is decided under a definition: entry, barriers and the bars that count.
-- Called by: ml.set_label, trainer annotate. Calls: nothing.
-- Reads: pattern_events, price_bars, ml.bar_indicators, ml_timeframes, ml.pattern_types, ml_label_definitions.
-- Writes: nothing.
--
-- ended_bars counts the bars of the window that have ended by p_at; window_ends_at is the end of the last one, NULL
-- until all are there. No row: no such event or definition, or no bar that the event could have been detected on.

CREATE OR REPLACE FUNCTION ml.label_window(
    p_event_id uuid,
    p_label text DEFAULT 'TB2',
    p_at timestamptz DEFAULT now()
)
RETURNS TABLE (
    bar_ts timestamptz,
    direction text,
    atr double precision,
    entry_at timestamptz,
    entry_price double precision,
    target_price double precision,
    stop_price double precision,
    horizon integer,
    ended_bars integer,
    window_ends_at timestamptz
)
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
-- Where a month ends must not depend on the session.
SET timezone = 'UTC'
AS $function$
    SELECT
        detection.ts,
        CASE placed.side WHEN 1 THEN 'bullish' WHEN -1 THEN 'bearish' END,
        placed.atr,
        ahead.entry_at,
        ahead.entry_price,
        ahead.entry_price + placed.side * definition.target_atr * placed.atr,
        ahead.entry_price - placed.side * definition.stop_atr * placed.atr,
        definition.horizon,
        ahead.bars::integer,
        CASE WHEN ahead.bars = definition.horizon THEN ahead.last_ts + frame.bar_period END
    FROM public.pattern_events AS event
    INNER JOIN public.ml_label_definitions AS definition ON definition.name = p_label AND definition.kind <> 'analyst'
    INNER JOIN public.ml_timeframes AS frame ON frame.timeframe = event.timeframe
    LEFT JOIN ml.pattern_types AS type ON type.pattern_type = lower(event.pattern_type)
    CROSS JOIN LATERAL (
        SELECT b.ts, b.atr_14, b.atr_100
        FROM ml.bar_indicators AS b
        WHERE b.symbol = event.symbol AND b.timeframe = event.timeframe AND b.ts <= event.detected_at
            AND (b.ts = event.detected_at OR b.ts + frame.bar_period <= event.detected_at)
        ORDER BY b.ts DESC
        LIMIT 1
    ) AS detection
    CROSS JOIN LATERAL (
        SELECT
            CASE definition.atr_length WHEN 14 THEN detection.atr_14 ELSE detection.atr_100 END AS atr,
            -- The words that ml.compute_event_features takes for a direction.
            CASE
                WHEN definition.kind = 'range' THEN NULL
                WHEN lower(coalesce(event.direction, type.direction)) IN ('bullish', 'long', 'buy', 'up', '1') THEN 1
                WHEN lower(coalesce(event.direction, type.direction)) IN ('bearish', 'short', 'sell', 'down', '-1')
                    THEN -1
            END AS side
    ) AS placed
    CROSS JOIN LATERAL (
        SELECT
            count(*) AS bars,
            min(b.ts) AS entry_at,
            max(b.ts) AS last_ts,
            (array_agg(b.open ORDER BY b.ts))[1] AS entry_price
        FROM (
            SELECT n.ts, n.open
            FROM public.price_bars AS n
            WHERE n.symbol = event.symbol AND n.timeframe = event.timeframe AND n.ts > detection.ts
                AND n.ts + frame.bar_period <= p_at
            ORDER BY n.ts
            LIMIT definition.horizon
        ) AS b
    ) AS ahead
    WHERE event.id = p_event_id AND detection.ts + frame.bar_period + frame.max_bar_age >= event.detected_at
$function$;
COMMENT ON FUNCTION ml.label_window IS
    'Where the outcome of one event is decided under a definition: entry, barriers and the bars that count.';
REVOKE ALL ON FUNCTION ml.label_window FROM PUBLIC;
