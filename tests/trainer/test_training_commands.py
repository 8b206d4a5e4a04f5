"""The verbs from bars to an evaluated model, as typed in a terminal."""

import json
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from support import add_bars, insert_event, value

from trainer.cli import main
from trainer.resources import sample_bars


@pytest.fixture
def run(db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs a verb and gives its exit code, output and errors."""
    monkeypatch.setenv("DATABASE_URL", db_url)
    monkeypatch.setenv("PATTERN_CONFIDENCE_HOME", str(tmp_path / "home"))

    def command(*arguments: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return command


def test_from_bars_to_evaluation(run: Any, tmp_path: Path) -> None:
    source = next(file for file in sample_bars() if file.name.startswith("IBM"))
    bars = tmp_path / "ibm.csv"
    pd.read_csv(source).drop(columns=["symbol", "timeframe"]).head(1500).to_csv(bars, index=False)

    assert run("harvest")[0] == 1
    code, _, said = run("load-bars", str(bars))
    assert code == 1
    assert "no column symbol, timeframe: add it (or give it as an option)" in said
    named = ("load-bars", str(bars), "--symbol", "IBM", "--timeframe", "1d")
    assert run(*named)[:2] == (0, "ibm.csv: 1,500 new, 0 changed, 0 unchanged\n")
    assert json.loads(run(*named, "--json")[1])[0] | {"file": ""} == {
        "file": "",
        "new": 0,
        "changed": 0,
        "unchanged": 1500,
        "warnings": [],
    }

    found = json.loads(run("harvest", "--symbol", "IBM", "--json")[1])
    assert found["new"] == found["events"] > 500
    assert "0 of them new" in run("harvest")[1]
    code, said, _ = run("label")
    assert code == 0
    assert "events labelled TB2" in said
    assert json.loads(run("label", "--relabel", "--json")[1])["labelled"] == 0

    for option, text in (("--data-source", "TODO vendor"), ("--author", "  ")):
        code, said, errors = run("fit", option, text)
        assert (code, said, errors.count("\n")) == (1, "", 1)
        assert f"or leave {option}" in errors
    assert not (tmp_path / "home" / "models").exists()

    code, said, errors = run("fit")
    assert (code, errors) == (0, "")
    assert "next: trainer evaluate" in said
    fitted = json.loads(run("fit", "--json")[1])
    assert Path(fitted["folder"]).parent == tmp_path / "home" / "models"
    assert fitted["card"]["version"] == fitted["version"] in said

    evaluation = json.loads(run("evaluate", "--json")[1])
    assert evaluation["version"] == fitted["version"]
    code, said, _ = run("evaluate", fitted["version"])
    assert code == 0
    assert "brier skill" in said
    assert run("evaluate", "local-none")[0] == 1


def test_wrong_parameters_are_a_sentence(run: Any) -> None:
    code, _, said = run("label", "--barrier-atr", "0")
    assert code == 1
    assert said.startswith("trainer: --barrier-atr is 0")
    assert run("label", "--label", "TB2", "--horizon", "5")[0] == 1
    assert "run `trainer harvest` and `trainer label` first" in run("fit")[2]
    assert run("evaluate")[2].endswith("run `trainer fit` first.\n")


def test_backfill_says_what_is_left(run: Any, db: psycopg.Connection[Any]) -> None:
    add_bars(db)
    for _ in range(3):
        insert_event(db)
    code, _, said = run("backfill")
    assert code == 1
    assert said == ("trainer: ML is off in this database: run SELECT ml.enable('why') in psql, or use --dry-run.\n")
    champion = value(db, "SELECT version FROM ml_aliases WHERE alias = 'champion'")
    assert run("backfill", "--dry-run")[1] == f"3 events would be scored with {champion}; 3 are unscored now\n"
    found = json.loads(run("backfill", "--dry-run", "--json")[1])
    assert found["would_score"] == 3
    assert "scored" not in found
    db.execute("SELECT ml.enable('test')")
    assert run("backfill", "--limit", "2")[1] == (
        f"2 events scored with {champion}; 1 are still unscored\n"
        "checked: 2 in the log since the start, 2 with features, 2 with support_distance_pct, "
        "0 without blended confidence, 0 used for training; 0 lost by the log\n"
    )
    assert run("backfill", "--limit", "0")[0] == 2
    assert json.loads(run("backfill", "--json")[1])["scored"] == 1


def test_a_released_model_is_final(run: Any) -> None:
    for verb in ("compile", "verify"):
        code, _, said = run(verb, "v0001")
        assert code == 1
        assert said.startswith("trainer: v0001 is a released model: its SQL is final")


def test_compile_says_what_is_no_model(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.joblib"
    file.write_text("{}")
    code, _, said = run("compile", str(file), "--function", "f")
    assert code == 1
    assert "cannot be loaded as a joblib file" in said
    joblib.dump({"model": 1}, file)
    assert "dict is not a model" in run("compile", str(file), "--function", "f")[2]
    assert "There is no file" in run("compile", str(tmp_path / "none"), "--function", "f")[2]


@pytest.mark.parametrize("verb", ["load-bars", "harvest", "label", "backfill", "status", "fit", "promote", "rollback"])
def test_a_missing_right_is_a_sentence(
    run: Any, db: psycopg.Connection[Any], db_url: str, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    add_bars(db, count=3)
    role = f"guest_{value(db, 'SELECT pg_backend_pid()')}"
    db.execute(f"CREATE ROLE {role}")
    try:
        monkeypatch.setenv("DATABASE_URL", make_conninfo(db_url, options=f"-c role={role}"))
        arguments = [str(sample_bars()[0])] if verb == "load-bars" else ["v0001"] if verb == "promote" else []
        code, _, said = run(verb, *arguments)
        assert code == (4 if verb == "status" else 1)
        assert said.startswith("trainer: This role has no right to use ")
        assert said.count("\n") == 1
        assert "owns the tables" in said
    finally:
        db.execute(f"DROP ROLE {role}")
