"""ml.tune_blend_weights against numpy, and ml.set_weights."""

import numpy as np
import psycopg
import pytest
from recalibration_data import log_outcomes, sample
from support import go_live, one, rows, value

from trainer.evaluation.bootstrap import Resamples
from trainer.metrics import clustered_mean, log_losses


def tune(db, **arguments):
    named = ", ".join(f"p_{name} => %s" for name in arguments)
    return value(db, f"SELECT ml.tune_blend_weights({named})", *arguments.values())


def history(db, seed=1, informative_rule=False, count=2000):
    """Log scores that are calibrated, with a rule confidence that is noise, or as good as the model."""
    go_live(db)
    random = np.random.default_rng(seed)
    data = sample(seed, count=count)
    data["is_win"] = random.random(count) < data["raw"]
    if informative_rule:
        # The truth lies half way between the two.
        data["rule"] = np.clip(random.beta(6, 6, count), 0.01, 0.99)
        data["is_win"] = random.random(count) < (data["raw"] + data["rule"]) / 2
    data["rule"] = np.round(data["rule"], 2)
    log_outcomes(db, data)
    return data


@pytest.mark.parametrize("loss", ["log_loss", "brier"])
def test_the_figures_are_those_of_numpy(db, loss):
    data = history(db, informative_rule=True)
    result = tune(db, loss=loss)
    win, raw, rule = data["is_win"], data["raw"], data["rule"]
    weights = [row["weight"] for row in result["weights"]]
    np.testing.assert_allclose(weights, np.arange(21) / 20, atol=1e-12)
    best = {}
    for row in result["weights"]:
        blend = row["weight"] * raw + (1 - row["weight"]) * rule
        best[row["weight"]] = {"log_loss": log_losses(blend, win).mean(), "brier": ((blend - win) ** 2).mean()}
        assert row["log_loss"] == pytest.approx(best[row["weight"]]["log_loss"], rel=1e-10)
        assert row["brier"] == pytest.approx(best[row["weight"]]["brier"], rel=1e-10)
        sure = np.abs(blend - 0.55) > 1e-12
        assert abs(row["confirmed"] - (blend[sure] >= 0.55).sum()) <= (~sure).sum()
    assert result["best"]["weight"] == min(best, key=lambda weight: best[weight][loss])
    assert result["best"]["low"] <= result["best"]["weight"] <= result["best"]["high"]
    assert 0.3 <= result["best"]["weight"] <= 0.7

    # As many confirmations as the rule's, ties shared.
    by_rule = int((rule >= 0.55).sum())
    once = Resamples.of_spans(np.arange(len(win)), resamples=1)
    for row in result["same_events"]:
        blend = row["weight"] * raw + (1 - row["weight"]) * rule
        expected = once.wins_among_highest(blend, win, np.array([by_rule, by_rule]))[0]
        assert (row["confirmed"], row["wins"]) == (by_rule, pytest.approx(expected, abs=1e-6))


def test_weights_are_judged_on_later_outcomes(db):
    data = history(db)
    result = tune(db)
    assert result["status"] == "change"
    # The rule is noise: the model alone is best, and every block before it said so.
    assert result["best"]["weight"] >= 0.9
    assert result["current"]["weight"] == 0.6
    chosen = result["walk_forward"]["weights"]
    assert min(chosen) > 0.8
    starts = np.array([np.datetime64(start[:19]) for start in result["walk_forward"]["blocks"]])
    detected = np.array([np.datetime64(at.replace(tzinfo=None)) for at in data["detected_at"]])
    block = np.searchsorted(starts, detected, side="right")
    judged = block > 0
    weight = np.array([np.nan, *chosen])[block][judged]
    raw, rule, win = data["raw"][judged], data["rule"][judged], data["is_win"][judged]
    gains = log_losses(0.6 * raw + 0.4 * rule, win) - log_losses(weight * raw + (1 - weight) * rule, win)
    months = np.array([at.year * 12 + at.month for at in data["detected_at"]])[judged]
    expected = clustered_mean(gains, months - months.min())
    assert (result["walk_forward"]["gain"], result["walk_forward"]["standard_error"]) == pytest.approx(
        expected, rel=1e-6
    )
    before = one(db, "SELECT * FROM ml_settings")
    assert (before["ml_weight"], before["rule_weight"]) == (0.6, 0.4)  # suggested, not set
    db.execute(result["next"])
    after = one(db, "SELECT * FROM ml_settings")
    assert after["ml_weight"] == pytest.approx(result["suggested"]["ml_weight"])
    assert tune(db)["status"] == "keep"


def test_good_weights_are_kept(db):
    history(db, informative_rule=True)
    db.execute("SELECT ml.set_weights(0.5, 0.5, 'half and half')")
    result = tune(db)
    assert (result["status"], result["next"]) == ("keep", None)
    assert result["suggested"] == result["current"]


def test_few_outcomes_and_bad_arguments(db):
    history(db, count=300)
    result = tune(db)
    assert (result["status"], result["best"]) == ("too_few", None)
    assert "at least 200 wins" in result["sentence"]
    for arguments, sentence in (
        ({"loss": "hinge"}, "use log_loss or brier"),
        ({"least_of_each_class": 0}, "at least 1"),
    ):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=sentence):
            tune(db, **arguments)
    with pytest.raises(psycopg.errors.NoDataFound, match="not registered"):
        tune(db, version="nowhere")
    # Rule confidences that no rule gives are not blended.
    db.execute(
        "UPDATE ml_predictions SET rule_confidence = 'NaN' WHERE event_id IN (SELECT id FROM pattern_events LIMIT 20)"
    )
    assert tune(db)["rows"] == 280


def test_set_weights_is_one_audited_change(db):
    settings = value(db, "SELECT ml.set_weights(0.8, 0.2, 'tuned')")
    assert (settings["ml_weight"], settings["rule_weight"]) == (0.8, 0.2)
    last = rows(db, "SELECT * FROM ml_deployments ORDER BY id")[-1]
    assert (last["action"], last["reason"]) == ("weights", "tuned")
    assert last["details"] == {"ml_weight": {"old": 0.6, "new": 0.8}, "rule_weight": {"old": 0.4, "new": 0.2}}


@pytest.mark.parametrize("weights", [(-1, 1), (0, 0), ("NaN", 1), (1, "infinity"), (None, 1), (1, None)])
def test_weights_that_blend_nothing_are_refused(db, weights):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="weights must be finite"):
        db.execute("SELECT ml.set_weights(%s::float8, %s::float8, 'x')", weights)
    assert value(db, "SELECT ml_weight FROM ml_settings") == 0.6
