"""Values in words and axes with units: the units of Grafana that dashboards of databases use."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NamedTuple

_SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "dtdurations": 1.0}
_UNIT_NAMES = {"m": "min", "dtdurations": "s"}
_TIME_STEPS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "ns"))
_BYTES = {
    "bytes": 1.0, "decbytes": 1.0, "kbytes": 1024.0, "deckbytes": 1e3, "mbytes": 1024.0**2, "decmbytes": 1e6,
    "gbytes": 1024.0**3, "decgbytes": 1e9, "Bps": 1.0, "binBps": 1.0,
}  # fmt: skip
_PER = {
    "reqps": "requests/s", "rps": "reads/s", "wps": "writes/s", "ops": "operations/s", "cps": "/s", "eps": "events/s",
    "iops": "I/O per s", "cpm": "/min", "opm": "operations/min", "rpm": "reads/min", "wpm": "writes/min",
}  # fmt: skip

NO_VALUE = "-"
_DIGITS = ",.4~r"


class Scale(NamedTuple):
    """How an axis shows values: they are divided by ``divisor``; ``suffix`` is their unit, ``form`` a d3 format."""

    divisor: float
    suffix: str
    form: str


def scale(unit: str, largest: float) -> Scale:
    """Return how to show values of a unit of which the largest (by size) is known."""
    if unit in _SECONDS and not largest:
        return Scale(1.0, f" {_UNIT_NAMES.get(unit, unit)}", _DIGITS)
    if unit in _SECONDS:
        divisor, name = _time_step(largest * _SECONDS[unit])
        return Scale(divisor / _SECONDS[unit], f" {name}", _DIGITS)
    if unit in _BYTES:
        divisor, name = _byte_step(largest * _BYTES[unit], decimal=_is_decimal(unit))
        return Scale(divisor / _BYTES[unit], f" {name}{'/s' if unit.endswith('ps') else ''}", _DIGITS)
    if unit == "percentunit":
        return Scale(1.0, "", ".2~%")
    if unit == "percent":
        return Scale(1.0, " %", _DIGITS)
    prefix, _, text = unit.partition(":")
    suffix = (
        text.strip()
        if prefix == "suffix"
        else _PER.get(unit, unit if unit not in ("", "none", "short", "string") else "")
    )
    return Scale(1.0, f" {suffix}" if suffix and not suffix.startswith("/") else suffix, ",.7~r")


def show(value: object, unit: str = "", decimals: int | None = None) -> str:
    """Return a value as it is read: ``12.3 ms``, ``97.5 %``, ``1,234``; a dash for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NO_VALUE
    if isinstance(value, datetime):
        return show_time(value)
    if isinstance(value, str):
        return value
    assert isinstance(value, int | float)  # noqa: S101  (all that a frame holds)
    if unit.startswith(("dateTime", "time:")):
        return show_time(datetime.fromtimestamp(value / 1000, UTC))
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit == "percentunit":
        return f"{_digits(100 * value, decimals, 3)} %"
    if unit.startswith("prefix:"):
        return f"{unit.partition(':')[2]}{_digits(value, decimals, 4)}"
    how = scale(unit, abs(value))
    if unit in ("", "none", "short") and abs(value) >= 1e6:
        step, name = (1e9, "G") if abs(value) >= 1e9 else (1e6, "M")
        return f"{_digits(value / step, decimals, 3)} {name}"
    return f"{_digits(value / how.divisor, decimals, 3 if how.suffix else 4)}{how.suffix}"


def show_time(time: datetime) -> str:
    """Return a time in UTC to the second, or to the day when it is midnight."""
    moment = time.astimezone(UTC)
    return f"{moment:%Y-%m-%d}" if moment.time().isoformat() == "00:00:00" else f"{moment:%Y-%m-%d %H:%M:%S}"


def _digits(value: float, decimals: int | None, significant: int) -> str:
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    if value == 0 or float(value).is_integer():
        return f"{value:,.0f}"
    whole = math.floor(math.log10(abs(value))) + 1
    text = f"{value:,.{max(0, significant - whole)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _time_step(seconds: float) -> tuple[float, str]:
    for step, name in _TIME_STEPS:
        # A few of the larger unit are easier read in the smaller one: 90 s, but 5 min.
        if seconds >= step * (2 if step > 1 else 1) and step:
            return step, name
    return 1e-9, "ns"


def _byte_step(size: float, *, decimal: bool) -> tuple[float, str]:
    base = 1000.0 if decimal else 1024.0
    names = ("B", "kB", "MB", "GB", "TB") if decimal else ("B", "KiB", "MiB", "GiB", "TiB")
    power = min(int(math.log(size, base) + 1e-9), len(names) - 1) if size >= 1 else 0
    return base**power, names[power]


def _is_decimal(unit: str) -> bool:
    return unit.startswith("dec") or unit == "Bps"
