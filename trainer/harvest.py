"""Stage 1 of a model's way: detect candlestick patterns with TA-Lib and record them in ``pattern_events``.

A harvested event carries what a live one does: the five required columns, an id and metadata. Direction,
levels and features are the database's to derive, by the code that derives them for live rows.

An event belongs to the last bar of its pattern, and TA-Lib's candlestick functions look back only, so that
later bars change nothing. Of several patterns in one direction on one bar the rarest is recorded.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import numpy as np
import pandas as pd
import psycopg
import talib
import typer
from numpy.typing import NDArray

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import MIGRATE, connect, resolve_url
from trainer.errors import UserError
from trainer.progress import Progress, progress_bar
from trainer.selection import Since, Symbols, Timeframes, as_utc
from trainer.sql import statement

WARM_UP = 260
"""Bars of a series before the first event: about a year of daily bars, what the longest features need."""

# Rarest first, as counted on 48,105 bars (stocks, indices, EURUSD). The order is fixed: were it counted on
# the bars at hand, more bars could rename an event.
RARITY = (
    "CDL3STARSINSOUTH", "CDLCONCEALBABYSWALL", "CDLKICKING", "CDLKICKINGBYLENGTH", "CDLMATHOLD",
    "CDLABANDONEDBABY", "CDL3BLACKCROWS", "CDLBREAKAWAY", "CDLRISEFALL3METHODS", "CDLUPSIDEGAP2CROWS",
    "CDLIDENTICAL3CROWS", "CDLTRISTAR", "CDL2CROWS", "CDLCOUNTERATTACK", "CDLINNECK", "CDLSTICKSANDWICH",
    "CDL3LINESTRIKE", "CDLHIKKAKEMOD", "CDL3WHITESOLDIERS", "CDLUNIQUE3RIVER", "CDLMORNINGDOJISTAR",
    "CDLLADDERBOTTOM", "CDLEVENINGDOJISTAR", "CDLONNECK", "CDLGAPSIDESIDEWHITE", "CDLPIERCING",
    "CDLSTALLEDPATTERN", "CDLDARKCLOUDCOVER", "CDLTASUKIGAP", "CDLEVENINGSTAR", "CDLMORNINGSTAR",
    "CDLSEPARATINGLINES", "CDLTHRUSTING", "CDLXSIDEGAP3METHODS", "CDLHOMINGPIGEON", "CDLADVANCEBLOCK",
    "CDLINVERTEDHAMMER", "CDLSHOOTINGSTAR", "CDLGRAVESTONEDOJI", "CDL3INSIDE", "CDLMATCHINGLOW",
    "CDLTAKURI", "CDLDRAGONFLYDOJI", "CDLDOJISTAR", "CDLHANGINGMAN", "CDLHAMMER", "CDLHARAMICROSS",
    "CDL3OUTSIDE", "CDLMARUBOZU", "CDLHARAMI", "CDLENGULFING", "CDLHIKKAKE", "CDLCLOSINGMARUBOZU",
    "CDLBELTHOLD",
)  # fmt: skip

# One bar in eight each: they name the size of a candle, not a pattern.
NOT_HARVESTED = frozenset({"CDLLONGLINE", "CDLSHORTLINE"})

_NAMESPACE = uuid.UUID("6e1c0f0a-6f0b-5a43-9d0e-1f6f3f0a7c52")
_SIDES = {"bullish": 1, "bearish": -1}


@dataclass(frozen=True)
class PatternType:
    """A type of the vocabulary and the TA-Lib output that stands for it (sign 0: any but zero)."""

    name: str
    direction: str
    function: str
    sign: int


@dataclass(frozen=True)
class HarvestReport:
    """What a harvest did: series and bars looked at, events found, and those that were new."""

    series: int
    bars: int
    events: int
    new: int


def harvest(
    connection: psycopg.Connection[Any],
    *,
    symbols: Sequence[str] | None = None,
    timeframes: Sequence[str] | None = None,
    since: datetime | None = None,
    at: datetime | None = None,
    warm_up: int = WARM_UP,
    progress: Progress | None = None,
) -> HarvestReport:
    """Detect patterns in ``price_bars`` and insert the events that are not there yet, series by series.

    Args:
        connection: each series is a transaction of its own, unless one is open already.
        symbols: only these; None for all.
        timeframes: only these; None for all.
        since: only events detected at or after this time; the history before it is read all the same.
        at: bars that have not ended by this time are left out; None for now.
        warm_up: number of bars at the start of a series that get no event.
        progress: told about bars.

    Raises:
        UserError: there are no bars, or the database is not migrated.
    """
    if warm_up < 0:
        raise UserError(f"warm_up is {warm_up}: give 0 or more bars.")
    filters = {
        "symbols": None if symbols is None else list(symbols),
        "timeframes": None if timeframes is None else list(timeframes),
    }
    vocabulary = read_vocabulary(connection)
    with connection.transaction():
        series = connection.execute(statement("series_of_bars"), filters).fetchall()
    _refuse_unknown_series(connection, series, filters)
    total, done, found, new = sum(row[2] for row in series), 0, 0, 0
    for symbol, timeframe, count in series:
        with connection.transaction():
            bars = _read_bars(connection, symbol, timeframe, at or datetime.now(UTC))
            events = detect(bars, vocabulary, warm_up=warm_up)
            if since is not None:
                events = events[events["detected_at"] >= pd.Timestamp(since)]
            if not events.empty:
                new += _insert(connection, events, symbol, timeframe)
        found += len(events)
        done += count
        if progress is not None:
            progress(f"harvest {symbol} {timeframe}", done, total)
    return HarvestReport(len(series), total, found, new)


def _refuse_unknown_series(
    connection: psycopg.Connection[Any], series: list[tuple[Any, ...]], filters: dict[str, list[str] | None]
) -> None:
    """Raise a UserError when there are no bars, or none of a symbol or timeframe that was asked for."""
    wanted = {name: filters[f"{name}s"] or [] for name in ("symbol", "timeframe")}
    found = {"symbol": {row[0] for row in series}, "timeframe": {row[1] for row in series}}
    missing = [f"{name} {value}" for name, values in wanted.items() for value in values if value not in found[name]]
    if series and not missing:
        return
    with connection.transaction():
        everything = {"symbols": None, "timeframes": None}
        loaded = connection.execute(statement("series_of_bars"), everything).fetchall()
    if not loaded:
        raise UserError("There are no bars to harvest: load some with `trainer load-bars FILE...` first.")
    names = [f"{symbol} {timeframe}" for symbol, timeframe, _ in loaded]
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")
    raise UserError(f"There are no bars to harvest for {', '.join(missing)}: loaded are {shown}.")


def read_vocabulary(connection: psycopg.Connection[Any]) -> list[PatternType]:
    """Return the detectable pattern types, rarest first."""
    try:
        with connection.transaction():
            rows = connection.execute(statement("detectable_patterns")).fetchall()
    except psycopg.errors.UndefinedTable:
        raise UserError(f"The database has no table ml.pattern_types: {MIGRATE}.") from None
    for name, _, function, _ in rows:
        if not callable(getattr(talib, function, None)) or not function.startswith("CDL"):
            raise UserError(
                f"TA-Lib has no candlestick function {function}, which ml.pattern_types names for {name}: "
                "correct the row."
            )
    types = [
        PatternType(name, direction, function, sign or 0)
        for name, direction, function, sign in rows
        if function not in NOT_HARVESTED
    ]
    rank = {function: position for position, function in enumerate(RARITY)}
    return sorted(types, key=lambda pattern: (rank.get(pattern.function, len(rank)), pattern.name))


def detect(bars: pd.DataFrame, vocabulary: Sequence[PatternType], *, warm_up: int = WARM_UP) -> pd.DataFrame:
    """Find the patterns of one series.

    Args:
        bars: ``ts, open, high, low, close, volume``, in time order.
        vocabulary: pattern types, rarest first.
        warm_up: number of bars at the start that get no event.

    Returns:
        A row per bar and direction with a pattern: ``detected_at, direction, pattern_type, rule_confidence,
        function, output, others`` (names of the patterns on the same bar that are not recorded).
    """
    prices = [np.ascontiguousarray(bars[name], dtype=np.float64) for name in ("open", "high", "low", "close")]
    # TA-Lib needs one bar at least.
    functions = {pattern.function for pattern in vocabulary} if len(bars) else set()
    outputs = {name: getattr(talib, name)(*prices) for name in functions}
    eligible = np.arange(len(bars)) >= warm_up
    present = {
        pattern: eligible & _detected(outputs[pattern.function], pattern.sign)
        for pattern in vocabulary
        if pattern.function in outputs
    }
    counts = {direction: np.zeros(len(bars), dtype=np.int64) for direction in _SIDES}
    for pattern, hits in present.items():
        counts[pattern.direction] += hits
    found = []
    for direction, opposite in (("bullish", "bearish"), ("bearish", "bullish")):
        strength = np.zeros(len(bars), dtype=int)
        rarest = np.full(len(bars), -1)
        patterns = [pattern for pattern in present if pattern.direction == direction]
        for position in reversed(range(len(patterns))):
            hits = present[patterns[position]]
            rarest[hits] = position
            strength[hits] = np.abs(outputs[patterns[position].function][hits])
        score = rule_confidence(
            bars,
            side=_SIDES[direction],
            agreeing=np.maximum(counts[direction] - 1, 0),
            opposing=counts[opposite],
            strong=strength >= 200,
        )
        for bar in np.flatnonzero(rarest >= 0):
            pattern = patterns[rarest[bar]]
            found.append(
                {
                    "detected_at": bars["ts"].iloc[bar],
                    "direction": direction,
                    "pattern_type": pattern.name,
                    "rule_confidence": float(score[bar]),
                    "function": pattern.function,
                    "output": int(outputs[pattern.function][bar]),
                    "others": [p.name for p, hits in present.items() if hits[bar] and p is not pattern],
                }
            )
    columns = ["detected_at", "direction", "pattern_type", "rule_confidence", "function", "output", "others"]
    return pd.DataFrame(found, columns=columns).sort_values(["detected_at", "direction"], ignore_index=True)


def rule_confidence(
    bars: pd.DataFrame,
    *,
    side: int,
    agreeing: NDArray[np.int64],
    opposing: NDArray[np.int64],
    strong: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Score every bar as a textbook would score a pattern that ends there.

    The sum of: 0.40; 0.12 if the close has moved against ``side`` (+1 bullish, -1 bearish) in 10 bars;
    0.10 if the volume is above 1.2 times its mean of 20 bars; up to 0.10 as body / ATR(14) goes from 0 to 1;
    up to 0.08 as the close goes from the unfavourable to the favourable end of the bar's range; 0.10 if
    RSI(14) is stretched (below 30 for bullish, above 70 for bearish); 0.02 for each of up to three patterns
    that agree and -0.02 for each of up to three that oppose; 0.04 if TA-Lib calls the pattern strong (output
    200). What cannot be computed adds nothing.

    Returns one value in [0, 1] per bar, rounded to four places.
    """
    open_, high, low, close, volume = (
        np.ascontiguousarray(bars[name], dtype=np.float64) for name in ("open", "high", "low", "close", "volume")
    )
    if not len(bars):
        return np.empty(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        before = np.concatenate([np.full(10, np.nan), close])[: len(close)]
        body = np.abs(close - open_) / talib.ATR(high, low, close, timeperiod=14)
        place = np.where(high > low, (close - low) / (high - low), 0.5)
    momentum = side * (talib.RSI(close, timeperiod=14) - 50)
    score = (
        0.40
        + 0.12 * (side * (close - before) < 0)
        + 0.10 * (volume > 1.2 * talib.SMA(volume, timeperiod=20))
        + 0.10 * np.nan_to_num(np.minimum(body, 1.0))
        + 0.08 * (place if side > 0 else 1.0 - place)
        + 0.10 * (momentum < -20)
        + 0.02 * np.minimum(agreeing, 3)
        - 0.02 * np.minimum(opposing, 3)
        + 0.04 * strong
    )
    rounded: NDArray[np.float64] = np.round(np.clip(score, 0.0, 1.0), 4)
    return rounded


def event_id(symbol: str, timeframe: str, detected_at: datetime, direction: str) -> uuid.UUID:
    """Return the id of the harvested event of a bar and direction, the same on every machine and run."""
    moment = detected_at.astimezone(UTC).isoformat()
    return uuid.uuid5(_NAMESPACE, "|".join((symbol, timeframe, moment, direction)))


def _detected(output: NDArray[np.int32], sign: int) -> NDArray[np.bool_]:
    detected: NDArray[np.bool_] = output != 0 if sign == 0 else output * sign > 0
    return detected


def _read_bars(connection: psycopg.Connection[Any], symbol: str, timeframe: str, at: datetime) -> pd.DataFrame:
    parameters = {"symbol": symbol, "timeframe": timeframe, "at": at}
    rows = connection.cursor(binary=True).execute(statement("finished_bars"), parameters).fetchall()
    return pd.DataFrame(rows, columns=["ts", "open", "high", "low", "close", "volume"])


def _insert(connection: psycopg.Connection[Any], events: pd.DataFrame, symbol: str, timeframe: str) -> int:
    """Return how many events were new."""
    cursor = connection.cursor()
    cursor.execute(statement("create_incoming_events"))
    with cursor.copy(b"COPY pg_temp.incoming_events FROM STDIN") as copy:
        event: Any
        for event in events.itertuples(index=False):
            metadata = {
                "source": "trainer harvest",
                "talib": {event.function: event.output},
                "other_patterns": event.others,
            }
            copy.write_row(
                (
                    event_id(symbol, timeframe, event.detected_at, event.direction),
                    symbol,
                    timeframe,
                    event.pattern_type,
                    event.detected_at,
                    event.rule_confidence,
                    json.dumps(metadata),
                )
            )
    row = cursor.execute(statement("insert_incoming_events")).fetchone()
    cursor.execute("DROP TABLE pg_temp.incoming_events")
    assert row is not None  # noqa: S101 (an aggregate without GROUP BY returns one row)
    return int(row[0])


def harvest_command(
    symbols: Symbols = None,
    timeframes: Timeframes = None,
    since: Since = None,
    warm_up: Annotated[
        int, typer.Option("--warm-up", min=0, help="Bars at the start of a series that get no event.")
    ] = WARM_UP,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Detect candlestick patterns in the loaded bars with TA-Lib; a second run adds nothing."""
    with connect(resolve_url(database_url)) as connection, progress_bar("bars", "reading bars") as progress:
        report = harvest(
            connection,
            symbols=symbols,
            timeframes=timeframes,
            since=as_utc(since),
            warm_up=warm_up,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(asdict(report)))
    else:
        typer.echo(
            f"{report.events:,} events in {report.bars:,} bars of {report.series:,} series, {report.new:,} of them new"
        )
