"""Every feature computed a second time, by TA-Lib, pandas and numpy: nothing here comes from the product."""

import numpy as np
import pandas as pd
import talib
from numpy.lib.stride_tricks import sliding_window_view


def _windows(values: np.ndarray, length: int) -> np.ndarray:
    """Return the last `length` values at each position; NaN where there are fewer."""
    padded = np.concatenate([np.full(length - 1, np.nan), np.asarray(values, dtype=float)])
    return sliding_window_view(padded, length)


def _rolling(values: np.ndarray, length: int, function: str, **options: float) -> np.ndarray:
    return getattr(np, function)(_windows(values, length), axis=1, **options)


def _lag(values: np.ndarray, bars: int) -> np.ndarray:
    return pd.Series(values).shift(bars).to_numpy()


def _rank(values: np.ndarray, length: int) -> np.ndarray:
    windows = _windows(values, length)
    share = (windows <= windows[:, -1:]).mean(axis=1)
    return np.where(np.isnan(windows).any(axis=1), np.nan, share)


def _money_flow_index(h: np.ndarray, lo: np.ndarray, c: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return TA-Lib's index, but equal typical prices are equal: there, it follows the last bit of a sum."""
    typical = (h + lo + c) / 3
    change = typical - _lag(typical, 1)
    tie = np.abs(change) <= 1e-12 * typical
    flow = np.where(tie, 0.0, np.sign(change) * typical * v)
    windows = _windows(flow, 14)
    rising = np.where(windows > 0, windows, 0.0).sum(axis=1)
    index = 100 * rising / np.abs(windows).sum(axis=1)
    library = talib.MFI(h, lo, c, v, 14)
    return np.where(_rolling(tie, 14, "sum") == 0, library, index)


def indicators(bars: pd.DataFrame) -> pd.DataFrame:
    """Return what features need to know about each bar, for a bullish event."""
    o, h, lo, c, v = (bars[name].to_numpy(float) for name in ("open", "high", "low", "close", "volume"))
    out = pd.DataFrame(index=bars.index)
    out["high"], out["low"], out["close"] = h, lo, c
    atr = talib.ATR(h, lo, c, 14)
    atr_100 = talib.ATR(h, lo, c, 100)
    out["atr"], out["atr_100"] = atr, atr_100
    for bars_back in (1, 2, 3, 4, 5, 20, 60, 250):
        out[f"high_{bars_back}"] = _rolling(h, bars_back, "max")
        out[f"low_{bars_back}"] = _rolling(lo, bars_back, "min")

    out["body"] = (c - o) / atr
    out["range_atr"] = (h - lo) / atr
    out["body_to_range"] = np.abs(c - o) / (h - lo)
    out["upper_wick"] = (h - np.maximum(o, c)) / atr
    out["lower_wick"] = (np.minimum(o, c) - lo) / atr
    out["gap_atr"] = (o - _lag(c, 1)) / atr
    joint = np.maximum(h, _lag(h, 1)) - np.minimum(lo, _lag(lo, 1))
    out["overlap_with_previous"] = (np.minimum(h, _lag(h, 1)) - np.maximum(lo, _lag(lo, 1))) / joint

    for bars_back in (1, 3, 10, 20, 60):
        out[f"return_{bars_back}_atr"] = talib.MOM(c, bars_back) / atr
    for length in (20, 50, 200):
        out[f"close_to_sma_{length}_atr"] = (c - talib.SMA(c, length)) / atr
    out["sma_20_slope_5_atr"] = (talib.SMA(c, 20) - _lag(talib.SMA(c, 20), 5)) / atr
    out["sma_50_slope_10_atr"] = (talib.SMA(c, 50) - _lag(talib.SMA(c, 50), 10)) / atr
    change = c - _lag(c, 1)
    out["efficiency_ratio_20"] = np.abs(c - _lag(c, 20)) / _rolling(np.abs(change), 20, "sum")
    out["net_up_bars_10"] = _rolling(np.sign(change), 10, "sum")
    direction = pd.Series(np.sign(change))
    run = direction.groupby((direction != direction.shift()).cumsum()).cumcount() + 1
    out["close_run"] = (run * direction).to_numpy()

    rsi = talib.RSI(c, 14)
    out["rsi_14"] = rsi
    out["rsi_14_change_5"] = rsi - _lag(rsi, 5)
    macd = talib.EMA(c, 12) - talib.EMA(c, 26)
    signal = np.full(len(c), np.nan)
    signal[25:] = talib.EMA(macd[25:], 9)
    out["macd_atr"] = macd / atr
    out["macd_histogram_atr"] = (macd - signal) / atr
    out["adx_14"] = talib.ADX(h, lo, c, 14)
    out["di_difference_14"] = talib.PLUS_DI(h, lo, c, 14) - talib.MINUS_DI(h, lo, c, 14)
    out["stochastic_k_14"] = talib.STOCHF(h, lo, c, 14, 1)[0]
    out["cci_14"] = talib.CCI(h, lo, c, 14)
    out["mfi_14"] = _money_flow_index(h, lo, c, v)
    sd = _rolling(c, 20, "std", ddof=0)
    out["bollinger_z_20"] = (c - _rolling(c, 20, "mean")) / sd
    out["acceleration_5_atr"] = (talib.MOM(c, 5) - _lag(talib.MOM(c, 5), 5)) / atr

    out["atr_14_pct"] = talib.NATR(h, lo, c, 14)
    out["atr_14_to_atr_100_log"] = np.log(atr) - np.log(atr_100)
    out["atr_14_percentile_100"] = _rank(atr / c, 100)
    true_range = talib.TRANGE(h, lo, c)
    out["true_range_percentile_100"] = _rank(true_range / c, 100)
    log_return = np.log(c) - np.log(_lag(c, 1))
    sd_20 = _rolling(log_return, 20, "std", ddof=1)
    out["return_sd_20_pct"] = 100 * sd_20
    out["return_sd_5_to_20_log"] = np.log(_rolling(log_return, 5, "std", ddof=1) / sd_20)
    out["bollinger_width_20_pct"] = 100 * 4 * sd / _rolling(c, 20, "mean")
    with np.errstate(divide="ignore", invalid="ignore"):
        volume = np.where(v > 0, v, np.nan)
        mean_20, mean_100 = _rolling(v, 20, "mean"), _rolling(v, 100, "mean")
        out["volume_to_mean_20_log"] = np.log(volume) - np.log(mean_20)
        out["volume_mean_20_to_100_log"] = np.log(mean_20) - np.log(mean_100)
    out["volume_percentile_100"] = _rank(v, 100)
    obv = np.where(np.isnan(change), np.nan, np.sign(change) * v)
    out["up_volume_balance_20"] = _rolling(obv, 20, "sum") / _rolling(v, 20, "sum")
    # The accumulation/distribution line is the running sum of what Chaikin's money flow adds up.
    line = np.diff(talib.AD(h, lo, c, v), prepend=0.0)
    out["money_flow_20"] = _rolling(line, 20, "sum") / _rolling(v, 20, "sum")
    out["hour_of_day"] = bars["ts"].dt.hour.to_numpy(float)
    out["day_of_week"] = bars["ts"].dt.isocalendar().day.to_numpy(float)
    return out


SIGNED = (
    *("gap_atr", "return_1_atr", "return_3_atr", "return_10_atr", "return_20_atr", "return_60_atr"),
    *("close_to_sma_20_atr", "close_to_sma_50_atr", "close_to_sma_200_atr", "sma_20_slope_5_atr"),
    *("sma_50_slope_10_atr", "net_up_bars_10", "close_run", "rsi_14_change_5", "macd_atr"),
    *("macd_histogram_atr", "di_difference_14", "cci_14", "bollinger_z_20", "acceleration_5_atr"),
    *("up_volume_balance_20", "money_flow_20"),
)
MIRRORED = ("rsi_14", "stochastic_k_14", "mfi_14")
UNSIGNED = (
    *("range_atr", "body_to_range", "overlap_with_previous", "efficiency_ratio_20", "adx_14", "atr_14_pct"),
    *("atr_14_to_atr_100_log", "atr_14_percentile_100", "true_range_percentile_100", "return_sd_20_pct"),
    *("return_sd_5_to_20_log", "bollinger_width_20_pct", "volume_to_mean_20_log"),
    *("volume_mean_20_to_100_log", "volume_percentile_100", "hour_of_day", "day_of_week"),
)


def features(known: pd.DataFrame, at: np.ndarray, events: pd.DataFrame) -> pd.DataFrame:
    """Return the features of events at bars `at` of one series whose indicators are `known`.

    `events` has sign, type_bars, start (position of the first bar or -1), reversal, and levels (NaN: not given).
    """
    row = known.iloc[at].reset_index(drop=True)
    events = events.reset_index(drop=True)
    sign = events["sign"].to_numpy(float)
    up = sign > 0
    out = pd.DataFrame(index=row.index)
    for name in SIGNED:
        out[name] = sign * row[name]
    out["body_atr"] = sign * row["body"]
    for name in MIRRORED:
        out[name] = np.where(up, row[name], 100 - row[name])
    for name in UNSIGNED:
        out[name] = row[name]
    out["favourable_wick_atr"] = np.where(up, row["upper_wick"], row["lower_wick"])
    out["adverse_wick_atr"] = np.where(up, row["lower_wick"], row["upper_wick"])

    length = events["type_bars"].to_numpy(int).copy()
    started = events["start"].to_numpy(int) >= 0
    length[started] = np.minimum(np.asarray(at)[started] - events["start"].to_numpy(int)[started] + 1, 250)
    top, bottom = np.full(len(row), np.nan), np.full(len(row), np.nan)
    high, low = known["high"].to_numpy(), known["low"].to_numpy()
    for k, (position, bars_back) in enumerate(zip(at, length, strict=True)):
        first = position - bars_back + 1
        if first >= 0:
            top[k], bottom[k] = high[first : position + 1].max(), low[first : position + 1].min()
    close, atr = row["close"], row["atr"]
    out["pattern_bars"] = length.astype(float)
    out["pattern_height_atr"] = (top - bottom) / atr
    out["close_in_pattern"] = np.where(up, close - bottom, top - close) / np.where(top > bottom, top - bottom, np.nan)

    entry = events["entry_price"].fillna(close)
    stop = events["stop_price"].fillna(pd.Series(np.where(up, bottom, top)))
    target = events["target_price"].fillna(entry + sign * 2 * row["atr_100"])
    support = events["support"].fillna(row["low_20"])
    resistance = events["resistance"].fillna(row["high_20"])
    out["stop_distance_atr"] = sign * (entry - stop) / atr
    out["support_distance_pct"] = 100 * (1 - support / entry)
    out["resistance_distance_pct"] = 100 * (resistance / entry - 1)
    out["target_distance_pct"] = 100 * sign * (target / entry - 1)
    out["risk_to_reward"] = np.where(sign * (target - entry) > 0, (entry - stop) / (target - entry), np.nan)
    for bars_back in (20, 60, 250):
        above = (row[f"high_{bars_back}"] - close) / atr
        below = (close - row[f"low_{bars_back}"]) / atr
        out[f"favourable_room_{bars_back}_atr"] = np.where(up, above, below)
        if bars_back > 20:
            out[f"adverse_room_{bars_back}_atr"] = np.where(up, below, above)
    out["direction_sign"] = sign
    out["pattern_reversal"] = events["reversal"].to_numpy(float)
    return out
