"""`trainer compile MODEL.joblib --function NAME`: anybody's own model, from a shell."""

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pglast
import psycopg
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier, VotingClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trainer.cli import main
from trainer.compile import _explanation

X, y = load_breast_cancer(return_X_y=True)


@pytest.fixture(scope="module")
def model() -> Any:
    return GradientBoostingClassifier(n_estimators=30, random_state=0).fit(X, y)


@pytest.fixture
def file(model: Any, tmp_path: Path) -> Path:
    path = tmp_path / "cancer.joblib"
    joblib.dump(model, path)
    return path


def compile_(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["compile", *arguments])
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


def test_everything_in_one_file(model, file, tmp_path, capsys, empty_db: psycopg.Connection[Any]):
    target = tmp_path / "cancer.sql"
    code, said, _ = compile_(
        capsys, str(file), "--function", "public.is_benign", "--set-based", "--explain", "--output", str(target)
    )
    assert code == 0
    for line in (
        'creates "public"."is_benign"(double precision[])',
        "expected",
        "walks for the first",
        "is_benign_explain",
    ):
        assert line in said
    empty_db.execute(target.read_text().encode())
    row = X[7].tolist()
    expected = model.predict_proba(X[7:8])[0].tolist()
    assert empty_db.execute("SELECT is_benign(%s::float8[])", [row]).fetchone() == (expected,)
    placeholders = ", ".join(["%s::float8"] * len(row))
    assert empty_db.execute(f"SELECT is_benign_columns({placeholders})", row).fetchone() == (expected,)
    explained = empty_db.execute("SELECT is_benign_explain(%s::float8[])", [row]).fetchone()
    assert explained is not None
    assert np.isclose(sum(explained[0]), model.decision_function(X[7:8])[0], rtol=0, atol=1e-9)


def test_standard_output_is_sql_and_nothing_else(file, capsys):
    code, said, error = compile_(capsys, str(file), "--function", "f", "--form", "walk")
    assert code == 0
    assert len(pglast.parse_sql(said)) > 4
    assert "GradientBoostingClassifier, 30 features" in error


def test_the_report_as_json(file, tmp_path, capsys):
    target = tmp_path / "f.sql"
    _, said, _ = compile_(capsys, str(file), "--function", "public.f", "--output", str(target), "--json")
    report = json.loads(said)
    assert report["form"] == "tiered"
    assert set(report["costs"]) == {"walk", "case"}
    assert report["trees"] == 30


def test_a_vote_with_a_neural_network(model, tmp_path, capsys, empty_db: psycopg.Connection[Any]):
    """It says how large the network is, and has neither an inlined function of columns nor an explanation."""
    network = make_pipeline(StandardScaler(), MLPClassifier((5,), solver="lbfgs", max_iter=500, random_state=0))
    vote = VotingClassifier([("trees", model), ("network", network)], voting="soft", weights=[3, 1]).fit(X, y)
    file, target = tmp_path / "vote.joblib", tmp_path / "vote.sql"
    joblib.dump(vote, file)
    arguments = (str(file), "--function", "public.vote", "--output", str(target))
    code, said, _ = compile_(capsys, *arguments, "--set-based")
    assert code == 0
    for line in ("VotingClassifier, 30 features", "155 weights of neural networks", "expected", "not inlined"):
        assert line in said
    empty_db.execute(target.read_text().encode())
    row = X[7].tolist()
    placeholders = ", ".join(["%s::float8"] * len(row))
    scored = empty_db.execute(f"SELECT vote(%s::float8[]), vote_columns({placeholders})", [row, *row]).fetchone()
    assert scored is not None
    assert np.allclose(scored, vote.predict_proba(X[7:8]), rtol=0, atol=1e-12)
    code, _, error = compile_(capsys, *arguments, "--explain")
    assert (code, "compile it without an explanation" in error) == (1, True)
    functions, said_in_card = _explanation(vote, "local_0", [f"x{place}" for place in range(30)])
    assert functions == []
    assert said_in_card["logged"] is None


def test_options_that_need_a_function_and_files_that_cannot_be_written(file, capsys):
    code, _, error = compile_(capsys, str(file))
    assert (code, "--function SCHEMA.NAME" in error) == (1, True)
    code, _, error = compile_(capsys, "--set-based")
    assert (code, "--function NAME" in error) == (1, True)
    code, _, error = compile_(capsys, str(file), "--function", "f", "--output", "/no/such/folder/f.sql")
    assert code == 1
    assert "/no/such/folder/f.sql" in error
    assert "Traceback" not in error
    code, _, error = compile_(capsys, str(file), "--function", "a.b.c")
    assert (code, "no function name" in error) == (1, True)
