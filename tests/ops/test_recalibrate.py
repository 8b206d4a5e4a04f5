"""ml.recalibrate: what it registers, what it refuses, and that its figures are those of the trainer."""

import threading
from datetime import datetime, timedelta

import numpy as np
import psycopg
import pytest
from recalibration_data import DAY, FIRST, log_outcomes, log_predictions, sample, with_history
from support import add_bars, champion, go_live, insert_event, install_model, one, rows, value

from trainer.calibration import Calibrator, fit_calibrator
from trainer.metrics import clustered_mean, log_losses

CARD_KEYS = {
    "made_by", "made_at", "reason", "forced", "rule", "rows", "wins", "rows_sha256", "window", "left_out", "auc",
    "judged_on", "metrics", "compared_with", "candidates", "segments",
}  # fmt: skip


def recalibrate(db, **arguments):
    named = ", ".join(f"p_{name} => %s" for name in arguments)
    return value(db, f"SELECT ml.recalibrate({named})", *arguments.values())


def calibrators(db, version="toy"):
    return rows(db, "SELECT * FROM ml_calibrators WHERE model_version = %s ORDER BY created_at", version)


def probability(row, raw):
    return Calibrator.from_json(row)(np.asarray(raw))


def rounded(node):
    """Return JSON with ten digits: sums may be taken in another order."""
    if isinstance(node, dict):
        return {key: rounded(child) for key, child in node.items()}
    if isinstance(node, list):
        return [rounded(child) for child in node]
    return float(f"{node:.10g}") if isinstance(node, float) else node


def test_a_miscalibrated_model_gets_a_calibrator(db):
    data = with_history(db)
    result = recalibrate(db, reason="a test")
    assert (result["status"], result["registered"], result["calibrator_version"]) == ("registered", True, "toy-1")
    (stored,) = calibrators(db)
    assert (stored["calibrator_version"], stored["method"], stored["parent_version"]) == ("toy-1", "sigmoid", None)
    grid = np.linspace(0, 1, 21)
    expected = fit_calibrator("sigmoid", data["raw"], data["is_win"])(grid)
    assert result["rows"] == len(data["raw"])
    np.testing.assert_allclose(probability(stored, grid), expected, rtol=0, atol=1e-9)
    after, before = result["metrics"], result["compared_with"]["metrics"]
    assert after["ece"]["value"] < 0.07 < 0.09 < before["ece"]["value"]
    for figures in (after, before):
        for name in ("ece", "brier", "log_loss"):
            assert figures[name]["low"] <= figures[name]["value"] <= figures[name]["high"]
    assert "toy-1" in result["sentence"]


def test_the_gate_compares_on_the_same_events(db):
    """The champion's card speaks of earlier events; an error that has grown since must not keep the remedy out."""
    with_history(db, count=3000)
    result = recalibrate(db)
    gate = one(
        db,
        "SELECT * FROM ml.check_quality('toy', 'toy-1') WHERE gate = 'calibration against champion'",
    )
    ours, theirs = result["metrics"]["ece"]["value"], result["compared_with"]["metrics"]["ece"]["value"]
    assert gate["passed"]
    assert f"error {ours:.4f} against {theirs:.4f} of champion toy on the same events" in gate["detail"]


def test_it_goes_live_by_promotion_alone(db):
    with_history(db, count=3000)
    add_bars(db)
    result = recalibrate(db)
    assert insert_event(db)["ml_confidence"] == pytest.approx(0.85)
    assert one(db, "SELECT * FROM ml_aliases WHERE alias = 'champion'")["calibrator_version"] is None
    db.execute(result["next"])
    assert one(db, "SELECT * FROM ml_aliases WHERE alias = 'champion'")["calibrator_version"] == "toy-1"
    (stored,) = calibrators(db)
    assert insert_event(db)["ml_confidence"] == pytest.approx(float(probability(stored, [0.85])[0]), abs=1e-12)


def test_the_card_tells_all(db):
    with_history(db)
    result = recalibrate(db, reason="monthly", since=FIRST + 10 * DAY)
    card = calibrators(db)[0]["card"]
    assert set(card) == CARD_KEYS
    assert card["made_by"] == value(db, "SELECT session_user::text")
    assert (card["reason"], card["forced"]) == ("monthly", False)
    assert (card["rows"], card["wins"]) == (result["rows"], result["wins"])
    assert card["metrics"]["ece"] == result["metrics"]["ece"]
    assert card["metrics"]["rows"] == card["judged_on"]["rows"] < card["rows"]
    assert card["compared_with"]["calibrator_version"] is None
    assert card["compared_with"]["log_loss_gain"] > card["compared_with"]["standard_error"]
    assert [c["method"] for c in card["candidates"]] == ["current", "identity", "sigmoid", "isotonic"]
    assert [c["method"] for c in card["candidates"] if c["chosen"]] == ["sigmoid"]
    assert len(card["judged_on"]["blocks"]) == 4
    assert card["judged_on"]["unseen_by_current"] is True
    assert card["window"]["since"].startswith("2021-02-11")
    assert len(card["rows_sha256"]) == 64

    def leaves(node):
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from leaves(child)
        if not isinstance(node, dict | list):
            yield node

    assert not any(str(leaf).lower() in ("todo", "tbd", "nan", "infinity") for leaf in leaves(card))


def test_the_same_outcomes_are_not_registered_twice(db):
    with_history(db, count=3000)
    first = recalibrate(db)
    again = recalibrate(db)
    assert (again["status"], again["registered"], again["calibrator_version"]) == ("waiting", False, "toy-1")
    assert "toy-1 waits" in again["sentence"]
    assert rounded(again["metrics"]) == rounded(first["metrics"])
    db.execute(first["next"])
    live = recalibrate(db)
    assert (live["status"], live["current"]) == ("not_better", "toy-1")
    assert len(calibrators(db)) == 1


def test_a_calibrated_model_is_left_alone(db):
    random = np.random.default_rng(2)
    data = sample(2)
    data["is_win"] = random.random(len(data["raw"])) < data["raw"]
    go_live(db)
    log_outcomes(db, data)
    result = recalibrate(db)
    assert (result["status"], result["registered"]) == ("not_better", False)
    assert rounded(result["metrics"]) == rounded(result["compared_with"]["metrics"])
    assert calibrators(db) == []


@pytest.mark.parametrize("spoil", ["dealt", "inverted"])
@pytest.mark.parametrize("seed", range(3))
def test_wrong_labels_are_not_learnt(db, spoil, seed):
    data = sample(seed)
    random = np.random.default_rng(100 + seed)
    data["is_win"] = random.permutation(data["is_win"]) if spoil == "dealt" else ~data["is_win"]
    go_live(db)
    log_outcomes(db, data)
    result = recalibrate(db)
    assert (result["status"], result["registered"]) == ("no_ranking", False)
    assert result["auc"]["low"] <= 0.5
    assert calibrators(db) == []


@pytest.mark.parametrize("symbols", [("A",), ("A", "B")])
def test_walk_forward_figures_are_those_of_the_trainer(db, symbols):
    """The rule once more in numpy: blocks, what was known, losses, errors."""
    go_live(db)
    parts = [sample(10 + i, count=1500, symbol=symbol) for i, symbol in enumerate(symbols)]
    for part in parts:
        log_outcomes(db, part)
    result = recalibrate(db, by_segment=False)

    order = sorted(
        (at, part["symbol"], raw, win, at + timedelta(hours=int(hours)))
        for part in parts
        for at, raw, win, hours in zip(part["detected_at"], part["raw"], part["is_win"], part["hours"], strict=True)
    )
    detected, _, raw, win, known = (np.array(column) for column in zip(*order, strict=True))
    window = sorted(known - detected)[int(np.ceil(0.99 * len(known))) - 1]
    mature = np.maximum(known, detected + window)
    later = [at for i, at in enumerate(detected) if (i + 1) / len(detected) > 0.4]
    starts = [min(block) for block in np.array_split(np.array(later), 4)]
    assert [datetime.fromisoformat(start) for start in result["judged_on"]["blocks"]] == starts
    judged = detected >= starts[0]
    spans = np.array([at.year * 12 + at.month for at in detected])[judged]
    for candidate in result["candidates"][1:]:
        predicted = np.full(len(raw), np.nan)
        for start, end in zip(starts, [*starts[1:], detected.max() + DAY], strict=True):
            here, train = (detected >= start) & (detected < end), mature <= start
            fitted = fit_calibrator(candidate["method"], raw[train], win[train])
            bound = 1 / (train.sum() + 2)
            predicted[here] = fitted(raw[here])
            if candidate["method"] == "isotonic":
                predicted[here] = np.clip(predicted[here], bound, 1 - bound)
        gains = log_losses(raw, win)[judged] - log_losses(predicted, win)[judged]
        expected = clustered_mean(gains, spans - spans.min())
        assert (candidate["log_loss_gain"], candidate["standard_error"]) == pytest.approx(expected, rel=1e-4, abs=1e-9)
        assert candidate["brier"] == pytest.approx(float(np.mean((predicted - win)[judged] ** 2)), abs=1e-5)


def test_too_few_outcomes_are_said_to_be_too_few(db):
    go_live(db)
    nothing = recalibrate(db)
    assert (nothing["status"], nothing["rows"]) == ("too_few", 0)
    log_outcomes(db, sample(1, count=300))
    result = recalibrate(db)
    assert (result["status"], result["registered"]) == ("too_few", False)
    assert "at least 200 wins and 200 others are needed" in result["sentence"]
    assert recalibrate(db, least_of_each_class=50)["status"] != "too_few"


def test_few_months_are_too_few(db):
    data = sample(1)
    data["detected_at"] = [FIRST + (at - FIRST) / 12 for at in data["detected_at"]]
    go_live(db)
    log_outcomes(db, data)
    result = recalibrate(db)
    assert result["status"] == "too_few"
    assert "in 4 months, of which 3 can be judged walk-forward; at least 6 are needed" in result["sentence"]


def test_what_is_not_used_is_counted_with_its_reason(db):
    data = with_history(db, count=1500)
    used = recalibrate(db)["rows"]
    assert used == 1500
    # The training window of the small models is the year 2020.
    early = sample(5, count=40, symbol="EARLY")
    early["detected_at"] = [at.replace(year=2020, day=1) for at in early["detected_at"]]
    log_outcomes(db, early)
    unknown = log_outcomes(db, sample(6, count=30, symbol="OPEN"))
    db.execute("UPDATE pattern_events SET outcome_label = NULL WHERE id = ANY (%s)", (unknown[:10],))
    db.execute("UPDATE pattern_events SET outcome_at = NULL WHERE id = ANY (%s)", (unknown[10:20],))
    db.execute("UPDATE pattern_events SET outcome_at = now() + interval '1 day' WHERE id = ANY (%s)", (unknown[20:],))
    log_outcomes(db, sample(7, count=20, symbol="FILLED"), source="backfill")
    log_outcomes(db, sample(8, count=20, symbol="OTHER"), version="another")
    log_outcomes(db, sample(9, count=20, symbol="RULE"), role="rule")
    result = recalibrate(db)
    assert result["rows"] == used
    assert result["left_out"] == {"in_training_window": 40, "no_outcome": 20, "no_outcome_time": 10}
    assert recalibrate(db, include_backfill=True)["rows"] == used + 20
    assert recalibrate(db, until=data["detected_at"][700])["rows"] == 700


def test_quick_outcomes_of_young_events_do_not_count_yet(db):
    data = with_history(db, count=2000)
    at = data["detected_at"][1500]
    result = recalibrate(db, at=at)
    # Nothing was logged by then.
    assert result["rows"] == 0
    found = rows(db, "SELECT * FROM ml.calibration_rows('toy') WHERE left_out IS NULL")
    window = sorted(timedelta(hours=int(hours)) for hours in data["hours"])[int(np.ceil(0.99 * 2000)) - 1]
    assert all(row["known_at"] - row["detected_at"] >= window for row in found)
    assert all(row["known_at"] >= row["detected_at"] for row in found)
    recent = sample(4, count=50, symbol="RECENT")
    now = value(db, "SELECT now()")
    recent["detected_at"] = [now - 2 * DAY + timedelta(minutes=i) for i in range(50)]
    recent["hours"] = np.ones(50)
    log_outcomes(db, recent)
    assert recalibrate(db)["left_out"] == {"label_window_open": 50}


def test_one_row_per_event_the_first_scoring(db):
    go_live(db)
    data = sample(3)
    ids = log_outcomes(db, data, age="2 s")
    first = recalibrate(db)
    with db.cursor() as cursor:
        noise = np.random.default_rng(1).random(len(ids))
        log_predictions(cursor, ids, noise, data["rule"], "toy", source="update")
        log_predictions(cursor, ids, noise, data["rule"], "another", role="shadow")
    again = recalibrate(db)
    assert rounded([again["rows"], again["metrics"]]) == rounded([first["rows"], first["metrics"]])


@pytest.mark.parametrize("role", ["challenger", "shadow"])
def test_a_challenger_is_recalibrated_by_what_it_would_have_said(db, role):
    go_live(db)
    install_model(db, "next")
    log_outcomes(db, sample(3), version="next", role=role)
    assert recalibrate(db)["rows"] == 0
    result = recalibrate(db, version="next")
    assert (result["status"], result["calibrator_version"]) == ("registered", "next-1")
    assert champion(db) == "toy"


def test_a_market_that_differs_gets_its_own_part(db):
    go_live(db)
    for seed, symbol, offset in ((1, "A", -4.0), (2, "B", -4.0), (3, "C", -2.0)):
        log_outcomes(db, sample(seed, offset=offset, symbol=symbol))
    log_outcomes(db, sample(4, offset=-5.5, symbol="A", timeframe="1h"))
    log_outcomes(db, sample(5, count=300, symbol="RARE"))
    result = recalibrate(db)
    assert result["status"] == "registered"
    stored = calibrators(db)
    assert stored[0]["calibrator_version"] == "toy-1"
    assert stored[0]["parent_version"] is None
    parts = {(row["symbol"], row["timeframe"]): row for row in stored[1:]}
    assert ("C", "1d") in parts
    assert ("A", "1h") not in parts  # the only symbol of its timeframe is the timeframe
    assert (None, "1h") in parts
    assert all(symbol != "RARE" for symbol, _ in parts)
    for (symbol, timeframe), row in parts.items():
        assert row["parent_version"] == "toy-1"
        assert row["calibrator_version"] == "/".join(filter(None, ("toy-1", symbol, timeframe)))
        card = row["card"]
        assert card["rows"] > 0
        assert card["after"]["log_loss"]["value"] < card["before"]["log_loss"]["value"]
        assert card["metrics"] == card["after"]
        best = next(c for c in card["candidates"] if c["method"] == row["method"])
        assert best["log_loss_gain"] > card["standard_errors_needed"] * best["standard_error"]
    assert result["metrics"]["ece"]["value"] < 0.03
    # The most specific part decides, and the whole where there is none.
    used = value(
        db,
        "SELECT ml.calibrated_by('toy-1', ARRAY(SELECT ROW(gen_random_uuid(), s, t, now(), now(), now(), 0.5, 0.5, true,"
        " NULL)::ml.calibration_row FROM (VALUES (1, 'C', '1d'), (2, 'A', '1h'), (3, 'NEW', '1h'), (4, 'NEW', '4h'))"
        " AS asked (place, s, t) ORDER BY place))",
    )
    by = [parts["C", "1d"], parts[None, "1h"], parts[None, "1h"], stored[0]]
    assert used == pytest.approx([float(probability(row, [0.5])[0]) for row in by], abs=1e-12)


def test_markets_that_do_not_differ_get_none(db):
    go_live(db)
    for seed in range(6):
        log_outcomes(db, sample(20 + seed, count=800, symbol=f"S{seed}"))
    result = recalibrate(db)
    assert result["status"] == "registered"
    assert len(result["segments"]) == 6
    assert [row["calibrator_version"] for row in calibrators(db)] == ["toy-1"]
    assert len(recalibrate(db, by_segment=False)["segments"]) == 0


def test_parts_live_on_until_something_is_better(db):
    go_live(db)
    db.execute(
        "INSERT INTO ml_calibrators (calibrator_version, model_version, method, a, b, parent_version, symbol, timeframe)"
        " VALUES ('toy-1', 'toy', 'identity', NULL, NULL, NULL, NULL, NULL),"
        " ('toy-1/B/1d', 'toy', 'sigmoid', -8, 5.5, 'toy-1', 'B', '1d')"
    )
    db.execute("UPDATE ml_aliases SET calibrator_version = 'toy-1' WHERE alias = 'champion'")
    right = sample(1, symbol="A")
    right["is_win"] = np.random.default_rng(1).random(1500) < right["raw"]
    log_outcomes(db, right)
    log_outcomes(db, sample(2, symbol="B", offset=-5.5))
    log_outcomes(db, sample(3, symbol="C", offset=-2.0))
    result = recalibrate(db)
    assert (result["status"], result["calibrator_version"]) == ("registered", "toy-2")
    after = {row["symbol"]: row for row in calibrators(db) if row["calibrator_version"].startswith("toy-2")}
    assert (after[None]["method"], set(after)) == ("identity", {None, "B", "C"})
    assert (after["B"]["a"], after["B"]["b"]) == (-8, 5.5)
    assert [s["symbol"] for s in result["segments"] if s["method"]] == ["C"]


def test_the_current_calibrator_is_judged_on_what_it_has_not_seen(db):
    go_live(db)
    data = sample(1, count=5000)
    log_outcomes(db, data)
    half = data["detected_at"][2500]
    db.execute(recalibrate(db, until=half)["next"])
    seen = datetime.fromisoformat(calibrators(db)[0]["card"]["window"]["known_until"])
    result = recalibrate(db)
    assert result["current"] == "toy-1"
    assert result["judged_on"]["unseen_by_current"] is True
    assert datetime.fromisoformat(result["judged_on"]["first"]) > seen
    # A few months later there is not yet enough: it is judged on what it has seen as well, which favours it.
    few = recalibrate(db, until=half + 60 * DAY)
    assert few["judged_on"]["unseen_by_current"] is False


def test_two_at_once_register_one(db, db_url):
    with_history(db, count=2000)
    results = []

    def run():
        with psycopg.connect(db_url) as session:
            results.append(recalibrate(session))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result["status"] for result in results) == ["registered", "waiting", "waiting"]
    assert {result["calibrator_version"] for result in results} == {"toy-1"}
    assert len(calibrators(db)) == 1


def test_a_withdrawn_calibrator_does_not_wait(db):
    with_history(db, count=3000)
    install_model(db, "other")
    db.execute(recalibrate(db)["next"])
    db.execute("SELECT ml.rollback('worse')")
    assert one(db, "SELECT * FROM ml_aliases WHERE alias = 'champion'")["calibrator_version"] is None
    result = recalibrate(db)
    assert (result["status"], result["calibrator_version"]) == ("registered", "toy-2")


def test_force_registers_with_a_reason(db):
    data = sample(1)
    data["is_win"] = np.random.default_rng(9).permutation(data["is_win"])
    go_live(db)
    log_outcomes(db, data)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="give p_reason"):
        recalibrate(db, force=True)
    assert recalibrate(db)["registered"] is False
    result = recalibrate(db, force=True, reason="I know")
    assert (result["status"], result["calibrator_version"]) == ("registered", "toy-1")
    assert calibrators(db)[0]["card"]["forced"] is True
    assert recalibrate(db, force=True, reason="again")["status"] == "waiting"


def test_a_method_can_be_named(db):
    with_history(db, count=3000)
    result = recalibrate(db, method="isotonic")
    assert [c["method"] for c in result["candidates"]] == ["current", "isotonic"]
    (stored,) = calibrators(db)
    assert stored["method"] == "isotonic"
    assert 0 < stored["knots_y"][0] < stored["knots_y"][-1] < 1


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"version": "nowhere"}, psycopg.errors.NoDataFound, "nowhere is not registered"),
        ({"method": "spline"}, psycopg.errors.InvalidParameterValue, "unknown calibration method spline"),
        ({"least_of_each_class": 0}, psycopg.errors.InvalidParameterValue, "must be at least 1"),
        ({"at": None}, psycopg.errors.InvalidParameterValue, "p_at is NULL"),
    ],
)
def test_bad_arguments_are_refused(db, arguments, error, sentence):
    go_live(db)
    with pytest.raises(error, match=sentence):
        recalibrate(db, **arguments)


def test_no_champion_is_said(db):
    db.execute("DELETE FROM ml_aliases")
    for function in ("recalibrate", "tune_blend_weights"):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="there is no champion"):
            db.execute(f"SELECT ml.{function}()")


def test_nothing_depends_on_the_session(db):
    with_history(db)
    first = recalibrate(db)
    data_hash = calibrators(db)[0]["card"]["rows_sha256"]
    db.execute("DELETE FROM ml_calibrators WHERE model_version = 'toy'")
    for setting in ("timezone = 'Pacific/Kiritimati'", "extra_float_digits = -15", "datestyle = 'SQL, DMY'"):
        db.execute(f"SET {setting}")
    second = recalibrate(db)
    assert rounded(second) == rounded(first)
    assert (
        value(db, "SELECT card ->> 'rows_sha256' FROM ml_calibrators WHERE calibrator_version = 'toy-1'") == data_hash
    )


def test_a_part_belongs_to_the_model_of_its_whole(db):
    go_live(db)
    install_model(db, "other")
    add = "INSERT INTO ml_calibrators (calibrator_version, model_version, method, parent_version, timeframe, symbol) VALUES"
    db.execute(
        "INSERT INTO ml_calibrators (calibrator_version, model_version, method) VALUES ('toy-1', 'toy', 'identity')"
    )
    db.execute(f"{add} ('p1', 'toy', 'identity', 'toy-1', '1d', NULL), ('p2', 'toy', 'identity', 'toy-1', '1d', 'A')")
    for values in (
        "('p', 'other', 'identity', 'toy-1', '1h', NULL)",
        "('p', 'toy', 'identity', 'nowhere', '1h', NULL)",
        "('p', 'toy', 'identity', 'toy-1', '1d', NULL)",
        "('p', 'toy', 'identity', 'toy-1', NULL, 'A')",
        "('p', 'toy', 'identity', NULL, '1d', NULL)",
        "('p', 'toy', 'identity', 'p', '1d', NULL)",
    ):
        with pytest.raises(psycopg.errors.IntegrityError):
            db.execute(f"{add} {values}")


def test_readers_may_not_recalibrate(db):
    with_history(db, count=500)
    db.execute("CREATE ROLE recalibration_reader")
    try:
        db.execute("GRANT USAGE ON SCHEMA ml TO recalibration_reader")
        db.execute("SET ROLE recalibration_reader")
        for call in ("recalibrate()", "tune_blend_weights()", "set_weights(1, 0, 'x')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(f"SELECT ml.{call}")
    finally:
        db.execute("RESET ROLE")
        db.execute("REVOKE ALL ON SCHEMA ml FROM recalibration_reader")
        db.execute("DROP ROLE recalibration_reader")
