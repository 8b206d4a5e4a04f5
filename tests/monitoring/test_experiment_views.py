"""Comparison of versions and with the rules: the log that is counted, the figures, the verdicts."""

from datetime import timedelta

import experiment_oracles as oracles
import numpy as np
import pytest
from experiment_data import fill_log
from sklearn.metrics import brier_score_loss, log_loss
from support import PROBABILITY, START, add_bars, event, go_live, insert_event, install_model, one, rows, value

DRAWN = "SELECT * FROM drawn WHERE in_rollout AND outcome IS NOT NULL ORDER BY n"


def columns(found, *names):
    return [np.array([row[name] for row in found]) for name in names]


def add_prediction(db, event_id, at, role, version, score, **more):
    """Log one prediction as the scoring trigger does."""
    values = {
        "event_id": event_id, "predicted_at": at, "source": "insert", "model_version": version, "role": role,
        "arm": "rule" if role == "rule" else "ml", "ml_confidence_raw": score, "ml_confidence": score,
        "rule_confidence": 0.5, "blended_confidence": 0.5 if score is None else score, "latency_us": 300, **more,
    }  # fmt: skip
    names = ", ".join(values)
    places = ", ".join(["%s"] * len(values))
    db.execute(f"INSERT INTO ml_predictions ({names}) VALUES ({places})", list(values.values()))


def add_event(db, outcome=None):
    """Store an event that nothing has scored."""
    db.execute("ALTER TABLE pattern_events DISABLE TRIGGER USER")
    stored = insert_event(db, returning="id, detected_at", outcome_label=outcome)
    db.execute("ALTER TABLE pattern_events ENABLE TRIGGER USER")
    return stored["id"]


@pytest.fixture
def now(db):
    """Return a time for which the log has a partition."""
    return value(db, "SELECT now()")


def test_an_empty_log_has_nothing_to_compare(db):
    for view in ("ml_challenger_pairs", "ml_challenger_comparison", "ml_rules_comparison"):
        assert rows(db, f"SELECT * FROM {view}") == []


def test_champion_against_challenger_equals_the_oracles(db):
    fill_log(db, 700, champion_error=1.2, challenger_error=0.1, canary=5, labelled=0.8)
    drawn = rows(db, DRAWN)
    champion, challenger, rule = columns(drawn, "champion", "challenger", "rule")
    win = np.array([row["outcome"] == "win" for row in drawn])
    found = one(db, "SELECT * FROM ml_challenger_comparison")
    assert (found["champion_version"], found["challenger_version"]) == ("alpha", "beta")
    assert (found["pairs"], found["labelled"], found["wins"]) == (700, len(drawn), win.sum())
    assert found["champion_brier"] == pytest.approx(brier_score_loss(win, champion), rel=1e-12)
    assert found["challenger_log_loss"] == pytest.approx(log_loss(win, challenger), rel=1e-12)

    confirmed = [0.6 * scores + 0.4 * rule >= 0.55 for scores in (champion, challenger)]
    assert found["challenger_confirmed_wins"] == (confirmed[1] & win).sum()
    correct = [decision == win for decision in confirmed]
    expected = oracles.mcnemar_test(*correct)
    assert found["correct_p_value"] == pytest.approx(expected["p_value"], rel=1e-10)
    assert (found["correct_champion_only"], found["correct_challenger_only"]) == (
        expected["first_only"],
        expected["second_only"],
    )
    brier = oracles.paired_difference_test((champion - win) ** 2, (challenger - win) ** 2, None)
    for name in ("difference", "standard_error", "low", "high", "p_value"):
        assert found[f"brier_{name}"] == pytest.approx(brier[name], rel=1e-9), name
    always = oracles.always_valid_test(brier["difference"], brier["standard_error"], 0.01)
    assert found["brier_always_valid"] == pytest.approx(always["p_value"], rel=1e-8)
    auc = oracles.delong_test(champion, challenger, win)
    for name in ("difference", "low", "high", "p_value"):
        assert found[f"auc_{name}"] == pytest.approx(auc[name], rel=1e-9), name
    assert found["verdict"] == "challenger better"


def test_the_verdicts(db):
    fill_log(db, 1500, challenger_error=0.9, champion_error=0.1, canary=20)
    db.execute("UPDATE ml_settings SET rollout_percent = 99")  # any setting: its history has no canary_percent
    assert value(db, "SELECT verdict FROM ml_challenger_comparison") == "champion better"
    assert value(db, "SELECT verdict FROM ml.compare_versions(p_minimum_labels => 1501)") == "too few"
    assert value(db, "SELECT verdict FROM ml.compare_versions(p_level => 1 - 1e-15, p_tau => 1e-9)") == "not shown"


def test_few_outcomes_give_no_verdict(db):
    fill_log(db, 100, labelled=0)
    found = one(db, "SELECT * FROM ml_challenger_comparison")
    assert (found["pairs"], found["labelled"], found["verdict"]) == (100, 0, "too few")
    assert found["brier_difference"] is found["auc_p_value"] is found["correct_p_value"] is None
    assert value(db, "SELECT count(*) FROM ml_challenger_pairs WHERE is_win IS NULL") == 100
    assert value(db, "SELECT verdict FROM ml_rules_comparison") == "too few"


def set_history(db, name, *changes):
    """Write the audit of a setting: (time, old, new)."""
    for at, old, new in changes:
        db.execute(
            "INSERT INTO ml_deployments (occurred_at, action, details)"
            " VALUES (%s, 'settings', jsonb_build_object(%s::text, jsonb_build_object('old', %s::float8, 'new', %s::float8)))",
            (at, name, old, new),
        )


@pytest.mark.parametrize(("percent", "broken"), [(10, False), (30, True)])
def test_a_broken_sample_ratio_blocks_the_verdict(db, percent, broken):
    fill_log(db, 1000, challenger_error=0.1, canary=10)
    set_history(db, "canary_percent", ("2025-12-01", 0, percent))
    found = one(db, "SELECT * FROM ml_challenger_comparison")
    drawn = value(db, "SELECT count(*) FROM drawn WHERE in_canary")
    expected = oracles.sample_ratio_test(np.array([drawn, 1000 - drawn]), np.array([percent, 100.0 - percent]))
    assert (found["canary_challenger_events"], found["canary_champion_events"]) == (drawn, 1000 - drawn)
    assert found["canary_p_value"] == pytest.approx(expected["p_value"], rel=1e-9, abs=1e-290)
    assert (found["verdict"] == "sample ratio broken") is broken


def test_a_canary_that_grew_is_held_to_the_share_of_each_period(db, now):
    hour = timedelta(hours=1)
    for minute in range(100):
        old = minute < 50
        for place in range(4 if old else 2):
            # One of four, then one of two.
            role = "challenger" if place == 0 else "champion"
            at = now - 5 * hour + minute * timedelta(minutes=1) + place * timedelta(seconds=1)
            event_id = add_event(db)
            add_prediction(db, event_id, at, role, "beta" if place == 0 else "alpha", 0.5)
            add_prediction(db, event_id, at, "shadow", "alpha" if place == 0 else "beta", 0.5)
    set_history(db, "canary_percent", (now - 6 * hour, 0, 25), (now - 5 * hour + timedelta(minutes=50), 25, 50))
    found = one(db, "SELECT * FROM ml_challenger_comparison")
    assert (found["canary_challenger_events"], found["canary_champion_events"]) == (100, 200)
    assert found["canary_expected_events"] == pytest.approx(100)
    assert found["canary_p_value"] == 1
    assert [row["value"] for row in rows(db, "SELECT value FROM ml.setting_history('canary_percent')")] == [0, 25, 50]


def test_only_the_first_scoring_that_was_acted_on_counts(db, now):
    def second(number):
        return now - timedelta(minutes=5) + timedelta(seconds=number)

    event_id = add_event(db, "win")
    backfilled, external, alone = add_event(db), add_event(db), add_event(db)
    for at, score in ((1, 0.3), (2, 0.9)):
        add_prediction(db, event_id, second(at), "champion", "alpha", score)
        add_prediction(db, event_id, second(at), "shadow", "beta", score / 2)
    for other, source in ((backfilled, "backfill"), (external, "external")):
        add_prediction(db, other, second(3), "champion", "alpha", 0.8, source=source)
        add_prediction(db, other, second(3), "shadow", "beta", 0.7, source=source)
    add_prediction(db, alone, second(4), "champion", "alpha", 0.8)
    found = one(db, "SELECT * FROM ml_challenger_pairs")
    assert (found["event_id"], found["champion_confidence"], found["challenger_confidence"]) == (event_id, 0.3, 0.15)
    assert (found["is_win"], found["acted_on"]) == (True, "champion")
    later = one(db, "SELECT * FROM ml.pair_predictions(p_since => %s)", second(2))
    assert later["champion_confidence"] == 0.9
    assert rows(db, "SELECT * FROM ml.pair_predictions(p_until => %s)", second(1)) == []
    assert rows(db, "SELECT * FROM ml.pair_predictions('alpha', 'gamma')") == []


def test_a_canary_row_has_its_champion_in_the_shadow(db, now):
    event_id = add_event(db, "timeout")
    add_prediction(db, event_id, now, "challenger", "beta", 0.7)
    add_prediction(db, event_id, now, "shadow", "alpha", 0.4)
    found = one(db, "SELECT * FROM ml_challenger_pairs")
    assert (found["champion_version"], found["champion_confidence"], found["champion_confirmed"]) == (
        "alpha",
        0.4,
        False,
    )
    assert (found["challenger_version"], found["challenger_confirmed"]) == ("beta", True)
    assert (found["is_win"], found["acted_on"]) == (False, "challenger")


def test_failures_are_counted_and_not_compared(db, now):
    for number, (champion, challenger) in enumerate(
        [(0.5, None), (None, 0.5), (None, None), (0.5, float("nan")), (0.4, 0.6)]
    ):
        event_id = add_event(db, "loss")
        at = now + timedelta(seconds=number)
        add_prediction(db, event_id, at, "champion", "alpha", champion)
        add_prediction(db, event_id, at, "shadow", "beta", challenger)
    found = one(db, "SELECT * FROM ml_challenger_comparison")
    assert (found["pairs"], found["unscored"], found["labelled"]) == (1, 4, 1)
    assert (found["champion_failures"], found["challenger_failures"]) == (2, 2)


def test_scores_beyond_the_smallest_numbers_are_no_error(db, now):
    for number, (champion, challenger) in enumerate([(5e-324, 1.0), (1e-200, 0.0), (0.0, 1 - 1e-16)]):
        event_id = add_event(db, "win" if number else "loss")
        at = now + timedelta(seconds=number)
        add_prediction(db, event_id, at, "champion", "alpha", champion)
        add_prediction(db, event_id, at, "shadow", "beta", challenger)
    found = one(db, "SELECT * FROM ml_challenger_comparison")
    assert found["labelled"] == 3
    assert found["champion_brier"] == pytest.approx(2 / 3)
    assert one(db, "SELECT * FROM ml_rules_comparison")["labelled"] == 3


def test_latency_is_compared_where_both_were_acted_on(db, now):
    generator = np.random.default_rng(3)
    latencies = [generator.integers(200, 400, 60), generator.integers(300, 600, 40)]
    for is_challenger, drawn in enumerate(latencies):
        for number, latency in enumerate(drawn.tolist()):
            event_id = add_event(db)
            at = now + timedelta(seconds=2 * number + is_challenger)
            sides = [("champion", "alpha"), ("challenger", "beta")]
            role, version = sides[is_challenger]
            add_prediction(db, event_id, at, role, version, 0.5, latency_us=latency)
            add_prediction(db, event_id, at, "shadow", sides[1 - is_challenger][1], 0.5, latency_us=1)
    found = one(db, "SELECT * FROM ml_challenger_comparison")
    seen = [latencies[0], latencies[1]]
    # Beyond the last pair nothing is counted; every event here is a pair.
    expected = oracles.mann_whitney_test(*(part.astype(float) for part in seen))
    assert found["latency_p_value"] == pytest.approx(expected["p_value"], rel=1e-9)
    assert found["challenger_slower"] == pytest.approx(expected["second_larger"])
    assert found["challenger_latency_p95_ms"] == pytest.approx(np.percentile(latencies[1], 95) / 1000)


def test_first_calls_and_reused_scores_say_nothing_about_latency(db, now):
    for number, more in enumerate([{}, {"cold": True}, {"cache_hit": True}]):
        event_id = add_event(db)
        at = now + timedelta(seconds=number)
        add_prediction(db, event_id, at, "champion", "alpha", 0.5, latency_us=100 if not more else 10**6, **more)
        add_prediction(db, event_id, at, "shadow", "beta", 0.5)
    assert value(db, "SELECT champion_latency_p95_ms FROM ml_challenger_comparison") == 0.1


def test_a_version_that_stepped_in_is_not_taken_for_the_one_that_failed(db, now):
    """The event stays with the role that chance gave it to; its score is nobody's in the comparison."""
    set_history(db, "canary_percent", (now - timedelta(days=1), 0, 50))
    rows_of = [
        ("champion", "alpha", "beta", None),
        ("challenger", "alpha", None, "challenger_failed"),
        ("champion", "older", "beta", "champion_failed"),
        ("champion", None, None, "bar_missing"),
        ("challenger", "beta", "alpha", None),
    ]
    for number, (role, version, other, reason) in enumerate(rows_of):
        event_id = add_event(db, "win")
        at = now + timedelta(seconds=number)
        add_prediction(db, event_id, at, role, version or "alpha", 0.5 if version else None, fallback_reason=reason)
        if other:
            add_prediction(db, event_id, at, "shadow", other, 0.5)
    found = one(db, "SELECT * FROM ml_challenger_comparison")
    assert (found["champion_version"], found["challenger_version"], found["pairs"]) == ("alpha", "beta", 2)
    assert (found["canary_champion_events"], found["canary_challenger_events"]) == (2, 2)
    assert found["challenger_failures"] == 1
    (against_rules,) = rows(db, "SELECT model_version, scored FROM ml_rules_comparison")
    assert against_rules == {"model_version": "alpha", "scored": 1}


def test_ml_against_rules_equals_the_oracles(db):
    fill_log(db, 900, rollout=70, labelled=0.9, champion_error=0.2)
    set_history(db, "rollout_percent", ("2025-12-01", 100, 70))
    found = one(db, "SELECT * FROM ml_rules_comparison")
    drawn = rows(db, DRAWN)
    champion, rule = columns(drawn, "champion", "rule")
    win = np.array([row["outcome"] == "win" for row in drawn])
    blended = 0.6 * champion + 0.4 * rule
    assert (found["model_version"], found["labelled"], found["wins"]) == ("alpha", len(drawn), win.sum())
    auc = oracles.delong_test(rule, blended, win)
    for name in ("difference", "low", "high", "p_value"):
        assert found[f"auc_{name}"] == pytest.approx(auc[name], rel=1e-9), name
    assert found["ml_brier"] == pytest.approx(brier_score_loss(win, blended), rel=1e-12)
    assert found["verdict"] == "ML better"

    by_rule = rule >= 0.55
    chosen = np.zeros(len(drawn), dtype=bool)
    chosen[np.argsort(-blended)[: by_rule.sum()]] = True
    ratio = (win & chosen).sum() / (win & by_rule).sum()
    error = np.sqrt((win & (chosen != by_rule)).sum() / ((win & chosen).sum() * (win & by_rule).sum()))
    assert (found["equal_confirmed"], found["ml_equal_wins"]) == (by_rule.sum(), (win & chosen).sum())
    assert found["gain"] == pytest.approx(ratio - 1)
    assert found["gain_low"] == pytest.approx(ratio * np.exp(-1.959963984540054 * error) - 1)

    everything = rows(db, "SELECT * FROM drawn ORDER BY n")
    in_arm = np.array([row["in_rollout"] for row in everything])
    rule, champion = columns(everything, "rule", "champion")
    confirmed = np.where(in_arm, 0.6 * champion + 0.4 * rule, rule) >= 0.55
    # Events left to the rules before the first scoring of the champion belong to no champion.
    counted = np.arange(len(in_arm)) >= np.flatnonzero(in_arm)[0]
    arms = [(counted & ~in_arm), (counted & in_arm)]
    assert (found["rule_arm_events"], found["ml_arm_events"]) == tuple(arm.sum() for arm in arms)
    shares = oracles.two_proportion_test(*((int((arm & confirmed).sum()), int(arm.sum())) for arm in arms))
    for name in ("difference", "low", "high", "p_value"):
        assert found[f"confirmed_share_{name}"] == pytest.approx(shares[name], rel=1e-9), name
    known = np.array([row["outcome"] is not None for row in everything])
    won = np.array([row["outcome"] == "win" for row in everything])
    rates = oracles.two_proportion_test(
        *((int((arm & confirmed & won).sum()), int((arm & confirmed & known).sum())) for arm in arms)
    )
    for name in ("difference", "low", "high", "p_value"):
        assert found[f"win_rate_{name}"] == pytest.approx(rates[name], rel=1e-9), name
    ratio_test = oracles.sample_ratio_test(np.array([arm.sum() for arm in arms]), np.array([30.0, 70.0]))
    assert found["sample_ratio_p_value"] == pytest.approx(ratio_test["p_value"], rel=1e-9)


def test_fallbacks_stay_in_the_arm_that_chance_gave_them(db, now):
    """Taking them out would compare the easy events of one arm with all of the other."""
    set_history(db, "rollout_percent", (now - timedelta(days=1), 100, 50))
    for number, (role, reason) in enumerate(
        [
            ("champion", None),
            ("champion", "bar_missing"),
            ("rule", "breaker_open"),
            ("rule", "not_in_rollout"),
            ("rule", "disabled"),
        ]
    ):
        add_prediction(
            db, add_event(db), now + timedelta(seconds=number), role, "alpha" if role == "champion" else None,
            0.9 if reason is None else None, fallback_reason=reason,
        )  # fmt: skip
    found = one(db, "SELECT * FROM ml_rules_comparison")
    assert (found["ml_arm_events"], found["rule_arm_events"], found["scored"]) == (3, 1, 1)
    assert found["ml_arm_expected"] == 2


def test_each_champion_is_compared_with_the_rules_of_its_time(db, now):
    set_history(db, "rollout_percent", (now - timedelta(days=1), 100, 50))
    roles = [
        ("champion", "alpha"),
        ("rule", None),
        ("champion", "beta"),
        ("rule", None),
        ("rule", None),
        ("champion", "alpha"),
    ]
    for number, (role, version) in enumerate(roles):
        reason = "not_in_rollout" if role == "rule" else None
        add_prediction(
            db, add_event(db), now + timedelta(seconds=number), role, version, 0.9 if version else None,
            fallback_reason=reason,
        )  # fmt: skip
    found = rows(db, "SELECT model_version, ml_arm_events, rule_arm_events FROM ml_rules_comparison")
    assert [tuple(row.values()) for row in found] == [("alpha", 2, 1), ("beta", 1, 2)]
    assert one(db, "SELECT * FROM ml.compare_with_rules('beta')")["rule_arm_events"] == 2


def test_real_inserts_in_a_rollout(db):
    """What the scoring trigger logs is what the views read."""
    add_bars(db)
    go_live(db)
    db.execute("SELECT ml.set_rollout(50, 'experiment')")
    stored = [
        insert_event(db, returning="id", detected_at=START + timedelta(days=150 + number))["id"] for number in range(60)
    ]
    db.execute("UPDATE pattern_events SET outcome_label = CASE WHEN random() < 0.5 THEN 'win' ELSE 'loss' END")
    found = one(db, "SELECT * FROM ml_rules_comparison")
    in_ml = sum(event(db, event_id)["model_version"] == "toy" for event_id in stored)
    assert found["model_version"] == "toy"
    assert (found["scored"], found["ml_arm_events"]) == (in_ml, in_ml)
    assert found["sample_ratio_p_value"] > 0.001
    assert found["verdict"] == "too few"


def test_real_inserts_in_a_canary(db):
    """The scoring trigger's own log of a canary: every event is a pair, whoever was acted on."""
    add_bars(db)
    go_live(db)
    install_model(db, "other", probability=0.35)
    db.execute("SELECT ml.set_challenger('other', 'experiment', 30)")
    for number in range(60):
        insert_event(db, returning="id", detected_at=START + timedelta(days=150 + number))
    db.execute("UPDATE pattern_events SET outcome_label = 'win', label_source = 'analyst' WHERE random() < 0.5")
    labelled = value(db, "SELECT count(*) FROM pattern_events WHERE outcome_label = 'win'")
    found = one(db, "SELECT * FROM ml_challenger_comparison")
    assert (found["champion_version"], found["challenger_version"]) == ("toy", "other")
    assert (found["pairs"], found["labelled"], found["unscored"]) == (60, labelled, 0)
    acted = value(db, "SELECT count(*) FROM ml_predictions WHERE role = 'challenger'")
    assert 0 < acted < 60
    assert (found["canary_challenger_events"], found["canary_champion_events"]) == (acted, 60 - acted)
    assert found["canary_expected_events"] == pytest.approx(18)
    assert found["canary_p_value"] > 0.001
    pairs = rows(db, "SELECT DISTINCT champion_confidence, challenger_confidence FROM ml_challenger_pairs")
    assert pairs == [{"champion_confidence": PROBABILITY, "challenger_confidence": 0.35}]
    assert found["champion_brier"] == pytest.approx((1 - PROBABILITY) ** 2)


def test_a_reader_needs_no_more_than_the_right_to_read(db):
    """The views run with the rights of whoever reads them, so row-level security holds."""
    options = rows(
        db,
        "SELECT relname, reloptions FROM pg_class WHERE relname IN"
        " ('ml_challenger_pairs', 'ml_challenger_comparison', 'ml_rules_comparison')",
    )
    assert len(options) == 3
    assert all(row["reloptions"] == ["security_invoker=true"] for row in options)
    definers = "SELECT count(*) FROM pg_proc WHERE prosecdef AND proname IN ('pair_predictions', 'compare_versions', 'compare_with_rules', 'setting_history')"
    assert value(db, definers) == 0


def test_nothing_depends_on_the_session(db):
    fill_log(db, 300, labelled=0.9)
    query = "SELECT to_jsonb(found) - 'first_at' - 'last_at' AS figures FROM public.{} AS found"
    views = ("ml_challenger_comparison", "ml_rules_comparison")
    before = [value(db, query.format(view)) for view in views]
    db.execute(
        "SET timezone = 'Asia/Kathmandu'; SET datestyle = 'German'; SET extra_float_digits = 0; SET search_path = ''"
    )
    for view, was in zip(views, before, strict=True):
        now = value(db, query.format(view))
        assert now == {
            name: pytest.approx(number, rel=1e-10) if isinstance(number, float) else number
            for name, number in was.items()
        }
