"""The record of holdouts: every fit that was looked at counts, whatever became of its folder."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from synthetic_events import make_dataset

from trainer.artefact import ModelFolder, released_folders
from trainer.evaluate import evaluate_folder
from trainer.evaluation.holdout_record import FILE, record_look
from trainer.fit import CANDIDATES, FitConfig, fit, save

AT = datetime(2026, 1, 2, tzinfo=UTC)


def description(
    version: str = "local-1", data: str = "d1", configuration: str = "c1", **changed: Any
) -> dict[str, Any]:
    return {
        "version": version,
        "configuration_sha256": configuration,
        "dataset": {
            "sha256": data,
            "label": "TB2",
            "series": [{"symbol": name, "timeframe": "1d"} for name in changed.get("symbols", ["AAPL", "IBM"])],
        },
        "holdout": {
            "data_window": {
                "start": changed.get("start", "2012-01-01T00:00:00+00:00"),
                "end": changed.get("end", "2013-01-01T00:00:00+00:00"),
            }
        },
    }


def counts(models: Path, **changed: Any) -> tuple[int, int]:
    found = record_look(models, description(**changed), at=AT, released=())
    assert found.recorded
    return found.same_data, found.overlapping_data


def test_only_other_fits_before_count(tmp_path: Path) -> None:
    assert counts(tmp_path) == (0, 0)
    assert counts(tmp_path) == (0, 0)
    assert counts(tmp_path, configuration="c2") == (1, 0)
    # The first one was first, however often it is evaluated again.
    assert counts(tmp_path) == (0, 0)
    assert counts(tmp_path, configuration="c3") == (2, 0)
    assert len((tmp_path / FILE).read_text().splitlines()) == 3
    assert json.loads((tmp_path / FILE).read_text().splitlines()[0])["first_looked_at"] == AT.isoformat()


def test_data_that_share_events_count_apart(tmp_path: Path) -> None:
    counts(tmp_path)
    assert counts(tmp_path, data="d2", start="2012-06-01T00:00:00+00:00", end="2014-01-01T00:00:00+00:00") == (0, 1)
    assert counts(tmp_path, data="d3", symbols=["MSFT"]) == (0, 0)
    assert counts(tmp_path, data="d4", start="2015-01-01T00:00:00+00:00", end="2016-01-01T00:00:00+00:00") == (0, 0)
    assert counts(tmp_path, data="d5", symbols=["IBM", "MSFT"]) == (0, 3)


def test_the_sentence_says_how_often(tmp_path: Path) -> None:
    said = record_look(tmp_path, description(), released=()).sentence()
    assert said == "According to holdouts.jsonl and the released models, none was evaluated on this holdout before."
    again = record_look(tmp_path, description(configuration="c2"), released=()).sentence()
    assert "looked at before: by 1 earlier fit of this data set; the more" in again
    other = record_look(tmp_path, description(data="d2"), released=()).sentence()
    assert "looked at before: by 2 earlier fits of data that overlap with it; the more" in other


def as_released(version: str, **changed: Any) -> dict[str, Any]:
    """Describe a fit of the data that a released model was fitted on."""
    card = next(folder for folder in released_folders() if folder.version == version).card
    return {
        "version": "local-1",
        "configuration_sha256": "c1",
        "dataset": {"sha256": card["dataset_sha256"], "label": "TB2", "series": card["series"]},
        "holdout": card["holdout"],
    } | changed


def test_released_models_have_looked_at_the_holdout_of_the_shipped_bars(tmp_path: Path) -> None:
    found = record_look(tmp_path, as_released("v0001"))
    assert (found.released_same_data, found.released_overlapping_data) == (2, 0)
    assert "before: by 2 released models and 0 earlier fits of this data set; the more" in found.sentence()
    # Read again, and with other hyper-parameters, they are as many.
    assert record_look(tmp_path, as_released("v0001")) == found
    second = record_look(tmp_path, as_released("v0001", configuration_sha256="c2")).sentence()
    assert "by 2 released models and 1 earlier fit of this data set" in second


def test_released_models_of_the_same_bars_at_the_same_time_overlap(tmp_path: Path) -> None:
    found = record_look(tmp_path, description())
    assert (found.released_same_data, found.released_overlapping_data) == (0, 2)
    assert "by 2 released models and 0 earlier fits of data that overlap with it" in found.sentence()
    for elsewhere in (
        {"symbols": ["EURUSD"]},
        {"start": "2020-01-01T00:00:00+00:00", "end": "2021-01-01T00:00:00+00:00"},
    ):
        apart = record_look(tmp_path / "absent", description(**elsewhere))
        assert (apart.released_same_data, apart.released_overlapping_data) == (0, 0)


def test_a_model_that_was_fitted_here_and_released_counts_once(tmp_path: Path) -> None:
    card = released_folders()[0].card
    own = as_released("v0001", configuration_sha256=card["configuration_sha256"])
    assert record_look(tmp_path, own).released_same_data == 0
    later = record_look(tmp_path, as_released("v0001"))
    assert (later.same_data, later.released_same_data) == (1, 0)


def test_a_released_model_without_its_card_is_named(tmp_path: Path) -> None:
    found = record_look(tmp_path, description(), released=[ModelFolder(tmp_path / "v0009")])
    assert found.unreadable_lines == 1
    assert "1 lines of the record or released models cannot be read" in found.sentence()


def test_lines_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    counts(tmp_path)
    with (tmp_path / FILE).open("a") as record:
        record.write('not JSON\n[]\n{"dataset_sha256": "d1"}\n')
    found = record_look(tmp_path, description(configuration="c2"))
    assert (found.same_data, found.unreadable_lines) == (1, 3)
    assert "3 lines of the record or released models cannot be read" in found.sentence()
    assert len((tmp_path / FILE).read_text().splitlines()) == 5


def test_a_record_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    found = record_look(tmp_path / "absent", description())
    assert not found.recorded
    assert "this look could not be recorded" in found.sentence()


def test_fits_are_recorded_when_they_are_evaluated(tmp_path: Path) -> None:
    first, second = (
        save(fit(make_dataset(900), FitConfig(candidates=(CANDIDATES[2],), seed=seed)), tmp_path) for seed in (1, 2)
    )
    assert not (tmp_path / FILE).exists()
    assert evaluate_folder(first)["holdout_uses"]["same_data"] == 0
    shutil.rmtree(first)
    evaluation = evaluate_folder(second)
    assert evaluation["holdout_uses"]["same_data"] == 1
    assert evaluation["holdout_uses"]["sentence"] in evaluation["notes"]
    assert evaluation["holdout_uses"]["sentence"] in evaluation["conclusions"]
    assert evaluate_folder(second) == evaluation


@pytest.mark.parametrize("written", ["2012-01-01", "2012-01-01T00:00:00"])
def test_times_without_a_zone_are_unreadable_not_wrong(tmp_path: Path, written: str) -> None:
    counts(tmp_path)
    line = json.loads((tmp_path / FILE).read_text())
    line |= {"dataset_sha256": "other", "holdout": {"start": written, "end": written}}
    with (tmp_path / FILE).open("a") as record:
        record.write(json.dumps(line) + "\n")
    found = record_look(tmp_path, description(configuration="c2"))
    assert (found.same_data, found.overlapping_data, found.unreadable_lines) == (1, 0, 1)
