"""The training set: what is in it, where its features come from, and what its hash covers."""

import dataclasses
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pytest

from trainer.bars import load_bars
from trainer.dataset import Dataset, load_dataset, mark_training_events
from trainer.errors import UserError
from trainer.harvest import harvest
from trainer.label import label_outcomes
from trainer.resources import sample_bars


@pytest.fixture
def labelled(db: psycopg.Connection[Any], tmp_path: Path) -> psycopg.Connection[Any]:
    """A database with 500 bars of two symbols, and their events labelled."""
    for symbol in ("IBM", "MSFT"):
        source = next(file for file in sample_bars() if file.name.startswith(symbol))
        file = tmp_path / f"{symbol}.csv"
        pd.read_csv(source).head(500).to_csv(file, index=False)
        load_bars(db, [file])
    harvest(db)
    label_outcomes(db)
    return db


def one_event(db: psycopg.Connection[Any]) -> Any:
    return db.execute(
        "SELECT id FROM public.pattern_events WHERE outcome_label IS NOT NULL ORDER BY id LIMIT 1"
    ).fetchone()[0]


def row_of(dataset: Dataset, event: Any) -> dict[str, float]:
    position = list(dataset.events["id"]).index(event)
    return dict(zip(dataset.feature_names, dataset.features[position], strict=True))


def test_features_are_those_of_the_database_definition(labelled: psycopg.Connection[Any]) -> None:
    dataset = load_dataset(labelled)
    names = [row[0] for row in labelled.execute("SELECT name FROM public.ml_features ORDER BY position")]
    assert list(dataset.feature_names) == names
    assert dataset.features.shape == (len(dataset), len(names))
    computed = labelled.execute(
        "SELECT e.id, to_jsonb((ml.compute_event_features(ROW(e.symbol, e.timeframe, e.pattern_type, NULL,"
        " e.detected_at, NULL, NULL, NULL, NULL, NULL, NULL)::ml.event_inputs)).features)"
        " FROM public.pattern_events AS e WHERE e.label_source = 'TB2'"
    ).fetchall()
    assert len(computed) == len(dataset) > 200
    for event, features in computed:
        expected = {name: np.nan if value is None else value for name, value in features.items()}
        assert row_of(dataset, event) == pytest.approx(expected, rel=0, abs=0, nan_ok=True)


def test_rows_are_ordered_and_described(labelled: psycopg.Connection[Any]) -> None:
    dataset = load_dataset(labelled)
    assert dataset.events["detected_at"].is_monotonic_increasing
    counts = dict(
        labelled.execute(
            "SELECT outcome_label, count(*) FROM public.pattern_events WHERE outcome_label IS NOT NULL GROUP BY 1"
        ).fetchall()
    )
    assert dataset.class_counts() == counts
    assert dataset.is_win.sum() == counts["win"]
    assert dataset.bar_period == timedelta(days=1)
    described = dataset.describe()
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert sum(series["events"] for series in described["series"]) == len(dataset)
    assert described["data_window"]["start"] == dataset.events["detected_at"].iloc[0].isoformat()


def test_stored_features_are_used_as_stored(labelled: psycopg.Connection[Any]) -> None:
    event = one_event(labelled)
    before = load_dataset(labelled)
    labelled.execute(
        'UPDATE public.pattern_events SET ml_features = \'{"rsi_14": 12.5, "adx_14": null}\' WHERE id = %s', [event]
    )
    after = load_dataset(labelled)
    row = row_of(after, event)
    assert row["rsi_14"] == 12.5
    assert all(np.isnan(value) for name, value in row.items() if name != "rsi_14")
    others = (after.events["id"] != event).to_numpy()
    np.testing.assert_array_equal(after.features[others], before.features[others])


def test_hash_covers_what_training_sees_and_nothing_else(labelled: psycopg.Connection[Any]) -> None:
    dataset = load_dataset(labelled)
    assert load_dataset(labelled).sha256() == dataset.sha256()
    labelled.execute("UPDATE public.pattern_events SET metadata = '{}', status = 'seen'")
    labelled.execute("SET timezone = 'Asia/Tokyo'; SET extra_float_digits = 0")
    assert load_dataset(labelled).sha256() == dataset.sha256()

    hashes = {dataset.sha256(), dataclasses.replace(dataset, label="other").sha256()}
    nudged = dataset.features.copy()
    nudged[3, 3] = np.nextafter(nudged[3, 3], np.inf)
    hashes.add(dataclasses.replace(dataset, features=nudged).sha256())
    hashes.add(dataset.take(np.arange(len(dataset) - 1)).sha256())
    names = (*dataset.feature_names[:-1], "renamed")
    hashes.add(dataclasses.replace(dataset, feature_names=names).sha256())
    swapped = dataset.events.assign(outcome_label=dataset.events["outcome_label"].to_numpy()[::-1])
    hashes.add(dataclasses.replace(dataset, events=swapped).sha256())
    assert len(hashes) == 6


def test_what_cannot_be_scored_is_left_out(labelled: psycopg.Connection[Any]) -> None:
    whole = load_dataset(labelled)
    invalid, no_bar = (
        row[0]
        for row in labelled.execute(
            "SELECT id FROM public.pattern_events WHERE outcome_label IS NOT NULL ORDER BY id LIMIT 2"
        ).fetchall()
    )
    labelled.execute("UPDATE public.pattern_events SET rule_confidence = 'NaN' WHERE id = %s", [invalid])
    labelled.execute("UPDATE public.pattern_events SET symbol = 'NOBARS' WHERE id = %s", [no_bar])
    labelled.execute("UPDATE public.pattern_events SET ml_features = NULL")
    dataset = load_dataset(labelled)
    assert dataset.left_out == 2
    assert set(whole.events["id"]) - set(dataset.events["id"]) == {invalid, no_bar}


def test_filters(labelled: psycopg.Connection[Any]) -> None:
    whole = load_dataset(labelled).events
    middle = whole["detected_at"].iloc[len(whole) // 2].to_pydatetime()
    assert set(load_dataset(labelled, symbols=["IBM"]).events["symbol"]) == {"IBM"}
    assert load_dataset(labelled, since=middle).events["detected_at"].min() >= middle
    assert load_dataset(labelled, until=middle).events["detected_at"].max() < middle
    quality = whole["data_quality_score"].median()
    assert load_dataset(labelled, min_quality=quality).events["data_quality_score"].min() >= quality
    with pytest.raises(UserError, match="no events with the label TB9"):
        load_dataset(labelled, label="TB9")
    with pytest.raises(UserError, match="no events"):
        load_dataset(labelled, timeframes=["1h"])


def test_marking_changes_two_columns_only(labelled: psycopg.Connection[Any]) -> None:
    dataset = load_dataset(labelled)
    rest = (
        "SELECT to_jsonb(e) - ARRAY['used_for_training', 'training_split'] FROM public.pattern_events AS e ORDER BY id"
    )
    logged = "SELECT count(*) FROM public.ml_predictions"
    before = labelled.execute(rest).fetchall(), labelled.execute(logged).fetchone()
    splits = ["train"] * (len(dataset) - 30) + ["purged"] * 10 + ["holdout"] * 20
    assert mark_training_events(labelled, dataset, splits) == len(dataset)
    assert mark_training_events(labelled, dataset, splits) == 0
    assert (labelled.execute(rest).fetchall(), labelled.execute(logged).fetchone()) == before
    marks = labelled.execute(
        "SELECT training_split, used_for_training, count(*) FROM public.pattern_events"
        " WHERE label_source = 'TB2' GROUP BY 1, 2 ORDER BY 1"
    ).fetchall()
    assert marks == [("holdout", False, 20), ("purged", False, 10), ("train", True, len(dataset) - 30)]

    part = dataset.take(np.arange(50))
    mark_training_events(labelled, part, ["train"] * 50)
    used = labelled.execute("SELECT count(*) FROM public.pattern_events WHERE used_for_training").fetchone()
    assert used == (50,)


def test_label_stage_reports_and_is_resumable(db: psycopg.Connection[Any], tmp_path: Path) -> None:
    source = next(file for file in sample_bars() if file.name.startswith("IBM"))
    file = tmp_path / "bars.csv"
    pd.read_csv(source).head(420).to_csv(file, index=False)
    load_bars(db, [file])
    found = harvest(db).events
    steps: list[tuple[str, int, int]] = []
    report = label_outcomes(db, progress=lambda *step: steps.append(step))
    assert report.examined == found == report.labelled + report.pending
    assert report.win + report.loss + report.timeout == report.labelled > 0
    assert steps[-1] == ("label TB2", found, found)
    again = label_outcomes(db)
    assert (again.examined, again.labelled) == (report.pending, 0)
    assert label_outcomes(db, relabel=True).labelled == 0
    with pytest.raises(UserError, match="--horizon is 0"):
        label_outcomes(db, horizon=0)


def test_batches_cover_every_event_once(
    db: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.label.EVENTS_PER_BATCH", 7)
    source = next(file for file in sample_bars() if file.name.startswith("IBM"))
    file = tmp_path / "bars.csv"
    pd.read_csv(source).head(420).to_csv(file, index=False)
    load_bars(db, [file])
    found = harvest(db).events
    steps: list[int] = []
    report = label_outcomes(db, progress=lambda _, done, __: steps.append(done))
    assert report.examined == found
    assert len(steps) > 5
    assert steps == sorted(set(steps))
    left = db.execute("SELECT count(*) FROM public.pattern_events WHERE outcome_label IS NULL").fetchone()
    assert left == (report.pending,)


def test_labels_stand_side_by_side(labelled: psycopg.Connection[Any]) -> None:
    default = load_dataset(labelled)
    shown = "SELECT id, outcome_label, label_source FROM public.pattern_events ORDER BY id"
    before = labelled.execute(shown).fetchall()
    hashes = {default.sha256()}
    for label in ("D1", "HIT", "RX"):
        report = label_outcomes(labelled, label=label)
        dataset = load_dataset(labelled, label=label)
        assert len(dataset) == report.labelled > 200
        assert dataset.class_counts() == {"win": report.win, "loss": report.loss, "timeout": report.timeout}
        assert dataset.definition is not None
        assert dataset.describe()["label_definition"] == dataset.definition
        hashes.add(dataset.sha256())
        # Marks belong to the label that an event shows.
        assert mark_training_events(labelled, dataset, ["train"] * len(dataset)) == 0
    assert len(hashes) == 4
    assert load_dataset(labelled).sha256() == default.sha256()
    assert labelled.execute(shown).fetchall() == before
    with pytest.raises(UserError, match="there is no label definition D7: take one of D1, HIT, RX, TB2"):
        label_outcomes(labelled, label="D7")


def test_an_outcome_counts_as_known_when_its_window_ends(labelled: psycopg.Connection[Any]) -> None:
    # The last windows are not all there any more, though some of their outcomes were known early.
    labelled.execute(
        "DELETE FROM public.price_bars AS b WHERE b.ts > (SELECT max(n.ts) FROM public.price_bars AS n) - interval '9 days'"
    )
    events = load_dataset(labelled).events.set_index("id")
    windows = dict(
        labelled.execute(
            "SELECT e.id, w.window_ends_at FROM public.pattern_events AS e, ml.label_window(e.id) AS w"
            " WHERE e.label_source = 'TB2'"
        ).fetchall()
    )
    assert set(windows) >= set(events.index)
    windows = {event: windows[event] for event in events.index}
    ended = {event: window for event, window in windows.items() if window is not None}
    assert 200 < len(ended) < len(windows)
    assert {event: events.loc[event, "known_at"] for event in ended} == ended
    assert (events["outcome_at"] < events["known_at"]).mean() > 0.3
    usual = max(window - events.loc[event, "detected_at"] for event, window in ended.items())
    for event in set(windows) - set(ended):
        assert events.loc[event, "known_at"] == events.loc[event, "detected_at"] + usual
    # A label of one's own has no window; one without a time is never known.
    labelled.execute("UPDATE public.pattern_events SET label_source = 'OWN' WHERE label_source = 'TB2'")
    labelled.execute("UPDATE public.pattern_events SET outcome_at = NULL WHERE id = %s", [events.index[7]])
    own = load_dataset(labelled, label="OWN").events.set_index("id")
    assert own["known_at"].equals(own["outcome_at"])
    assert own["known_at"].isna().sum() == 1


def test_an_analysts_label_wins_in_the_default_set_alone(labelled: psycopg.Connection[Any]) -> None:
    label_outcomes(labelled, label="D1")
    default, other = load_dataset(labelled), load_dataset(labelled, label="D1")
    chosen = default.events.iloc[50]
    outcome = "win" if chosen["outcome_label"] != "win" else "loss"
    labelled.execute("SELECT ml.set_label(%s, %s, 'seen on the chart')", [chosen["id"], outcome])
    judged = load_dataset(labelled)
    assert list(judged.events["id"]) == list(default.events["id"])
    assert judged.events.iloc[50]["outcome_label"] == outcome
    # What the bars showed early is not when a person who disagrees knew better.
    window = labelled.execute("SELECT window_ends_at FROM ml.label_window(%s)", [chosen["id"]]).fetchone()
    assert judged.events.iloc[50]["outcome_at"] == window[0]
    assert judged.events.drop(index=50).equals(default.events.drop(index=50))
    assert judged.sha256() != default.sha256()
    assert load_dataset(labelled, label="D1").sha256() == other.sha256()
    assert mark_training_events(labelled, judged, ["train"] * len(judged)) == len(judged)
    labelled.execute("SELECT ml.withdraw_label(%s, 'was wrong')", [chosen["id"]])
    assert load_dataset(labelled).sha256() == default.sha256()


def test_live_backfilled_and_training_features_are_equal_bit_for_bit(labelled: psycopg.Connection[Any]) -> None:
    """One definition, three ways: stored by an INSERT, stored by a backfill, computed for an event that has none."""
    events = labelled.execute(
        "SELECT id, symbol, timeframe, pattern_type, detected_at, rule_confidence FROM public.pattern_events"
        " WHERE outcome_label IS NOT NULL ORDER BY id"
    ).fetchall()
    computed = load_dataset(labelled)
    exact = (
        "SELECT e.id, array_send(ml.feature_array(jsonb_populate_record(NULL::ml.feature_vector, e.ml_features)))"
        " FROM public.pattern_events AS e WHERE e.model_version IS NOT NULL ORDER BY e.id"
    )

    def insert() -> None:
        labelled.execute("DELETE FROM public.pattern_events")
        with labelled.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO public.pattern_events (id, symbol, timeframe, pattern_type, detected_at, rule_confidence)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                events,
            )

    insert()
    labelled.execute("SELECT ml.enable()")
    assert labelled.execute("SELECT ml.backfill() ->> 'scored'").fetchone() == (str(len(events)),)
    backfilled = labelled.execute(exact).fetchall()
    insert()
    live = labelled.execute(exact).fetchall()
    assert len(events) > 200
    assert [row[0] for row in live] == [row[0] for row in events]
    assert live == backfilled
    logged = labelled.execute(
        "SELECT event_id, count(*), count(DISTINCT source), count(DISTINCT array_send(features)),"
        " count(DISTINCT feature_hash) FROM public.ml_predictions WHERE model_version IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert logged == [(row[0], 2, 2, 1, 1) for row in events]
    label_outcomes(labelled)
    stored = load_dataset(labelled)
    assert list(stored.events["id"]) == list(computed.events["id"])
    assert stored.features.tobytes() == computed.features.tobytes()
    by_id = dict(live)
    for event, features in zip(stored.events["id"], stored.features, strict=True):
        sent = np.array([np.nan if v is None else v for v in features], dtype=">f8")
        assert _values_of(by_id[event]) == sent.tobytes()


def _values_of(sent: bytes) -> bytes:
    """Take the values out of the binary form of a float8[] (20 bytes of header; NULL as length -1)."""
    values, position = [], 20
    while position < len(sent):
        length = int.from_bytes(sent[position : position + 4], "big", signed=True)
        position += 4
        values.append(np.array(np.nan, dtype=">f8").tobytes() if length < 0 else sent[position : position + 8])
        position += max(0, length)
    return b"".join(values)


def test_a_database_without_tables_is_a_sentence(empty_db: psycopg.Connection[Any]) -> None:
    with pytest.raises(UserError, match="alembic upgrade head"):
        load_dataset(empty_db)
    with pytest.raises(UserError, match="alembic upgrade head"):
        label_outcomes(empty_db)
