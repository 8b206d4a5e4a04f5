"""What stands above the panels: health in words, the alerts that fire, and what to do when there is nothing yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from trainer.dashboard.queries import explain, fetch_value
from trainer.dashboard.units import show, show_time

WORDS = {"healthy": "Healthy", "degraded": "Degraded", "critical": "Critical"}
LEVELS = {"healthy": "yes", "degraded": "few", "critical": "no", "warning": "few", "info": "open"}
"""Classes of the page's look for states of health and severities of alerts."""
_SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True)
class Alert:
    """An alert that fires."""

    name: str
    severity: str
    summary: str
    since: str
    runbook: str

    @property
    def level(self) -> str:
        """Return the class of its look."""
        return LEVELS.get(self.severity, "open")


@dataclass(frozen=True)
class Overview:
    """Health and alerts in words; ``notes`` says what could not be asked, and what to do."""

    status: str = "unknown"
    problems: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    alerts: tuple[Alert, ...] = ()
    pending: int = 0
    notes: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """Return the status as a title."""
        return WORDS.get(self.status, "Unknown")

    @property
    def level(self) -> str:
        """Return the class of its look."""
        return LEVELS.get(self.status, "open")


def overview(connection: psycopg.Connection[Any], seconds: float) -> Overview:
    """Ask health and alerts, each with a limit of so many seconds; a lost connection is an ``OperationalError``."""
    notes: list[str] = []

    def ask(query: str, what: str) -> Mapping[str, Any]:
        try:
            found = fetch_value(connection, query, seconds)
        except psycopg.Error as error:
            if connection.closed:
                raise
            notes.append(f"{what} cannot be shown. {explain(error, seconds)}")
            return {}
        return found if isinstance(found, Mapping) else {}

    health = ask("SELECT public.ml_health()", "Health")
    alerts = ask("SELECT public.ml_alerts()", "Alerts")
    if health and not health.get("last_prediction_at"):
        notes.append(
            "No event was scored yet: INSERT events into pattern_events"
            + ("." if health.get("ml_enabled") else ", and call ml.enable() for ML to score them.")
        )
    for rule, error in (alerts.get("errors") or {}).items():
        notes.append(f"The alert rule {rule} cannot be evaluated: {error}")
    firing = [_alert(item) for item in alerts.get("alerts") or ()]
    firing.sort(key=lambda alert: (*[alert.severity != severity for severity in _SEVERITIES], alert.name))
    return Overview(
        status=str(health.get("status") or "unknown"),
        problems=tuple(str(problem) for problem in health.get("problems") or ()),
        facts=tuple(facts(health)),
        alerts=tuple(firing),
        pending=len(alerts.get("pending") or ()),
        notes=tuple(notes),
    )


def facts(health: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the main figures of a health report in words; what it does not know is left out."""
    if not health:
        return []
    found = [("champion", str(health.get("champion") or "none"))]
    if health.get("challenger"):
        share = health.get("canary_percent")
        found.append(("challenger", f"{health['challenger']}, {f'canary {share:g} %' if share else 'in shadow'}"))
    rollout = health.get("rollout_percent")
    enabled = "enabled" if health.get("ml_enabled") else "disabled"
    found.append(("ML", enabled if rollout is None else f"{enabled}, rollout {rollout:g} %"))
    attempted = health.get("attempted") or 0
    found.append(
        ("for ML to score in the last hour", f"{attempted:,} predictions" if attempted != 1 else "1 prediction")
    )
    for name, key in (("fell back to rules", "fallback_rate"), ("met an error", "error_rate")):
        if attempted and health.get(key) is not None:
            found.append((name, show(float(health[key]), "percentunit")))
    if health.get("inference_latency_p95_ms") is not None:
        found.append(("latency p95", show(float(health["inference_latency_p95_ms"]), "ms")))
    if health.get("last_prediction_at"):
        found.append(("last prediction", moment(health["last_prediction_at"])))
    scheduler = health.get("scheduler")
    if isinstance(scheduler, Mapping):
        last = scheduler.get("last_tick_at")
        found.append(("scheduler", f"last run {moment(last)}" if last else "never seen"))
    return found


def moment(value: object) -> str:
    """Return a time of a JSON report as it is read, in UTC."""
    try:
        return f"{show_time(datetime.fromisoformat(str(value)))} UTC"
    except ValueError:
        return str(value)


def _alert(item: Mapping[str, Any]) -> Alert:
    key = item.get("key")
    rule = str(item.get("rule") or item.get("alert_type") or "alert")
    return Alert(
        name=f"{rule} ({key})" if key else rule,
        severity=str(item.get("severity") or "warning").lower(),
        summary=str(item.get("summary") or item.get("message") or ""),
        since=moment(item["since"]) if item.get("since") else "",
        runbook=str(item.get("runbook") or ""),
    )
