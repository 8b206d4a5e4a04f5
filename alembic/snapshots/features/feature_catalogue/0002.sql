-- Rows of the feature catalogue, in the order of the attributes of ml.feature_vector.
-- Called by: nothing. Calls: nothing. Reads: nothing. Writes: public.ml_features.

-- "sign" is 1 for a bullish and -1 for a bearish event. The used bar is the one that detected_at names; no later one
-- enters. A feature is NULL when one of its parts is, or when the series has fewer than bars_needed bars; a Wilder mean
-- over n is previous + (new - previous) / n.
INSERT INTO public.ml_features (position, name, category, unit, definition, valid_min, valid_max, bars_needed)
VALUES
    (
        1, 'body_atr', 'pattern geometry', 'ATR14',
        'sign * (close - open) / ATR14. Positive: the bar closed in the direction of the event.',
        NULL, NULL, 15
    ),
    (
        2, 'range_atr', 'pattern geometry', 'ATR14',
        '(high - low) / ATR14.',
        0, NULL, 15
    ),
    (
        3, 'body_to_range', 'pattern geometry', 'ratio',
        '|close - open| / (high - low). NULL for a flat bar.',
        0, 1, 1
    ),
    (
        4, 'favourable_wick_atr', 'pattern geometry', 'ATR14',
        'Bullish: (high - max(open, close)) / ATR14; bearish: (min(open, close) - low) / ATR14.',
        0, NULL, 15
    ),
    (
        5, 'adverse_wick_atr', 'pattern geometry', 'ATR14',
        'Bullish: (min(open, close) - low) / ATR14; bearish: (high - max(open, close)) / ATR14.',
        0, NULL, 15
    ),
    (
        6, 'gap_atr', 'pattern geometry', 'ATR14',
        'sign * (open - close of the previous bar) / ATR14.',
        NULL, NULL, 15
    ),
    (
        7, 'overlap_with_previous', 'pattern geometry', 'ratio',
        '(min(high, previous high) - max(low, previous low)) / (max(high, previous high) - min(low, previous low)). '
        '1: equal ranges; negative: a gap between them. NULL when both bars are flat at one price.',
        -1, 1, 2
    ),
    (
        8, 'pattern_bars', 'pattern geometry', 'bars',
        'Bars of the pattern, the used bar included: those from start_at on when it is given (250 at most), else the '
        'number of its pattern type, else 1.',
        1, 250, 1
    ),
    (
        9, 'pattern_height_atr', 'pattern geometry', 'ATR14',
        '(highest high - lowest low of the patterns bars) / ATR14.',
        0, NULL, 15
    ),
    (
        10, 'close_in_pattern', 'pattern geometry', 'ratio',
        'Place of the close between the extremes of the patterns bars, 1 at the favourable one. Bullish: (close - '
        'lowest low) / (highest high - lowest low); bearish: (highest high - close) / (highest high - lowest low). '
        'NULL for a flat pattern.',
        0, 1, 1
    ),
    (
        11, 'stop_distance_atr', 'pattern geometry', 'ATR14',
        'sign * (entry_price - stop_price) / ATR14. Not given: entry_price is the close, stop_price the patterns '
        'lowest low (bullish) or highest high (bearish).',
        NULL, NULL, 15
    ),
    (
        12, 'return_1_atr', 'trend and price action', 'ATR14',
        'sign * (close - close 1 bar before) / ATR14.',
        NULL, NULL, 15
    ),
    (
        13, 'return_3_atr', 'trend and price action', 'ATR14',
        'sign * (close - close 3 bars before) / ATR14.',
        NULL, NULL, 15
    ),
    (
        14, 'return_10_atr', 'trend and price action', 'ATR14',
        'sign * (close - close 10 bars before) / ATR14.',
        NULL, NULL, 15
    ),
    (
        15, 'return_20_atr', 'trend and price action', 'ATR14',
        'sign * (close - close 20 bars before) / ATR14.',
        NULL, NULL, 21
    ),
    (
        16, 'return_60_atr', 'trend and price action', 'ATR14',
        'sign * (close - close 60 bars before) / ATR14.',
        NULL, NULL, 61
    ),
    (
        17, 'close_to_sma_20_atr', 'trend and price action', 'ATR14',
        'sign * (close - mean of the last 20 closes) / ATR14.',
        NULL, NULL, 20
    ),
    (
        18, 'close_to_sma_50_atr', 'trend and price action', 'ATR14',
        'sign * (close - mean of the last 50 closes) / ATR14.',
        NULL, NULL, 50
    ),
    (
        19, 'close_to_sma_200_atr', 'trend and price action', 'ATR14',
        'sign * (close - mean of the last 200 closes) / ATR14.',
        NULL, NULL, 200
    ),
    (
        20, 'sma_20_slope_5_atr', 'trend and price action', 'ATR14',
        'sign * (mean of the last 20 closes - the same mean 5 bars before) / ATR14.',
        NULL, NULL, 25
    ),
    (
        21, 'sma_50_slope_10_atr', 'trend and price action', 'ATR14',
        'sign * (mean of the last 50 closes - the same mean 10 bars before) / ATR14.',
        NULL, NULL, 60
    ),
    (
        22, 'efficiency_ratio_20', 'trend and price action', 'ratio',
        '|close - close 20 bars before| / sum of |close - previous close| over the last 20 bars. 1: a straight line. '
        'NULL when no close changed.',
        0, 1, 21
    ),
    (
        23, 'net_up_bars_10', 'trend and price action', 'bars',
        'sign * (number of the last 10 bars that closed above the previous close - number that closed below it).',
        -10, 10, 11
    ),
    (
        24, 'close_run', 'trend and price action', 'bars',
        'sign * length of the run of rising (positive) or falling (negative) closes that ends at the used bar; an '
        'unchanged close counts as 0 and ends a run.',
        NULL, NULL, 2
    ),
    (
        25, 'rsi_14', 'momentum', 'percent',
        'RSI = 100 * G / (G + L), G and L Wilder means over 14 of the gains and losses close to close; seed: plain '
        'mean of the first 14. Bullish: RSI; bearish: 100 - RSI. NULL when G + L = 0.',
        0, 100, 15
    ),
    (
        26, 'rsi_14_change_5', 'momentum', 'percent',
        'sign * (RSI - RSI 5 bars before), RSI as in rsi_14.',
        -100, 100, 20
    ),
    (
        27, 'macd_atr', 'momentum', 'ATR14',
        'sign * (EMA 12 - EMA 26 of the close) / ATR14. EMA n: previous + (close - previous) * 2 / (n + 1); seed: '
        'mean of the first n closes.',
        NULL, NULL, 26
    ),
    (
        28, 'macd_histogram_atr', 'momentum', 'ATR14',
        'sign * (M - signal) / ATR14, M = EMA 12 - EMA 26 as in macd_atr, signal = EMA 9 of M; seed: mean of the '
        'first 9 values of M (bars 26 to 34).',
        NULL, NULL, 34
    ),
    (
        29, 'adx_14', 'momentum', 'percent',
        'Wilder mean over 14 of DX = 100 * |P - N| / (P + N); seed: mean of the first 14 DX (bars 15 to 28). P, N: '
        'Wilder sums over 14 of the up and down directional movement, previous - previous / 14 + new; seed: sum of '
        'the first 13. Where P + N = 0, DX counts as 0 within the seed and is skipped after it. Not signed.',
        0, 100, 28
    ),
    (
        30, 'di_difference_14', 'momentum', 'percent',
        'sign * 100 * (P - N) / T, P and N as in adx_14, T the Wilder sum of the true range with the same seed. NULL '
        'when T = 0.',
        -100, 100, 15
    ),
    (
        31, 'stochastic_k_14', 'momentum', 'percent',
        'Place of the close in the range of the last 14 bars. Bullish: 100 * (close - lowest low) / (highest high - '
        'lowest low); bearish: 100 minus that. NULL when flat.',
        0, 100, 14
    ),
    (
        32, 'cci_14', 'momentum', 'points',
        'sign * (typical price - m) / (0.015 * mean of |typical price - m|) over the last 14 bars, m the mean of '
        'their typical prices (high + low + close) / 3. NULL when flat.',
        NULL, NULL, 14
    ),
    (
        33, 'mfi_14', 'momentum', 'percent',
        'Money flow index: 100 * U / (U + D), U and D the sums of typical price * volume over those of the last 14 '
        'bars whose typical price (high + low + close) / 3 rose or fell (by more than 1e-12 of it). Bullish: the '
        'index; bearish: 100 minus it. NULL when U + D = 0.',
        0, 100, 15
    ),
    (
        34, 'bollinger_z_20', 'momentum', 'standard deviations',
        'sign * (close - mean of the last 20 closes) / their population standard deviation. NULL when flat.',
        -4.4, 4.4, 20
    ),
    (
        35, 'acceleration_5_atr', 'momentum', 'ATR14',
        'sign * ((close - close 5 bars before) - (close 5 bars before - close 10 bars before)) / ATR14.',
        NULL, NULL, 15
    ),
    (
        36, 'atr_14_pct', 'volatility and volume', 'percent',
        '100 * ATR14 / close. ATR14: Wilder mean over 14 of the true range max(high, previous close) - min(low, '
        'previous close); seed: plain mean of the first 14 (bars 2 to 15). NULL here and wherever ATR14 is the unit '
        'when it is at most 1e-9 of the close.',
        0, NULL, 15
    ),
    (
        37, 'atr_14_to_atr_100_log', 'volatility and volume', 'log ratio',
        'ln(ATR14 / ATR100), ATR100 as ATR14 in atr_14_pct, over 100.',
        NULL, NULL, 101
    ),
    (
        38, 'atr_14_percentile_100', 'volatility and volume', 'share',
        'Share of the last 100 bars, the used one included, whose ATR14 / close is not above that of the used bar.',
        0.01, 1, 114
    ),
    (
        39, 'true_range_percentile_100', 'volatility and volume', 'share',
        'Share of the last 100 bars, the used one included, whose true range / close is not above that of the used '
        'bar.',
        0.01, 1, 101
    ),
    (
        40, 'return_sd_20_pct', 'volatility and volume', 'percent',
        '100 * sample standard deviation of the last 20 log returns ln(close / previous close).',
        0, NULL, 21
    ),
    (
        41, 'return_sd_5_to_20_log', 'volatility and volume', 'log ratio',
        'ln of the sample standard deviation of the last 5 log returns over that of the last 20. NULL when either is '
        'at most 1e-9.',
        NULL, NULL, 21
    ),
    (
        42, 'bollinger_width_20_pct', 'volatility and volume', 'percent',
        '100 * 4 * population standard deviation of the last 20 closes / their mean.',
        0, NULL, 20
    ),
    (
        43, 'volume_to_mean_20_log', 'volatility and volume', 'log ratio',
        'ln(volume / mean volume of the last 20 bars). NULL without volume.',
        NULL, 3.0, 20
    ),
    (
        44, 'volume_mean_20_to_100_log', 'volatility and volume', 'log ratio',
        'ln(mean volume of the last 20 bars / mean volume of the last 100). NULL without volume.',
        NULL, 1.61, 100
    ),
    (
        45, 'volume_percentile_100', 'volatility and volume', 'share',
        'Share of the last 100 bars, the used one included, whose volume is not above that of the used bar. NULL '
        'without any volume.',
        0.01, 1, 100
    ),
    (
        46, 'up_volume_balance_20', 'volatility and volume', 'share',
        'sign * (volume of the bars that closed above the previous close - volume of those that closed below it) / '
        'volume, over the last 20 bars. NULL without any volume.',
        -1, 1, 21
    ),
    (
        47, 'money_flow_20', 'volatility and volume', 'share',
        'sign * sum of volume * ((close - low) - (high - close)) / (high - low) / sum of volume, over the last 20 '
        'bars; a flat bar counts as 0 in the first sum. NULL without any volume.',
        -1, 1, 20
    ),
    (
        48, 'direction_sign', 'context', 'sign',
        '1 bullish, -1 bearish: the sign of all features that have one. NULL, as they are then, when the direction is '
        'not known.',
        -1, 1, 1
    ),
    (
        49, 'pattern_reversal', 'context', 'flag',
        '1 for a reversal pattern, 0 for a continuation pattern by the pattern type; NULL when it is neither or '
        'unknown.',
        0, 1, 1
    ),
    (
        50, 'support_distance_pct', 'context', 'percent',
        '100 * (entry_price - support) / entry_price. Not given: entry_price is the close, support the lowest low of '
        'the last 20 bars. Not signed.',
        NULL, 100, 20
    ),
    (
        51, 'resistance_distance_pct', 'context', 'percent',
        '100 * (resistance - entry_price) / entry_price. Not given: entry_price is the close, resistance the highest '
        'high of the last 20 bars. Not signed.',
        -100, NULL, 20
    ),
    (
        52, 'target_distance_pct', 'context', 'percent',
        '100 * sign * (target_price - entry_price) / entry_price. Not given: target_price is entry_price + sign * 2 * '
        'ATR100, so that this is the long-run volatility.',
        NULL, NULL, 101
    ),
    (
        53, 'risk_to_reward', 'context', 'ratio',
        '(entry_price - stop_price) / (target_price - entry_price), prices not given as in stop_distance_atr and '
        'target_distance_pct. NULL unless the target lies on the favourable side.',
        NULL, NULL, 101
    ),
    (
        54, 'favourable_room_20_atr', 'context', 'ATR14',
        'Distance to the extreme of the last 20 bars on the favourable side. Bullish: (highest high - close) / ATR14; '
        'bearish: (close - lowest low) / ATR14.',
        0, NULL, 20
    ),
    (
        55, 'favourable_room_60_atr', 'context', 'ATR14',
        'As favourable_room_20_atr, over the last 60 bars.',
        0, NULL, 60
    ),
    (
        56, 'adverse_room_60_atr', 'context', 'ATR14',
        'Distance to the extreme of the last 60 bars on the losing side. Bullish: (close - lowest low) / ATR14; '
        'bearish: (highest high - close) / ATR14.',
        0, NULL, 60
    ),
    (
        57, 'favourable_room_250_atr', 'context', 'ATR14',
        'As favourable_room_20_atr, over the last 250 bars.',
        0, NULL, 250
    ),
    (
        58, 'adverse_room_250_atr', 'context', 'ATR14',
        'As adverse_room_60_atr, over the last 250 bars.',
        0, NULL, 250
    ),
    (
        59, 'hour_of_day', 'context', 'hours',
        'Hour of the used bars opening time in UTC. Constant for daily and longer bars; on intraday bars volatility '
        'follows the clock, and a model that lacks it finds it elsewhere.',
        0, 23, 1
    ),
    (
        60, 'day_of_week', 'context', 'days',
        'ISO day of the week (Monday 1) of the used bars opening time in UTC.',
        1, 7, 1
    );
