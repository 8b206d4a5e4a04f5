"""The audit of deployments: who switched what, the first prediction under it, and how many events followed."""

from support import add_bars, champion, go_live, insert_event, install_model, predictions, rows, value


def audit(db):
    return rows(db, "SELECT * FROM ml_deployment_audit WHERE action <> 'install' ORDER BY deployment_id")


def test_every_switch_has_its_first_prediction_and_its_events(db):
    add_bars(db)
    start = champion(db)
    insert_event(db)  # disabled: a row of the rule
    go_live(db, "a")
    events = [insert_event(db) for _ in range(3)]
    db.execute("UPDATE pattern_events SET rule_confidence = 0.5 WHERE id = %s", (events[0]["id"],))
    install_model(db, "b")
    db.execute("SELECT ml.promote('b', 'a', 'better')")
    events += [insert_event(db) for _ in range(2)]
    db.execute("SELECT ml.disable('a pause')")
    insert_event(db)
    db.execute("SELECT ml.set_rollout(50, 'no switch of who scores')")
    db.execute("SELECT ml.set_rollout(100)")
    db.execute("SELECT ml.rollback('worse')")
    db.execute("SELECT ml.enable('go on')")
    events += [insert_event(db) for _ in range(4)]
    db.execute("SELECT ml.rescore('b', now() - interval '1 hour')")

    found = audit(db)
    assert [(row["action"], row["version"], row["reason"], row["events_scored"]) for row in found] == [
        ("promote", "a", "test", 3),
        ("enable", "a", "test", 3),
        ("promote", "b", "better", 2),
        ("disable", "b", "a pause", 0),
        ("rollback", "a", "worse", 4),
        ("enable", "a", "go on", 4),
    ]
    firsts = {str(row["first_prediction_id"]) for row in found if row["first_prediction_id"]}
    assert firsts == {events[place]["ml_metadata"]["scoring"]["prediction_id"] for place in (0, 3, 5)}
    logged = {row["id"]: row["predicted_at"] for row in predictions(db)}
    switches = ("enable", "disable")
    for place, row in enumerate(found):
        # Which version is live and whether ML is on end each other separately.
        later = [other for other in found[place + 1 :] if (other["action"] in switches) == (row["action"] in switches)]
        following = later[0] if later else None
        assert row["actor"] == value(db, "SELECT session_user::text")
        assert row["previous_version"] == {"promote": {"a": start, "b": "a"}.get(row["version"]), "rollback": "b"}.get(
            row["action"]
        )
        assert row["until"] == (following["occurred_at"] if following else None)
        if row["first_prediction_id"]:
            assert row["first_predicted_at"] == logged[row["first_prediction_id"]]
            assert row["occurred_at"] <= row["first_predicted_at"]


def test_shadows_backfills_and_other_versions_are_not_counted(db):
    add_bars(db)
    go_live(db, "a")
    stored = insert_event(db)
    for role, source, version in (
        ("shadow", "insert", "a"), ("challenger", "insert", "b"), ("champion", "backfill", "a"),
        ("champion", "external", "a"), ("champion", "update", "a"), ("champion", "insert", "b"),
    ):  # fmt: skip
        db.execute(
            "INSERT INTO ml_predictions (event_id, source, role, model_version) VALUES (%s, %s, %s, %s)",
            (stored["id"], source, role, version),
        )
    assert audit(db)[-1]["events_scored"] == 1


def test_a_challenger_has_its_first_prediction_too(db):
    add_bars(db)
    go_live(db, "a")
    install_model(db, "b", probability=0.2)
    db.execute("SELECT ml.set_challenger('b', 'in shadow')")
    insert_event(db)
    db.execute("SELECT ml.set_challenger('b', 'canary', 100)")
    stored = insert_event(db)
    shadow, named, canary = (row for row in audit(db) if row["version"] == "b")
    assert [row["action"] for row in (shadow, named, canary)] == ["challenger", "challenger", "canary"]
    assert (shadow["first_prediction_id"], shadow["events_scored"]) == (None, 0)
    assert str(canary["first_prediction_id"]) == stored["ml_metadata"]["scoring"]["prediction_id"]
    assert canary["events_scored"] == 1


def test_the_view_reads_with_the_callers_rights(db):
    assert "security_invoker=true" in value(
        db, "SELECT reloptions FROM pg_class WHERE oid = 'public.ml_deployment_audit'::regclass"
    )


def test_full_hours_are_counted_from_the_roll_ups_and_outlive_the_log(db):
    db.execute("SELECT ml.create_prediction_partitions(now() - interval '2 weeks', 4)")
    go_live(db, "a")
    for minutes in (700, 515, 500, 333, 61, 0.5):
        db.execute(
            "INSERT INTO ml_deployments (occurred_at, action, version)"
            " VALUES (now() - %s * interval '1 minute', 'rollback', 'a')",
            (minutes,),
        )
    db.execute(
        "INSERT INTO ml_predictions (event_id, source, role, model_version, predicted_at)"
        " SELECT gen_random_uuid(), 'insert', 'champion', 'a', now() - n * interval '97 seconds'"
        " FROM generate_series(0, 450) AS n"
    )

    def counted():
        return {row["deployment_id"]: row["events_scored"] for row in audit(db) if row["reason"] is None}

    by_hand = {
        row["deployment_id"]: value(
            db,
            "SELECT count(*) FROM ml_predictions WHERE predicted_at >= %s AND predicted_at < coalesce(%s::timestamptz, 'infinity')",
            row["occurred_at"],
            row["until"],
        )
        for row in audit(db)
        if row["reason"] is None
    }
    assert sum(by_hand.values()) > 400
    assert counted() == by_hand
    assert value(db, "SELECT ml.roll_up()")["status"] == "done"
    assert counted() == by_hand
    # Weeks that retention has taken out of the log.
    db.execute("DELETE FROM ml_predictions WHERE predicted_at < date_trunc('hour', now()) - interval '4 hours'")
    first = min(by_hand)
    assert 0 < by_hand[first] - 2 * 3600 / 97 <= counted()[first] <= by_hand[first]
