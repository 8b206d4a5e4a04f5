"""Leaks: what the protocol must not let through, and what an evaluation must see if it does."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest
from sklearn.metrics import roc_auc_score
from support import add_bars, insert_event
from synthetic_events import make_dataset

from trainer.evaluation.bootstrap import TOO_FEW
from trainer.evaluation.checks import AS_EXPECTED, NOT_AS_EXPECTED, leak_checks, spacing_checks
from trainer.evaluation.figures import evaluate
from trainer.fit import CANDIDATES, FitConfig, _description, fit
from trainer.label import label_outcomes

QUICK = FitConfig(candidates=(CANDIDATES[2],))


def evaluated(table: pd.DataFrame, **options: Any) -> dict[str, Any]:
    return evaluate(table, threshold=0.42, candidates=1, calibrator="identity", resamples=100, **options)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return fit(make_dataset(2500, strength=0.3), QUICK).predictions


def statuses(table: pd.DataFrame, **options: Any) -> dict[tuple[str, str], str]:
    checks = evaluated(table, **options)["leak_checks"]
    return {(check["part"], check["check"]): check["status"] for check in checks}


PLACEBO = "AUC of the same fit on outcomes dealt out at random"
PLANTED = "gain in AUC of the same fit with a feature that knows the outcome"
TOO_GOOD = "AUC of the model"


def test_outcomes_dealt_out_at_random_give_half() -> None:
    """Over all events at once: within symbols, differences of base rates would survive."""
    areas = []
    for seed in range(8):
        dataset = make_dataset(1500, strength=1.0)
        permuted = dataset.events["outcome_label"].sample(frac=1, random_state=seed).to_numpy()
        shuffled = dataclasses.replace(dataset, events=dataset.events.assign(outcome_label=permuted))
        table = fit(shuffled, QUICK).predictions
        areas.append(roc_auc_score(table["outcome_label"] == "win", table["raw"]))
    assert np.mean(areas) == pytest.approx(0.5, abs=0.02)
    table = fit(make_dataset(1500, strength=1.0), QUICK).predictions
    assert roc_auc_score(table["placebo_win"], table["placebo"]) == pytest.approx(0.5, abs=0.05)


def test_a_planted_feature_that_knows_the_outcome_shows(table: pd.DataFrame) -> None:
    is_win = table["outcome_label"] == "win"
    assert roc_auc_score(is_win, table["planted"]) > 0.88
    assert roc_auc_score(is_win, table["raw"]) < 0.65
    found = statuses(table)
    for part in ("walk-forward", "holdout"):
        assert found[part, PLANTED] == found[part, PLACEBO] == found[part, TOO_GOOD] == AS_EXPECTED


def test_each_check_sees_its_leak(table: pd.DataFrame) -> None:
    is_win = table["outcome_label"] == "win"
    leaking = is_win + np.random.default_rng(0).normal(0, 0.5, len(table))
    unseen = statuses(table.assign(planted=table["calibrated"]), label="HIT")
    too_good = statuses(table.assign(calibrated=leaking.clip(0, 1)))
    failed = evaluated(table.assign(placebo_win=is_win, placebo=leaking))
    placebo = {(check["part"], check["check"]): check["status"] for check in failed["leak_checks"]}
    for part in ("walk-forward", "holdout"):
        assert unseen[part, PLANTED] == too_good[part, TOO_GOOD] == placebo[part, PLACEBO] == NOT_AS_EXPECTED
        assert unseen[part, PLACEBO] == too_good[part, PLACEBO] == placebo[part, TOO_GOOD] == AS_EXPECTED
        assert (part, TOO_GOOD) not in unseen
    assert failed["headline"]["verdict"] == "Not to be trusted"
    assert "look for a leak" in failed["headline"]["sentence"]
    assert failed["headline"]["sentence"] in failed["conclusions"]


def test_what_is_too_good_depends_on_the_label() -> None:
    figure = {"value": 0.63, "low": 0.6, "high": 0.65}
    half = {"value": 0.5, "low": 0.48, "high": 0.52}
    lift = {"value": 0.3, "low": 0.25, "high": 0.35}
    part = {"auc": {"calibrated": figure, "placebo": half}, "auc_planted_above_model": lift}

    def status(label: str, **changed: Any) -> str:
        checks = leak_checks({"holdout": part | changed}, label)
        return next(str(check["status"]) for check in checks if check["check"] == TOO_GOOD)

    assert status("TB2") == AS_EXPECTED
    assert status("D1") == NOT_AS_EXPECTED
    few = {"calibrated": figure | {"low": None, "high": None, "verdict": TOO_FEW}, "placebo": half}
    assert status("TB2", auc=few) == TOO_FEW


def test_an_outcome_that_reaches_into_the_block_is_seen() -> None:
    early, late = "2020-02-16T00:00:00+00:00", "2020-02-20T00:00:00+00:00"
    block = {"test_start": "2020-03-01T00:00:00+00:00", "last_training_outcome": early}
    first, other = block | {"last_calibrating_outcome": None}, block | {"last_calibrating_outcome": early}
    holdout = block | {"last_choosing_outcome": early}
    fitted = {"embargo_seconds": 14 * 86_400, "walk_forward": [first, other], "holdout": holdout}
    assert [check["status"] for check in spacing_checks(fitted)] == [AS_EXPECTED] * 4
    # With one block nothing calibrates.
    assert len(spacing_checks(fitted | {"walk_forward": [first]})) == 3
    leaks = [
        {"walk_forward": [first, other | {"last_training_outcome": late}]},
        {"holdout": holdout | {"last_training_outcome": late}},
        {"walk_forward": [first, other | {"last_calibrating_outcome": late}]},
        {"holdout": holdout | {"last_choosing_outcome": late}},
    ]
    for place, leak in enumerate(leaks):
        checks = spacing_checks(fitted | leak)
        assert [check["status"] == NOT_AS_EXPECTED for check in checks] == [number == place for number in range(4)]
        assert checks[place]["found"] == "10 days"
        assert checks[place]["expected"] == "at least the embargo of 14 days"


def test_a_fit_keeps_the_embargo_before_all_that_follows() -> None:
    """What a fit says about itself comes from the rows that it used."""
    result = fit(make_dataset(900), QUICK)
    checks = spacing_checks(_description(result))
    assert [check["status"] for check in checks] == [AS_EXPECTED] * 4
    events, splits = result.dataset.events, result.splits
    last = splits.folds[-1]
    unpurged = np.flatnonzero(
        (events["detected_at"] >= last.test_start) & (events["detected_at"] < splits.holdout.test_start)
    )
    folds = (*splits.folds[:-1], dataclasses.replace(last, test=unpurged))
    leaking = dataclasses.replace(result, splits=dataclasses.replace(splits, folds=folds))
    statuses = [check["status"] for check in spacing_checks(_description(leaking))]
    assert statuses == [AS_EXPECTED] * 3 + [NOT_AS_EXPECTED]


def test_entry_is_at_the_open_of_the_next_bar(db: psycopg.Connection[Any]) -> None:
    """The close of a pattern's bar moves no outcome, which the last print's bounce would; the next open does."""
    # A series for each event: a close is part of the true range that later events are measured by.
    for number in range(8):
        times = add_bars(db, f"S{number}", seed=number)
        insert_event(db, "id", symbol=f"S{number}", detected_at=times[250])

    def outcomes() -> Any:
        assert label_outcomes(db, relabel=True, at=times[-1]).examined == 8
        return db.execute("SELECT outcome_label, realized_pnl FROM pattern_events ORDER BY symbol").fetchall()

    first = outcomes()
    assert {outcome for outcome, _ in first} >= {"win", "loss"}
    db.execute(
        "UPDATE price_bars SET close = (close + high) / 2 WHERE ts IN (SELECT e.detected_at FROM pattern_events AS e)"
    )
    assert outcomes() == first
    db.execute(
        "UPDATE price_bars SET open = (open + low) / 2"
        " WHERE ts IN (SELECT e.detected_at + interval '1 day' FROM pattern_events AS e)"
    )
    assert all(now != before for (_, now), (_, before) in zip(outcomes(), first, strict=True))
