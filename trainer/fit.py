"""Stage 3 of a model's way: fit candidates, choose a champion by a stated rule, calibrate it.

Candidates are compared on walk-forward predictions alone, of events whose label windows end the embargo before the
holdout. The champion is then fitted once on everything before the holdout, and predicts the holdout, which nothing was
chosen on. That model is the one that is kept: the figures in its card are its own, not those of a model fitted again
on more data.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated, Any

import joblib
import numpy as np
import pandas as pd
import psycopg
import typer
from numpy.typing import NDArray
from rich.table import Table

from trainer.artefact import ModelFolder, models_folder, require_writable_home
from trainer.calibration import METHODS, Calibrator, Floats, fit_calibrator
from trainer.candidates import CANDIDATES, FAMILIES, VOTING, Candidate, fit_model, title_of, win_probability
from trainer.cli import AsJson, DatabaseUrl
from trainer.database import connect, resolve_url
from trainer.dataset import Dataset, load_dataset, mark_training_events
from trainer.errors import UserError
from trainer.evaluate import evaluate_folder, shown
from trainer.metrics import clustered_mean, log_losses, span_codes
from trainer.model_card import write_card
from trainer.progress import Progress, no_progress, output, progress_bar
from trainer.provenance import Provenance, find_placeholder, find_provenance
from trainer.search import (
    CHAMPION_RULE,
    SEARCH_RULE,
    Judge,
    Search,
    Trial,
    Trials,
    choose_champion,
    describe_choice,
    describe_search,
    flattery,
    try_all,
)
from trainer.selection import Since, Symbols, Timeframes, Until, as_utc
from trainer.splits import EMBARGO_BARS, Fold, Splits, split_by_time
from trainer.sql import statement

VOLATILITY_FEATURE = "atr_14_to_atr_100_log"
PLANTED_NOISE = 0.5
"""Standard deviation of the noise on a planted feature that knows the outcome: alone it has an AUC of 0.92."""
PRIOR_STRENGTH = 20.0
"""Events that the base rate counts for in a pattern's prior, so that rare patterns stay near it."""

CALIBRATOR_RULE = (
    "Each method is fitted on the out-of-fold predictions of those events of earlier walk-forward blocks whose label "
    "window ended the embargo before the next block, and judged on that block; identity is kept unless another one's "
    "log loss is lower by more than one standard error of the paired difference, months or weeks taken together. The "
    "chosen method is fitted again on all out-of-fold predictions."
)
THRESHOLD_RULE = (
    "The blended confidence that the top {share:.0%} of the walk-forward events reach, with predictions "
    "calibrated on earlier blocks only, and by outcomes known the embargo before the block."
)
LIBRARIES = ("joblib", "numpy", "pandas", "scikit-learn", "TA-Lib")


@dataclass(frozen=True)
class FitConfig:
    """Everything besides the data that a fit depends on; its hash is part of the version's name."""

    candidates: tuple[Candidate, ...] = CANDIDATES
    seed: int = 20_240_229
    folds: int = 4
    first_train_share: float = 0.4
    holdout_share: float = 0.2
    embargo_bars: int = EMBARGO_BARS
    ml_weight: float = 0.6
    rule_weight: float = 0.4
    confidence_threshold: float = 0.55
    confirm_share: float = 0.3
    libraries: dict[str, str] = field(default_factory=lambda: _versions(LIBRARIES))
    provenance: Provenance = field(default_factory=Provenance)

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as JSON."""
        return asdict(self)

    def sha256(self) -> str:
        """Return a hash of the configuration."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def _versions(distributions: Sequence[str]) -> dict[str, str]:
    """Return the versions of those distributions that are installed."""
    found = {}
    for name in distributions:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = package_version(name)
    return found


def version_of(dataset: Dataset, config: FitConfig) -> str:
    """Return the version's name: a hash of the data and the configuration."""
    return "local-" + hashlib.sha256(f"{dataset.sha256()} {config.sha256()}".encode()).hexdigest()[:8]


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted champion and all that is known about how it came to be."""

    version: str
    dataset: Dataset
    config: FitConfig
    splits: Splits
    champion: Trial
    model: Any
    calibrator: Calibrator
    candidate_table: list[dict[str, Any]]
    choice: dict[str, Any]
    """How much the choice among candidates flatters; see ``trainer.search.flattery``."""
    search: dict[str, Any] | None
    """How the candidates were found; None when the configuration named them."""
    calibrator_table: list[dict[str, Any]]
    threshold: float
    predictions: pd.DataFrame
    """A row per event of the walk-forward blocks and the holdout; see ``_predictions``."""


def fit(
    dataset: Dataset,
    config: FitConfig | None = None,
    *,
    search_seconds: float | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Fit the candidates, choose the champion, calibrate it and learn a threshold.

    The same data and configuration give the same result. With ``search_seconds`` the configuration's candidates are
    tried first and then, for so long, those of the whole registry; what was tried is then part of the configuration,
    and Ctrl-C ends the search with what has been tried by then.

    Raises:
        UserError: there are too few events for the splits, or a block has only one class.
    """
    config = config or FitConfig()
    splits = split_by_time(
        dataset.events["detected_at"],
        dataset.events["known_at"],
        embargo=config.embargo_bars * dataset.bar_period,
        folds=config.folds,
        first_train_share=config.first_train_share,
        holdout_share=config.holdout_share,
    )
    is_win = dataset.is_win
    for fold in (*splits.folds, splits.holdout):
        for rows in (fold.train, fold.test):
            if is_win[rows].all() or not is_win[rows].any():
                raise UserError(
                    f"The block that begins on {fold.test_start:%Y-%m-%d} has only one outcome to learn "
                    "or test: load more bars."
                )

    spans = span_codes(dataset.events["detected_at"], span_of(dataset))
    judge = Judge(dataset, splits.folds, spans, config.seed)
    fits = len(config.candidates) * config.folds if search_seconds is None else 0
    steps = _Steps(progress, fits + 2 * config.folds + 3)
    if search_seconds is None:
        trials = try_all(judge, config.candidates, steps.done)
    else:
        search = Search(
            judge,
            seconds=search_seconds,
            seed=config.seed,
            first=config.candidates,
            on_fit=progress or no_progress,
        )
        trials = search.run()
        tried = tuple(trial.candidate for trial in trials.done)
        config = replace(config, candidates=tried, libraries={**config.libraries, **_boosting_versions(tried)})
    tested = np.concatenate([fold.test for fold in splits.folds])
    candidate_table, champion = choose_champion(trials.done, is_win[tested], spans[tested])
    choice = flattery(trials.done, champion, is_win[tested], spans[tested], config.seed)
    if search_seconds is not None:
        candidate_table = [
            {**row, "seconds": round(trial.seconds, 3)} for row, trial in zip(candidate_table, trials.done, strict=True)
        ]
    raw = champion.raw

    calibrator_table, method, nested = choose_calibrator(raw, is_win[tested], spans[tested], splits.folds)
    calibrator = fit_calibrator(method, raw, is_win[tested])

    holdout = splits.holdout
    model = fit_model(champion.candidate, dataset.features[holdout.train], is_win[holdout.train], config.seed)
    steps.done("champion")
    holdout_raw = win_probability(model, dataset.features[holdout.test])
    placebo = _placebo(dataset, splits, champion.candidate, config.seed, steps)
    table = _predictions(dataset, splits, raw, nested, holdout_raw, calibrator(holdout_raw), placebo, config)
    table["planted"] = _planted(dataset, splits, champion.candidate, config.seed, steps)
    walk_forward = table[table["part"] == "walk_forward"]
    threshold = float(np.quantile(walk_forward["blended"].to_numpy(), 1 - config.confirm_share))
    return FitResult(
        version_of(dataset, config), dataset, config, splits, champion, model, calibrator, candidate_table, choice,
        None if search_seconds is None else _described_search(trials, search_seconds), calibrator_table, threshold,
        table,
    )  # fmt: skip


def _boosting_versions(candidates: Sequence[Candidate]) -> dict[str, str]:
    families = {candidate.family for candidate in candidates} - {VOTING}
    return _versions([name for family in sorted(families) for name in FAMILIES[family].distributions])


def _described_search(trials: Trials, budget: float) -> dict[str, Any]:
    return {
        "rule": SEARCH_RULE,
        "budget_seconds": budget,
        "seconds": round(trials.seconds, 1),
        "ended_by": trials.ended_by,
        "tried": len(trials.done),
        "dropped": len(trials.done) - len(trials.finished),
        "not_reached": trials.not_reached,
        "not_tried": trials.not_tried,
    }


class _Steps:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def done(self, what: str) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(f"fit {what}", min(self._done, self._total), self._total)


def span_of(dataset: Dataset) -> str:
    """Return what moves together in the data's statistics: a ``month``, or a ``week`` of intraday bars."""
    return "week" if dataset.bar_period < pd.Timedelta(days=1) else "month"


def choose_calibrator(
    raw: Floats, is_win: NDArray[np.bool_], spans: NDArray[np.int64], folds: Sequence[Fold]
) -> tuple[list[dict[str, Any]], str, Floats]:
    """Apply ``CALIBRATOR_RULE`` to the out-of-fold predictions of the folds' test rows, in the order of the folds.

    Returns a table of all methods, the chosen one, and its predictions for every event, made by calibrators that were
    fitted on those test rows of earlier blocks that the block may train on. A block without such rows of both classes,
    as the first one, stays raw and judges no method.
    """
    nested = {method: raw.copy() for method in METHODS}
    judged = np.zeros(len(raw), dtype=np.bool_)
    tested = np.concatenate([fold.test for fold in folds])
    for fold, earlier in zip(folds, calibrating(folds), strict=True):
        if is_win[earlier].all() or not is_win[earlier].any():
            continue
        here = np.isin(tested, fold.test)
        judged |= here
        for method, predictions in nested.items():
            predictions[here] = fit_calibrator(method, raw[earlier], is_win[earlier])(raw[here])
    if not judged.any():
        return [], "identity", raw
    losses = {method: log_losses(nested[method], is_win)[judged] for method in METHODS}
    table: list[dict[str, Any]] = []
    for method in METHODS:
        gain, error = clustered_mean(losses["identity"] - losses[method], spans[judged])
        table.append(
            {
                "method": method,
                "log_loss": float(losses[method].mean()),
                "better_than_identity": gain,
                "standard_error": 0.0 if method == "identity" else error,
                "eligible": method == "identity" or gain > error,
            }
        )
    eligible = [row for row in table if row["eligible"]]
    chosen = min(eligible, key=lambda row: row["log_loss"]) if len(eligible) > 1 else eligible[0]
    return table, str(chosen["method"]), nested[str(chosen["method"])]


def calibrating(folds: Sequence[Fold]) -> list[NDArray[np.bool_]]:
    """Return for each fold which of all folds' test rows, in the order of the folds, may calibrate its block."""
    tested = np.concatenate([fold.test for fold in folds])
    return [np.isin(tested, fold.train) for fold in folds]


def _placebo(
    dataset: Dataset, splits: Splits, champion: Candidate, seed: int, steps: _Steps
) -> tuple[NDArray[np.bool_], list[Floats]]:
    """Fit the champion on outcomes that were dealt out at random; return those and its test predictions.

    They are permuted over all events at once: within symbols, differences of base rates would survive.
    """
    permuted = np.random.default_rng(seed).permutation(dataset.is_win)
    predictions = []
    for fold in (*splits.folds, splits.holdout):
        model = fit_model(champion, dataset.features[fold.train], permuted[fold.train], seed)
        predictions.append(win_probability(model, dataset.features[fold.test]))
        steps.done("placebo")
    return permuted, predictions


def _planted(dataset: Dataset, splits: Splits, champion: Candidate, seed: int, steps: _Steps) -> Floats:
    """Fit the champion with one more feature, the outcome with noise, and return its test predictions.

    An evaluation that did not see this leak would see none.
    """
    leak = dataset.is_win + np.random.default_rng(seed).normal(0.0, PLANTED_NOISE, len(dataset))
    features = np.column_stack([dataset.features, leak])
    predictions = []
    for fold in (*splits.folds, splits.holdout):
        model = fit_model(champion, features[fold.train], dataset.is_win[fold.train], seed)
        predictions.append(win_probability(model, features[fold.test]))
        steps.done("planted leak")
    return np.concatenate(predictions)


def _baselines(dataset: Dataset, fold: Fold) -> pd.DataFrame:
    """Return what three simple rules, learnt on the fold's training rows, say about its test rows."""
    is_win = dataset.is_win
    base_rate = float(is_win[fold.train].mean())
    types = dataset.events["pattern_type"]
    seen = pd.DataFrame({"type": types.iloc[fold.train].to_numpy(), "win": is_win[fold.train]})
    grouped = seen.groupby("type")["win"].agg(["sum", "count"])
    prior = (grouped["sum"] + PRIOR_STRENGTH * base_rate) / (grouped["count"] + PRIOR_STRENGTH)

    volatility = np.zeros(len(dataset))
    if VOLATILITY_FEATURE in dataset.feature_names:
        volatility = dataset.features[:, dataset.feature_names.index(VOLATILITY_FEATURE)]
    known = volatility[fold.train][~np.isnan(volatility[fold.train])]
    filled = np.where(np.isnan(volatility), np.median(known) if len(known) else 0.0, volatility)
    learnt = filled[fold.train]
    sign = 1.0 if learnt[is_win[fold.train]].mean() >= learnt[~is_win[fold.train]].mean() else -1.0
    return pd.DataFrame(
        {
            "constant": base_rate,
            "prior": types.iloc[fold.test].map(prior).fillna(base_rate).to_numpy(dtype=np.float64),
            "volatility": sign * filled[fold.test],
        }
    )


def _predictions(
    dataset: Dataset,
    splits: Splits,
    raw: Floats,
    calibrated: Floats,
    holdout_raw: Floats,
    holdout_calibrated: Floats,
    placebo: tuple[NDArray[np.bool_], list[Floats]],
    config: FitConfig,
) -> pd.DataFrame:
    """Return what evaluation needs, a row per tested event.

    ``part`` (walk_forward, holdout), ``block``, ``id, symbol, timeframe, pattern_type, direction,
    detected_at, outcome_label, rule_confidence``, ``raw``, ``calibrated`` and ``blended`` probabilities, the baselines
    ``constant, prior, volatility`` (a score, no probability), and ``placebo`` with its own ``placebo_win``.
    ``fit`` adds ``planted``, the predictions of the champion with a feature that knows the outcome.
    """
    folds = (*splits.folds, splits.holdout)
    tested = np.concatenate([fold.test for fold in folds])
    columns = ["id", "symbol", "timeframe", "pattern_type", "direction", "detected_at", "outcome_label"]
    table = dataset.events.iloc[tested][[*columns, "rule_confidence"]].reset_index(drop=True)
    sizes = [len(fold.test) for fold in folds]
    table.insert(0, "part", np.repeat(["walk_forward"] * len(splits.folds) + ["holdout"], sizes))
    table.insert(1, "block", np.repeat(np.arange(len(folds)), sizes))
    table["raw"] = np.concatenate([raw, holdout_raw])
    table["calibrated"] = np.concatenate([calibrated, holdout_calibrated])
    weights = config.ml_weight + config.rule_weight
    table["blended"] = (
        config.ml_weight * table["calibrated"] + config.rule_weight * table["rule_confidence"]
    ) / weights
    baselines = pd.concat([_baselines(dataset, fold) for fold in folds], ignore_index=True)
    permuted, placebo_predictions = placebo
    table = pd.concat([table, baselines], axis=1)
    return table.assign(placebo=np.concatenate(placebo_predictions), placebo_win=permuted[tested])


# ------------------------------------------------------------------------------------------------ the folder


def save(result: FitResult, models: Path) -> Path:
    """Write the result to ``models / version`` and return that folder; what was there is replaced.

    Files: ``model.joblib``, ``calibrator.json``, ``dataset.json`` (data, configuration, how the champion was
    chosen) and ``predictions.csv.gz`` (what evaluation reads). The folder appears as a whole or not at all.
    """
    models.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=models))
    try:
        fresh.chmod(0o755)
        written = ModelFolder(fresh)
        joblib.dump(result.model, fresh / "model.joblib")
        written.write_json("calibrator.json", {"rule": CALIBRATOR_RULE, **result.calibrator.to_json()})
        written.write_json("dataset.json", _description(result))
        result.predictions.to_csv(fresh / "predictions.csv.gz", index=False, compression={"method": "gzip", "mtime": 0})
        folder = models / result.version
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _description(result: FitResult) -> dict[str, Any]:
    dataset, holdout, champion = result.dataset, result.splits.holdout, result.champion.candidate
    training, tested = dataset.take(holdout.train), dataset.take(holdout.test)
    purged = len(dataset) - len(training) - len(tested)
    folds = result.splits.folds
    tested_before = np.concatenate([fold.test for fold in folds])
    used = dataset.features[np.concatenate([holdout.train, holdout.test])]
    return {
        "version": result.version,
        "dataset": dataset.describe(),
        "training": {
            "events": len(training),
            "class_counts": training.class_counts(),
            "data_window": _window(training),
        },
        "holdout": {
            "events": len(tested),
            "class_counts": tested.class_counts(),
            "data_window": _window(tested),
            **_times(dataset, holdout),
            "last_choosing_outcome": _last_known(dataset, tested_before),
        },
        "purged_events": purged,
        "span": span_of(dataset),
        "embargo_seconds": (result.config.embargo_bars * dataset.bar_period).total_seconds(),
        "walk_forward": [
            {
                **_times(dataset, fold),
                "last_calibrating_outcome": _last_known(dataset, tested_before[earlier]),
                "train": len(fold.train),
                "test": len(fold.test),
            }
            for fold, earlier in zip(folds, calibrating(folds), strict=True)
        ],
        "configuration": result.config.to_json(),
        "provenance": {**asdict(result.config.provenance), "warnings": result.config.provenance.warnings},
        "configuration_sha256": result.config.sha256(),
        "python": platform.python_version(),
        "champion": {
            "name": champion.name,
            "family": champion.family,
            "title": title_of(champion),
            "parameters": champion.parameters,
            "microseconds_per_row": result.champion.microseconds,
            "rule": CHAMPION_RULE,
            "candidates": result.candidate_table,
            "choice": result.choice,
            "search": result.search,
        },
        "calibrator": {
            "method": result.calibrator.method,
            "rule": CALIBRATOR_RULE,
            "methods": result.calibrator_table,
        },
        "recommended_threshold": {
            "value": result.threshold,
            "share": result.config.confirm_share,
            "rule": THRESHOLD_RULE.format(share=result.config.confirm_share),
        },
        "golden_rows": golden_rows(result.model, used, dataset.feature_names),
        "example": _example(dataset),
    }


def _times(dataset: Dataset, fold: Fold) -> dict[str, str | None]:
    """Return when a block begins, and when the last label window that trained it ended."""
    return {"test_start": fold.test_start.isoformat(), "last_training_outcome": _last_known(dataset, fold.train)}


def _last_known(dataset: Dataset, rows: NDArray[np.intp]) -> str | None:
    """Return when the last label window of some rows ended; None without rows."""
    return dataset.events["known_at"].iloc[rows].max().isoformat() if len(rows) else None


def _window(dataset: Dataset) -> dict[str, str]:
    first, last = dataset.window
    return {"start": first.isoformat(), "end": last.isoformat()}


def _example(dataset: Dataset) -> dict[str, Any]:
    """Return the required columns of the newest event: what an INSERT looks like."""
    newest = dataset.events.iloc[-1]
    return {
        **{name: str(newest[name]) for name in ("symbol", "timeframe", "pattern_type")},
        "detected_at": newest["detected_at"].isoformat(),
        "rule_confidence": float(newest["rule_confidence"]),
    }


def golden_rows(model: Any, features: Floats, feature_names: Sequence[str], count: int = 20) -> list[dict[str, Any]]:
    """Return inputs with the probabilities that the model gives them, in the order of its classes.

    Rows are spread over the predictions; every fourth has features taken away (null), the last one has none.
    """
    order = np.argsort(win_probability(model, features), kind="stable")
    chosen = features[order[np.linspace(0, len(order) - 1, count).astype(int)]].copy()
    for row in range(3, count, 4):
        chosen[row, row % 5 :: 5] = np.nan
    chosen[-1] = np.nan
    probabilities = model.predict_proba(chosen)
    return [
        {
            "features": {
                name: None if np.isnan(value) else float(value) for name, value in zip(feature_names, row, strict=True)
            },
            "probabilities": [float(value) for value in probability],
        }
        for row, probability in zip(chosen, probabilities, strict=True)
    ]


def configuration(connection: psycopg.Connection[Any], provenance: Provenance | None = None) -> FitConfig:
    """Return the configuration with the database's blend settings.

    Raises:
        UserError: the settings are missing.
    """
    with connection.transaction():
        settings = connection.execute(statement("blend_settings")).fetchone()
    if settings is None:
        raise UserError("The table ml_settings is empty: restore it with INSERT INTO ml_settings DEFAULT VALUES.")
    return FitConfig(
        ml_weight=settings[0],
        rule_weight=settings[1],
        confidence_threshold=settings[2],
        provenance=provenance or Provenance(),
    )


def train(
    connection: psycopg.Connection[Any],
    dataset: Dataset,
    *,
    models: Path | None = None,
    provenance: Provenance | None = None,
    search_seconds: float | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fit a data set with the database's blend settings, evaluate, write the card, mark the events.

    Returns the folder ``models / local-<hash8>``, by default among the models of this machine. The name is a
    hash of data and configuration: the same ones give the same folder. Without ``provenance`` the card says what
    the database shows about the source of the data.

    Raises:
        UserError: there are too few events, or the label's name or definition is a placeholder, which no card takes.
    """
    for text in (dataset.label, dataset.definition):
        if text is not None and find_placeholder(text) is not None:
            raise UserError(
                f'The label {dataset.label} is a placeholder or defined by one ("{text}"), and a model card with that '
                "is refused: label the events by a definition in ml_label_definitions that says what it means."
            )
    config = configuration(connection, provenance or find_provenance(connection, dataset))
    result = fit(dataset, config, search_seconds=search_seconds, progress=progress)
    folder = save(result, models_folder() if models is None else models)
    evaluate_folder(folder)
    write_card(folder)
    mark_training_events(connection, dataset, result.splits.names(len(dataset)))
    return folder


UNITS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as 90s, 10m or 1.5h; a number alone is seconds.

    Raises:
        UserError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    seconds = float(found[1]) * UNITS[found[2] or "s"] if found else 0.0
    if seconds <= 0:
        raise UserError(f"--time-budget {text} is no duration: write 90s, 10m or 1.5h.")
    return seconds


SearchAll = Annotated[
    bool, typer.Option("--search", help="Try the whole registry of models, not only the quick set, for --time-budget.")
]
TimeBudget = Annotated[
    str,
    typer.Option(
        "--time-budget",
        metavar="DURATION",
        help="How long --search tries models; Ctrl-C ends it earlier, with the best so far. The champion is fitted "
        "after it.",
    ),
]
DataSource = Annotated[
    str | None,
    typer.Option(
        "--data-source",
        metavar="TEXT",
        help="Where the bars come from, for the model card; default: undeclared, unless they are the shipped ones.",
        show_default=False,
    ),
]
Synthetic = Annotated[bool, typer.Option("--synthetic", help="Say in the model card that the data are made up.")]
Author = Annotated[
    str | None,
    typer.Option(
        "--author", metavar="NAME", envvar="PATTERN_CONFIDENCE_AUTHOR",
        help="Who answers for the model, for its card; default: the account that fits it.", show_default=False,
    ),
]  # fmt: skip
Contact = Annotated[
    str | None,
    typer.Option(
        "--contact", metavar="TEXT", envvar="PATTERN_CONFIDENCE_CONTACT",
        help="Whom to ask about the model, for its card.", show_default=False,
    ),
]  # fmt: skip
License = Annotated[
    str | None,
    typer.Option("--license", metavar="TEXT", help="The model's licence, for its card.", show_default=False),
]


def fit_command(
    label: Annotated[str, typer.Option("--label", help="Train on events with this label.")] = "TB2",
    symbols: Symbols = None,
    timeframes: Timeframes = None,
    since: Since = None,
    until: Until = None,
    min_quality: Annotated[
        float, typer.Option("--min-quality", min=0, max=1, help="Leave out events of lower data quality.")
    ] = 0.0,
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
    """Fit the candidates on labelled events, choose a champion, calibrate and evaluate it."""
    seconds = parse_duration(time_budget) if search else None
    require_writable_home()
    with connect(resolve_url(database_url)) as connection, progress_bar("fits") as progress:
        dataset = load_dataset(
            connection,
            label=label,
            symbols=symbols,
            timeframes=timeframes,
            since=as_utc(since),
            until=as_utc(until),
            min_quality=min_quality,
        )
        provenance = find_provenance(
            connection,
            dataset,
            data_source=data_source,
            synthetic=synthetic,
            author=author,
            contact=contact,
            license=model_license,
        )
        folder = train(connection, dataset, provenance=provenance, search_seconds=seconds, progress=progress)
    card = json.loads((folder / "model_card.json").read_text())
    if as_json:
        typer.echo(json.dumps({"version": card["version"], "folder": str(folder), "card": card}))
        return
    print_fit(card)
    typer.echo(f"{folder}\nnext: trainer evaluate")


def print_fit(card: dict[str, Any]) -> None:
    """Print what a fit has found: the candidates within reach, the model, and what to know about its data."""
    if card["search"]:
        print_search(card)
    method = card["calibrator"]["method"]
    calibrated = "not calibrated (identity)" if method == "identity" else f"calibrated by {method}"
    parameters = card["hyperparameters"]
    shown_parameters = ", ".join(m["name"] for m in parameters["members"]) if "members" in parameters else parameters
    typer.echo(f"{card['version']}: {card['algorithm']} {shown_parameters}, {calibrated}")
    typer.echo(
        f"{card['training']['events']:,} events to train on, {card['holdout']['events']:,} held out: "
        f"AUC {shown(card['metrics']['holdout']['auc']['calibrated'])}"
    )
    for warning in card["warnings"]:
        typer.echo(warning)


SHOWN_CANDIDATES = 12


def print_search(card: dict[str, Any]) -> None:
    """Print how a search has ended and its best candidates, one of each family at least."""
    typer.echo(describe_search(card["search"]))
    ranked = sorted(
        card["candidates"], key=lambda row: (row["blocks"] < len(card["protocol"]["walk_forward"]), row["log_loss"])
    )
    families: set[str] = set()
    shown_rows = []
    for place, row in enumerate(ranked):
        if place < SHOWN_CANDIDATES or row["family"] not in families or row["name"] == card["champion"]:
            shown_rows.append(row)
        families.add(row["family"])
    console = output()
    table = Table(box=None, pad_edge=False)
    for title in ("log loss", "behind best", "std. error", "us in SQL", "within 1 SE", ""):
        table.add_column(title, justify="left" if title in ("", "within 1 SE") else "right")
    for row in shown_rows:
        table.add_row(
            f"{row['log_loss']:.5f}",
            f"{row['behind_best']:+.5f}",
            f"{row['standard_error']:.5f}",
            f"{row['microseconds_per_row']:.0f}",
            "champion"
            if row["name"] == card["champion"]
            else "yes"
            if row["eligible"]
            else "no"
            if row["explained"]
            else "no explanation",
            row["name"],
        )
    console.print(table)
    if len(shown_rows) < len(ranked):
        typer.echo(f"{len(ranked) - len(shown_rows):,} more are in the model card.")
    typer.echo(describe_choice(card["choice"]))
