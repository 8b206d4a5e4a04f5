"""The verbs from bars to an evaluated model, as typed in a terminal."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

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
    }

    found = json.loads(run("harvest", "--symbol", "IBM", "--json")[1])
    assert found["new"] == found["events"] > 500
    assert "0 of them new" in run("harvest")[1]
    code, said, _ = run("label")
    assert code == 0
    assert "events labelled TB2" in said
    assert json.loads(run("label", "--relabel", "--json")[1])["labelled"] == 0

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
    assert said.startswith("trainer: p_barrier_atr is 0")
    assert run("label", "--label", "TB2", "--horizon", "5")[0] == 1
    assert "run `trainer harvest` and `trainer label` first" in run("fit")[2]
    assert run("evaluate")[2].endswith("run `trainer fit` first.\n")
