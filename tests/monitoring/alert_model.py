"""The rules of alerts once more, in plain Python, as their documentation describes them; the month's timeline is compared.

Imports nothing of the project. Time is in whole minutes of UTC: minute m is the one that ends at m.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from statistics import NormalDist
from typing import Any

MINUTE = timedelta(minutes=1)
Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Rule:
    """What is promised of one rule; ``pages``: its notifications go to PagerDuty as well."""

    severity: str
    metric: str
    comparison: str
    threshold: float
    minutes: int
    window: timedelta
    least: int
    pages: bool
    alert_type: str | None = None


def _minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


RULES = {
    "latency_warning": Rule("warning", "latency_p95_ms", ">", 75, 5, _minutes(3), 20, False),
    "inference_latency_high": Rule("warning", "latency_p95_ms", ">", 100, 5, _minutes(3), 20, True),
    "health_critical": Rule("critical", "health_critical", ">", 0, 2, _minutes(5), 1, True),
    "model_not_loaded": Rule("critical", "model_not_loaded", ">", 0, 0, _minutes(5), 1, True),
    "fallback_warning": Rule("warning", "fallback_rate", ">", 0.10, 5, _minutes(3), 20, False),
    "fallback_high": Rule("warning", "fallback_rate", ">", 0.20, 10, _minutes(5), 20, True),
    "error_warning": Rule("warning", "error_rate", ">", 0.05, 5, _minutes(3), 20, False),
    "error_high": Rule("warning", "error_rate", ">", 0.10, 5, _minutes(3), 20, True),
    "fallback_high_hour": Rule("warning", "fallback_rate", ">", 0.20, 10, _minutes(60), 5, True),
    "error_high_hour": Rule("warning", "error_rate", ">", 0.10, 10, _minutes(60), 5, True),
    "breaker_open": Rule("warning", "breaker_open", ">", 0, 0, _minutes(5), 1, True),
    "cache_hit_low": Rule("warning", "cache_hit_rate", "<", 0.60, 10, _minutes(5), 20, False),
    "triggers_disabled": Rule("warning", "disabled_triggers", ">", 0, 10, _minutes(5), 1, True),
    "prediction_gap": Rule("warning", "prediction_gap", ">", 0, 0, _minutes(10), 1, True),
    "log_drops": Rule("warning", "log_drops", ">", 0, 0, _minutes(10), 1, True),
    "partition_missing": Rule("critical", "partition_days", "<", 2, 0, _minutes(5), 1, True),
    "scheduler_missing": Rule("warning", "minutes_since_tick", ">", 10, 2, _minutes(5), 1, True),
    "nightly_missing": Rule("warning", "minutes_since_nightly", ">", 26 * 60, 2, _minutes(5), 1, True),
    "job_failed": Rule("warning", "failed_jobs", ">", 0, 2, _minutes(5), 1, True),
    "feature_drift": Rule("info", "feature_drift_score", ">", 0.3, 0, timedelta(days=2), 1, False, "DRIFT_DETECTED"),
    "prediction_drift": Rule(
        "info", "prediction_drift_distance", ">", 0.3, 0, timedelta(days=2), 1, False, "DRIFT_DETECTED"
    ),
    "data_quality": Rule("warning", "data_quality_issues", ">", 0, 0, timedelta(days=2), 1, True, "DATA_QUALITY_ISSUE"),
    "performance_degraded": Rule(
        "warning", "degraded_metrics", ">", 0, 0, timedelta(days=2), 1, True, "PERFORMANCE_DEGRADED"
    ),
    "calibration": Rule(
        "warning", "calibration_error", ">", 0.05, 0, timedelta(days=2), 200, False, "PERFORMANCE_DEGRADED"
    ),
}
RATES = ("latency_p95_ms", "fallback_rate", "error_rate", "cache_hit_rate")


@dataclass(frozen=True)
class Call:
    """One attempted scoring."""

    at: datetime
    fallback: bool
    error: bool
    rescoring: bool
    cache_hit: bool
    latency_us: int | None
    cold: bool


@dataclass(frozen=True)
class Seen:
    """What a rule sees of a state or a nightly run: the value, the end of its interval, how many observations."""

    key: str
    value: float
    bound: float | None
    count: int


@dataclass(frozen=True, order=True)
class Transition:
    """A change of state."""

    at: datetime
    rule: str
    key: str
    before: str
    after: str
    cause: str


@dataclass
class _Alert:
    state: str = "normal"
    breached: int = 0
    judged_at: datetime | None = None
    resolved_at: datetime | None = None
    pending_at: datetime | None = None

    def put_back(self, to: datetime) -> None:
        """What was seen later than a time counts as of that time; a breach that began later counts from now on."""
        if self.state == "pending" and self.pending_at is not None and self.pending_at > to:
            self.breached = 0
        for name in ("judged_at", "resolved_at", "pending_at"):
            time = getattr(self, name)
            setattr(self, name, time and min(time, to))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval."""
    share = successes / trials
    middle = share + Z**2 / (2 * trials)
    half = Z * math.sqrt(share * (1 - share) / trials + Z**2 / (4 * trials**2))
    return (middle - half) / (1 + Z**2 / trials), (middle + half) / (1 + Z**2 / trials)


def minute_of(at: datetime) -> datetime:
    """Return the end of the last full minute."""
    return at.replace(second=0, microsecond=0)


@dataclass
class AlertModel:
    """What the rules make of calls and of states; ``observe`` says what a rule about a state sees at a time."""

    calls: list[Call]
    observe: Callable[[str, datetime], Iterable[Seen]]
    rules: dict[str, Rule] = field(default_factory=lambda: dict(RULES))
    evaluated: datetime | None = None
    alerts: dict[tuple[str, str], _Alert] = field(default_factory=dict)

    def __post_init__(self) -> None:
        calls = sorted(self.calls, key=lambda call: call.at)
        self._times = [call.at for call in calls]
        warm = [None if call.cold else call.latency_us for call in calls]
        counted = {
            "attempts": [True for _ in calls],
            "fallback_rate": [call.fallback for call in calls],
            "error_rate": [call.error for call in calls],
            "rescorings": [call.rescoring for call in calls],
            "cache_hit_rate": [call.cache_hit for call in calls],
            "warm": [latency is not None for latency in warm],
        }
        for rule in self.rules.values():
            if rule.metric == "latency_p95_ms":
                counted[f"over {rule.threshold}"] = [
                    latency is not None and latency > rule.threshold * 1000 for latency in warm
                ]
        # How many of the first n calls.
        self._counts = {name: [0, *accumulate(flags)] for name, flags in counted.items()}

    def evaluate(self, at: datetime, clock: datetime | None = None) -> list[Transition] | None:
        """Return the changes of state of an evaluation at a time, None when it has nothing to do.

        ``clock``: what the server's says, None: no matter. By it, a last evaluation to come was a mistake.
        """
        now = minute_of(at)
        if (
            clock is not None
            and self.evaluated is not None
            and at <= clock + MINUTE < self.evaluated
            and now < self.evaluated
        ):
            self.evaluated = now - MINUTE
            for alert in self.alerts.values():
                alert.put_back(self.evaluated)
        if self.evaluated is not None and now <= self.evaluated:
            return None
        first = now - 59 * MINUTE
        if self.evaluated is not None:
            first = max(first, self.evaluated + MINUTE)
        changes: list[Transition] = []
        for name, rule in self.rules.items():
            if rule.metric in RATES:
                minute = first
                while minute <= now:
                    changes += self._advance(name, "", minute, self._judge_calls(rule, minute))
                    minute += MINUTE
                continue
            seen = {observation.key: observation for observation in self.observe(name, at)}
            known = {key for rule_name, key in self.alerts if rule_name == name}
            for key in known | set(seen) or {""}:
                changes += self._advance(name, key, now, self._judge(rule, seen[key]) if key in seen else None)
        self.evaluated = now
        for (name, key), alert in list(self.alerts.items()):
            if (
                key
                and alert.state == "normal"
                and alert.judged_at is not None
                and now - alert.judged_at > timedelta(days=30)
            ):
                del self.alerts[name, key]
        return sorted(changes)

    def _judge(self, rule: Rule, seen: Seen) -> bool | None:
        if seen.count < rule.least or seen.bound is None:
            return None
        return seen.bound > rule.threshold if rule.comparison == ">" else seen.bound < rule.threshold

    def _judge_calls(self, rule: Rule, minute: datetime) -> bool | None:
        first, end = bisect_left(self._times, minute - rule.window), bisect_left(self._times, minute)

        def count(name: str) -> int:
            return self._counts[name][end] - self._counts[name][first]

        of = {"latency_p95_ms": "warm", "cache_hit_rate": "rescorings"}.get(rule.metric, "attempts")
        if count(of) < rule.least:
            return None
        if rule.metric == "latency_p95_ms":
            # The 95th percentile is surely above the threshold when surely more than 5 % of the calls are.
            return wilson(count(f"over {rule.threshold}"), count(of))[0] > 0.05
        low, high = wilson(count(rule.metric), count(of))
        return low > rule.threshold if rule.comparison == ">" else high < rule.threshold

    def _advance(self, name: str, key: str, minute: datetime, breached: bool | None) -> list[Transition]:
        rule, alert = self.rules[name], self.alerts.setdefault((name, key), _Alert())
        before = alert.state
        patience = max(_minutes(2 * rule.minutes), _minutes(5))
        silence = timedelta(0) if alert.judged_at is None else minute - alert.judged_at
        cause = {True: "breached", False: "recovered", None: "no_data"}[breached]
        if breached:
            forgotten = before == "pending" and silence > patience
            if before in ("normal", "resolved") or forgotten:
                alert.breached, alert.pending_at = 0, minute
            alert.breached += 1
            if before != "firing":
                alert.state = "firing" if alert.breached >= max(rule.minutes, 1) else "pending"
        elif before in ("pending", "firing"):
            if breached is False or silence >= patience:
                alert.state = {"pending": "normal", "firing": "resolved"}[before]
                alert.resolved_at = minute
        elif before == "resolved" and minute - alert.resolved_at >= timedelta(hours=1):
            alert.state, cause = "normal", "settled"
        if breached is not None:
            alert.judged_at = minute
        return [] if alert.state == before else [Transition(minute, name, key, before, alert.state, cause)]


@dataclass
class World:
    """The states of a database at any time, as lists of what happened; ``observe`` for a model."""

    enabled: list[tuple[datetime, bool]] = field(default_factory=list)
    champion_loaded: list[tuple[datetime, bool]] = field(default_factory=list)
    breaker_open: list[tuple[datetime, bool]] = field(default_factory=list)
    triggers_missing: list[tuple[datetime, int]] = field(default_factory=list)
    partitions_until: list[tuple[datetime, datetime]] = field(default_factory=list)
    nightly_runs: list[datetime] = field(default_factory=list)
    ticks: list[datetime] = field(default_factory=list)
    drops: list[datetime] = field(default_factory=list)
    scored: list[tuple[datetime, bool]] = field(default_factory=list)
    drift: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    performance: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    failed_jobs: list[tuple[datetime, int]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)  # by time

    def observe(self, name: str, at: datetime) -> Iterable[Seen]:
        """Return what a rule sees at a time."""
        window = RULES[name].window

        def state(values: list[tuple[datetime, Any]], default: Any) -> Any:
            return next((value for since, value in reversed(values) if since <= at), default)

        def within(times: Iterable[datetime]) -> int:
            return sum(at - window < time <= at for time in times)

        def run(runs: list[tuple[datetime, dict[str, Any]]]) -> dict[str, Any]:
            newest = [found for found in runs if at - window < found[0] <= at]
            return max(newest, key=lambda found: found[0])[1] if newest else {}

        def all_failed() -> bool:
            first = bisect_left(self.calls, minute_of(at - timedelta(hours=1)), key=lambda call: call.at)
            end = bisect_right(self.calls, at, key=lambda call: call.at)
            return end - first >= 5 and all(call.fallback for call in self.calls[first:end])

        enabled = state(self.enabled, False)
        loaded = state(self.champion_loaded, True)
        open_breaker = enabled and state(self.breaker_open, False)
        simple = {
            "model_not_loaded": enabled and not loaded,
            "breaker_open": open_breaker,
            "health_critical": not loaded
            or open_breaker
            or at >= state(self.partitions_until, at + MINUTE)
            or (enabled and name == "health_critical" and all_failed()),
            "job_failed": state(self.failed_jobs, 0),
            "triggers_disabled": state(self.triggers_missing, 0),
            "log_drops": within(self.drops),
            "partition_missing": (state(self.partitions_until, at) - at) / timedelta(days=1),
        }
        if name in simple:
            return [Seen("", float(simple[name]), float(simple[name]), 1)]
        if name == "prediction_gap":
            count = within(time for time, _ in self.scored)
            lost = float(within(time for time, logged in self.scored if not logged))
            return [Seen("", lost, lost, count)]
        if name in ("scheduler_missing", "nightly_missing"):
            runs = self.ticks if name == "scheduler_missing" else self.nightly_runs
            position = bisect_right(runs, at)
            since = [(at - runs[position - 1]) / MINUTE] if position else []
            return [Seen("", minutes, minutes, 1) for minutes in since]
        if name in ("feature_drift", "prediction_drift", "data_quality"):
            found = run(self.drift).get(name)
            return [] if found is None else [Seen("", found, found, 1)]
        return [Seen(*found) for found in run(self.performance).get(name, [])]
