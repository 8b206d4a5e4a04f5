"""What is live and how it does, in the terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import typer
from psycopg.errors import InsufficientPrivilege, QueryCanceled, UndefinedColumn, UndefinedFunction, UndefinedTable
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trainer.cli import AsJson, DatabaseUrl
from trainer.database import connect, resolve_url, sentence_of
from trainer.deploy import require_schema
from trainer.errors import UserError
from trainer.progress import output
from trainer.sql import statement

FEWEST_ATTEMPTS = 20
"""Below this many attempts a rate says nothing; ``ml_health`` does not warn either."""

UNKNOWN = 4
"""Exit code when the database could not be asked."""

TIME_LIMIT = "5s"
"""For each question that the status can be told without."""

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.:-=+*#"

_LEFT = 20  # columns before the text of a row
_EXTRAS = ("settings", "metrics", "alerts", "drift", "performance")
_DECISIONS = ("disabled", "not_in_rollout")  # why the rule alone was asked: no fallbacks
_COLOURS = {"healthy": "green", "degraded": "yellow", "critical": "red", "warning": "yellow", "info": "blue"}
_METRICS = {"roc_auc": "ROC-AUC", "brier": "Brier score", "ece": "calibration error", "log_loss": "log loss"}


def status(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """Return the health report, the counts of bars, events and predictions, and the models that are registered.

    With them come settings, metrics, alerts, drift and performance; None for what this database does not have, this
    role may not see, or takes too long. The connection is in autocommit mode.
    """
    require_schema(connection)
    row = connection.execute(statement("status")).fetchone()
    assert row is not None  # noqa: S101  a SELECT without FROM gives one row
    return {**row[0], **{name: _ask(connection, f"status_{name}") for name in _EXTRAS}}


def _ask(connection: psycopg.Connection[Any], name: str) -> Any:
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('statement_timeout', %s, true)", (TIME_LIMIT,))
            row = connection.execute(statement(name)).fetchone()
    except (UndefinedFunction, UndefinedTable, UndefinedColumn, InsufficientPrivilege, QueryCanceled):
        return None
    return row[0] if row else None


def command(database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Say what is live and how it does.

    Exit codes: 1 the status is critical, 4 the status is not known: the
    database does not answer, is not migrated, or refuses the role.
    """
    try:
        with connect(resolve_url(database_url), autocommit=True) as connection:
            found = status(connection)
    except UserError as error:
        raise UserError(str(error), UNKNOWN) from error
    except psycopg.Error as error:
        raise UserError(sentence_of(error), UNKNOWN) from error
    if as_json:
        typer.echo(json.dumps(found))
    else:
        console = output()
        print_health(found["health"], console)
        print_monitoring(found, console)
        print_counts(found, console)
        print_next(found, console)
    if found["health"]["status"] == "critical":
        raise typer.Exit(1)


def print_health(health: dict[str, Any], console: Console) -> None:
    """Print a health report as a short table, problems first; whatever is unknown is said to be."""
    colour = _COLOURS.get(health["status"], "red")
    console.print(f"[bold {colour}]{health['status']}[/]")
    for problem in health["problems"]:
        console.print(Padding(str(problem), (0, 0, 0, 2)), markup=False)
    rollout, threshold = health["rollout_percent"], health.get("confidence_threshold")
    rows = [
        ("champion", f"{health['champion'] or 'none'} (loaded: {'yes' if health['model_loaded'] else 'no'})"),
        (
            "ML",
            f"{'enabled' if health['ml_enabled'] else 'disabled'}, "
            f"rollout {'unknown' if rollout is None else f'{rollout:g} %'}, "
            f"confirmed from {'unknown' if threshold is None else f'{threshold:.3g}'}",
        ),
        ("last hour", _attempts(health)),
    ]
    if health["challenger"]:
        share = f"canary {health['canary_percent']:g} %" if health["canary_percent"] else "in shadow"
        rows.insert(1, ("challenger", f"{health['challenger']}, {share}"))
    if health["circuit_breaker"] and health["circuit_breaker"]["state"] != "closed":
        rows.append(("circuit breaker", str(health["circuit_breaker"]["state"]).replace("_", " ")))
    latency = {name: health.get(f"inference_latency_{name}_ms") for name in ("p50", "p95", "p99")}
    known = [f"{name} {value:.2f} ms" for name, value in latency.items() if value is not None]
    if known:
        rows.append(("latency", f"{', '.join(known)} inside the INSERT"))
    rows.append(("waiting for bars", f"{health['events_waiting_for_bars'] or 0:,} events"))
    _print_rows(rows, console)


def print_monitoring(found: Mapping[str, Any], console: Console, now: datetime | None = None) -> None:
    """Print rates beside their targets, the course of the last hour, alerts, verdicts and the scheduler.

    What the database does not know is left out; ``now`` is for ages, and the present by default.
    """
    health, settings = found["health"], found.get("settings") or {}
    present = now or datetime.now(UTC)
    rows: list[tuple[str, str | Text]] = list(_rates(health, settings))
    course = _course(found.get("metrics") or {}, console)
    if course:
        rows.append(("live by minute", course))
    rows += _alert_rows(found.get("alerts"), present)
    rows += _verdict_rows(found.get("drift"), found.get("performance"), present)
    scheduler = health.get("scheduler")
    if isinstance(scheduler, Mapping):
        last = _passed(scheduler.get("last_tick_at"), present)
        said = f"last run {last} ago" if last else "never seen"
        rows.append(("scheduler", said if scheduler.get("seen") or not last else Text(f"{said}: stopped", "yellow")))
    _print_rows(rows, console)


def _rates(health: Mapping[str, Any], settings: Mapping[str, Any]) -> list[tuple[str, Text]]:
    """Return each rate with its target and in the colour of its state; none below the fewest attempts."""
    if (health.get("attempted") or 0) < FEWEST_ATTEMPTS:
        return []
    target = settings.get("latency_target_ms")
    within = "within target" if target is None else f"within {target:g} ms"
    rows = []
    for name, key, good, bad in (
        ("fallbacks", "fallback_rate", "fallback_warning_rate", "fallback_alert_rate"),
        ("errors", "error_rate", "error_warning_rate", "error_alert_rate"),
        ("cache hits", "cache_hit_rate", "cache_hit_target_rate", "cache_hit_alert_rate"),
    ):
        value = health.get(key)
        if value is None:
            continue
        wanted, limit = settings.get(good), settings.get(bad)
        high_is_good = key == "cache_hit_rate"
        sign = -1 if high_is_good else 1
        colour = "green" if wanted is not None else ""
        if wanted is not None and sign * value > sign * wanted:
            colour = "yellow"
        if limit is not None and sign * value > sign * limit:
            colour = "red"
        words = ("above", "below") if high_is_good else ("below", "above")
        said = [
            f"{what} {word} {share:.0%}"
            for what, word, share in (("target", words[0], wanted), ("alert", words[1], limit))
            if share is not None
        ]
        rows.append((name, Text.assemble((f"{value:.1%}", colour), f"  {', '.join(said)}" if said else "")))
    if health.get("sla_compliance") is not None:
        rows.append((within, Text(f"{health['sla_compliance']:.1%} of the calls")))
    return rows


def _course(metrics: Mapping[str, Any], console: Console) -> str:
    """Return the predictions of the last hour by minute, as blocks that fit the terminal."""
    counts = [bucket.get("predictions") or 0 for bucket in metrics.get("history") or ()]
    if not any(counts):
        return ""
    tail = f"  {sum(counts):,} predictions in the hour, at most {max(counts):,}"
    room = max(10, console.width - _LEFT - len(tail))
    step = math.ceil(len(counts) / room)
    sums = [sum(counts[place : place + step]) for place in range(0, len(counts), step)]
    highest = max(sums)
    utf8 = (console.encoding or "").lower().startswith("utf")
    blocks = BLOCKS if utf8 else PLAIN_BLOCKS
    # Nothing at all and a little are told apart.
    line = "".join(blocks[math.ceil(count / highest * (len(blocks) - 1))] for count in sums)
    return f"{line}{tail}"


def _alert_rows(alerts: Mapping[str, Any] | None, now: datetime) -> list[tuple[str, str | Text]]:
    if alerts is None:
        return []
    firing, pending = alerts.get("alerts") or (), alerts.get("pending") or ()
    said = f"{len(firing)} firing" if firing else "none firing"
    rows: list[tuple[str, str | Text]] = [("alerts", f"{said}, {len(pending)} pending" if pending else said)]
    for rule, error in (alerts.get("errors") or {}).items():
        rows.append(("", Text(f"the rule {rule} cannot be evaluated: {error}", "red")))
    for alert in firing:
        severity = str(alert.get("severity") or "warning")
        age = _passed(alert.get("since"), now)
        name = str(alert.get("rule")) + (f" {alert['key']}" if alert.get("key") else "")
        text = Text.assemble((name, "bold"), f" for {age}: " if age else ": ", str(alert.get("summary") or ""))
        rows.append(("", Text.assemble((f"{severity} ", _COLOURS.get(severity, "")), text)))
    return rows


def _verdict_rows(
    drift: Mapping[str, Any] | None, performance: Sequence[Mapping[str, Any]] | None, now: datetime
) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = []
    if drift:
        drifted, watched, quality = (_names(drift.get(name) or ()) for name in ("drift", "watch", "quality"))
        said = [f"drift in {drifted}"] if drifted else []
        said += [f"watch {watched}"] if watched else []
        said += [f"poor data in {quality}"] if quality else []
        said = said or (
            [f"none in {drift['measured']} distributions"] if drift["measured"] else ["too few predictions"]
        )
        rows.append(
            ("drift", Text(f"{'; '.join(said)} ({_passed(drift['run_at'], now)} ago)", "red" if drifted else ""))
        )
    shown = [item for item in performance or () if item["metric"] in _METRICS]
    degraded = [item for item in performance or () if item["verdict"] == "degraded"]
    for kind in ("realised", "estimated"):
        figures = [
            f"{_METRICS[item['metric']]} {item['value']:.3f}"
            for item in shown
            if item["kind"] == kind and item["value"] is not None and item["verdict"] != "insufficient_data"
        ]
        worse = ", ".join(item["metric"] for item in degraded if item["kind"] == kind)
        if figures or worse:
            text = f"{kind}: {', '.join(figures)}" + (f"; degraded: {worse}" if worse else "")
            rows.append(("performance", Text(text, "red" if worse else "")))
    if performance and not any(name == "performance" for name, _ in rows):
        rows.append(("performance", "too few outcomes to judge"))
    return rows


def _names(names: Sequence[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _passed(time: Any, now: datetime) -> str:
    """Return in words how long ago a time of a JSON report was; nothing for none."""
    try:
        passed = now - datetime.fromisoformat(str(time))
    except (ValueError, TypeError):
        return ""
    for unit, length in (("d", timedelta(days=2)), ("h", timedelta(hours=2)), ("min", timedelta(minutes=2))):
        if passed >= length:
            return f"{passed // (length / 2):,} {unit}"
    return f"{max(0, round(passed.total_seconds()))} s"


def next_steps(found: Mapping[str, Any]) -> list[str]:
    """Return what to do next, the most urgent first."""
    health, steps = found["health"], _urgent_steps(found)
    if not found.get("bars"):
        steps.append("load bars: python -m trainer load-bars FILE...")
    if not health.get("champion"):
        steps.append(
            "promote a model: python -m trainer promote"
            if found.get("models")
            else "train a model: python -m trainer fit, then compile, verify, deploy and promote"
        )
    elif not health.get("ml_enabled"):
        steps.append("let ML score new events: SELECT ml.enable('why');")
    if found.get("bars") and (health.get("events_waiting_for_bars") or 0) > 0:
        steps.append("when the missing bars are loaded, score the events that wait: python -m trainer backfill")
    scheduler = health.get("scheduler")
    if isinstance(scheduler, Mapping) and not scheduler.get("seen"):
        steps.append("run python -m trainer tick every minute, and nightly every night, from cron or pg_cron")
    if "baseline_set_at" in health and not health["baseline_set_at"] and health.get("last_prediction_at"):
        steps.append("once live scoring is as it should be, keep that as the baseline: SELECT ml_set_baseline('why');")
    return [*steps, "see it drawn: python -m trainer dashboard"]


def _urgent_steps(found: Mapping[str, Any]) -> list[str]:
    """Return what to do about rates beyond the line of their alert, and about alerts that fire."""
    health, settings, steps = found["health"], found.get("settings") or {}, []
    judged = health.get("ml_enabled") and (health.get("attempted") or 0) >= FEWEST_ATTEMPTS
    too_many = [
        f"{health[rate]:.1%} {name}"
        for name, rate, limit in (
            ("errors", "error_rate", "error_alert_rate"),
            ("fallbacks", "fallback_rate", "fallback_alert_rate"),
        )
        if judged and None not in (health.get(rate), settings.get(limit)) and health[rate] > settings[limit]
    ]
    if too_many:
        steps.append(
            f"{' and '.join(too_many)}: SELECT ml_health() -> 'problems' says why; "
            "if it is the model, SELECT ml.rollback('why') or ml.disable('why');"
        )
    if (found.get("alerts") or {}).get("alerts"):
        steps.append("see what to do about the alerts: SELECT ml_alerts();")
    return steps


def print_next(found: Mapping[str, Any], console: Console) -> None:
    """Print what to do next."""
    _print_rows([("next" if place == 0 else "", step) for place, step in enumerate(next_steps(found))], console)


def print_counts(found: dict[str, Any], console: Console) -> None:
    """Print how much there is of everything, and the models."""
    by = found["predictions_by"]
    rows = [
        ("bars", f"{found['bars']:,}"),
        (
            "events",
            f"{found['events']:,}: {found['scored']:,} scored, {found['confirmed']:,} confirmed, "
            f"{found['labelled']:,} labelled",
        ),
        (
            "predictions",
            f"{found['predictions']:,}: {by['live']:,} live by ML, "
            + (f"{by['fallback']:,} live that fell back, " if by["fallback"] else "")
            + f"{by['rule']:,} live by the rule alone, {by['backfill']:,} backfilled"
            + (f", {by['shadow']:,} in shadow" if by["shadow"] else "")
            + (f", {by['external']:,} external" if by["external"] else ""),
        ),
    ]
    for model in found["models"]:
        roles = f" ({', '.join(model['aliases'])})" if model["aliases"] else ""
        rows.append(
            ("model", f"{model['version']}{roles}, {model['algorithm']}, registered {model['created_at'][:16]}")
        )
    _print_rows(rows, console)


def _print_rows(rows: Sequence[tuple[str, str | Text]], console: Console) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(min_width=16, no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(Padding(table, (0, 0, 0, 2), expand=False), markup=False)


def _attempts(health: dict[str, Any]) -> str:
    attempted = health["attempted"] or 0
    if not attempted:
        return "no live prediction was for ML to make"
    said = f"{attempted:,} live prediction{'s' if attempted > 1 else ''} for ML to make"
    reasons = ", ".join(
        f"{reason} {events:,}"
        for reason, events in sorted((health["fallback_reasons"] or {}).items())
        if reason not in _DECISIONS
    )
    if attempted < FEWEST_ATTEMPTS or health["fallback_rate"] is None:
        return f"{said}: too few to judge" + (f" ({reasons})" if reasons else "")
    return f"{said}, fallbacks {health['fallback_rate']:.1%}" + (f" ({reasons})" if reasons else "")
