"""The history of an event: prediction, outcome and latency as they were at each change of status or outcome."""

from support import add_bars, go_live, insert_event, rows, value

KEPT = (
    "old_status",
    "new_status",
    "outcome_label",
    "model_version",
    "ml_confidence",
    "blended_confidence",
    "latency_us",
)


def test_it_holds_prediction_outcome_and_latency(db):
    add_bars(db)
    go_live(db)
    stored = insert_event(db, status="detected")
    latency = stored["ml_metadata"]["scoring"]["latency_us"]
    assert latency > 0
    for change in (
        "status = 'confirmed'",
        "outcome_label = 'win', realized_pnl = 0.02",
        "status = 'closed'",
        "outcome_label = 'loss'",
        "outcome_label = NULL, status = 'open'",
        "metadata = '{}', realized_pnl = 0.03",
    ):
        db.execute(f"UPDATE pattern_events SET {change}")
    score = ("toy", stored["ml_confidence"], stored["blended_confidence"], latency)
    assert [
        tuple(row[name] for name in KEPT) for row in rows(db, "SELECT * FROM pattern_lifecycle_history ORDER BY id")
    ] == [
        ("detected", "confirmed", None, *score),
        ("confirmed", "confirmed", "win", *score),
        ("confirmed", "closed", "win", *score),
        ("closed", "closed", "loss", *score),
        ("closed", "open", None, *score),
    ]
    assert value(db, "SELECT jsonb_array_length(ml_pattern_confidence(%s) -> 'history')", stored["id"]) == 5


def test_a_statement_of_many_rows_records_those_that_changed(db):
    for place in range(6):
        insert_event(db, status="new" if place % 2 else "old")
    db.execute("UPDATE pattern_events SET status = 'old', outcome_label = CASE WHEN status = 'old' THEN 'win' END")
    assert value(db, "SELECT count(*) FROM pattern_lifecycle_history") == 6
    db.execute("UPDATE pattern_events SET status = status, outcome_label = outcome_label")
    assert value(db, "SELECT count(*) FROM pattern_lifecycle_history") == 6
