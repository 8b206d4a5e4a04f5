"""Checks for leaks that an evaluation can make by itself, and the goals that are set for a model.

A leak is what lets a model know in evaluation what it cannot know in use. That features do not change when later
bars are cut or garbled, and that a trade is entered at the open of the next bar, is for the test suite to show.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from trainer.evaluation.bootstrap import TOO_FEW, Figure
from trainer.evaluation.names import PARTS, TRUE_POSITIVE_GOAL

AS_EXPECTED, NOT_AS_EXPECTED = "as expected", "not as expected"
PLACEBO_TOLERANCE = 0.02
LEAST_LIFT_OF_PLANTED = 0.1
SUSPICIOUS_AUC = {"TB2": 0.66, "D1": 0.60}
"""Pooled AUC on real bars above which a leak is likelier than a discovery, by label."""

MET, NOT_MET = "met", "not met"
GOAL_AUC = (0.56, 0.53)
GOAL_TRUE_POSITIVES = (TRUE_POSITIVE_GOAL, 1.03)
"""Least value, and what the lower bound must exceed."""
GOAL_ECE = 0.05


def leak_checks(parts: Mapping[str, Mapping[str, Any]], label: str) -> list[dict[str, Any]]:
    """Return what each check expects and found, as JSON: ``check, part, expected, found, status``."""
    found = []
    for part, figures in parts.items():
        placebo, lift, area = (
            figures["auc"]["placebo"],
            figures["auc_planted_above_model"],
            figures["auc"]["calibrated"],
        )
        found.append(
            _check(
                "AUC of the same fit on outcomes dealt out at random",
                part,
                f"{0.5 - PLACEBO_TOLERANCE:g} to {0.5 + PLACEBO_TOLERANCE:g}, within its interval",
                placebo,
                lambda low, high: low <= 0.5 + PLACEBO_TOLERANCE and high >= 0.5 - PLACEBO_TOLERANCE,
            )
        )
        found.append(
            _check(
                "gain in AUC of the same fit with a feature that knows the outcome",
                part,
                f"above {LEAST_LIFT_OF_PLANTED:g}: the evaluation can see a leak",
                lift,
                lambda low, _: low > LEAST_LIFT_OF_PLANTED,
            )
        )
        if label in SUSPICIOUS_AUC:
            found.append(
                _check(
                    "AUC of the model",
                    part,
                    f"at most {SUSPICIOUS_AUC[label]:g}: on real bars, more is likelier a leak than a discovery",
                    area,
                    None if area["value"] is None else lambda _, __, v=area["value"]: v <= SUSPICIOUS_AUC[label],
                )
            )
    return found


def _check(check: str, part: str, expected: str, found: Figure, holds: Any) -> dict[str, Any]:
    status = TOO_FEW
    if found.get("verdict") != TOO_FEW:
        status = AS_EXPECTED if holds(found["low"], found["high"]) else NOT_AS_EXPECTED
    return {"check": check, "part": PARTS[part], "expected": expected, "found": found, "status": status}


def spacing_checks(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Check that every outcome that trains, calibrates or chooses was known, plus the embargo, before it is used.

    Those that train a block or calibrate its predictions, before the block; those of the walk-forward events, which
    choose champion, calibrator and threshold, before the holdout. An outcome counts as known when its label window
    ends. ``description`` is what a fit says about itself (``dataset.json``).
    """
    embargo = pd.Timedelta(seconds=description["embargo_seconds"])
    blocks, holdout = description["walk_forward"], [description["holdout"]]
    found = []
    for part, used_on, name, check in (
        ("walk_forward", blocks, "last_training_outcome", "the last outcome that trains a block to the block"),
        ("holdout", holdout, "last_training_outcome", "the last outcome that trains a block to the block"),
        ("walk_forward", blocks, "last_calibrating_outcome", "the last outcome that calibrates a block to the block"),
        ("holdout", holdout, "last_choosing_outcome", "the last outcome that chooses the model to the holdout"),
    ):
        gaps = [_time(block["test_start"]) - _time(block[name]) for block in used_on if block[name] is not None]
        if not gaps:
            continue
        gap = min(gaps)
        found.append(
            {
                "check": f"least time from {check}",
                "part": PARTS[part],
                "expected": f"at least the embargo of {_days(embargo)}",
                "found": _days(gap),
                "status": AS_EXPECTED if gap >= embargo else NOT_AS_EXPECTED,
            }
        )
    return found


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _days(duration: Any) -> str:
    return f"{pd.Timedelta(duration) / pd.Timedelta(days=1):.4g} days"


def goals(holdout: Mapping[str, Any], label: str) -> list[dict[str, Any]]:
    """Return the goals for label TB2 with what the holdout shows: ``goal, found, status``; none for other labels.

    Wins are compared at the top 30 %, and at the number of events that the rule confirms.
    """
    if label != "TB2":
        return []
    least_auc, auc_bound = GOAL_AUC
    least_ratio, ratio_bound = GOAL_TRUE_POSITIVES
    area, ece = holdout["auc"]["calibrated"], holdout["ece"]
    table = [
        _goal(
            f"AUC at least {least_auc:g}, lower bound above {auc_bound:g}",
            area,
            lambda value, low: value >= least_auc and low > auc_bound,
        )
    ]
    table += [
        _goal(
            f"wins against the rule's, {cut['confirmations']}: at least {least_ratio:.2f} times, lower bound above "
            f"{ratio_bound:.2f}",
            cut["model_to_rule"],
            lambda value, low: value >= least_ratio and low > ratio_bound,
        )
        for cut in (holdout["true_positives"][0], holdout["true_positives"][-1])
    ]
    table.append(_goal(f"expected calibration error at most {GOAL_ECE:g}", ece, lambda value, _: value <= GOAL_ECE))
    return table


def _goal(goal: str, found: Figure, reached: Any) -> dict[str, Any]:
    status = TOO_FEW
    if found.get("verdict") != TOO_FEW:
        status = MET if reached(found["value"], found["low"]) else NOT_MET
    return {"goal": goal, "found": found, "status": status}
