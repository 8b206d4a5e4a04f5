-- Label events by what the market did next: target, stop or neither within a number of bars (label TB2).
-- Called by: trainer.label. Calls: nothing.
-- Reads: public.pattern_events, public.price_bars, ml.bar_indicators, public.ml_timeframes, ml.pattern_types.
-- Writes: public.pattern_events (label columns only: scores stay what was acted on).
--
-- Entry is the open of the bar after the one the event was detected on; the close of that bar would flatter every
-- pattern, because the last print bounces. With A = Wilder's ATR(100) of the detection bar, the target is
-- p_barrier_atr * A beyond the entry in the event's direction and the stop as far on the other side. The entry bar
-- is the first of p_horizon bars. A bar that touches both is a loss. No outcome before a barrier is touched or all
-- bars have ended by p_at.
--
-- outcome_at          end of the bar that decided: the outcome was not known earlier.
-- realized_pnl        (exit - entry) / entry in the event's direction, before costs. Exit is the barrier, or the open
--                     of the deciding bar when it opened beyond it, or the close of the last bar of a timeout.
-- max_drawdown        largest move against the event until the exit, / entry, 0 or more.
-- label_source        p_label. A label with another source, or with none, is somebody's own and is never touched.
-- data_quality_score  product of: history, min(1, bars up to the detection bar / 260); movement, the share of the
--                     bars looked at whose high is above their low; 0.5 if two bars in a row lie further apart than
--                     the timeframe allows (a hole in the data); 0.5 if one bar touched both barriers.

CREATE OR REPLACE FUNCTION ml.label_outcomes(
    p_label text DEFAULT 'TB2',
    p_barrier_atr double precision DEFAULT 2,
    p_horizon integer DEFAULT 10,
    p_since timestamptz DEFAULT NULL,
    p_until timestamptz DEFAULT NULL,
    p_limit integer DEFAULT NULL,
    p_relabel boolean DEFAULT false,
    p_at timestamptz DEFAULT now()
)
RETURNS jsonb
LANGUAGE plpgsql
-- TimeZone: where a month ends must not depend on the session.
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET jit = off
AS $function$
DECLARE
    v_counts jsonb;
BEGIN
    IF coalesce(btrim(p_label), '') = '' THEN
        RAISE EXCEPTION 'p_label is empty: give the label a name' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_barrier_atr IS NULL OR p_barrier_atr <= 0 OR p_barrier_atr >= 'infinity' THEN
        RAISE EXCEPTION 'p_barrier_atr is %: it must be a number above 0', coalesce(p_barrier_atr::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_horizon IS NULL OR p_horizon NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'p_horizon is %: it must be 1 to 10000 bars', coalesce(p_horizon::text, 'null')
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_label = 'TB2' AND (p_barrier_atr <> 2 OR p_horizon <> 10) THEN
        RAISE EXCEPTION 'TB2 means barriers of 2 ATR and 10 bars: give other parameters another p_label'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    WITH placed AS MATERIALIZED (
        SELECT
            e.id,
            e.symbol,
            e.timeframe,
            e.detected_at,
            f.bar_period,
            f.max_bar_age,
            -- The words that ml.compute_event_features takes for a direction.
            CASE
                WHEN lower(coalesce(e.direction, t.direction)) IN ('bullish', 'long', 'buy', 'up', '1') THEN 1::float8
                WHEN lower(coalesce(e.direction, t.direction)) IN ('bearish', 'short', 'sell', 'down', '-1')
                    THEN -1::float8
            END AS side,
            i.ts AS bar_ts,
            i.bar_number,
            i.atr_100
        FROM public.pattern_events AS e
        LEFT JOIN public.ml_timeframes AS f ON f.timeframe = e.timeframe
        LEFT JOIN ml.pattern_types AS t ON t.pattern_type = lower(e.pattern_type)
        -- The bar that the event's features are computed at.
        LEFT JOIN LATERAL (
            SELECT b.ts, b.bar_number, b.atr_100
            FROM ml.bar_indicators AS b
            WHERE b.symbol = e.symbol AND b.timeframe = e.timeframe AND b.ts <= e.detected_at
                AND (b.ts = e.detected_at OR b.ts + f.bar_period <= e.detected_at)
            ORDER BY b.ts DESC
            LIMIT 1
        ) AS i ON i.ts + f.bar_period + f.max_bar_age >= e.detected_at
        WHERE (
            (e.outcome_label IS NULL AND e.label_source IS NULL)
            OR (p_relabel AND e.label_source = p_label)
        )
        AND (p_since IS NULL OR e.detected_at >= p_since)
        AND (p_until IS NULL OR e.detected_at < p_until)
    ),

    -- One event at a time: a join of all events with all their paths is planned badly right after a bulk load.
    result AS MATERIALIZED (
        SELECT
            p.id,
            p.detected_at,
            o.outcome_label,
            o.outcome_at,
            o.realized_pnl,
            o.max_drawdown,
            o.both_touched,
            least(1, p.bar_number / 260.0::float8) * o.share_moved
            * CASE WHEN o.has_hole THEN 0.5 ELSE 1 END
            * CASE WHEN o.both_touched THEN 0.5 ELSE 1 END AS data_quality_score,
            CASE
                WHEN p.side IS NULL THEN 'no_direction'
                WHEN p.bar_ts IS NULL THEN 'no_bar'
                WHEN p.atr_100 IS NULL OR p.atr_100 <= 0 THEN 'no_atr'
                WHEN o.outcome_label IS NULL THEN 'pending'
            END AS skipped
        FROM placed AS p
        LEFT JOIN LATERAL (
            WITH path AS (
                SELECT
                    b.ts,
                    b.open,
                    b.close,
                    b.high > b.low AS moved,
                    CASE WHEN p.side > 0 THEN b.high ELSE b.low END AS best,
                    CASE WHEN p.side > 0 THEN b.low ELSE b.high END AS worst,
                    row_number() OVER bars_so_far AS step,
                    first_value(b.open) OVER bars_so_far AS entry,
                    lag(b.ts, 1, p.bar_ts) OVER bars_so_far + p.bar_period + p.max_bar_age < b.ts AS after_hole
                FROM (
                    SELECT n.ts, n.open, n.high, n.low, n.close
                    FROM public.price_bars AS n
                    WHERE n.symbol = p.symbol AND n.timeframe = p.timeframe AND n.ts > p.bar_ts
                        AND n.ts + p.bar_period <= p_at
                    ORDER BY n.ts
                    LIMIT p_horizon
                ) AS b
                WINDOW bars_so_far AS (ORDER BY b.ts)
            ),

            touched AS (
                SELECT
                    b.*,
                    p.side * (b.best - (b.entry + p.side * p_barrier_atr * p.atr_100)) >= 0 AS target_touched,
                    p.side * (b.worst - (b.entry - p.side * p_barrier_atr * p.atr_100)) <= 0 AS stop_touched
                FROM path AS b
            ),

            decided AS (
                SELECT
                    t.*,
                    coalesce(
                        min(t.step) FILTER (WHERE t.target_touched OR t.stop_touched) OVER (),
                        CASE WHEN count(*) OVER () = p_horizon THEN p_horizon END
                    ) AS last_step
                FROM touched AS t
            ),

            closed AS (
                SELECT
                    d.*,
                    CASE
                        -- side * least(side * a, side * b) is the one of a and b that is worse for the event.
                        WHEN d.stop_touched
                            THEN p.side * least(
                                p.side * (d.entry - p.side * p_barrier_atr * p.atr_100), p.side * d.open)
                        WHEN d.target_touched
                            THEN p.side * greatest(
                                p.side * (d.entry + p.side * p_barrier_atr * p.atr_100), p.side * d.open)
                        ELSE d.close
                    END AS exit_price
                FROM decided AS d
                WHERE d.step <= d.last_step
            )

            SELECT
                min(CASE WHEN c.stop_touched THEN 'loss' WHEN c.target_touched THEN 'win' ELSE 'timeout' END)
                FILTER (WHERE c.step = c.last_step) AS outcome_label,
                max(c.ts) + p.bar_period AS outcome_at,
                min(p.side * (c.exit_price - c.entry) / c.entry) FILTER (WHERE c.step = c.last_step) AS realized_pnl,
                greatest(0, max(
                    p.side * (c.entry - CASE WHEN c.stop_touched THEN c.exit_price ELSE c.worst END) / c.entry
                )) AS max_drawdown,
                avg(c.moved::integer)::float8 AS share_moved,
                bool_or(c.after_hole) AS has_hole,
                bool_or(c.stop_touched AND c.target_touched) AS both_touched
            FROM closed AS c
        ) AS o ON p.side IS NOT NULL AND p.atr_100 > 0
    ),

    chosen AS (
        SELECT r.*
        FROM result AS r
        WHERE r.skipped IS NULL
        ORDER BY r.detected_at, r.id
        LIMIT p_limit
    ),

    written AS (
        UPDATE public.pattern_events AS e
        SET
            outcome_label = c.outcome_label,
            outcome_at = c.outcome_at,
            realized_pnl = c.realized_pnl,
            max_drawdown = c.max_drawdown,
            label_source = p_label,
            data_quality_score = c.data_quality_score
        FROM chosen AS c
        WHERE e.id = c.id
            -- Looked at again under the row's lock: an analyst may have been faster.
            AND (
                (e.outcome_label IS NULL AND e.label_source IS NULL)
                OR (p_relabel AND e.label_source = p_label)
            )
            AND (e.outcome_label, e.outcome_at, e.realized_pnl, e.max_drawdown, e.data_quality_score)
            IS DISTINCT FROM (c.outcome_label, c.outcome_at, c.realized_pnl, c.max_drawdown, c.data_quality_score)
        RETURNING c.outcome_label, c.both_touched
    )

    SELECT jsonb_build_object(
        'label', p_label,
        'examined', (SELECT count(*) FROM result),
        'labelled', (SELECT count(*) FROM written),
        'win', (SELECT count(*) FROM written AS w WHERE w.outcome_label = 'win'),
        'loss', (SELECT count(*) FROM written AS w WHERE w.outcome_label = 'loss'),
        'timeout', (SELECT count(*) FROM written AS w WHERE w.outcome_label = 'timeout'),
        'both_barriers', (SELECT count(*) FROM written AS w WHERE w.both_touched),
        'pending', (SELECT count(*) FROM result AS r WHERE r.skipped = 'pending'),
        'no_direction', (SELECT count(*) FROM result AS r WHERE r.skipped = 'no_direction'),
        'no_bar', (SELECT count(*) FROM result AS r WHERE r.skipped = 'no_bar'),
        'no_atr', (SELECT count(*) FROM result AS r WHERE r.skipped = 'no_atr')
    ) INTO v_counts;
    RETURN v_counts;
END
$function$;
COMMENT ON FUNCTION ml.label_outcomes IS
    'Label events by what the market did next: target, stop or neither within a number of bars (label TB2).';
REVOKE ALL ON FUNCTION ml.label_outcomes FROM PUBLIC;
