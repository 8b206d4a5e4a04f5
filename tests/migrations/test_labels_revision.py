"""Labels that were there before pattern_labels: taken over, kept through a downgrade, never the user's own."""

import pytest
from support import START, add_bars, insert_event, one, rows, value

LABELS = "SELECT id, outcome_label, outcome_at, label_source, realized_pnl FROM pattern_events ORDER BY id"


def test_automatic_labels_are_taken_over_and_others_are_left(empty_db, upgrade, downgrade):
    upgrade("0007")
    times = add_bars(empty_db)
    for day in (200, 250, 260):
        insert_event(empty_db, detected_at=times[day])
    empty_db.execute("SELECT ml.label_outcomes()")
    own = insert_event(empty_db, outcome_label="win", label_source="desk", outcome_at=times[295])["id"]
    pending = insert_event(empty_db, detected_at=times[-1])["id"]
    before = rows(empty_db, LABELS)

    upgrade()
    assert rows(empty_db, LABELS) == before
    taken = rows(empty_db, "SELECT * FROM pattern_labels ORDER BY id")
    assert {(row["event_id"], row["outcome_label"], row["outcome_at"], row["realized_pnl"]) for row in taken} == {
        (row["id"], row["outcome_label"], row["outcome_at"], row["realized_pnl"])
        for row in before
        if row["id"] not in (own, pending)
    }
    assert value(empty_db, "SELECT ml.label_outcomes() ->> 'examined'") == "2"
    # Looked at again, they get the number of bars that the columns had no place for.
    assert value(empty_db, "SELECT ml.label_outcomes(p_relabel => true) ->> 'labelled'") == "3"
    assert (
        value(empty_db, "SELECT count(*) FROM pattern_labels WHERE bars_to_outcome > 0 AND withdrawn_at IS NULL") == 4
    )
    assert rows(empty_db, LABELS) == before

    labelled = taken[0]["event_id"]
    empty_db.execute("SELECT ml.set_label(%s, 'loss', 'seen')", [labelled])
    shown = rows(empty_db, LABELS)
    downgrade("0008")
    with pytest.raises(SystemExit, match="history of labels"):
        downgrade("0007", drop_data=False)
    downgrade("0007")
    assert rows(empty_db, LABELS) == shown
    assert value(empty_db, "SELECT to_regclass('pattern_labels') IS NULL")
    assert value(empty_db, "SELECT ml.label_outcomes() ->> 'labelled'") == "0"
    upgrade()
    assert rows(empty_db, LABELS) == shown
    assert value(empty_db, "SELECT count(*) FROM pattern_labels") == 2


def test_a_taken_name_is_said(empty_db, upgrade):
    upgrade("0007")
    empty_db.execute("CREATE TABLE pattern_labels (mine text)")
    with pytest.raises(Exception, match=r"public\.pattern_labels exist already.*rename or move"):
        upgrade()
    assert value(empty_db, "SELECT to_regclass('ml_label_definitions') IS NULL")


def test_events_of_an_adopted_table_are_labelled_beside_their_own_labels(empty_db, upgrade):
    empty_db.execute(
        "CREATE TABLE pattern_events (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), symbol text, timeframe text,"
        " pattern_type text, detected_at timestamptz, rule_confidence float8, outcome_label text,"
        " CHECK (outcome_label IN ('hit', 'miss')))"
    )
    empty_db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence, outcome_label)"
        " VALUES ('TEST', '1d', 'hammer', %s, 0.6, 'hit')",
        [START.replace(month=9)],
    )
    upgrade()
    add_bars(empty_db)
    empty_db.execute(
        "INSERT INTO pattern_events (symbol, timeframe, pattern_type, detected_at, rule_confidence)"
        " SELECT symbol, timeframe, pattern_type, detected_at, rule_confidence FROM pattern_events"
    )
    warned: list[str] = []
    empty_db.add_notice_handler(lambda notice: warned.append(notice.message_primary or ""))
    # The user's own words for outcomes refuse ours: those stay beside.
    assert value(empty_db, "SELECT ml.label_outcomes() ->> 'labelled'") == "2"
    assert len(warned) == 1
    assert warned[0].startswith("the label columns of pattern_events stay as they are: new row")
    free = value(empty_db, "SELECT id FROM pattern_events WHERE outcome_label IS NULL")
    said = value(empty_db, "SELECT ml.set_label(%s, 'win', 'seen')", free)
    assert (said["outcome_label"], said["in_event"]) == ("win", False)
    assert value(empty_db, "SELECT count(*) FROM ml.training_dataset()") == 2
    assert one(empty_db, "SELECT label_source FROM pattern_events WHERE id = %s", free) == {"label_source": None}
    empty_db.execute("DELETE FROM pattern_events WHERE id = %s", [free])
    event = one(empty_db, "SELECT * FROM pattern_events")
    assert (event["outcome_label"], event["label_source"], event["outcome_at"]) == ("hit", None, None)
    empty_db.execute("SELECT ml.set_label(%s, 'timeout', 'seen')", [event["id"]])
    assert one(empty_db, "SELECT * FROM pattern_events") == event
    assert value(empty_db, "SELECT outcome_label FROM ml.training_dataset()") == "timeout"
