"""A model's way through the stages, for a linear and a tree family: fit, compile, verify, deploy, promote, score."""

import json
import shutil

import numpy as np
import pytest
from support import champion, insert_event, one, predictions, rows, value

from trainer import release as releasing
from trainer.artefact import ModelFolder, find_model
from trainer.bars import load_bars
from trainer.compile import compile_folder
from trainer.dataset import load_dataset
from trainer.deploy import deploy
from trainer.errors import UserError
from trainer.evaluate import evaluate_folder
from trainer.fit import CANDIDATES, FitConfig, fit, save
from trainer.harvest import harvest
from trainer.label import label_outcomes
from trainer.model_card import write_card
from trainer.promote import GatesNotPassedError, promote, rollback
from trainer.resources import resource, sample_bars
from trainer.verify import verify


@pytest.fixture
def labelled(db):
    """Load two of the shipped symbols, with labelled events."""
    load_bars(db, [file for file in sample_bars() if file.name.startswith(("GOOG", "IBM"))])
    harvest(db)
    label_outcomes(db)
    return db


def fitted(db, family, models):
    """Fit the first candidate of a family into a folder."""
    candidate = next(candidate for candidate in CANDIDATES if candidate.family == family)
    folder = save(fit(load_dataset(db), FitConfig(candidates=(candidate,))), models)
    evaluate_folder(folder)
    write_card(folder)
    return ModelFolder(folder)


@pytest.mark.parametrize("family", ["logistic", "hist_gradient_boosting"])
def test_the_whole_way(labelled, family, tmp_path):
    db = labelled
    folder = fitted(db, family, tmp_path)
    report = compile_folder(folder)
    assert report.sql_bytes > 1000
    assert (report.trees > 0) == (family == "hist_gradient_boosting")
    dataset = load_dataset(db)

    before = rows(db, "SELECT oid FROM pg_proc WHERE pronamespace = 'ml_generated'::regnamespace")
    parity = verify(db, folder, dataset.features)
    assert rows(db, "SELECT oid FROM pg_proc WHERE pronamespace = 'ml_generated'::regnamespace") == before
    assert parity["rows_beyond_tolerance"] == 0
    assert ("threshold" in parity["cases"]) == (family == "hist_gradient_boosting")
    if family == "hist_gradient_boosting":
        assert parity["bit_equal_share"] == 1
    else:
        assert parity["max_difference"] < 1e-14

    assert deploy(db, folder)
    assert not deploy(db, folder)
    recorded = rows(db, "SELECT function_name FROM ml.model_functions WHERE version = %s", folder.version)
    installed = rows(db, "SELECT function_name FROM ml.function_hashes(%s)", folder.version)
    assert {row["function_name"] for row in recorded} == {row["function_name"] for row in installed}
    assert len(installed) == folder.read_text("score.sql", "compile").count("\nCREATE OR REPLACE FUNCTION")
    start = champion(db)
    # Two symbols are too few to show a ranking: the gates say so, and nothing else.
    with pytest.raises(GatesNotPassedError, match="ranking: ROC-AUC") as refusal:
        promote(db, folder.version, start, "test")
    failed = {gate["gate"] for gate in refusal.value.gates if gate["blocking"] and not gate["passed"]}
    assert failed <= {"ranking", "ranking against champion", "calibration", "calibration against champion"}
    assert champion(db) == start
    promote(db, folder.version, start, "test", force=True)
    db.execute("SELECT ml.enable()")
    stored = insert_event(db, symbol="IBM", pattern_type="hammer", detected_at="2012-06-01")
    (logged,) = predictions(db, stored["id"])
    features = np.array([[np.nan if number is None else number for number in logged["features"]]])
    expected = folder.load_estimator().predict_proba(features)[0]
    assert stored["model_version"] == folder.version
    assert stored["ml_confidence_raw"] == pytest.approx(expected[1], abs=0 if report.trees else 1e-12)
    assert stored["prediction_class"] == ("win" if expected[1] > 0.5 else "rest")
    card = value(db, "SELECT card FROM ml_models WHERE version = %s", folder.version)
    assert card == folder.card
    assert rollback(db, "test")["champion"] == start


def test_live_features_equal_those_of_training(labelled):
    """What a row is scored with is what training reads, whether stored or computed."""
    db = labelled
    computed = load_dataset(db)
    assert not value(db, "SELECT count(*) FROM pattern_events WHERE ml_features IS NOT NULL")
    db.execute("SELECT ml.enable()")
    db.execute("CREATE TABLE kept AS SELECT * FROM pattern_events")
    db.execute("DELETE FROM pattern_events")
    db.execute(
        "INSERT INTO pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT id, symbol, timeframe, pattern_type, detected_at, rule_confidence FROM kept"
    )
    label_outcomes(db)
    stored = load_dataset(db)
    assert value(db, "SELECT count(*) FROM pattern_events WHERE ml_features IS NULL") == 0
    assert stored.features.tobytes() == computed.features.tobytes()
    assert stored.sha256() == computed.sha256()


def test_a_model_that_differs_is_not_deployed(labelled, tmp_path):
    db = labelled
    folder = fitted(db, "hist_gradient_boosting", tmp_path)
    compile_folder(folder)
    score = folder.read_text("score.sql", "compile")
    assert ("<=" in score) and ("::double precision" in score)
    folder.write_text("score.sql", score.replace("OPERATOR(pg_catalog.<=)", "OPERATOR(pg_catalog.<)", 1))
    features = load_dataset(db).features
    with pytest.raises(UserError, match=r"rows differ by more than 1e-12 .*threshold.* must not be deployed"):
        verify(db, folder, features)
    assert not rows(db, "SELECT FROM pg_proc WHERE proname = %s", f"score_{folder.version}")


def test_stages_say_which_one_is_missing(labelled, tmp_path, monkeypatch):
    db = labelled
    folder = fitted(db, "logistic", tmp_path / "models")
    features = load_dataset(db).features
    with pytest.raises(UserError, match="run `trainer compile` first"):
        verify(db, folder, features)
    compile_folder(folder)
    with pytest.raises(UserError, match="run `trainer verify` first"):
        deploy(db, folder)
    verify(db, folder, features)
    card = folder.card
    card["artefact_sha256"] = "0" * 64
    folder.write_json("model_card.json", card)
    with pytest.raises(UserError, match="compiled again after it was verified"):
        deploy(db, folder)
    with pytest.raises(UserError, match="is not registered"):
        promote(db, folder.version, champion(db), "test")
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="No model has been fitted"):
        find_model(None)
    with pytest.raises(UserError, match="There is no model nowhere"):
        find_model("nowhere")
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", str(tmp_path))
    assert find_model(None).version == folder.version


def test_a_registered_version_is_immutable(labelled, tmp_path):
    db = labelled
    folder = fitted(db, "logistic", tmp_path)
    compile_folder(folder)
    verify(db, folder, load_dataset(db).features)
    deploy(db, folder)
    db.execute("ALTER TABLE ml_models DISABLE TRIGGER USER")
    db.execute("UPDATE ml_models SET artefact_sha256 = repeat('0', 64) WHERE version = %s", (folder.version,))
    with pytest.raises(UserError, match="models are immutable"):
        deploy(db, folder)


def test_a_release_is_a_folder_and_a_revision(labelled, tmp_path, monkeypatch):
    db = labelled
    folder = fitted(db, "logistic", tmp_path / "models")
    clone = tmp_path / "clone"
    for part in ("generated", "alembic"):
        shutil.copytree(resource(part), clone / part)
    monkeypatch.setattr(releasing, "resource", lambda *parts: clone.joinpath(*parts))
    monkeypatch.setattr(
        releasing, "released_folders", lambda: [ModelFolder(path) for path in sorted((clone / "generated").glob("v*"))]
    )
    already = sorted(path.name for path in (clone / "generated").glob("v*"))
    target, revision = releasing.release(db, folder, load_dataset(db).features)
    assert target.version == f"v{len(already) + 1:04d}"
    assert not (target.path / "model.joblib").exists()
    assert json.loads((target.path / "parity.json").read_text())["rows_beyond_tolerance"] == 0
    text = revision.read_text()
    assert f'down_revision = "{int(revision.name[:4]) - 1:04d}"' in text
    db.execute((target.path / "score.sql").read_bytes())
    db.execute((target.path / "register.sql").read_bytes())
    # Nobody has made a choice on this database, so the newest released model is live.
    assert champion(db) == target.version
    assert value(db, "SELECT count(*) FROM ml.model_functions WHERE version = %s", target.version) > 1
    db.execute((target.path / "remove.sql").read_bytes())
    assert one(db, "SELECT count(*) AS models FROM ml_models") == {"models": len(already)}
