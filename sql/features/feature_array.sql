-- Features of one event as an array in catalogue order.
-- Called by: ml.score_pattern_event, ml.score_batch, ml.training_dataset. Calls: nothing. Reads: nothing. Writes: nothing.

CREATE OR REPLACE FUNCTION ml.feature_array(p_features ml.feature_vector)
RETURNS double precision[]
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
AS $function$
    SELECT ARRAY[
        (p_features).body_atr,
        (p_features).range_atr,
        (p_features).body_to_range,
        (p_features).favourable_wick_atr,
        (p_features).adverse_wick_atr,
        (p_features).gap_atr,
        (p_features).overlap_with_previous,
        (p_features).pattern_bars,
        (p_features).pattern_height_atr,
        (p_features).close_in_pattern,
        (p_features).stop_distance_atr,
        (p_features).return_1_atr,
        (p_features).return_3_atr,
        (p_features).return_10_atr,
        (p_features).return_20_atr,
        (p_features).return_60_atr,
        (p_features).close_to_sma_20_atr,
        (p_features).close_to_sma_50_atr,
        (p_features).close_to_sma_200_atr,
        (p_features).sma_20_slope_5_atr,
        (p_features).sma_50_slope_10_atr,
        (p_features).efficiency_ratio_20,
        (p_features).net_up_bars_10,
        (p_features).close_run,
        (p_features).rsi_14,
        (p_features).rsi_14_change_5,
        (p_features).macd_atr,
        (p_features).macd_histogram_atr,
        (p_features).adx_14,
        (p_features).di_difference_14,
        (p_features).stochastic_k_14,
        (p_features).cci_14,
        (p_features).mfi_14,
        (p_features).bollinger_z_20,
        (p_features).acceleration_5_atr,
        (p_features).atr_14_pct,
        (p_features).atr_14_to_atr_100_log,
        (p_features).atr_14_percentile_100,
        (p_features).true_range_percentile_100,
        (p_features).return_sd_20_pct,
        (p_features).return_sd_5_to_20_log,
        (p_features).bollinger_width_20_pct,
        (p_features).volume_to_mean_20_log,
        (p_features).volume_mean_20_to_100_log,
        (p_features).volume_percentile_100,
        (p_features).up_volume_balance_20,
        (p_features).money_flow_20,
        (p_features).direction_sign,
        (p_features).pattern_reversal,
        (p_features).support_distance_pct,
        (p_features).resistance_distance_pct,
        (p_features).target_distance_pct,
        (p_features).risk_to_reward,
        (p_features).favourable_room_20_atr,
        (p_features).favourable_room_60_atr,
        (p_features).adverse_room_60_atr,
        (p_features).favourable_room_250_atr,
        (p_features).adverse_room_250_atr,
        (p_features).hour_of_day,
        (p_features).day_of_week
    ]
$function$;
COMMENT ON FUNCTION ml.feature_array IS 'Features of one event as an array in catalogue order.';
REVOKE ALL ON FUNCTION ml.feature_array FROM PUBLIC;
