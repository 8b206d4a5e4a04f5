"""The search: a time budget that holds, nothing tried twice, a stated choice among what was tried."""

import dataclasses
import itertools
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss
from synthetic_events import make_dataset

from trainer import search as searching
from trainer.candidates import CANDIDATES, FAMILIES, VOTING, Candidate, fit_model, microseconds_per_row
from trainer.fit import FitConfig, fit, save
from trainer.metrics import clustered_mean, log_losses, span_codes
from trainer.search import (
    RACE_ERRORS,
    Judge,
    Search,
    Trial,
    choose_champion,
    describe_choice,
    describe_search,
    flattery,
)
from trainer.splits import split_by_time

CHEAP = ("logistic", "hist_gradient_boosting")


class Clock:
    """Time that passes by a second with every look at it."""

    def __init__(self, step=1.0):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def judge_of(dataset):
    events = dataset.events
    splits = split_by_time(events["detected_at"], events["known_at"], embargo=pd.Timedelta(days=14))
    return Judge(dataset, splits.folds, span_codes(events["detected_at"], "month"), seed=1)


@pytest.fixture(scope="module")
def judge():
    return judge_of(make_dataset(700))


class QuickJudge(Judge):
    """Fits nothing: a candidate's predictions are noise of its own around the base rate."""

    def predictions(self, candidate):
        for number, wins in enumerate(self._wins):
            searching.fit_model(candidate)
            random = np.random.default_rng([number, *candidate.key.encode()])
            yield None, random.normal(0.4, 0.01, len(wins))


@pytest.fixture
def quick(judge, monkeypatch):
    """Return a judge that costs nothing, to watch what a search does with it."""
    monkeypatch.setattr(searching, "fit_model", lambda _: None)
    monkeypatch.setattr(searching, "microseconds_per_row", lambda _: 10.0)
    monkeypatch.setattr(searching, "can_explain", lambda _: True)
    found = object.__new__(QuickJudge)
    found.__dict__.update(judge.__dict__)
    return found


def trial(name, raw, microseconds=10.0, is_dropped=False, is_explained=True):
    candidate = Candidate(name, "logistic", {"C": hash(name)})
    return Trial(candidate, (np.asarray(raw),), microseconds, 0.0, is_dropped, is_explained)


# ------------------------------------------------------------------------------------------------- the search


@pytest.mark.parametrize("seconds", [5.0, 40.0, 90.0])
def test_the_budget_holds(quick, seconds):
    clock = Clock()
    trials = Search(quick, seconds=seconds, seed=1, first=CANDIDATES[:2], families=CHEAP, clock=clock).run()
    assert trials.ended_by == "budget"
    # A fit is looked at a few times; the first candidates are tried whatever the time.
    assert trials.seconds < seconds + 40
    assert [t.candidate for t in trials.done[:2]] == list(CANDIDATES[:2])
    tried = [t for t in trials.done if t.candidate.family != VOTING]
    keys = [t.candidate.key for t in tried]
    assert len(set(keys)) == len(keys)
    known = {candidate.key for family in CHEAP for candidate in FAMILIES[family].configurations(1)}
    assert trials.not_reached == len(known | set(keys)) - len(keys)
    assert all(len(t.predictions) == quick.blocks or t.is_dropped for t in tried)


def test_every_family_gets_its_turn(quick):
    trials = Search(quick, seconds=150, seed=1, first=CANDIDATES[:1], families=CHEAP, clock=Clock()).run()
    by_family = [t.candidate.family for t in trials.done if t.candidate.family in CHEAP]
    assert {by_family.count(family) > 2 for family in CHEAP} == {True}


def test_a_search_ends_when_everything_was_tried(quick):
    trials = Search(quick, seconds=1e9, seed=1, first=CANDIDATES[2:4], families=("logistic",)).run()
    assert trials.ended_by == "exhausted"
    assert trials.not_reached == 0
    assert len(trials.done) == len(FAMILIES["logistic"])


def test_the_same_seed_tries_the_same(quick):
    def run(seed):
        trials = Search(quick, seconds=60, seed=seed, first=CANDIDATES[:1], families=CHEAP, clock=Clock()).run()
        return [t.candidate.key for t in trials.done]

    assert run(3) == run(3) != run(4)


def interrupting(quick, monkeypatch, after):
    count = itertools.count(1)

    def fit_or_stop(_):
        if next(count) > after:
            raise KeyboardInterrupt

    monkeypatch.setattr(searching, "fit_model", fit_or_stop)
    return Search(quick, seconds=1e9, seed=1, first=CANDIDATES[:2], families=CHEAP)


def test_ctrl_c_keeps_what_was_tried(quick, monkeypatch):
    trials = interrupting(quick, monkeypatch, after=10).run()
    assert trials.ended_by == "interrupted"
    assert [t.candidate for t in trials.done] == list(CANDIDATES[:2])


def test_ctrl_c_before_the_first_candidate_is_one(quick, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        interrupting(quick, monkeypatch, after=3).run()


def test_a_configuration_that_fails_loses_no_other(quick, monkeypatch):
    def failing(candidate):
        if candidate == CANDIDATES[0]:
            raise ValueError("no such solver")

    monkeypatch.setattr(searching, "fit_model", failing)
    trials = Search(quick, seconds=1e9, seed=1, first=CANDIDATES[:2], families=("logistic",)).run()
    assert {"configuration": CANDIDATES[0].name, "reason": "no such solver"} in trials.not_tried
    assert len(trials.done) == len(FAMILIES["logistic"]) - 1


def test_a_family_that_cannot_be_tried_is_named(quick, monkeypatch):
    monkeypatch.setattr(searching, "reason_not_to_try", lambda name: "It is Sunday." if name == CHEAP[1] else None)
    trials = Search(quick, seconds=1e9, seed=1, first=CANDIDATES[:1], families=CHEAP).run()
    assert {"family": CHEAP[1], "reason": "It is Sunday."} in trials.not_tried
    assert {t.candidate.family for t in trials.done} == {"logistic"}


def test_progress_tells_a_total_that_is_never_below_what_is_done(quick):
    told = []
    Search(
        quick, seconds=80, seed=1, first=CANDIDATES[:2], families=CHEAP, clock=Clock(),
        on_fit=lambda *what: told.append(what),
    ).run()  # fmt: skip
    assert [done for _, done, _ in told] == list(range(1, len(told) + 1))
    assert all(done <= total for _, done, total in told)
    # A bar whose total changes all the time shows neither rate nor time left.
    assert len({total for _, _, total in told}) < len(told) / 2
    assert re.fullmatch(r"\w+, best 0\.\d{4}", told[-1][0])


def test_only_the_hopeless_are_dropped():
    dataset = make_dataset(1200, strength=1.5)
    judge = judge_of(dataset)
    good = CANDIDATES[2]
    bad = dataclasses.replace(good, name="bad", parameters={"C": 1e-9})
    trials = Search(judge, seconds=0.001, seed=1, first=(good, bad), families=()).run()
    first, second = trials.done
    assert (first.is_dropped, second.is_dropped) == (False, True)
    assert len(second.predictions) == searching.RACE_BLOCKS
    assert not judge.is_hopeless(first.predictions[:2], first)
    assert not judge.is_hopeless(second.predictions, None)
    assert RACE_ERRORS >= 2


def test_votes_come_from_the_best_of_each_family(judge):
    first = (*CANDIDATES[:2], *CANDIDATES[4:6])
    trials = Search(judge, seconds=0.001, seed=1, first=first, families=()).run()
    (vote,) = [t for t in trials.done if t.candidate.family == VOTING]
    best = [min((t for t in trials.done if t.candidate.family == name), key=judge.loss) for name in CHEAP]
    assert {m["name"] for m in vote.candidate.parameters["members"]} == {t.candidate.name for t in best}
    np.testing.assert_allclose(vote.raw, np.mean([t.raw for t in best], axis=0), rtol=1e-15)
    more = Search(
        judge,
        seconds=0.001,
        seed=1,
        first=(*first, *(next(FAMILIES[name].configurations(1)) for name in ("lightgbm", "xgboost", "mlp"))),
        families=(),
    )
    votes = [t for t in more.run().done if t.candidate.family == VOTING]
    sizes = [len(t.candidate.parameters["members"]) for t in votes]
    assert (sizes.count(2), sizes.count(3)) == (6, 4)
    assert vote.microseconds == sum(t.microseconds for t in best)
    # What is fitted in the end is what was judged here.
    refitted = np.concatenate([predicted for _, predicted in judge.predictions(vote.candidate)])
    np.testing.assert_allclose(refitted, vote.raw, rtol=1e-14)


# ------------------------------------------------------------------------------------------------- the choice


def outcomes(events=3000, seed=4):
    random = np.random.default_rng(seed)
    chance = random.beta(2, 3, events)
    return random, chance, random.random(events) < chance, np.arange(events) // 30


def test_champion_is_the_cheapest_within_one_standard_error():
    random, chance, wins, months = outcomes()
    almost = np.clip(chance + random.normal(0, 0.003, 3000), 0.01, 0.99)
    bad = np.clip(chance + random.normal(0, 0.3, 3000), 0.05, 0.95)
    dear, cheap, middle = trial("dear", chance, 30), trial("cheap", bad, 10), trial("middle", almost, 20)
    table, champion = choose_champion([dear, cheap, middle], wins, months)
    rows = {row["name"]: row for row in table}
    assert champion is middle
    assert [rows[name]["eligible"] for name in ("cheap", "middle", "dear")] == [False, True, True]
    assert rows["dear"]["log_loss"] == pytest.approx(log_loss(wins, chance))
    assert rows["cheap"]["behind_best"] > rows["cheap"]["standard_error"] > 0


def test_costs_count_by_tens_of_microseconds():
    _, chance, wins, months = outcomes()
    # The estimate knows no better, so that a slightly dearer one may win by its log loss.
    worse = np.clip(chance + np.random.default_rng(1).normal(0, 0.003, 3000), 0.01, 0.99)
    better, cheap, far = trial("better", chance, 24), trial("cheap", worse, 16), trial("far", worse, 14)
    assert choose_champion([better, cheap], wins, months)[1] is better
    assert choose_champion([better, cheap, far], wins, months)[1] is far


def test_a_dropped_trial_is_compared_on_its_own_blocks_and_never_chosen():
    _, chance, wins, months = outcomes()
    better = np.where(wins, 0.9, 0.1)[:1500]
    table, champion = choose_champion(
        [trial("whole", chance, 50), trial("dropped", better, 1, is_dropped=True)], wins, months
    )
    assert champion.candidate.name == "whole"
    difference = log_losses(better, wins[:1500]) - log_losses(chance[:1500], wins[:1500])
    expected = clustered_mean(difference, months[:1500])
    assert (table[1]["behind_best"], table[1]["standard_error"]) == pytest.approx(expected)
    assert not table[1]["eligible"]


def test_what_cannot_be_explained_is_shown_and_not_chosen():
    _, chance, wins, months = outcomes()
    better = np.where(wins, 0.9, 0.1)
    trials = [trial("explained", chance, 50), trial("dark", better, 1, is_explained=False)]
    table, champion = choose_champion(trials, wins, months)
    assert champion.candidate.name == "explained"
    assert [(row["explained"], row["eligible"]) for row in table] == [(True, True), (False, False)]
    assert table[1]["behind_best"] < 0
    assert flattery(trials, champion, wins, months, seed=1)["finished"] == 1
    assert choose_champion(trials[1:], wins, months)[1].candidate.name == "dark", "where there is nothing else"


def test_choosing_among_noise_is_seen_to_flatter():
    random, chance, wins, months = outcomes(2000)
    noise = [trial(str(n), np.clip(chance + random.normal(0, 0.1, 2000), 0.02, 0.98), 1.0) for n in range(40)]
    _, champion = choose_champion(noise, wins, months)
    found = flattery(noise, champion, wins, months, seed=1)
    assert found["optimism"] > 0
    assert found["log_loss"] == pytest.approx(log_loss(wins, champion.raw))
    assert found["log_loss_corrected"] == pytest.approx(found["log_loss"] + found["optimism"])
    # They are equally good by construction: the champion's true figure is about the mean of all.
    mean = np.mean([log_loss(wins, t.raw) for t in noise])
    assert abs(found["log_loss_corrected"] - mean) < abs(found["log_loss"] - mean)
    assert sum(found["family_chosen_share"].values()) == pytest.approx(1)
    assert flattery(noise, champion, wins, months, seed=1) == found


def test_one_candidate_is_no_choice():
    _, chance, wins, months = outcomes(600)
    only = trial("only", chance)
    found = flattery([only], only, wins, months, seed=1)
    assert (found["optimism"], found["champion_chosen_share"]) == (0, 1)
    assert "There was one candidate" in describe_choice(found)
    assert "too few months" in describe_choice({**found, "finished": 2, "optimism": None})


def test_one_month_tells_nothing_about_the_choice():
    _, chance, wins, _ = outcomes(100)
    both = [trial("a", chance), trial("b", np.clip(chance + 0.01, 0, 0.99))]
    assert flattery(both, both[0], wins, np.zeros(100, dtype=np.int64), seed=1)["optimism"] is None


# --------------------------------------------------------------------------------------------- fit with a search


def test_a_search_is_in_the_description(tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "FAMILIES", {name: FAMILIES[name] for name in CHEAP})
    monkeypatch.setattr(Search, "_is_late", property(lambda search: search._fits >= 22))
    dataset = make_dataset(900)
    config = FitConfig(candidates=(*CANDIDATES[:2], CANDIDATES[4]))
    result = fit(dataset, config, search_seconds=60)
    assert result.search["tried"] == len(result.candidate_table) == len(result.config.candidates) > 4
    assert result.search["ended_by"] == "budget"
    assert result.choice["finished"] == result.search["tried"] - result.search["dropped"]
    assert all(row["seconds"] >= 0 for row in result.candidate_table)
    assert result.version != fit(dataset, config).version
    folder = save(result, tmp_path)
    assert folder.name == result.version
    said = describe_search(result.search)
    assert f"{result.search['tried']} configurations were tried" in said
    assert "until the time was over" in said
    # A champion that is a vote can be fitted and compiled like any other.
    vote = next(t for t in result.config.candidates if t.family == VOTING)
    model = fit_model(vote, dataset.features, dataset.is_win, seed=1)
    assert microseconds_per_row(model) > 10


def test_holdout_outcomes_change_nothing_that_is_searched(monkeypatch):
    monkeypatch.setattr(searching, "FAMILIES", {name: FAMILIES[name] for name in CHEAP})
    monkeypatch.setattr(Search, "_is_late", property(lambda search: search._fits >= 16))
    # Which family is next depends on the time that each has had.
    monkeypatch.setitem(Search.__init__.__kwdefaults__, "clock", Clock())
    dataset = make_dataset(900)
    config = FitConfig(candidates=CANDIDATES[:2])
    first = fit(dataset, config, search_seconds=1e6)
    flipped = dataset.events.copy()
    later = flipped.index.difference(first.splits.holdout.train)
    flipped.loc[later, "outcome_label"] = np.where(flipped.loc[later, "outcome_label"] == "win", "loss", "win")
    other = fit(dataclasses.replace(dataset, events=flipped), config, search_seconds=1e6)
    without_times = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in r.candidate_table] for r in (first, other)
    ]
    assert without_times[0] == without_times[1]
    assert other.champion.candidate == first.champion.candidate
    assert other.choice == first.choice
