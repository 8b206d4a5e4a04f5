"""The model card is complete, or it is refused."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_events import make_dataset

from trainer.errors import UserError
from trainer.evaluate import evaluate_folder
from trainer.evaluation.bootstrap import ABOVE, NOT_SHOWN
from trainer.fit import CANDIDATES, FitConfig, fit, save
from trainer.model_card import LIMITATIONS, REQUIRED, build_card, hash_of_names, validate_card, write_card


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = fit(make_dataset(900), FitConfig(candidates=CANDIDATES[:2]))
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
    assert card["limitations"][: len(LIMITATIONS)] == list(LIMITATIONS)
    assert "identity, that is, none" in card["limitations"][len(LIMITATIONS)]
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
    assert len(build_card(description, evaluation)["limitations"]) == len(LIMITATIONS) + 1
    holdout["auc_above"]["volatility"] = {"value": 0.01, "low": -0.02, "high": 0.04, "verdict": NOT_SHOWN}
    holdout["auc_win_vs_loss"] = {"value": 0.51, "low": 0.47, "high": 0.55, "verdict": NOT_SHOWN}
    said = build_card(description, evaluation)["limitations"][len(LIMITATIONS) + 1 :]
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


def test_a_compiled_card_names_its_artefact(card: dict[str, Any]) -> None:
    validate_card(card)
    with pytest.raises(UserError, match="artefact_sha256 is missing"):
        validate_card(card, compiled=True)
    validate_card({**card, "artefact_sha256": "0" * 64}, compiled=True)


def test_stages_before_it_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no dataset\.json: run `trainer fit` first"):
        write_card(tmp_path)
