"""A calibrator with parts: the most specific part for an event's symbol and timeframe is taken, everywhere alike."""

import pytest
from support import PROBABILITY, add_bars, champion, insert_event, install_model, predictions, rows, value

WHOLE, DAILY, OWN = 0.5, 0.6, 0.7
"""What the calibrator makes of every score: as a whole, for daily bars, for TEST's daily bars."""


def add_calibrator(db, model):
    """Register an isotonic calibrator of constant value, with a part for 1d and one for TEST's 1d."""
    for version, parent, symbol, timeframe, level in (
        (f"{model}-c1", None, None, None, WHOLE),
        (f"{model}-c1/1d", f"{model}-c1", None, "1d", DAILY),
        (f"{model}-c1/TEST/1d", f"{model}-c1", "TEST", "1d", OWN),
    ):
        db.execute(
            "INSERT INTO ml_calibrators"
            " (calibrator_version, model_version, method, knots_x, knots_y, parent_version, symbol, timeframe)"
            " VALUES (%s, %s, 'isotonic', '{0.5}', ARRAY[%s::float8], %s, %s, %s)",
            (version, model, level, parent, symbol, timeframe),
        )


@pytest.fixture
def live(db):
    """Make a model with such a calibrator champion; bars of three series are there."""
    add_bars(db)
    add_bars(db, "OTHER", seed=2)
    add_bars(db, "TEST", timeframe="1w", seed=3)
    install_model(db, "toy")
    add_calibrator(db, "toy")
    db.execute("SELECT ml.promote('toy', %s, 'test', true)", (champion(db),))
    db.execute("SELECT ml.enable()")
    return db


SERIES = (
    ("TEST", "1d", OWN, "toy-c1/TEST/1d"),
    ("OTHER", "1d", DAILY, "toy-c1/1d"),
    ("TEST", "1w", WHOLE, "toy-c1"),
)


@pytest.mark.parametrize(("symbol", "timeframe", "level", "version"), SERIES)
def test_the_most_specific_part_is_taken(live, symbol, timeframe, level, version):
    stored = insert_event(live, symbol=symbol, timeframe=timeframe)
    assert (stored["ml_confidence_raw"], stored["ml_confidence"]) == (PROBABILITY, level)
    (logged,) = predictions(live)
    assert logged["calibrator_version"] == version
    assert value(live, "SELECT ml.replay(%s)", logged["id"])["equal"] is True


def test_backfill_takes_the_same_parts(live):
    live.execute("SELECT ml.disable()")
    for symbol, timeframe, *_ in SERIES:
        insert_event(live, symbol=symbol, timeframe=timeframe)
    live.execute("SELECT ml.enable()")
    assert value(live, "SELECT ml.backfill()")["scored"] == 3
    found = rows(
        live,
        "SELECT e.symbol, e.timeframe, e.ml_confidence, p.calibrator_version FROM pattern_events AS e"
        " JOIN ml_predictions AS p ON p.event_id = e.id AND p.source = 'backfill'",
    )
    assert {tuple(row.values()) for row in found} == set(SERIES)


def test_rescoring_takes_the_same_parts(live):
    install_model(live, "bad", probability=0.9)
    live.execute("SELECT ml.promote('bad', 'toy', 'test')")
    since = value(live, "SELECT now()")
    for symbol, timeframe, *_ in SERIES:
        insert_event(live, symbol=symbol, timeframe=timeframe)
    live.execute("SELECT ml.rollback('test')")
    assert value(live, "SELECT ml.rescore('bad', %s, p_reason => 'test')", since)["scored"] == 3
    found = rows(
        live,
        "SELECT symbol, timeframe, ml_confidence, ml_metadata #>> '{scoring,calibrator_version}' FROM pattern_events",
    )
    assert {tuple(row.values()) for row in found} == set(SERIES)


@pytest.mark.parametrize(("symbol", "timeframe", "level", "version"), SERIES)
def test_a_shadow_takes_the_same_parts(live, symbol, timeframe, level, version):
    install_model(live, "next", probability=0.2)
    add_calibrator(live, "next")
    live.execute("SELECT ml.set_challenger('next', 'test')")
    insert_event(live, symbol=symbol, timeframe=timeframe)
    (shadow,) = rows(live, "SELECT * FROM ml_predictions WHERE role = 'shadow'")
    assert (shadow["ml_confidence"], shadow["calibrator_version"]) == (level, version.replace("toy", "next"))


def test_an_update_reuses_the_score_of_a_part(live):
    insert_event(live)
    live.execute("UPDATE pattern_events SET start_at = detected_at - interval '1 day'")
    assert [row["ml_confidence"] for row in predictions(live)] == [OWN, OWN]
    live.execute("UPDATE pattern_events SET symbol = 'OTHER'")
    assert predictions(live)[-1]["ml_confidence"] == DAILY


def test_the_parts_are_not_what_a_promotion_takes(live):
    assert value(live, "SELECT calibrator_version FROM ml_aliases WHERE alias = 'champion'") == "toy-c1"
