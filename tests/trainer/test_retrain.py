"""trainer retrain: it says when nothing is due, makes a challenger when something is, and never promotes unasked."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from support import START, add_bars, champion, go_live, install_model, rows, value

from trainer import retrain as retraining
from trainer.candidates import CANDIDATES
from trainer.cli import main
from trainer.dataset import load_dataset
from trainer.errors import UserError
from trainer.fit import FitConfig
from trainer.harvest import harvest
from trainer.label import label_outcomes
from trainer.retrain import Check, Model, Policy, assess, find_model, retrain

DATA_END = START - timedelta(days=1)


def add_scored_events(db, count, *, quality, version="toy", days=200, seed=1):
    """Insert labelled events with scores of a version; quality 1 ranks them well, -1 the wrong way round."""
    random = np.random.default_rng(seed)
    is_win = random.random(count) < 0.4
    confidence = np.clip(0.4 + quality * 0.15 * (is_win - 0.4) + random.normal(0, 0.08, count), 0.01, 0.99)
    at = [START + timedelta(days=int(day)) for day in np.sort(random.integers(1, days, count))]
    db.execute(
        "CREATE TEMP TABLE given (n int, at timestamptz, win boolean, confidence float8) ON COMMIT PRESERVE ROWS"
    )
    with db.cursor() as cursor, cursor.copy("COPY given FROM STDIN") as copy:
        for row in zip(range(count), at, is_win, confidence, strict=True):
            copy.write_row((row[0], row[1], bool(row[2]), float(row[3])))
    db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence, metadata)"
        " SELECT 'TEST', '1d', 'hammer', at, 0.6, jsonb_build_object('n', n) FROM given"
    )
    db.execute(
        "UPDATE pattern_events AS e SET outcome_label = CASE WHEN g.win THEN 'win' ELSE 'loss' END,"
        " outcome_at = g.at + interval '5 days', label_source = 'TB2', ml_features = '{}', ml_confidence = g.confidence,"
        " model_version = %s FROM given AS g WHERE (e.metadata ->> 'n')::int = g.n",
        (version,),
    )
    db.execute("DROP TABLE given")


def live_card(auc=0.6, skill=0.02):
    return {
        "holdout": {"data_window": {"start": "2023-01-01T00:00:00+00:00", "end": DATA_END.isoformat()}},
        "metrics": {
            # Figures that pass the gates of a promotion.
            "walk_forward": {
                "auc": {"calibrated": {"value": 0.58, "low": 0.545, "high": 0.61}},
                "ece": {"value": 0.02, "low": 0.01, "high": 0.04},
            },
            "holdout": {"auc": {"calibrated": {"value": auc}}, "brier_skill_own_base_rate": {"value": skill}},
        },
    }


def checks(db, **options):
    return {check.check: check for check in assess(db, find_model(db, "champion"), **options)}


# -------------------------------------------------------------------------------------------------- is it due?


def test_without_a_champion_it_is_due(db):
    db.execute("DELETE FROM ml_aliases")
    assert assess(db, find_model(db, "champion")) == [Check("champion", True, "no model is live")]


def test_the_champion_s_data_end_with_its_holdout(db):
    go_live(db, card=live_card())
    live = find_model(db, "champion")
    assert (live.version, live.data_end, live.auc, live.brier_skill) == ("toy", DATA_END, 0.6, 0.02)
    install_model(db, "bare")
    db.execute("SELECT ml.promote('bare', 'toy', 'test', true)")
    bare = find_model(db, "champion")
    assert (bare.version, bare.data_end.year, bare.auc, bare.dataset_sha256) == ("bare", 2021, None, None)


def test_no_new_labels_is_not_due(db):
    go_live(db, card=live_card())
    found = checks(db)
    assert found["age"].is_due is False
    assert "no event after 2023-12-31" in found["age"].detail
    assert (found["ranking"].is_due, found["probabilities"].is_due) == (None, None)
    assert retrain(db).exit_code == 3


@pytest.mark.parametrize(
    ("events", "days", "policy", "due", "said"),
    [
        (150, 200, Policy(), True, "150 labels after 2023-12-31"),
        (150, 20, Policy(), False, "less than 30 days of new data"),
        (60, 200, Policy(), False, "fewer than 100"),
        (60, 200, Policy(30, 50), True, "days of new data"),
        (60, 25, Policy(7, 50), True, "days of new data"),
    ],
)
def test_age_takes_days_and_labels(db, events, days, policy, due, said):
    go_live(db, card=live_card())
    add_scored_events(db, events, quality=1, days=days, version="other")
    check = checks(db, policy=policy)["age"]
    assert check.is_due is due
    assert said in check.detail


def test_a_champion_that_ranks_worse_than_its_card_is_due(db):
    go_live(db, card=live_card(auc=0.7))
    add_scored_events(db, 600, quality=-1)
    found = checks(db, policy=Policy(max_age_days=9999))
    assert found["age"].is_due is False
    assert found["ranking"].is_due is True
    assert "below its card's 0.700" in found["ranking"].detail
    assert found["probabilities"].is_due is True


def test_a_champion_that_does_as_its_card_says_is_not(db):
    go_live(db, card=live_card(auc=0.7, skill=-0.5))
    add_scored_events(db, 600, quality=1)
    found = checks(db, policy=Policy(max_age_days=9999))
    assert [found[name].is_due for name in ("age", "ranking", "probabilities")] == [False, False, False]
    assert retrain(db, policy=Policy(max_age_days=9999)).action == "nothing due"


def test_figures_equal_scikit_learn(db):
    from sklearn.metrics import brier_score_loss, roc_auc_score

    go_live(db, card=live_card())
    add_scored_events(db, 400, quality=0.5)
    events = pd.DataFrame(rows(db, "SELECT outcome_label = 'win' AS win, ml_confidence FROM pattern_events"))
    found = checks(db)
    auc = roc_auc_score(events["win"], events["ml_confidence"])
    rate = events["win"].mean()
    skill = 1 - brier_score_loss(events["win"], events["ml_confidence"]) / (rate * (1 - rate))
    assert f"AUC {auc:.3f} [" in found["ranking"].detail
    assert f"Brier skill {skill:.3f} [" in found["probabilities"].detail


def test_scores_of_another_version_are_no_evidence(db):
    go_live(db, card=live_card(auc=0.7))
    add_scored_events(db, 600, quality=-1, version="other")
    found = checks(db)
    assert found["ranking"].is_due is None
    assert "no event that was labelled since has a score of toy" in found["ranking"].detail


def test_a_card_without_figures_gives_no_verdict(db):
    go_live(db)
    add_scored_events(db, 400, quality=-1)
    found = checks(db)
    assert found["ranking"].is_due is None
    assert "states none to compare with" in found["ranking"].detail


def test_monitoring_may_ask_for_it(db):
    go_live(db, card=live_card())
    check = checks(db)["monitoring"]
    assert (check.is_due, check.detail) == (False, "monitoring gives no reason")
    db.execute(
        "INSERT INTO ml_baselines (model_version, window_from, window_to, predictions, sources)"
        " VALUES ('toy', now() - interval '2 days', now() - interval '1 day', 1000, '{insert}')"
    )
    db.execute(
        "INSERT INTO ml_drift (run_at, model_version, baseline_id, window_from, window_to, subject, feature, method,"
        " n_baseline, n_current, verdict, quality_verdict) SELECT now(), 'toy', baseline_id, window_to, now(), 'feature',"
        " 'rsi_14', 'jensen_shannon', 1000, 1000, 'drift', 'ok' FROM ml_baselines"
    )
    reason = "1 of 1 features have drifted from the baseline of toy"
    check = checks(db)["monitoring"]
    assert check.is_due is True
    assert check.detail.startswith(reason)
    outcome = retrain(db, dry_run=True)
    assert (outcome.action, outcome.exit_code) == ("due", 0)
    assert reason in outcome.said
    # A database of an earlier revision cannot be asked.
    db.execute("DROP FUNCTION ml.retraining_reasons")
    assert "monitoring" not in checks(db)


# ------------------------------------------------------------------------------------------------ the way of one


@pytest.fixture
def labelled(db, tmp_path, monkeypatch):
    """Have bars of two random walks with labelled events, and a quick fit."""
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", str(tmp_path))
    for number, symbol in enumerate(("AAA", "BBB")):
        add_bars(db, symbol, 1000, seed=number)
    harvest(db)
    label_outcomes(db)
    original = retraining.configuration

    def quick(*arguments):
        config = original(*arguments)
        return FitConfig(**{**vars(config), "candidates": CANDIDATES[1:2]})

    monkeypatch.setattr(retraining, "configuration", quick)
    monkeypatch.setattr("trainer.fit.configuration", quick)
    return db


def test_a_new_model_becomes_the_challenger_once(labelled):
    db = labelled
    before = champion(db)
    first = retrain(db, declared={"synthetic": True})
    assert (first.action, first.exit_code, first.champion) == ("challenger", 0, before)
    assert champion(db) == before
    assert value(db, "SELECT version FROM ml_aliases WHERE alias = 'challenger'") == first.version
    assert value(db, "SELECT reason FROM ml_deployments WHERE version = %s", first.version).startswith("retraining: ")
    assert value(db, "SELECT card ->> 'dataset_sha256' FROM ml_models WHERE version = %s", first.version) == (
        load_dataset(db).sha256()
    )
    deployments = value(db, "SELECT count(*) FROM ml_deployments")

    # A scheduler that asks every day does not end the trial of the challenger.
    daily = retrain(db, declared={"synthetic": True})
    assert (daily.action, daily.exit_code) == ("nothing due", 3)
    window = "SELECT {} FROM ml_models WHERE version = %s"
    fitted, held_out = (
        value(db, window.format(f"card #>> '{{{part},data_window,end}}'"), first.version)[:10]
        for part in ("training", "holdout")
    )
    assert fitted < held_out
    assert (
        f"{first.version}, fitted on data up to {fitted} (the newest part, up to {held_out}, was held out" in daily.said
    )
    assert "is on trial as the challenger" in daily.said
    again = retrain(db, when="always", declared={"author": "Somebody else"})
    assert (again.action, again.exit_code, again.version) == ("already there", 3, first.version)
    assert "as challenger; nothing was changed" in again.said
    db.execute("SELECT ml.withdraw_challenger('test')")
    withdrawn = retrain(db, declared={"synthetic": True})
    assert (withdrawn.action, withdrawn.version) == ("already there", first.version)
    assert "without a role; nothing was changed" in withdrawn.said
    assert f"with `trainer promote {first.version}`, or wait for new data" in withdrawn.said
    deployments += 1
    assert value(db, "SELECT count(*) FROM ml_deployments") == deployments

    # The gates know a random walk when they see one.
    refused = retrain(db, declared={"synthetic": True}, promote_it=True)
    assert (refused.action, refused.exit_code, champion(db)) == ("promotion refused", 4, before)
    assert "synthetic" in refused.said
    db.execute("UPDATE ml_gates SET blocking = gate = 'functions'")
    promoted = retrain(db, declared={"synthetic": True}, promote_it=True)
    assert (promoted.action, promoted.version) == ("promoted", first.version)
    assert champion(db) == first.version
    # Nothing has happened since, so that a fit would give the champion again.
    last = retrain(db, when="always", declared={"author": "Somebody else"})
    assert (last.action, last.exit_code) == ("already there", 3)
    assert "exactly this data" in last.said
    assert retrain(db).action == "nothing due"


def test_the_label_is_the_champion_s_own(labelled):
    db = labelled
    db.execute("DELETE FROM ml_aliases WHERE alias = 'champion'")  # of another label, with which no gate compares
    go_live(db, card=live_card() | {"label": {"name": "RX"}})
    assert find_model(db, "champion").label == "RX"
    with pytest.raises(UserError, match="no events with the label RX"):
        retrain(db, when="always")
    assert retrain(db, when="always", label="TB2").action == "challenger"
    label_outcomes(db, label="RX")
    outcome = retrain(db, when="always")
    assert value(db, "SELECT card #>> '{label,name}' FROM ml_models WHERE version = %s", outcome.version) == "RX"
    assert "volatility, not direction" in value(
        db, "SELECT card ->> 'intended_use' FROM ml_models WHERE version = %s", outcome.version
    )


def test_declared_texts_are_checked_before_anything_is_done(db):
    with pytest.raises(UserError, match="--contact has the placeholder TBD"):
        retrain(db, declared={"contact": "TBD", "synthetic": True, "author": None})


def test_a_running_canary_is_left_alone(labelled):
    db = labelled
    install_model(db, "trial")
    db.execute("SELECT ml.set_challenger('trial', 'test', 5)")
    outcome = retrain(db, when="always")
    assert (outcome.action, outcome.exit_code) == ("deployed", 0)
    assert "the challenger trial scores 5 % of the events" in outcome.said
    assert value(db, "SELECT version FROM ml_aliases WHERE alias = 'challenger'") == "trial"
    assert value(db, "SELECT count(*) FROM ml_models WHERE version = %s", outcome.version) == 1


def test_without_a_champion_or_challengers_it_is_deployed_only(labelled):
    db = labelled
    db.execute("DELETE FROM ml_aliases")
    outcome = retrain(db)
    assert (outcome.action, champion(db)) == ("deployed", None)
    assert "there is no champion to challenge" in outcome.said
    db.execute("ALTER FUNCTION ml.set_challenger RENAME TO set_nothing")
    assert "knows no challengers yet" in retraining._why_no_challenger(db, "v0001")


# ---------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def run(db_url, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATABASE_URL", db_url)
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", str(tmp_path))

    def command(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["retrain", *arguments])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return command


def test_the_command_tells_a_scheduler(db, run):
    go_live(db, card=live_card())
    code, said, errors = run()
    assert (code, errors) == (3, "")
    assert said.splitlines()[0].startswith("fine     age: no event after 2023-12-31")
    assert said.endswith("No retraining is due.\n")
    code, said, _ = run("--json")
    assert code == 3
    found = json.loads(said)
    assert (found["action"], found["champion"], found["version"]) == ("nothing due", "toy", None)
    assert [check["check"] for check in found["checks"]] == ["age", "ranking", "probabilities", "monitoring"]
    add_scored_events(db, 150, quality=1)
    assert run("--dry-run")[0] == 0
    assert run("--dry-run", "--min-labels", "1000", "--max-age", "9999")[0] == 3
    code, _, errors = run("--search", "--time-budget", "soon")
    assert code == 1
    assert errors == "trainer: --time-budget soon is no duration: write 90s, 10m or 1.5h.\n"


def test_the_state_of_a_champion_is_plain_data():
    assert Model("v", START, None, None, None).version == "v"
