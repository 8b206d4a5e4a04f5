"""trainer report: one HTML page that needs nothing else and says what evaluation.json says."""

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from html_page import Page, words
from synthetic_events import make_dataset

from trainer.artefact import ModelFolder, released_folders
from trainer.cli import main
from trainer.errors import UserError
from trainer.evaluate import evaluate_folder
from trainer.evaluation import charts
from trainer.evaluation.conclusions import shown
from trainer.evaluation.figures import evaluate
from trainer.evaluation.page import render
from trainer.fit import CANDIDATES, FitConfig, fit, save
from trainer.report import write_report

QUICK = FitConfig(candidates=(CANDIDATES[2],))
CHARTS = ("roc", "precision_recall", "reliability", "confirmations", "blocks", "markets", "patterns")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = save(fit(make_dataset(2500, strength=0.5), QUICK), tmp_path_factory.mktemp("models"))
    evaluate_folder(made)
    return made


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def html(evaluation: dict[str, Any]) -> str:
    return render(evaluation)


def test_the_page_is_whole_and_needs_nothing_else(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert page.addresses == []
    assert "@import" not in html.split("</style>")[0]
    assert "url(" not in html.split("</style>")[0]
    assert {
        attributes["id"] for tag, attributes in page.elements if "plotly-graph-div" in attributes.get("class", "")
    } == {f"chart-{name}" for name in CHARTS}
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html


def test_the_page_says_what_the_evaluation_says(html: str, evaluation: dict[str, Any]) -> None:
    text = words(Page(html).text)
    for said in (*evaluation["headline"].values(), *evaluation["conclusions"], evaluation["holdout_uses"]["sentence"]):
        assert words(said) in text
    assert "does not predict direction" in text
    assert evaluation["candidate_notes"]
    assert evaluation["warnings"]  # nobody has said where these bars come from
    for said in (*evaluation["candidate_notes"], *evaluation["warnings"]):
        assert words(said) in text
    holdout, walk_forward = evaluation["holdout"], evaluation["walk_forward"]
    figures = [claim[part]["figure"] for claim in evaluation["claims"] for part in ("holdout", "walk_forward")]
    for part in (holdout, walk_forward):
        figures += [part["auc"][score] for score in ("calibrated", "rule_confidence", "prior", "volatility", "placebo")]
        figures += [figure for losses in part["probabilities"].values() for figure in losses.values()]
        figures += list(part["average_precision"].values())
    for group in (*holdout["per_market"], *holdout["per_pattern"]):
        figures += [group["auc"], group["ece"], group["brier_skill_own_base_rate"], group["average_precision"]]
    for case in holdout["confirmed"]:
        figures += [case["recall"], case["win_rate"]]
    for figure in figures:
        assert shown(figure) in text
    for goal in evaluation["goals"]:
        assert words(f"{goal['goal']} {shown(goal['found'])} {goal['status']}") in text
    for check in evaluation["leak_checks"]:
        assert check["expected"] in text
    for sha256 in (evaluation["data"]["sha256"], evaluation["protocol"]["configuration_sha256"]):
        assert sha256 in text
    assert f"{evaluation['champion']} (champion)" in text


def test_charts_hold_the_evaluations_numbers(evaluation: dict[str, Any]) -> None:
    holdout = evaluation["holdout"]
    traces = {trace.name: trace for trace in charts.roc(evaluation).data}
    area = holdout["auc"]["calibrated"]["value"]
    model = traces[f"model ({area:.3f})"]
    assert [list(point) for point in zip(model.x, model.y, strict=True)] == holdout["curves"]["calibrated"]["roc"]
    curve = charts.confirmations(evaluation).data[0]
    ratios = [cut["model_to_rule"] for cut in holdout["true_positive_curve"]]
    assert list(curve.y) == [ratio["value"] for ratio in ratios]
    for ratio, up, down in zip(ratios, curve.error_y.array, curve.error_y.arrayminus, strict=True):
        if ratio["low"] is not None:
            assert (ratio["value"] + up, ratio["value"] - down) == pytest.approx((ratio["high"], ratio["low"]))
    blocks = charts.blocks(evaluation).data[0]
    assert list(blocks.y) == [
        block["auc"]["value"] for part in ("walk_forward", "holdout") for block in evaluation[part]["blocks"]
    ]
    forest = {trace.name: trace for trace in charts.markets(evaluation).data}
    assert list(forest["holdout"].x)[:3] == [market["auc"]["value"] for market in holdout["per_market"]]
    counted = charts.reliability(evaluation).data[-1]
    assert sum(counted.y) == holdout["events"]


def test_names_from_outside_cannot_write_into_the_page(evaluation: dict[str, Any]) -> None:
    hostile = "</script><script>alert(1)</script>"
    table = fit(make_dataset(2500, strength=0.5), QUICK).predictions
    table = table.assign(
        symbol=table["symbol"].replace("S0", hostile), pattern_type=table["pattern_type"].replace("hammer", hostile)
    )
    figures = evaluate(table, threshold=0.42, candidates=1, calibrator="identity", resamples=100)
    html = render(evaluation | figures | {"version": hostile})
    clean = render(evaluation | figures | {"version": "v"})
    assert hostile not in html
    assert html.count("<script") == clean.count("<script")
    assert "alert(1)" in words(Page(html).text)


def test_what_other_kinds_of_models_say_of_themselves(evaluation: dict[str, Any]) -> None:
    members = [{"name": "logistic C=0.01"}, {"name": "boosted 40x4"}]
    row = {"microseconds_per_row": 87.4, "blocks": 2, "seconds": 1.26}
    changed = evaluation | {
        "protocol": evaluation["protocol"] | {"hyperparameters": {"members": members, "hidden_layer_sizes": [16, 8]}},
        "candidate_table": [candidate | row for candidate in evaluation["candidate_table"]],
        "candidate_notes": ["Of 12 candidates, 3 were dropped early."],
        "warnings": ["SYNTHETIC DATA: made up."],
    }
    text = words(Page(render(changed)).text)
    assert "members logistic C=0.01, boosted 40x4, hidden_layer_sizes 16, 8" in text
    assert "expected us per row in SQL" in text
    assert " 87 " in text
    assert "3 were dropped early." in text
    assert text.index("SYNTHETIC DATA") < text.index(evaluation["headline"]["verdict"])


def test_too_few_events_make_a_page_too(tmp_path: Path) -> None:
    folder = save(fit(make_dataset(120, symbols=1), QUICK), tmp_path)
    evaluate_folder(folder)
    text = words(Page(render(json.loads((folder / "evaluation.json").read_text()))).text)
    assert "Too few events to judge" in text
    assert "A signal" not in text
    assert "nan" not in text.lower().split()


def test_noise_is_called_noise_in_the_first_words(folder: Path, evaluation: dict[str, Any]) -> None:
    table = pd.read_csv(folder / "predictions.csv.gz", parse_dates=["detected_at"])
    useless = table.assign(calibrated=np.random.default_rng(0).permutation(table["calibrated"]))
    figures = evaluate(useless, threshold=0.42, candidates=1, calibrator="identity", resamples=100)
    text = words(Page(render(evaluation | figures)).text)
    assert text.index("No signal is shown") < 400


def test_released_models_have_a_page_of_what_they_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for released in released_folders():
        before = sorted(file.name for file in released.path.iterdir())
        file = write_report(released)
        assert file == tmp_path / f"{released.version}-report.html"
        assert sorted(file.name for file in released.path.iterdir()) == before
        text = words(Page(file.read_text()).text)
        assert words(released.read_json("evaluation.json", "fit")["conclusions"][0]) in text


def test_the_verb_writes_the_page_and_says_where(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)) or len(opened) > 1)

    def run(*arguments: str) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["report", str(folder), *arguments])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    assert run() == (0, f"{folder / 'report.html'}\n", "")
    target = tmp_path / "page.html"
    code, said, _ = run("--output", str(target), "--open")
    assert (code, said) == (0, f"{target}\nNo browser was found: open the file yourself.\n")
    assert run("--output", str(target), "--open")[1] == f"{target}\n"
    assert opened == [target.as_uri()] * 2
    code, _, said = run("--output", str(tmp_path / "none" / "page.html"))
    assert code == 1
    assert said.endswith("cannot be written (No such file or directory): name another file with --output.\n")
    # A page of figures that are gone goes with them.
    evaluate_folder(folder)
    assert not (folder / "report.html").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"has no evaluation\.json: run `trainer evaluate` first"):
        write_report(ModelFolder(tmp_path / "empty"))


@pytest.mark.parametrize("package", ["plotly", "jinja2"])
def test_a_missing_package_is_a_sentence(
    evaluation: dict[str, Any], monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    real_import = builtins.__import__

    def absent(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=package)
        return real_import(name, *arguments, **options)

    for loaded in [name for name in sys.modules if name.partition(".")[0] == package or name.endswith("charts")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        UserError, match=rf"needs the package {package}: run pip install 'pattern-confidence\[report\]'"
    ):
        render(evaluation)
