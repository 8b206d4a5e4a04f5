"""Retraining: is it due, and if so a new model by the usual stages, as the challenger of the one that is live.

Meant for a scheduler: it says plainly when there is nothing to do, makes the same version of the same data, and
promotes only when it is told to. Exit codes: 0 a model was made (``--dry-run``: one is due), 3 nothing to do, 4 the
database refused the promotion, 1 an error.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import psycopg
import typer

from trainer.artefact import ModelFolder, require_writable_home
from trainer.cli import AsJson, DatabaseUrl
from trainer.compile import compile_folder
from trainer.database import connect, resolve_url, sentence_of
from trainer.dataset import Dataset, load_dataset
from trainer.deploy import deploy, registered_hash, require_schema
from trainer.errors import UserError
from trainer.evaluation.bootstrap import LEAST_OF_EACH_CLASS, LEAST_SPANS, Resamples, interval, is_enough
from trainer.fit import (
    Author,
    Contact,
    DataSource,
    License,
    SearchAll,
    Synthetic,
    TimeBudget,
    configuration,
    parse_duration,
    train,
    version_of,
)
from trainer.metrics import span_codes
from trainer.progress import Progress, no_progress, progress_bar
from trainer.promote import GatesNotPassedError, champion, promote
from trainer.provenance import Provenance, find_provenance, refuse_placeholders
from trainer.selection import Symbols, Timeframes
from trainer.sql import statement
from trainer.verify import verify

When = Literal["due", "always"]
NOTHING_TO_DO, REFUSED = 3, 4
DEFAULT_LABEL = "TB2"


@dataclass(frozen=True)
class Policy:
    """When a retraining is due."""

    max_age_days: float = 30.0
    """Days that new labels may reach beyond the champion's data."""
    min_labels: int = 100
    """New labels below which age alone is no reason."""


@dataclass(frozen=True)
class Check:
    """One question and its answer; ``is_due`` is None where there is too little to say."""

    check: str
    is_due: bool | None
    detail: str


@dataclass
class Outcome:
    """What a retraining has found and done."""

    action: Literal["nothing due", "due", "already there", "deployed", "challenger", "promoted", "promotion refused"]
    said: str
    checks: list[Check] = field(default_factory=list)
    champion: str | None = None
    version: str | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        codes = {"nothing due": NOTHING_TO_DO, "already there": NOTHING_TO_DO, "promotion refused": REFUSED}
        return codes.get(self.action, 0)

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Model:
    """A registered model; figures and label are None where its card has none.

    ``data_end`` is the end of its holdout, ``training_end`` that of the events it was fitted on.
    """

    version: str
    data_end: datetime
    dataset_sha256: str | None
    auc: float | None
    brier_skill: float | None
    label: str | None = None
    training_end: datetime | None = None


def find_model(connection: psycopg.Connection[Any], alias: str) -> Model | None:
    """Return the model behind an alias, or None."""
    row = connection.execute(statement("live_model"), (alias,)).fetchone()
    return Model(*row) if row else None


def assess(
    connection: psycopg.Connection[Any],
    live: Model | None,
    *,
    label: str = "TB2",
    symbols: Sequence[str] | None = None,
    timeframes: Sequence[str] | None = None,
    policy: Policy | None = None,
) -> list[Check]:
    """Ask whether a retraining is due; it is when one of the checks says so.

    - ``champion``: there is none.
    - ``age``: labels reach ``policy.max_age_days`` beyond the champion's data, and are ``policy.min_labels`` or more.
    - ``ranking`` and ``probabilities``: on the events labelled since, scored by the champion, the interval of its AUC
      (of its Brier skill against their own base rate) lies below the value that its card states for the holdout.
    - ``monitoring``: a sentence of ``ml.retraining_reasons(version)``, where the database has that function.
    """
    policy = policy or Policy()
    if live is None:
        return [Check("champion", True, "no model is live")]
    events = _labels_since(connection, live, label, symbols, timeframes)
    return [_age(events, live, policy), *_performance(events, live), *_monitoring(connection, live)]


def _labels_since(
    connection: psycopg.Connection[Any],
    model: Model,
    label: str,
    symbols: Sequence[str] | None,
    timeframes: Sequence[str] | None,
) -> pd.DataFrame:
    """Return the events labelled after a model's data: ``detected_at``, ``is_win``, and the model's ``confidence``."""
    parameters = {
        "version": model.version,
        "label": label,
        "since": model.data_end,
        "symbols": None if symbols is None else list(symbols),
        "timeframes": None if timeframes is None else list(timeframes),
    }
    rows = connection.execute(statement("labels_since"), parameters).fetchall()
    return pd.DataFrame(rows, columns=["detected_at", "is_win", "confidence"])


def _age(events: pd.DataFrame, live: Model, policy: Policy) -> Check:
    end = f"{live.data_end:%Y-%m-%d}"
    if events.empty:
        return Check("age", False, f"no event after {end}, the end of the data of {live.version}, has a label")
    newest = events["detected_at"].iloc[-1]
    age = newest - live.data_end
    said = f"{len(events):,} labels after {end}, the end of the data of {live.version}, up to {newest:%Y-%m-%d}"
    if age < timedelta(days=policy.max_age_days):
        return Check("age", False, f"{said}: less than {policy.max_age_days:g} days of new data")
    if len(events) < policy.min_labels:
        return Check("age", False, f"{said}: fewer than {policy.min_labels:,}")
    return Check("age", True, f"{said}: {age.days:,} days of new data")


def _performance(events: pd.DataFrame, live: Model) -> list[Check]:
    scored = events[events["confidence"].notna()]
    confidence = scored["confidence"].to_numpy(dtype=np.float64)
    is_win = scored["is_win"].to_numpy(dtype=bool)
    names = {"ranking": ("AUC", live.auc), "probabilities": ("Brier skill", live.brier_skill)}
    weeks = span_codes(pd.to_datetime(scored["detected_at"], utc=True), "week") if len(scored) else np.array([], int)
    if not len(scored) or not is_enough(weeks, is_win):
        few = f"no event that was labelled since has a score of {live.version}"
        if len(scored):
            few = (
                f"{len(scored):,} events that were labelled since have a score of {live.version}, and "
                f"{int(is_win.sum()):,} of them won: too few to judge (needed are {LEAST_SPANS} weeks, and "
                f"{LEAST_OF_EACH_CLASS} events of each class)"
            )
        return [Check(name, None, few) for name in names]
    resamples = Resamples.of_spans(weeks)
    base_rate = resamples.mean(is_win.astype(np.float64))
    found = {
        "ranking": resamples.auc(confidence, is_win),
        "probabilities": 1 - resamples.mean((confidence - is_win) ** 2) / (base_rate * (1 - base_rate)),
    }
    checks = []
    for name, (title, stated) in names.items():
        figure = interval(found[name])
        value, low, high = (float(figure[key] or 0.0) for key in ("value", "low", "high"))
        said = f"{title} {value:.3f} [{low:.3f}, {high:.3f}] on {len(scored):,} events labelled since"
        if stated is None:
            checks.append(Check(name, None, f"{said}; the card of {live.version} states none to compare with"))
        else:
            worse = high < stated
            checks.append(Check(name, worse, f"{said}, {'below' if worse else 'not below'} its card's {stated:.3f}"))
    return checks


def _monitoring(connection: psycopg.Connection[Any], live: Model) -> list[Check]:
    exists = connection.execute("SELECT to_regprocedure('ml.retraining_reasons(text)') IS NOT NULL").fetchone()
    if not exists or not exists[0]:
        return []
    reasons = [row[0] for row in connection.execute(statement("retraining_reasons"), (live.version,)).fetchall()]
    return [Check("monitoring", bool(reasons), "; ".join(reasons) or "monitoring gives no reason")]


# ------------------------------------------------------------------------------------------------------ doing it


def retrain(
    connection: psycopg.Connection[Any],
    *,
    when: When = "due",
    label: str | None = None,
    symbols: Sequence[str] | None = None,
    timeframes: Sequence[str] | None = None,
    policy: Policy | None = None,
    search_seconds: float | None = None,
    promote_it: bool = False,
    dry_run: bool = False,
    declared: dict[str, Any] | None = None,
    progress: Progress = no_progress,
) -> Outcome:
    """Retrain if it is due, and make the new model the challenger, or with ``promote_it`` the champion.

    The connection is in autocommit mode. ``label`` is by default the champion's own, else TB2. ``declared`` are the
    arguments of ``find_provenance``.

    Raises:
        UserError: the database is not migrated, there is too little data, a declared text is a placeholder, or a stage
            fails.
    """
    refuse_placeholders({name: text for name, text in (declared or {}).items() if name != "synthetic"})
    require_schema(connection)
    live = find_model(connection, "champion")
    label = label or (live.label if live else None) or DEFAULT_LABEL
    checks = assess(connection, live, label=label, symbols=symbols, timeframes=timeframes, policy=policy)
    reasons = [check.detail for check in checks if check.is_due]
    outcome = Outcome("nothing due", "No retraining is due.", checks, live.version if live else None)
    if not reasons and when == "due":
        return outcome
    rival = find_model(connection, "challenger")
    if rival is not None and when == "due" and not promote_it:
        since = _labels_since(connection, rival, label, symbols, timeframes)
        if not _age(since, rival, policy or Policy()).is_due:
            outcome.said = (
                f"{rival.version}, {_fitted_on(rival)}, is on trial as the challenger, and there is too little new "
                "data for another one."
            )
            return outcome
    why = "retraining: " + ("; ".join(reasons) or "asked for")
    if dry_run:
        outcome.action, outcome.said = "due", f"A retraining is due: {'; '.join(reasons) or 'it was asked for'}."
        return outcome

    dataset = load_dataset(connection, label=label, symbols=symbols, timeframes=timeframes)
    provenance = find_provenance(connection, dataset, **(declared or {}))
    version = None if search_seconds is not None else _known_version(connection, dataset, provenance, (live, rival))
    if version is None:
        folder = ModelFolder(
            train(connection, dataset, provenance=provenance, search_seconds=search_seconds, progress=progress)
        )
        compile_folder(folder)
        verify(connection, folder, dataset.features, progress)
        is_new = deploy(connection, folder)
        version = folder.version
    else:
        is_new = False
    outcome.version = version
    _give_role(connection, outcome, version, is_new, promote_it, why)
    return outcome


def _fitted_on(model: Model) -> str:
    said = f"fitted on data up to {model.training_end or model.data_end:%Y-%m-%d}"
    if model.training_end is None or model.data_end <= model.training_end:
        return said
    return f"{said} (the newest part, up to {model.data_end:%Y-%m-%d}, was held out to judge it)"


def _known_version(
    connection: psycopg.Connection[Any], dataset: Dataset, provenance: Provenance, models: Sequence[Model | None]
) -> str | None:
    """Return the version that a fit on this data would give again: one of these models, or another registered one."""
    for model in models:
        if model is not None and model.dataset_sha256 == dataset.sha256():
            return model.version
    version = version_of(dataset, configuration(connection, provenance))
    return version if registered_hash(connection, version) is not None else None


def _give_role(
    connection: psycopg.Connection[Any], outcome: Outcome, version: str, is_new: bool, promote_it: bool, why: str
) -> None:
    """Make a registered version the champion if that is wanted, else the challenger if it is new."""
    made = f"{version} was fitted, compiled, verified and deployed" if is_new else f"{version} is registered already"
    live = champion(connection)
    if version == live:
        outcome.action, outcome.said = "already there", f"The champion {version} was fitted on exactly this data."
    elif promote_it:
        try:
            promote(connection, version, live, why)
        except GatesNotPassedError as error:
            outcome.action, outcome.said = "promotion refused", f"{made}, but not promoted: {error}"
        else:
            outcome.action, outcome.said = "promoted", f"{made}; it is the champion now, before it: {live or 'none'}."
    elif not is_new:
        role = _role(connection, version)
        outcome.action = "already there"
        outcome.said = f"{made}, {f'as {role}' if role else 'without a role'}; nothing was changed."
        if role is None:
            outcome.said += f" Make it the champion with `trainer promote {version}`, or wait for new data."
    elif reason := _why_no_challenger(connection, live):
        outcome.action, outcome.said = "deployed", f"{made}; {reason}."
    else:
        try:
            with connection.transaction():
                connection.execute("SELECT ml.set_challenger(p_version => %s, p_reason => %s)", (version, why))
        except psycopg.Error as error:
            raise UserError(f"{made}, but it did not become the challenger: {sentence_of(error)}") from error
        outcome.action, outcome.said = "challenger", f"{made}; it is the challenger of {live} now."


def _role(connection: psycopg.Connection[Any], version: str) -> str | None:
    row = connection.execute("SELECT min(alias) FROM public.ml_aliases WHERE version = %s", (version,)).fetchone()
    return row[0] if row else None


def _why_no_challenger(connection: psycopg.Connection[Any], live: str | None) -> str | None:
    """Say why a new model is left without a role, or None when it may become the challenger."""
    row = connection.execute("SELECT EXISTS (SELECT FROM pg_proc WHERE oid::regproc::text = 'ml.set_challenger')")
    exists = row.fetchone()
    if live is None:
        return "there is no champion to challenge: make it that one with `trainer promote`"
    if not exists or not exists[0]:
        return "this database knows no challengers yet: run `python -m trainer migrate`, or `trainer promote` it"
    running = connection.execute(
        b"SELECT a.version, s.canary_percent FROM public.ml_aliases AS a, public.ml_settings AS s"
        b" WHERE a.alias = 'challenger' AND s.canary_percent > 0"
    ).fetchone()
    if running:
        return (
            f"the challenger {running[0]} scores {running[1]:g} % of the events, which a new one would end: decide on "
            "it with ml.advance or ml.withdraw_challenger, then call ml.set_challenger"
        )
    return None


def command(
    when: Annotated[
        When, typer.Option("--when", help="Retrain only when it is due, or always (on data that the champion lacks).")
    ] = "due",
    max_age: Annotated[
        float, typer.Option("--max-age", min=0, metavar="DAYS", help="Due when labels reach so far beyond its data.")
    ] = Policy.max_age_days,
    min_labels: Annotated[
        int, typer.Option("--min-labels", min=1, help="Age is no reason with fewer new labels than these.")
    ] = Policy.min_labels,
    promote_it: Annotated[
        bool, typer.Option("--promote", help="Make it the champion, through the gates; default: the challenger.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether it is due.")] = False,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            help="Train on events with this label; default: the champion's own, else TB2.",
            show_default=False,
        ),
    ] = None,
    symbols: Symbols = None,
    timeframes: Timeframes = None,
    search: SearchAll = False,
    time_budget: TimeBudget = "10m",
    data_source: DataSource = None,
    synthetic: Synthetic = False,
    author: Author = None,
    contact: Contact = None,
    model_license: License = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Fit a new model when that is due, and make it the challenger; for a scheduler.

    Due means: there is no champion, labels reach 30 days beyond its data, it does worse on them than its card says, or
    monitoring asks for it. Exit code 0: a model was made; 3: nothing to do; 4: the promotion was refused; 1: an error.
    """
    seconds = parse_duration(time_budget) if search else None
    require_writable_home()
    with connect(resolve_url(database_url), autocommit=True) as connection, progress_bar("fits") as progress:
        outcome = retrain(
            connection,
            when=when,
            label=label,
            symbols=symbols,
            timeframes=timeframes,
            policy=Policy(max_age, min_labels),
            search_seconds=seconds,
            promote_it=promote_it,
            dry_run=dry_run,
            declared={
                "data_source": data_source,
                "synthetic": synthetic,
                "author": author,
                "contact": contact,
                "license": model_license,
            },
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(outcome.to_json()))
    else:
        for check in outcome.checks:
            answer = {True: "due", False: "fine", None: "unknown"}[check.is_due]
            typer.echo(f"{answer:<8} {check.check}: {check.detail}")
        typer.echo(outcome.said)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
