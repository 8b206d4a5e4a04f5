"""The model card is complete, or it is refused."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic_events import make_dataset

from trainer.artefact import ModelFolder
from trainer.candidates import CANDIDATES, ensemble
from trainer.card_markdown import render_card
from trainer.errors import UserError
from trainer.evaluate import evaluate_folder
from trainer.evaluation.bootstrap import ABOVE, NOT_SHOWN
from trainer.fit import FitConfig, fit, save
from trainer.model_card import (
    LIMITATIONS,
    NOT_EXPLAINED,
    REQUIRED,
    build_card,
    hash_of_names,
    save_card,
    validate_card,
    write_card,
)
from trainer.provenance import NOT_DECLARED_WARNING, SYNTHETIC_WARNING, Provenance
from trainer.search import describe_choice


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made_up = Provenance(
        "Random numbers.", "declaration", True, ("The test suite",), "The tests' readers.", "None needed."
    )
    result = fit(make_dataset(900), FitConfig(candidates=CANDIDATES[:2], provenance=made_up))
    folder = save(result, tmp_path_factory.mktemp("models"))
    evaluate_folder(folder)
    return folder


@pytest.fixture
def card(folder: Path) -> dict[str, Any]:
    return write_card(folder)


def test_card_says_everything(folder: Path, card: dict[str, Any]) -> None:
    assert json.loads((folder / "model_card.json").read_text()) == card
    assert set(REQUIRED) <= set(card)
    dataset = make_dataset(900)
    assert card["dataset_sha256"] == dataset.sha256()
    assert card["classes"] == ["rest", "win"]
    assert set(card["library_versions"]) == {"python", "joblib", "numpy", "pandas", "scikit-learn", "TA-Lib"}
    assert card["data_window"] == card["training"]["data_window"]
    assert card["training"]["data_window"]["end"] < card["holdout"]["data_window"]["start"]
    assert sum(card["training"]["class_counts"].values()) == card["training"]["events"]
    assert len(card["golden_rows"]) == 20
    assert "one standard error" in card["champion_rule"]
    assert {row["name"] for row in card["candidates"]} == {candidate.name for candidate in CANDIDATES[:2]}


def test_limitations_are_computed(folder: Path, card: dict[str, Any]) -> None:
    evaluation, description = (json.loads((folder / f"{name}.json").read_text()) for name in ("evaluation", "dataset"))
    constant = [SYNTHETIC_WARNING, *LIMITATIONS]
    assert card["limitations"][: len(constant)] == constant
    assert "identity, that is, none" in card["limitations"][len(constant)]
    assert card["limitations"][len(constant) + 1] == describe_choice(card["choice"])
    for words in ("volatility", "direction"):
        assert words not in " ".join(LIMITATIONS)

    holdout = evaluation["holdout"]
    holdout["auc_direction_sign"]["verdict"] = NOT_SHOWN
    for figure in (*holdout["auc_above"].values(), holdout["auc_win_vs_loss"], holdout["auc"]["calibrated"]):
        figure["verdict"] = ABOVE
    for found in holdout["by_direction"].values():
        found["auc"]["verdict"] = ABOVE
    for name in ("brier", "log_loss"):
        holdout[f"{name}_skill_own_base_rate"]["verdict"] = ABOVE
    assert len(build_card(description, evaluation)["limitations"]) == len(constant) + 2
    holdout["auc_above"]["volatility"] = {"value": 0.01, "low": -0.02, "high": 0.04, "verdict": NOT_SHOWN}
    holdout["auc_win_vs_loss"] = {"value": 0.51, "low": 0.47, "high": 0.55, "verdict": NOT_SHOWN}
    said = build_card(description, evaluation)["limitations"][len(constant) + 2 :]
    assert len(said) == 2
    assert "0.510 [0.470, 0.550]: not shown to tell which barrier comes first" in said[0]
    assert "not shown to be above that of volatility alone (+0.010 [-0.020, 0.040])" in said[1]


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_missing_or_empty_part_is_refused(card: dict[str, Any], name: str) -> None:
    for broken in ({k: v for k, v in card.items() if k != name}, {**card, name: None}):
        with pytest.raises(UserError, match=f"is refused: .*{name}"):
            validate_card(broken)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["intended_use"], "TODO", "card.intended_use is a placeholder"),
        (["label", "definition"], " ", "card.label.definition is a placeholder"),
        (["limitations", 0], "tbd", r"card.limitations\[0\] is a placeholder"),
        (["authors", 0], "[More Information Needed]", r"card.authors\[0\] is a placeholder"),
        (["contact"], "<your e-mail address>", "card.contact is a placeholder"),
        (["citation"], "To be added.", "card.citation is a placeholder"),
        (["license"], "fill in", "card.license is a placeholder"),
        (["data_source", "description"], None, "data_source does not say where"),
        (["synthetic"], "no", "synthetic does not say true, false"),
        (["warnings"], [], "warnings do not say that the data are synthetic"),
        (["recommended_threshold"], 1.2, "recommended_threshold is not between 0 and 1"),
        (["feature_names", 0], "noise_1", "a name twice"),
        (["feature_names_sha256"], hash_of_names(["a"]), "is not the hash of feature_names"),
        (["dataset_sha256"], "abc", "dataset_sha256 is not a SHA-256"),
        (["training", "class_counts", "win"], 3, "training does not count"),
        (["data_window", "start"], "2999-01-01T00:00:00+00:00", "ends before it starts"),
        (["data_window", "start"], None, "has no start and end"),
        (["library_versions", "numpy"], "", "without its version"),
        (["classes"], ["rest", "other"], "classes has no win"),
        (["golden_rows", 4, "probabilities"], [0.2, 0.2], "golden row 4 has no probability per class"),
        (["golden_rows", 5, "features"], {"a": 1}, "golden row 5 has other features"),
    ],
)
def test_contradictions_are_refused(card: dict[str, Any], path: list[Any], value: Any, problem: str) -> None:
    broken = copy.deepcopy(card)
    inner = broken
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(UserError, match=problem):
        validate_card(broken)


SECTIONS = (
    "Model description", "Intended use", "Limitations", "How to get started", "Training data", "Training procedure",
    "Evaluation", "Calibration and threshold", "In the database", "Environment", "Authors", "Contact", "Citation",
    "License",
)  # fmt: skip


def test_the_card_to_read_has_all_sections(folder: Path, card: dict[str, Any]) -> None:
    text = (folder / "model_card.md").read_text()
    assert text == render_card(card)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(SECTIONS)
    parts = dict(zip(SECTIONS, text.split("\n## ")[1:], strict=True))
    for title, part in parts.items():
        assert len(part.removeprefix(title).strip()) > 5, title
    assert text.startswith('---\nlibrary_name: pattern-confidence\nmodel_name: "local-')
    assert '- "synthetic-data"' in text.partition("\n---\n")[0]
    assert text.index(SYNTHETIC_WARNING) < text.index("## Model description")
    assert "Random numbers. Synthetic: yes." in parts["Training data"]
    assert card["dataset_sha256"] in parts["Training data"]
    for symbol in ("S0", "S1", "S2"):
        assert f"| {symbol} | 1d |" in parts["Training data"]
    assert "| C | " in parts["Training procedure"]
    assert f"| **{card['champion']}** | " in parts["Training procedure"]
    assert "| brier | " not in parts["Evaluation"]
    for sentence in (*card["conclusions"], *card["limitations"]):
        assert f"- {sentence}" in text
    widths = {line.count("|") for line in parts["Evaluation"].splitlines() if line.startswith("|")}
    assert widths == {4}
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_how_to_get_started_follows_the_version(folder: Path, card: dict[str, Any], tmp_path: Path) -> None:
    shell, sql = card["get_started"]
    assert f"trainer promote {card['version']}" in shell["code"]
    assert "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)" in sql["code"]
    released = copy.deepcopy(card) | {"version": "v0099"}
    released["example"]["symbol"] = "O'Neil"
    save_card(ModelFolder(tmp_path), released)
    text = (tmp_path / "model_card.md").read_text()
    assert json.loads((tmp_path / "model_card.json").read_text()) == released
    assert card["version"] not in text
    assert "trainer promote v0099" in text
    assert "VALUES ('O''Neil', '1d'" in text


def test_a_model_without_explanation_says_so_once(card: dict[str, Any], tmp_path: Path) -> None:
    compiled = copy.deepcopy(card) | {"explanation": {"logged": None, "no_explanation": "A neural network."}}
    for _ in range(2):
        save_card(ModelFolder(tmp_path), compiled)
    assert compiled["limitations"] == [*card["limitations"], NOT_EXPLAINED]
    assert f"- {NOT_EXPLAINED}" in (tmp_path / "model_card.md").read_text()
    explained = copy.deepcopy(card) | {"explanation": {"logged": "exact", "expected_microseconds": 44}}
    save_card(ModelFolder(tmp_path), explained)
    assert explained["limitations"] == card["limitations"]


def test_a_card_of_an_earlier_release_stays_as_it_was(tmp_path: Path) -> None:
    old = {"version": "v0001", "compiled": {}}
    save_card(ModelFolder(tmp_path), old)
    assert json.loads((tmp_path / "model_card.json").read_text()) == {"version": "v0001", "compiled": {}}
    assert not (tmp_path / "model_card.md").exists()


def test_the_source_of_the_data_is_always_said() -> None:
    assert Provenance().warnings == [NOT_DECLARED_WARNING]
    assert Provenance("Our feed.", "declaration", False).warnings == []
    assert Provenance("Our feed.", "declaration", True).warnings == [SYNTHETIC_WARNING]


def test_a_search_and_a_vote_are_in_the_card_to_read(card: dict[str, Any]) -> None:
    vote = ensemble(CANDIDATES[:2])
    row = card["candidates"][0]
    searched = copy.deepcopy(card)
    searched |= {"hyperparameters": vote.parameters, "champion": vote.name}
    searched["candidates"] = [
        {**row, "name": vote.name, "seconds": 0.0},
        {**row, "seconds": 12.34, "blocks": 2, "eligible": False},
    ]
    searched["search"] = {
        "rule": "At random.", "budget_seconds": 60.0, "seconds": 61.2, "ended_by": "interrupted", "tried": 2,
        "dropped": 1, "not_reached": 7, "not_tried": [{"family": "xgboost", "reason": "The package is missing."}],
    }  # fmt: skip
    text = render_card(searched)
    assert "2 configurations were tried in 61 s, until it was interrupted" in text
    assert "Not tried: xgboost (The package is missing)." in text
    assert "| dropped after 2 blocks | " in text
    assert "| 12.3 |" in text
    assert f"| member | {CANDIDATES[1].name} |" in text


@pytest.mark.parametrize(
    ("label", "kind", "target", "ranks_by"),
    [
        ("TB2", "barriers", "loss and timeout", "of a large-enough favourable move in time"),
        ("D1", "barriers", "loss and timeout", "that the nearer target comes before the nearer stop"),
        ("TB3", "barriers", "loss and timeout", "that the target comes before the stop, in time"),
        ("HIT", "target", "timeout", "that the target is touched in time (volatility, not direction)"),
        ("RX", "range", "timeout", "of a wide range (volatility, not direction)"),
        ("RX5", "range", "timeout", "of a wide range (volatility, not direction)"),
        ("RX", None, "timeout", "of a wide range (volatility, not direction)"),
        ("analyst", "analyst", "loss and timeout", "that a person judges the outcome a win"),
        ("mine", None, "loss and timeout", "of the outcome win by the label mine"),
    ],
)
def test_target_and_use_follow_the_label(
    folder: Path, label: str, kind: str | None, target: str, ranks_by: str
) -> None:
    evaluation, description = (json.loads((folder / f"{name}.json").read_text()) for name in ("evaluation", "dataset"))
    description["dataset"] |= {"label": label, "label_kind": kind}
    card = build_card(description, evaluation)
    assert card["target"] == f"probability of win against {target}"
    assert f"trained on by the chance {ranks_by}, blended with" in card["intended_use"]


def test_a_label_without_losses_is_said_nothing_of_barriers(tmp_path: Path) -> None:
    dataset = make_dataset(3000)
    dataset.events["outcome_label"] = dataset.events["outcome_label"].replace("loss", "timeout")
    made = fit(replace(dataset, label="RX", kind="range"), FitConfig(candidates=CANDIDATES[2:3]))
    folder = save(made, tmp_path)
    evaluation = evaluate_folder(folder)
    assert (evaluation["label_kind"], evaluation["target"]) == ("range", "win against timeout")
    write_card(folder)
    text = (folder / "model_card.md").read_text()
    for said in (text, json.dumps(evaluation, ensure_ascii=False)):
        for words in ("barrier comes first", "wins against losses", "without the timeouts", "favourable move"):
            assert words not in said
    assert "AUC, win against loss" not in text
    assert "a wide range" in evaluation["headline"]["sentence"]


def test_names_from_the_data_are_no_placeholders(folder: Path, card: dict[str, Any]) -> None:
    evaluation, description = (json.loads((folder / f"{name}.json").read_text()) for name in ("evaluation", "dataset"))
    description["example"] |= {"pattern_type": "<hammer>", "symbol": "TBD"}
    description["dataset"]["series"][0]["symbol"] = "XXX"
    named = build_card(description, evaluation)
    save_card(ModelFolder(folder), named)
    assert "'<hammer>'" in named["get_started"][1]["code"]
    validate_card(named)
    validate_card({**card, "contact": "Desk <desk@firm.test>, for p < 0.05 > nothing"})


def test_a_compiled_card_names_its_artefact(card: dict[str, Any]) -> None:
    validate_card(card)
    with pytest.raises(UserError, match="artefact_sha256 is missing"):
        validate_card(card, compiled=True)
    validate_card({**card, "artefact_sha256": "0" * 64}, compiled=True)


def test_stages_before_it_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no dataset\.json: run `trainer fit` first"):
        write_card(tmp_path)
