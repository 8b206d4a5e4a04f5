-- Label events by what the market did next, by a named definition: TB2 unless another one is asked for.
-- Called by: trainer.label. Calls: ml.events_to_label.
-- Reads: public.pattern_events, public.price_bars, ml.bar_indicators, public.ml_timeframes, ml.pattern_types,
--        public.ml_label_definitions, public.pattern_labels.
-- Writes: public.pattern_labels; public.pattern_events (label columns only: scores stay what was acted on);
--         public.ml_label_definitions.
--
-- Definitions live in ml_label_definitions; barriers given with a new name become one. Every label is stored in
-- pattern_labels. Those of definitions that fill events (TB2) also go to the label columns of pattern_events, where
-- these are free. Label columns with another source, or with none, are somebody's own and are never touched; nor are
-- any when a CHECK of the user's refuses ours (a WARNING says so).
--
-- Entry is the open of the bar after the one the event was detected on; the close of that bar would flatter every
-- pattern, because the last print bounces. With A = Wilder's ATR of the detection bar, the target is target_atr * A
-- beyond the entry in the event's direction and the stop stop_atr * A on the other side. The entry bar is the first
-- of the definition's bars. A bar that touches both is a loss. No outcome before a barrier is touched or all bars
-- have ended by p_at.
--
-- An event that another session is changing is left as it is and counted as locked; it has its turn in the next run.
--
-- outcome_at          end of the bar that decided: the outcome was not known earlier.
-- realized_pnl        (exit - entry) / entry in the event's direction, before costs. Exit is the barrier, or the open
--                     of the deciding bar when it opened beyond it, or the close of the last bar of a timeout.
-- max_drawdown        largest move against the event until the exit, / entry, 0 or more.
-- label_source        p_label.
-- data_quality_score  product of: history, min(1, bars up to the detection bar / 260); movement, the share of the
--                     bars looked at whose high is above their low; 0.5 if two bars in a row lie further apart than
--                     the timeframe allows (a hole in the data); 0.5 if one bar touched both barriers.

CREATE OR REPLACE FUNCTION ml.label_outcomes(
    p_label text DEFAULT 'TB2',
    p_barrier_atr double precision DEFAULT NULL,
    p_horizon integer DEFAULT NULL,
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
    v_definition public.ml_label_definitions;
    v_is_range boolean;
    v_target double precision;
    v_stop double precision;
    v_horizon integer;
    v_fills boolean;
    v_counts jsonb;
BEGIN
    IF coalesce(btrim(p_label), '') = '' THEN
        RAISE EXCEPTION 'p_label is empty: give the label a name' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_barrier_atr <= 0 OR p_barrier_atr >= 'infinity' THEN
        RAISE EXCEPTION 'p_barrier_atr is %: it must be a number above 0', p_barrier_atr
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF p_horizon NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'p_horizon is %: it must be 1 to 10000 bars', p_horizon
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    SELECT * INTO v_definition FROM public.ml_label_definitions AS d WHERE d.name = p_label;
    IF NOT FOUND THEN
        IF p_barrier_atr IS NULL AND p_horizon IS NULL THEN
            RAISE EXCEPTION 'there is no label definition %: take one of %, or give p_barrier_atr and p_horizon',
                p_label,
                (
                    SELECT string_agg(d.name, ', ' ORDER BY d.name)
                    FROM public.ml_label_definitions AS d WHERE d.kind <> 'analyst'
                )
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        INSERT INTO public.ml_label_definitions (name, kind, target_atr, stop_atr, horizon, fills_event, description)
        VALUES (
            p_label, 'barriers', coalesce(p_barrier_atr, 2), coalesce(p_barrier_atr, 2), coalesce(p_horizon, 10), true,
            format(
                'As TB2 with target and stop %s Wilder ATR(100) away and %s bars.',
                coalesce(p_barrier_atr, 2), coalesce(p_horizon, 10)
            )
        )
        ON CONFLICT (name) DO NOTHING;
        SELECT * INTO STRICT v_definition FROM public.ml_label_definitions AS d WHERE d.name = p_label;
    END IF;
    IF v_definition.kind = 'analyst' THEN
        RAISE EXCEPTION '% is what people say with ml.set_label(): give another p_label', p_label
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF v_definition.target_atr <> p_barrier_atr OR v_definition.stop_atr <> p_barrier_atr
        OR v_definition.horizon <> p_horizon
    THEN
        RAISE EXCEPTION '% means % ATR and % bars: give other parameters another p_label',
            p_label, v_definition.target_atr, v_definition.horizon USING ERRCODE = 'invalid_parameter_value';
    END IF;
    v_is_range := v_definition.kind = 'range';
    v_target := v_definition.target_atr;
    v_stop := v_definition.stop_atr;
    v_horizon := v_definition.horizon;
    v_fills := v_definition.fills_event;

    LOOP
        BEGIN
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
                        WHEN v_is_range THEN 1::float8
                        WHEN lower(coalesce(e.direction, t.direction)) IN ('bullish', 'long', 'buy', 'up', '1')
                            THEN 1::float8
                        WHEN lower(coalesce(e.direction, t.direction)) IN ('bearish', 'short', 'sell', 'down', '-1')
                            THEN -1::float8
                    END AS side,
                    i.ts AS bar_ts,
                    i.bar_number,
                    CASE v_definition.atr_length WHEN 14 THEN i.atr_14 ELSE i.atr_100 END AS atr
                FROM ml.events_to_label(p_label, p_since, p_until, coalesce(p_relabel, false)) AS e
                LEFT JOIN public.ml_timeframes AS f ON f.timeframe = e.timeframe
                LEFT JOIN ml.pattern_types AS t ON t.pattern_type = lower(e.pattern_type)
                -- The bar that the event's features are computed at.
                LEFT JOIN LATERAL (
                    SELECT b.ts, b.bar_number, b.atr_14, b.atr_100
                    FROM ml.bar_indicators AS b
                    WHERE b.symbol = e.symbol AND b.timeframe = e.timeframe AND b.ts <= e.detected_at
                        AND (b.ts = e.detected_at OR b.ts + f.bar_period <= e.detected_at)
                    ORDER BY b.ts DESC
                    LIMIT 1
                ) AS i ON i.ts + f.bar_period + f.max_bar_age >= e.detected_at
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
                    o.bars_to_outcome,
                    o.both_touched,
                    least(1, p.bar_number / 260.0::float8) * o.share_moved
                    * CASE WHEN o.has_hole THEN 0.5 ELSE 1 END
                    * CASE WHEN o.both_touched THEN 0.5 ELSE 1 END AS data_quality_score,
                    CASE
                        WHEN p.side IS NULL THEN 'no_direction'
                        WHEN p.bar_ts IS NULL THEN 'no_bar'
                        WHEN p.atr IS NULL OR p.atr <= 0 THEN 'no_atr'
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
                            LIMIT v_horizon
                        ) AS b
                        WINDOW bars_so_far AS (ORDER BY b.ts)
                    ),

                    touched AS (
                        SELECT
                            b.*,
                            CASE
                                WHEN v_is_range
                                    THEN max(b.best) OVER bars_so_far - min(b.worst) OVER bars_so_far
                                        >= v_target * p.atr
                                ELSE p.side * (b.best - (b.entry + p.side * v_target * p.atr)) >= 0
                            END AS target_touched,
                            v_stop IS NOT NULL AND p.side * (b.worst - (b.entry - p.side * v_stop * p.atr)) <= 0
                                AS stop_touched
                        FROM path AS b
                        WINDOW bars_so_far AS (ORDER BY b.step)
                    ),

                    decided AS (
                        SELECT
                            t.*,
                            coalesce(
                                min(t.step) FILTER (WHERE t.target_touched OR t.stop_touched) OVER (),
                                CASE WHEN count(*) OVER () = v_horizon THEN v_horizon END
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
                                        p.side * (d.entry - p.side * v_stop * p.atr), p.side * d.open)
                                WHEN d.target_touched
                                    THEN p.side * greatest(
                                        p.side * (d.entry + p.side * v_target * p.atr), p.side * d.open)
                                ELSE d.close
                            END AS exit_price
                        FROM decided AS d
                        WHERE d.step <= d.last_step
                    )

                    SELECT
                        min(CASE WHEN c.stop_touched THEN 'loss' WHEN c.target_touched THEN 'win' ELSE 'timeout' END)
                        FILTER (WHERE c.step = c.last_step) AS outcome_label,
                        max(c.ts) + p.bar_period AS outcome_at,
                        CASE WHEN NOT v_is_range THEN
                            min(p.side * (c.exit_price - c.entry) / c.entry) FILTER (WHERE c.step = c.last_step)
                        END AS realized_pnl,
                        CASE WHEN NOT v_is_range THEN
                            greatest(0, max(
                                p.side * (c.entry - CASE WHEN c.stop_touched THEN c.exit_price ELSE c.worst END)
                                / c.entry
                            ))
                        END AS max_drawdown,
                        max(c.last_step)::integer AS bars_to_outcome,
                        avg(c.moved::integer)::float8 AS share_moved,
                        bool_or(c.after_hole) AS has_hole,
                        bool_or(c.stop_touched AND c.target_touched) AS both_touched
                    FROM closed AS c
                ) AS o ON p.side IS NOT NULL AND p.atr > 0
            ),

            chosen AS MATERIALIZED (
                SELECT r.*
                FROM result AS r
                WHERE r.skipped IS NULL
                ORDER BY r.detected_at, r.id
                LIMIT p_limit
            ),

            changed AS MATERIALIZED (
                SELECT c.*, l.id AS standing_id
                FROM chosen AS c
                LEFT JOIN public.pattern_labels AS l
                    ON l.event_id = c.id AND l.definition = p_label AND l.withdrawn_at IS NULL
                WHERE l.id IS NULL OR (
                    l.outcome_label, l.outcome_at, l.realized_pnl, l.max_drawdown, l.data_quality_score,
                    l.bars_to_outcome
                ) IS DISTINCT FROM (
                    c.outcome_label, c.outcome_at, c.realized_pnl, c.max_drawdown, c.data_quality_score,
                    c.bars_to_outcome
                )
            ),

            -- Label columns that are free and not what they would be.
            fillable AS MATERIALIZED (
                SELECT c.id
                FROM chosen AS c
                INNER JOIN public.pattern_events AS e ON e.id = c.id
                WHERE v_fills
                    AND ((e.outcome_label IS NULL AND e.label_source IS NULL) OR (p_relabel AND e.label_source = p_label))
                    AND (e.outcome_label, e.outcome_at, e.realized_pnl, e.max_drawdown, e.data_quality_score)
                    IS DISTINCT FROM (
                        c.outcome_label, c.outcome_at, c.realized_pnl, c.max_drawdown, c.data_quality_score
                    )
            ),

            -- An event that another session has changed and not committed is left for the next run; labelling does not
            -- wait for it.
            locked AS MATERIALIZED (
                SELECT e.id FROM public.pattern_events AS e
                WHERE e.id IN (SELECT f.id FROM fillable AS f)
                ORDER BY e.detected_at, e.id
                FOR NO KEY UPDATE OF e SKIP LOCKED
            ),

            left_out AS MATERIALIZED (
                SELECT f.id FROM fillable AS f WHERE NOT EXISTS (SELECT FROM locked AS k WHERE k.id = f.id)
            ),

            withdrawn AS (
                UPDATE public.pattern_labels AS l
                SET
                    withdrawn_at = clock_timestamp(),
                    withdrawn_by = 'ml.label_outcomes',
                    withdrawn_reason = 'labelled again'
                FROM changed AS c
                WHERE l.id = c.standing_id AND l.withdrawn_at IS NULL
                    AND NOT EXISTS (SELECT FROM left_out AS o WHERE o.id = c.id)
                RETURNING l.id
            ),

            stored AS (
                INSERT INTO public.pattern_labels (
                    event_id, definition, outcome_label, outcome_at, realized_pnl, max_drawdown, data_quality_score,
                    bars_to_outcome, labelled_by
                )
                SELECT
                    c.id, p_label, c.outcome_label, c.outcome_at, c.realized_pnl, c.max_drawdown, c.data_quality_score,
                    c.bars_to_outcome, 'ml.label_outcomes'
                FROM changed AS c
                -- Counted so that all that is withdrawn is withdrawn before a label is stored in its place.
                WHERE (SELECT count(*) FROM withdrawn AS w) >= 0
                    AND NOT EXISTS (SELECT FROM left_out AS o WHERE o.id = c.id)
                -- The order keeps two runs at a time from waiting for each other.
                ORDER BY c.detected_at, c.id
                -- The other run stored the same label.
                ON CONFLICT (event_id, definition) WHERE withdrawn_at IS NULL DO NOTHING
                RETURNING event_id AS id
            ),

            filled AS (
                UPDATE public.pattern_events AS e
                SET
                    outcome_label = c.outcome_label,
                    outcome_at = c.outcome_at,
                    realized_pnl = c.realized_pnl,
                    max_drawdown = c.max_drawdown,
                    label_source = p_label,
                    data_quality_score = c.data_quality_score
                FROM chosen AS c
                WHERE v_fills AND e.id = c.id AND c.id IN (SELECT k.id FROM locked AS k)
                    -- Looked at again under the row's lock: an analyst may have been faster.
                    AND (
                        (e.outcome_label IS NULL AND e.label_source IS NULL)
                        OR (p_relabel AND e.label_source = p_label)
                    )
                    AND (e.outcome_label, e.outcome_at, e.realized_pnl, e.max_drawdown, e.data_quality_score)
                    IS DISTINCT FROM (
                        c.outcome_label, c.outcome_at, c.realized_pnl, c.max_drawdown, c.data_quality_score
                    )
                RETURNING e.id
            ),

            written AS (
                SELECT c.outcome_label, c.both_touched
                FROM chosen AS c
                INNER JOIN (SELECT s.id FROM stored AS s UNION SELECT f.id FROM filled AS f) AS any_of
                    ON any_of.id = c.id
            )

            SELECT jsonb_build_object(
                'label', p_label,
                'examined', (SELECT count(*) FROM result),
                'labelled', (SELECT count(*) FROM written),
                'win', (SELECT count(*) FROM written AS w WHERE w.outcome_label = 'win'),
                'loss', (SELECT count(*) FROM written AS w WHERE w.outcome_label = 'loss'),
                'timeout', (SELECT count(*) FROM written AS w WHERE w.outcome_label = 'timeout'),
                'both_barriers', (SELECT count(*) FROM written AS w WHERE w.both_touched),
                'locked', (SELECT count(*) FROM left_out),
                'pending', (SELECT count(*) FROM result AS r WHERE r.skipped = 'pending'),
                'no_direction', (SELECT count(*) FROM result AS r WHERE r.skipped = 'no_direction'),
                'no_bar', (SELECT count(*) FROM result AS r WHERE r.skipped = 'no_bar'),
                'no_atr', (SELECT count(*) FROM result AS r WHERE r.skipped = 'no_atr')
            ) INTO v_counts;
            EXIT;
        EXCEPTION WHEN check_violation THEN
            IF NOT v_fills THEN
                RAISE;
            END IF;
            RAISE WARNING 'the label columns of pattern_events stay as they are: %', SQLERRM;
            v_fills := false;
        END;
    END LOOP;
    RETURN v_counts;
END
$function$;
COMMENT ON FUNCTION ml.label_outcomes IS
    'Label events by what the market did next, by a named definition: TB2 unless another one is asked for.';
REVOKE ALL ON FUNCTION ml.label_outcomes FROM PUBLIC;
