-- Recomputes states and indicators of one series from a bar on; returns the number of bars.
-- Called by: ml.maintain_bar_indicators, ml.refresh_bar_indicators. Calls: nothing.
-- Reads: public.price_bars. Writes: ml.bar_series, ml.bar_states, ml.bar_indicators.

-- The settings keep plans right that were made while the tables were small, and short statements from being compiled.
CREATE OR REPLACE FUNCTION ml.recompute_bar_indicators(
    p_symbol text, p_timeframe text, p_since timestamptz
)
RETURNS bigint
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $function$
DECLARE
    -- Bars per round: bounds the memory that a load of any size takes.
    c_round CONSTANT integer := 2000;
    -- An average that only decays counts as zero below this; left alone it would underflow after some thousand bars.
    c_tiny CONSTANT double precision := 1e-200::double precision;
    v_bar public.price_bars;
    v_state ml.bar_states;
    v_states ml.bar_states[];
    v_indicators ml.bar_indicators[];
    v_round_after timestamptz;
    v_previous ml.bar_states;
    v_n integer;
    v_up double precision;
    v_down double precision;
    v_macd double precision;
    v_count bigint := 0::bigint;
    v_sqlstate text;
    v_message text;
BEGIN
    -- The states of a series always belong to its first bars without a gap: what follows the last one that is certainly
    -- unchanged is computed again, which also closes any gap at the end.
    SELECT s.* INTO v_state
    FROM ml.bar_states AS s
    WHERE s.symbol = p_symbol AND s.timeframe = p_timeframe AND s.ts < p_since
    ORDER BY s.ts DESC
    LIMIT 1;
    IF NOT FOUND THEN
        v_state.ts := '-infinity';
        v_state.bar_number := 0;
    END IF;
    DELETE FROM ml.bar_states AS s
    WHERE s.symbol = p_symbol AND s.timeframe = p_timeframe AND s.ts > v_state.ts;
    DELETE FROM ml.bar_indicators AS i
    WHERE i.symbol = p_symbol AND i.timeframe = p_timeframe AND i.ts > v_state.ts;

    LOOP
        v_round_after := v_state.ts;
        v_states := '{}';
        -- Only computation inside the block: no write means no subtransaction id, and an error cannot undo a write.
        BEGIN
            FOR v_bar IN
                SELECT b.*
                FROM public.price_bars AS b
                WHERE b.symbol = p_symbol AND b.timeframe = p_timeframe AND b.ts > v_state.ts
                ORDER BY b.ts
                LIMIT c_round
            LOOP
                v_previous := v_state;
                IF v_bar.low < 1e-50 OR v_bar.high > 1e50 OR v_bar.volume > 1e50
                    OR (v_bar.volume > 0 AND v_bar.volume < 1e-50)
                THEN
                    -- A bar that cannot be computed with: the series begins anew after it.
                    v_state := NULL;
                    v_state.bar_number := 0;
                ELSIF v_previous.bar_number = 0 THEN
                    v_state.bar_number := 1;
                    v_state.close_run := 0;
                    v_state.ema_12 := v_bar.close;
                    v_state.ema_26 := v_bar.close;
                    v_state.macd_signal := NULL;
                    v_state.average_gain_14 := 0;
                    v_state.average_loss_14 := 0;
                    v_state.plus_dm_14 := 0;
                    v_state.minus_dm_14 := 0;
                    v_state.true_range_14 := 0;
                    v_state.adx_14 := 0;
                    v_state.atr_14 := 0;
                    v_state.atr_100 := 0;
                    v_state.typical_price := (v_bar.high + v_bar.low + v_bar.close) / 3;
                ELSE
                    v_n := v_previous.bar_number + 1;
                    v_state.bar_number := v_n;
                    v_state.close_change := v_bar.close - v_previous.close;
                    v_state.log_return := pg_catalog.ln(v_bar.close / v_previous.close);
                    v_state.true_range := greatest(v_bar.high, v_previous.close) - least(v_bar.low, v_previous.close);
                    v_state.close_run := CASE
                        WHEN v_state.close_change > 0 THEN greatest(v_previous.close_run, 0) + 1
                        WHEN v_state.close_change < 0 THEN least(v_previous.close_run, 0) - 1
                        ELSE 0
                    END;
                    v_state.typical_price := (v_bar.high + v_bar.low + v_bar.close) / 3;
                    -- Equal typical prices may differ in the last bit, because they are sums.
                    v_state.money_flow := CASE
                        WHEN pg_catalog.abs(v_state.typical_price - v_previous.typical_price)
                            <= 1e-12 * v_state.typical_price THEN 0
                        WHEN v_state.typical_price > v_previous.typical_price
                            THEN v_state.typical_price * v_bar.volume
                        ELSE -v_state.typical_price * v_bar.volume
                    END;

                    -- Each average is the plain mean of what it has seen until its period is full (the seed), and
                    -- exponential from then on.
                    v_state.ema_12 := v_previous.ema_12 + (v_bar.close - v_previous.ema_12)
                        * CASE WHEN v_n <= 12 THEN 1::float8 / v_n ELSE 2::float8 / 13 END;
                    v_state.ema_26 := v_previous.ema_26 + (v_bar.close - v_previous.ema_26)
                        * CASE WHEN v_n <= 26 THEN 1::float8 / v_n ELSE 2::float8 / 27 END;
                    IF v_n >= 26 THEN
                        v_macd := v_state.ema_12 - v_state.ema_26;
                        v_state.macd_signal := CASE
                            WHEN v_n = 26 THEN v_macd
                            WHEN v_n <= 34 THEN v_previous.macd_signal + (v_macd - v_previous.macd_signal) / (v_n - 25)
                            ELSE v_previous.macd_signal + (v_macd - v_previous.macd_signal) / 5
                        END;
                    END IF;
                    v_state.average_gain_14 := v_previous.average_gain_14
                        + (greatest(v_state.close_change, 0) - v_previous.average_gain_14) / least(v_n - 1, 14);
                    v_state.average_loss_14 := v_previous.average_loss_14
                        + (greatest(-v_state.close_change, 0) - v_previous.average_loss_14) / least(v_n - 1, 14);
                    v_state.atr_14 := v_previous.atr_14
                        + (v_state.true_range - v_previous.atr_14) / least(v_n - 1, 14);
                    v_state.atr_100 := v_previous.atr_100
                        + (v_state.true_range - v_previous.atr_100) / least(v_n - 1, 100);

                    -- Wilder's sums: 13 values are added up, from the 14th on a fourteenth is dropped each time.
                    v_up := v_bar.high - v_previous.high;
                    v_down := v_previous.low - v_bar.low;
                    v_state.plus_dm_14 := v_previous.plus_dm_14
                        - CASE WHEN v_n > 14 THEN v_previous.plus_dm_14 / 14 ELSE 0 END
                        + CASE WHEN v_up > v_down AND v_up > 0 THEN v_up ELSE 0 END;
                    v_state.minus_dm_14 := v_previous.minus_dm_14
                        - CASE WHEN v_n > 14 THEN v_previous.minus_dm_14 / 14 ELSE 0 END
                        + CASE WHEN v_down > v_up AND v_down > 0 THEN v_down ELSE 0 END;
                    v_state.true_range_14 := v_previous.true_range_14
                        - CASE WHEN v_n > 14 THEN v_previous.true_range_14 / 14 ELSE 0 END
                        + v_state.true_range;

                    IF least(
                        v_state.average_gain_14, v_state.average_loss_14, v_state.atr_14, v_state.plus_dm_14,
                        v_state.minus_dm_14, v_state.true_range_14, pg_catalog.abs(v_state.macd_signal)
                    ) < c_tiny THEN
                        v_state.average_gain_14 := CASE
                            WHEN v_state.average_gain_14 >= c_tiny THEN v_state.average_gain_14 ELSE 0
                        END;
                        v_state.average_loss_14 := CASE
                            WHEN v_state.average_loss_14 >= c_tiny THEN v_state.average_loss_14 ELSE 0
                        END;
                        v_state.atr_14 := CASE WHEN v_state.atr_14 >= c_tiny THEN v_state.atr_14 ELSE 0 END;
                        v_state.atr_100 := CASE WHEN v_state.atr_100 >= c_tiny THEN v_state.atr_100 ELSE 0 END;
                        v_state.plus_dm_14 := CASE
                            WHEN v_state.plus_dm_14 >= c_tiny THEN v_state.plus_dm_14 ELSE 0
                        END;
                        v_state.minus_dm_14 := CASE
                            WHEN v_state.minus_dm_14 >= c_tiny THEN v_state.minus_dm_14 ELSE 0
                        END;
                        v_state.true_range_14 := CASE
                            WHEN v_state.true_range_14 >= c_tiny THEN v_state.true_range_14 ELSE 0
                        END;
                        v_state.macd_signal := CASE
                            WHEN v_state.macd_signal IS NULL THEN NULL
                            WHEN pg_catalog.abs(v_state.macd_signal) >= c_tiny THEN v_state.macd_signal
                            ELSE 0
                        END;
                    END IF;

                    IF v_n >= 15 THEN
                        v_state.rsi_14 := 100 * (
                            v_state.average_gain_14 / nullif(v_state.average_gain_14 + v_state.average_loss_14, 0)
                        );
                        -- Without movement there is no direction: zero within the seed, the last value after it.
                        IF v_state.plus_dm_14 + v_state.minus_dm_14 > 0 THEN
                            v_state.adx_14 := v_previous.adx_14 + (
                                100 * (
                                    pg_catalog.abs(v_state.plus_dm_14 - v_state.minus_dm_14)
                                    / (v_state.plus_dm_14 + v_state.minus_dm_14)
                                ) - v_previous.adx_14
                            ) / least(v_n - 14, 14);
                        ELSIF v_n <= 28 THEN
                            v_state.adx_14 := v_previous.adx_14 - v_previous.adx_14 / (v_n - 14);
                        END IF;
                    END IF;
                END IF;
                v_state.symbol := p_symbol;
                v_state.timeframe := p_timeframe;
                v_state.ts := v_bar.ts;
                IF v_state.bar_number > 0 THEN
                    v_state.open := v_bar.open;
                    v_state.high := v_bar.high;
                    v_state.low := v_bar.low;
                    v_state.close := v_bar.close;
                    v_state.volume := v_bar.volume;
                END IF;
                v_states := v_states || v_state;
            END LOOP;
        EXCEPTION
            WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS v_sqlstate = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT;
                v_states := NULL;
        END;
        EXIT WHEN v_states = '{}';

        IF v_states IS NOT NULL THEN
            INSERT INTO ml.bar_states
            SELECT s.* FROM pg_catalog.unnest(v_states) AS s;
            BEGIN
                v_indicators := ARRAY(
                    SELECT ROW(
                        t.symbol, t.timeframe, t.ts, t.bar_number,
                        t.high,
                        t.low,
                        t.close,
                        a.atr_14,
                        a.atr_100,
                        CASE WHEN t.bar_number >= 2 THEN w20.highest_2 END,
                        CASE WHEN t.bar_number >= 2 THEN w20.lowest_2 END,
                        CASE WHEN t.bar_number >= 3 THEN w20.highest_3 END,
                        CASE WHEN t.bar_number >= 3 THEN w20.lowest_3 END,
                        CASE WHEN t.bar_number >= 4 THEN w20.highest_4 END,
                        CASE WHEN t.bar_number >= 4 THEN w20.lowest_4 END,
                        CASE WHEN t.bar_number >= 5 THEN w20.highest_5 END,
                        CASE WHEN t.bar_number >= 5 THEN w20.lowest_5 END,
                        CASE WHEN t.bar_number >= 20 THEN w20.highest_20 END,
                        CASE WHEN t.bar_number >= 20 THEN w20.lowest_20 END,
                        (t.close - t.open) / a.atr_14,
                        (t.high - t.low) / a.atr_14,
                        pg_catalog.abs(t.close - t.open) / nullif(t.high - t.low, 0),
                        (t.high - greatest(t.open, t.close)) / a.atr_14,
                        (least(t.open, t.close) - t.low) / a.atr_14,
                        (t.open - w61.closes[2]) / a.atr_14,
                        CASE
                            WHEN t.bar_number >= 2 THEN
                                (least(t.high, w20.high_2) - greatest(t.low, w20.low_2))
                                    / nullif(w20.highest_2 - w20.lowest_2, 0)
                        END,
                        CASE WHEN t.bar_number >= 2 THEN (t.close - w61.closes[2]) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 4 THEN (t.close - w61.closes[4]) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 11 THEN (t.close - w61.closes[11]) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 21 THEN (t.close - w61.closes[21]) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 61 THEN (t.close - w61.closes[61]) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 20 THEN -w20.close_offset_20 / a.atr_14 END,
                        CASE WHEN t.bar_number >= 50 THEN -w61.close_offset_50 / a.atr_14 END,
                        CASE WHEN t.bar_number >= 200 THEN -w250.close_offset_200 / a.atr_14 END,
                        CASE
                            WHEN t.bar_number >= 25 THEN
                                (w20.close_offset_20 - w61.close_offset_20_lag_5) / a.atr_14
                        END,
                        CASE
                            WHEN t.bar_number >= 60 THEN
                                (w61.close_offset_50 - w61.close_offset_50_lag_10) / a.atr_14
                        END,
                        CASE
                            WHEN t.bar_number >= 21 THEN
                                pg_catalog.abs(t.close - w61.closes[21]) / nullif(w20.path_20, 0)
                        END,
                        CASE WHEN t.bar_number >= 11 THEN w20.net_up_bars_10 END,
                        CASE WHEN t.bar_number >= 2 THEN t.close_run END,
                        t.rsi_14,
                        CASE WHEN t.bar_number >= 20 THEN t.rsi_14 - w20.rsi_14_lag_5 END,
                        CASE WHEN t.bar_number >= 26 THEN (t.ema_12 - t.ema_26) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 34 THEN (t.ema_12 - t.ema_26 - t.macd_signal) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 28 THEN t.adx_14 END,
                        CASE
                            WHEN t.bar_number >= 15 THEN
                                100::float8 * ((t.plus_dm_14 - t.minus_dm_14) / nullif(t.true_range_14, 0))
                        END,
                        CASE
                            WHEN t.bar_number >= 14 THEN
                                100::float8 * ((t.close - w20.lowest_14) / nullif(w20.highest_14 - w20.lowest_14, 0))
                        END,
                        CASE
                            WHEN t.bar_number >= 14 THEN
                                -w20.typical_offset_14 / nullif(0.015::float8 * d.typical_deviation_14, 0)
                        END,
                        CASE
                            WHEN t.bar_number >= 15 THEN
                                100::float8 * (w20.positive_flow_14
                                    / nullif(w20.positive_flow_14 + w20.negative_flow_14, 0))
                        END,
                        CASE WHEN t.bar_number >= 20 THEN -w20.close_offset_20 / nullif(w20.close_sd_20, 0) END,
                        CASE
                            WHEN t.bar_number >= 11 THEN
                                (t.close - 2::float8 * w61.closes[6] + w61.closes[11]) / a.atr_14
                        END,
                        100::float8 * a.atr_14 / t.close,
                        pg_catalog.ln(a.atr_14 / a.atr_100),
                        CASE WHEN t.bar_number >= 114 AND a.atr_14 > 0 THEN w100.atr_14_rank / 100::float8 END,
                        CASE WHEN t.bar_number >= 101 AND a.atr_14 > 0 THEN w100.true_range_rank / 100::float8 END,
                        CASE WHEN t.bar_number >= 21 THEN 100::float8 * w20.return_sd_20 END,
                        CASE
                            WHEN t.bar_number >= 21 THEN
                                CASE WHEN w20.return_sd_5 > 1e-9::float8 AND w20.return_sd_20 > 1e-9::float8
                                    THEN pg_catalog.ln(w20.return_sd_5 / w20.return_sd_20)
                                END
                        END,
                        CASE
                            WHEN t.bar_number >= 20 THEN
                                400::float8 * w20.close_sd_20 / (t.close + w20.close_offset_20)
                        END,
                        CASE
                            WHEN t.bar_number >= 20 THEN
                                CASE WHEN t.volume > 0
                                    THEN pg_catalog.ln(t.volume / (w20.volume_20 / 20::float8))
                                END
                        END,
                        CASE
                            WHEN t.bar_number >= 100 THEN
                                CASE WHEN w20.volume_20 > 0
                                    THEN pg_catalog.ln(5::float8 * w20.volume_20 / w100.volume_100)
                                END
                        END,
                        CASE
                            WHEN t.bar_number >= 100 THEN
                                CASE WHEN w100.volume_100 > 0
                                    THEN w100.volume_rank / 100::float8
                                END
                        END,
                        CASE WHEN t.bar_number >= 21 THEN w20.up_volume_20 / nullif(w20.volume_20, 0) END,
                        CASE WHEN t.bar_number >= 20 THEN w20.located_volume_20 / nullif(w20.volume_20, 0) END,
                        CASE WHEN t.bar_number >= 20 THEN (w20.highest_20 - t.close) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 20 THEN (t.close - w20.lowest_20) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 60 THEN (w61.highest_60 - t.close) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 60 THEN (t.close - w61.lowest_60) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 250 THEN (w250.highest_250 - t.close) / a.atr_14 END,
                        CASE WHEN t.bar_number >= 250 THEN (t.close - w250.lowest_250) / a.atr_14 END
                    )::ml.bar_indicators
                    FROM ml.bar_states AS t
                    -- A range that is nothing but rounding is no unit to measure with.
                    CROSS JOIN LATERAL (
                        SELECT
                            CASE WHEN t.bar_number >= 15 AND t.atr_14 > 1e-9 * t.close THEN t.atr_14 END AS atr_14,
                            CASE WHEN t.bar_number >= 101 AND t.atr_100 > 1e-9 * t.close THEN t.atr_100 END AS atr_100
                        OFFSET 0
                    ) AS a
                    -- Prices enter sums as differences to the bar's own, so that a flat series gives exact zeros.
                    -- Windows that reach beyond the first bar are discarded above, by bar_number.
                    CROSS JOIN LATERAL (
                        SELECT
                            pg_catalog.max(w.high) FILTER (WHERE w.bar_number > t.bar_number - 2) AS highest_2,
                            pg_catalog.max(w.high) FILTER (WHERE w.bar_number > t.bar_number - 3) AS highest_3,
                            pg_catalog.max(w.high) FILTER (WHERE w.bar_number > t.bar_number - 4) AS highest_4,
                            pg_catalog.max(w.high) FILTER (WHERE w.bar_number > t.bar_number - 5) AS highest_5,
                            pg_catalog.max(w.high) FILTER (WHERE w.bar_number > t.bar_number - 14) AS highest_14,
                            pg_catalog.max(w.high) AS highest_20,
                            pg_catalog.max(w.high) FILTER (WHERE w.bar_number = t.bar_number - 1) AS high_2,
                            pg_catalog.min(w.low) FILTER (WHERE w.bar_number > t.bar_number - 2) AS lowest_2,
                            pg_catalog.min(w.low) FILTER (WHERE w.bar_number > t.bar_number - 3) AS lowest_3,
                            pg_catalog.min(w.low) FILTER (WHERE w.bar_number > t.bar_number - 4) AS lowest_4,
                            pg_catalog.min(w.low) FILTER (WHERE w.bar_number > t.bar_number - 5) AS lowest_5,
                            pg_catalog.min(w.low) FILTER (WHERE w.bar_number > t.bar_number - 14) AS lowest_14,
                            pg_catalog.min(w.low) AS lowest_20,
                            pg_catalog.max(w.low) FILTER (WHERE w.bar_number = t.bar_number - 1) AS low_2,
                            pg_catalog.sum(w.close - t.close) / 20 AS close_offset_20,
                            pg_catalog.stddev_pop(w.close - t.close) AS close_sd_20,
                            pg_catalog.sum(pg_catalog.abs(w.close_change)) AS path_20,
                            pg_catalog.sum(pg_catalog.sign(w.close_change))
                                FILTER (WHERE w.bar_number > t.bar_number - 10) AS net_up_bars_10,
                            pg_catalog.max(w.rsi_14) FILTER (WHERE w.bar_number = t.bar_number - 5) AS rsi_14_lag_5,
                            pg_catalog.sum(w.typical_price - t.typical_price)
                                FILTER (WHERE w.bar_number > t.bar_number - 14) / 14 AS typical_offset_14,
                            pg_catalog.array_agg(w.typical_price - t.typical_price)
                                FILTER (WHERE w.bar_number > t.bar_number - 14) AS typical_offsets,
                            coalesce(pg_catalog.sum(w.money_flow)
                                FILTER (WHERE w.bar_number > t.bar_number - 14 AND w.money_flow > 0), 0)
                                AS positive_flow_14,
                            coalesce(-pg_catalog.sum(w.money_flow)
                                FILTER (WHERE w.bar_number > t.bar_number - 14 AND w.money_flow < 0), 0)
                                AS negative_flow_14,
                            pg_catalog.stddev_samp(w.log_return) AS return_sd_20,
                            pg_catalog.stddev_samp(w.log_return)
                                FILTER (WHERE w.bar_number > t.bar_number - 5) AS return_sd_5,
                            pg_catalog.sum(w.volume) AS volume_20,
                            pg_catalog.sum(w.volume * pg_catalog.sign(w.close_change)) AS up_volume_20,
                            pg_catalog.sum(CASE
                                WHEN w.high > w.low
                                    THEN w.volume * (((w.close - w.low) - (w.high - w.close)) / (w.high - w.low))
                                ELSE 0
                            END) AS located_volume_20
                        FROM (
                            SELECT s.*
                            FROM ml.bar_states AS s
                            WHERE s.symbol = p_symbol AND s.timeframe = p_timeframe AND s.ts <= t.ts
                            ORDER BY s.ts DESC
                            LIMIT 20
                        ) AS w
                    ) AS w20
                    CROSS JOIN LATERAL (
                        SELECT pg_catalog.sum(pg_catalog.abs(o - w20.typical_offset_14)) / 14 AS typical_deviation_14
                        FROM pg_catalog.unnest(w20.typical_offsets) AS o
                    ) AS d
                    CROSS JOIN LATERAL (
                        SELECT
                            pg_catalog.array_agg(w.close) AS closes,
                            pg_catalog.sum(w.close - t.close) FILTER (
                                WHERE w.bar_number > t.bar_number - 25 AND w.bar_number <= t.bar_number - 5
                            ) / 20 AS close_offset_20_lag_5,
                            pg_catalog.sum(w.close - t.close)
                                FILTER (WHERE w.bar_number > t.bar_number - 50) / 50 AS close_offset_50,
                            pg_catalog.sum(w.close - t.close) FILTER (
                                WHERE w.bar_number > t.bar_number - 60 AND w.bar_number <= t.bar_number - 10
                            ) / 50 AS close_offset_50_lag_10,
                            pg_catalog.max(w.high) FILTER (WHERE w.bar_number > t.bar_number - 60) AS highest_60,
                            pg_catalog.min(w.low) FILTER (WHERE w.bar_number > t.bar_number - 60) AS lowest_60
                        FROM (
                            SELECT s.bar_number, s.high, s.low, s.close
                            FROM ml.bar_states AS s
                            WHERE s.symbol = p_symbol AND s.timeframe = p_timeframe AND s.ts <= t.ts
                            ORDER BY s.ts DESC
                            LIMIT 61
                        ) AS w
                    ) AS w61
                    CROSS JOIN LATERAL (
                        SELECT
                            pg_catalog.sum(w.volume) AS volume_100,
                            pg_catalog.count(*) FILTER (WHERE w.volume <= t.volume) AS volume_rank,
                            pg_catalog.count(*) FILTER (WHERE w.true_range / w.close <= t.true_range / t.close)
                                AS true_range_rank,
                            pg_catalog.count(*) FILTER (WHERE w.atr_14 / w.close <= t.atr_14 / t.close) AS atr_14_rank
                        FROM (
                            SELECT s.close, s.volume, s.true_range, s.atr_14
                            FROM ml.bar_states AS s
                            WHERE t.bar_number >= 100
                                AND s.symbol = p_symbol AND s.timeframe = p_timeframe AND s.ts <= t.ts
                            ORDER BY s.ts DESC
                            LIMIT 100
                        ) AS w
                    ) AS w100
                    CROSS JOIN LATERAL (
                        SELECT
                            pg_catalog.max(w.high) AS highest_250,
                            pg_catalog.min(w.low) AS lowest_250,
                            pg_catalog.sum(w.close - t.close)
                                FILTER (WHERE w.bar_number > t.bar_number - 200) / 200 AS close_offset_200
                        FROM (
                            SELECT s.bar_number, s.high, s.low, s.close
                            FROM ml.bar_states AS s
                            WHERE t.bar_number >= 200
                                AND s.symbol = p_symbol AND s.timeframe = p_timeframe AND s.ts <= t.ts
                            ORDER BY s.ts DESC
                            LIMIT 250
                        ) AS w
                    ) AS w250
                    WHERE t.symbol = p_symbol AND t.timeframe = p_timeframe AND t.ts > v_round_after
                    ORDER BY t.ts
                );
            EXCEPTION
                WHEN OTHERS THEN
                    GET STACKED DIAGNOSTICS v_sqlstate = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT;
                    v_states := NULL;
            END;
        END IF;
        IF v_states IS NOT NULL THEN
            INSERT INTO ml.bar_indicators
            SELECT i.* FROM pg_catalog.unnest(v_indicators) AS i;
            v_count := v_count + pg_catalog.cardinality(v_states);
        ELSE
            -- The bars are there without indicators: their features are missing, and no older bar stands in for them.
            RAISE WARNING 'indicators of % % after % could not be computed: % (SQLSTATE %)',
                p_symbol, p_timeframe, v_round_after, v_message, v_sqlstate
                USING HINT = 'Features of events at these bars are missing until ml.refresh_bar_indicators succeeds.';
            DELETE FROM ml.bar_states AS s
            WHERE s.symbol = p_symbol AND s.timeframe = p_timeframe AND s.ts > v_round_after;
            v_state := NULL;
            v_state.bar_number := 0;
            FOR v_state.ts IN
                SELECT b.ts
                FROM public.price_bars AS b
                WHERE b.symbol = p_symbol AND b.timeframe = p_timeframe AND b.ts > v_round_after
                ORDER BY b.ts
                LIMIT c_round
            LOOP
                INSERT INTO ml.bar_states (symbol, timeframe, ts, bar_number)
                VALUES (p_symbol, p_timeframe, v_state.ts, 0);
                INSERT INTO ml.bar_indicators (symbol, timeframe, ts, bar_number)
                VALUES (p_symbol, p_timeframe, v_state.ts, 0);
            END LOOP;
        END IF;
    END LOOP;
    RETURN v_count;
END
$function$;
COMMENT ON FUNCTION ml.recompute_bar_indicators IS
    'Recomputes states and indicators of one series from a bar on; returns the number of bars.';
REVOKE ALL ON FUNCTION ml.recompute_bar_indicators FROM PUBLIC;
