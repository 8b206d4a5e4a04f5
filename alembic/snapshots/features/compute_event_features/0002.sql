-- Features of one event from bars up to the one it names: the one definition for live rows, backfill, training.
-- Called by: ml.score_pattern_event, ml.score_batch, trainer. Calls: nothing.
-- Reads: public.ml_timeframes, ml.bar_indicators, ml.pattern_types. Writes: nothing.

-- STABLE and with one query: every row of a statement sees the same bars, and a call costs one executor start.
-- The settings make the first call of a session plan once, and never for a scan of a table that was small at that time.
-- Adding 0 makes the -0 of a signed zero a 0, which is all that JSON can keep of it.
-- OFFSET 0 keeps each layer's expressions from being copied to all the places that use them.
CREATE OR REPLACE FUNCTION ml.compute_event_features(p_event ml.event_inputs)
RETURNS ml.event_feature_result
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $function$
DECLARE
    v_pattern_type text := pg_catalog.lower(p_event.pattern_type);
    v_result ml.event_feature_result;
BEGIN
    SELECT
        ROW(
            p_event.symbol, p_event.timeframe, p_event.pattern_type, l.direction, p_event.detected_at,
            p_event.start_at, v.entry_price, v.target_price, v.stop_price, v.support_price, v.resistance_price
        )::ml.event_inputs,
        ROW(
            l.s * b.body_atr + 0::float8,
            b.range_atr,
            b.body_to_range,
            CASE WHEN l.s > 0 THEN b.upper_wick_atr WHEN l.s < 0 THEN b.lower_wick_atr END,
            CASE WHEN l.s > 0 THEN b.lower_wick_atr WHEN l.s < 0 THEN b.upper_wick_atr END,
            l.s * b.gap_atr + 0::float8,
            b.overlap_with_previous,
            l.pattern_bars,
            (l.pattern_high - l.pattern_low) / b.atr_14,
            CASE WHEN l.s > 0 THEN b.close - l.pattern_low WHEN l.s < 0 THEN l.pattern_high - b.close END
                / nullif(l.pattern_high - l.pattern_low, 0),
            v.risk / b.atr_14,
            l.s * b.return_1_atr + 0::float8,
            l.s * b.return_3_atr + 0::float8,
            l.s * b.return_10_atr + 0::float8,
            l.s * b.return_20_atr + 0::float8,
            l.s * b.return_60_atr + 0::float8,
            l.s * b.close_to_sma_20_atr + 0::float8,
            l.s * b.close_to_sma_50_atr + 0::float8,
            l.s * b.close_to_sma_200_atr + 0::float8,
            l.s * b.sma_20_slope_5_atr + 0::float8,
            l.s * b.sma_50_slope_10_atr + 0::float8,
            b.efficiency_ratio_20,
            l.s * b.net_up_bars_10 + 0::float8,
            l.s * b.close_run + 0::float8,
            CASE WHEN l.s > 0 THEN b.rsi_14 WHEN l.s < 0 THEN 100::float8 - b.rsi_14 END,
            l.s * b.rsi_14_change_5 + 0::float8,
            l.s * b.macd_atr + 0::float8,
            l.s * b.macd_histogram_atr + 0::float8,
            b.adx_14,
            l.s * b.di_difference_14 + 0::float8,
            CASE WHEN l.s > 0 THEN b.stochastic_k_14 WHEN l.s < 0 THEN 100::float8 - b.stochastic_k_14 END,
            l.s * b.cci_14 + 0::float8,
            CASE WHEN l.s > 0 THEN b.mfi_14 WHEN l.s < 0 THEN 100::float8 - b.mfi_14 END,
            l.s * b.bollinger_z_20 + 0::float8,
            l.s * b.acceleration_5_atr + 0::float8,
            b.atr_14_pct,
            b.atr_14_to_atr_100_log,
            b.atr_14_percentile_100,
            b.true_range_percentile_100,
            b.return_sd_20_pct,
            b.return_sd_5_to_20_log,
            b.bollinger_width_20_pct,
            b.volume_to_mean_20_log,
            b.volume_mean_20_to_100_log,
            b.volume_percentile_100,
            l.s * b.up_volume_balance_20 + 0::float8,
            l.s * b.money_flow_20 + 0::float8,
            l.s,
            l.pattern_reversal,
            100::float8 * (v.entry - v.support) / v.entry,
            100::float8 * (v.resistance - v.entry) / v.entry,
            100::float8 * v.reward / v.entry,
            CASE WHEN v.reward > 1e-9::float8 * v.entry THEN v.risk / v.reward END,
            CASE WHEN l.s > 0 THEN b.high_room_20_atr WHEN l.s < 0 THEN b.low_room_20_atr END,
            CASE WHEN l.s > 0 THEN b.high_room_60_atr WHEN l.s < 0 THEN b.low_room_60_atr END,
            CASE WHEN l.s > 0 THEN b.low_room_60_atr WHEN l.s < 0 THEN b.high_room_60_atr END,
            CASE WHEN l.s > 0 THEN b.high_room_250_atr WHEN l.s < 0 THEN b.low_room_250_atr END,
            CASE WHEN l.s > 0 THEN b.low_room_250_atr WHEN l.s < 0 THEN b.high_room_250_atr END,
            pg_catalog.date_part('hour', b.ts AT TIME ZONE 'UTC'),
            pg_catalog.date_part('isodow', b.ts AT TIME ZONE 'UTC')
        )::ml.feature_vector,
        b.ts,
        NULL::text
    INTO v_result
    FROM public.ml_timeframes AS f
    -- The bar the event names: the one that opens at detected_at, else the last one that has ended by then.
    CROSS JOIN LATERAL (
        SELECT i.*
        FROM ml.bar_indicators AS i
        WHERE i.symbol = p_event.symbol AND i.timeframe = p_event.timeframe AND i.ts <= p_event.detected_at
            AND (
                i.ts = p_event.detected_at
                OR i.ts AT TIME ZONE 'UTC' + f.bar_period <= p_event.detected_at AT TIME ZONE 'UTC'
            )
        ORDER BY i.ts DESC
        LIMIT 1
    ) AS b
    LEFT JOIN ml.pattern_types AS p ON p.pattern_type = v_pattern_type
    -- With start_at, the pattern is made of all bars from then on, 250 at most.
    CROSS JOIN LATERAL (
        SELECT pg_catalog.count(*) AS bars, pg_catalog.max(s.high) AS high, pg_catalog.min(s.low) AS low
        FROM (
            SELECT i.high, i.low
            FROM ml.bar_indicators AS i
            WHERE pg_catalog.isfinite(p_event.start_at)
                AND i.symbol = p_event.symbol AND i.timeframe = p_event.timeframe
                AND i.ts >= p_event.start_at AND i.ts <= b.ts
            ORDER BY i.ts DESC
            LIMIT 250
        ) AS s
    ) AS w
    CROSS JOIN LATERAL (
        SELECT
            coalesce(p_event.direction, p.direction) AS direction,
            CASE
                WHEN pg_catalog.lower(coalesce(p_event.direction, p.direction))
                    IN ('bullish', 'long', 'buy', 'up', '1') THEN 1::float8
                WHEN pg_catalog.lower(coalesce(p_event.direction, p.direction))
                    IN ('bearish', 'short', 'sell', 'down', '-1') THEN -1::float8
            END AS s,
            p.reversal::integer::float8 AS pattern_reversal,
            CASE WHEN w.bars > 0 THEN w.bars ELSE coalesce(p.bars, 1) END::float8 AS pattern_bars,
            CASE
                WHEN w.bars > 0 THEN w.high
                ELSE CASE coalesce(p.bars, 1)
                    WHEN 1 THEN b.high
                    WHEN 2 THEN b.highest_2
                    WHEN 3 THEN b.highest_3
                    WHEN 4 THEN b.highest_4
                    ELSE b.highest_5
                END
            END AS pattern_high,
            CASE
                WHEN w.bars > 0 THEN w.low
                ELSE CASE coalesce(p.bars, 1)
                    WHEN 1 THEN b.low
                    WHEN 2 THEN b.lowest_2
                    WHEN 3 THEN b.lowest_3
                    WHEN 4 THEN b.lowest_4
                    ELSE b.lowest_5
                END
            END AS pattern_low
        OFFSET 0
    ) AS l
    CROSS JOIN LATERAL (
        SELECT
            coalesce(p_event.entry_price, b.close) AS entry_price,
            coalesce(
                p_event.target_price, coalesce(p_event.entry_price, b.close) + l.s * 2::float8 * b.atr_100
            ) AS target_price,
            coalesce(
                p_event.stop_price, CASE WHEN l.s > 0 THEN l.pattern_low WHEN l.s < 0 THEN l.pattern_high END
            ) AS stop_price,
            coalesce(p_event.support, b.lowest_20) AS support_price,
            coalesce(p_event.resistance, b.highest_20) AS resistance_price
        OFFSET 0
    ) AS g
    -- Prices that cannot be computed with (zero, negative, NaN, infinite, absurd) count as missing.
    CROSS JOIN LATERAL (
        SELECT
            g.*,
            e.entry,
            l.s * (CASE WHEN g.target_price BETWEEN 1e-50 AND 1e50 THEN g.target_price END - e.entry) + 0::float8 AS reward,
            l.s * (e.entry - CASE WHEN g.stop_price BETWEEN 1e-50 AND 1e50 THEN g.stop_price END) + 0::float8 AS risk,
            CASE WHEN g.support_price BETWEEN 1e-50 AND 1e50 THEN g.support_price END AS support,
            CASE WHEN g.resistance_price BETWEEN 1e-50 AND 1e50 THEN g.resistance_price END AS resistance
        FROM (SELECT CASE WHEN g.entry_price BETWEEN 1e-50 AND 1e50 THEN g.entry_price END AS entry) AS e
        OFFSET 0
    ) AS v
    WHERE f.timeframe = p_event.timeframe
        -- Times near the end of the calendar would overflow below.
        AND p_event.detected_at > '-infinity' AND p_event.detected_at < '290000-01-01 00:00:00+00'
        AND b.ts AT TIME ZONE 'UTC' + f.bar_period + f.max_bar_age >= p_event.detected_at AT TIME ZONE 'UTC';

    IF NOT FOUND THEN
        v_result.inputs := p_event;
        v_result.inputs.direction := coalesce(
            p_event.direction, (SELECT p.direction FROM ml.pattern_types AS p WHERE p.pattern_type = v_pattern_type)
        );
        v_result.reason := CASE
            WHEN EXISTS (SELECT FROM public.ml_timeframes AS f WHERE f.timeframe = p_event.timeframe)
                THEN 'bar_missing'
            ELSE 'timeframe_unknown'
        END;
    END IF;
    RETURN v_result;
END
$function$;
COMMENT ON FUNCTION ml.compute_event_features IS
    'Features of one event from bars up to the one it names: the one definition for live rows, backfill, training.';
REVOKE ALL ON FUNCTION ml.compute_event_features FROM PUBLIC;
