"""The registry of candidates: every family takes missing values, repeats itself, and can be compiled."""

import builtins
import itertools
import json

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from synthetic_events import make_dataset

from trainer import candidates as registry
from trainer.candidates import (
    CANDIDATES,
    FAMILIES,
    VOTING,
    Candidate,
    can_explain,
    configured,
    ensemble,
    fit_model,
    microseconds_per_row,
    reason_not_to_try,
    win_probability,
)
from trainer.compiler import SUPPORTED_MODELS, assemble
from trainer.compiler.reference import evaluate


def first_of(family: str) -> Candidate:
    return next(FAMILIES[family].configurations(seed=1))


@pytest.fixture(scope="module")
def dataset():
    return make_dataset(400)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_takes_missing_values_and_repeats_itself(family, dataset):
    candidate = first_of(family)
    models = [fit_model(candidate, dataset.features, dataset.is_win, seed=3) for _ in range(2)]
    rows = np.vstack([dataset.features, np.full(len(dataset.feature_names), np.nan)])
    first, second = (win_probability(model, rows) for model in models)
    assert first.tobytes() == second.tobytes()
    assert ((first > 0) & (first < 1)).all()
    assert models[0].predict_proba(rows)[:, 1].astype(np.float64).tobytes() == first.tobytes()


@pytest.mark.parametrize("family", [*sorted(FAMILIES), VOTING])
def test_every_family_is_installed_and_compiles(family):
    assert reason_not_to_try(family) is None


def test_a_configuration_says_what_it_is_made_of():
    names = set()
    for family in FAMILIES.values():
        configurations = list(family.configurations(seed=5))
        assert len(configurations) == len(family) == len({candidate.key for candidate in configurations})
        assert configurations[0].parameters == {name: values[0] for name, values in family.grid.items()}
        for candidate in itertools.islice(configurations, 30):
            assert json.loads(json.dumps(candidate.parameters)) == candidate.parameters
            built = candidate.build(seed=1)
            estimator = built.steps[-1][1] if isinstance(built, Pipeline) else built
            found = estimator.get_params()
            assert {name: found[name] for name in candidate.parameters} == candidate.parameters
        names |= {candidate.name for candidate in configurations}
    assert len(names) == sum(map(len, FAMILIES.values()))
    assert (
        configured("mlp", {"hidden_layer_sizes": [16, 8], "alpha": 0.1}).name == "mlp hidden_layer_sizes=16x8 alpha=0.1"
    )


def test_the_order_of_configurations_comes_from_the_seed():
    first, again, other = (
        [candidate.key for candidate in FAMILIES["lightgbm"].configurations(seed)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other)
    assert first[0] == other[0]


def test_the_quick_set_is_of_the_registry():
    for candidate in CANDIDATES:
        assert set(candidate.parameters) == set(FAMILIES[candidate.family].grid)
    assert len({candidate.key for candidate in CANDIDATES}) == len(CANDIDATES)


def test_a_vote_is_the_mean_of_its_members(dataset):
    members = [CANDIDATES[0], CANDIDATES[4], first_of("extra_trees")]
    vote = ensemble(members)
    assert json.loads(json.dumps(vote.parameters)) == vote.parameters
    model = fit_model(Candidate(vote.name, vote.family, json.loads(json.dumps(vote.parameters))), *sample(dataset))
    alone = [win_probability(fit_model(member, *sample(dataset)), dataset.features) for member in members]
    np.testing.assert_allclose(win_probability(model, dataset.features), np.mean(alone, axis=0), rtol=1e-14)
    assert list(model.classes_) == [False, True]


def sample(dataset):
    return dataset.features, dataset.is_win, 7


def test_costs_grow_with_the_model(dataset):
    costs = {
        candidate.name: microseconds_per_row(fit_model(candidate, *sample(dataset)))
        for candidate in (CANDIDATES[0], CANDIDATES[3], CANDIDATES[4], CANDIDATES[7], first_of("random_forest"))
    }
    assert costs["logistic C=0.001"] == costs["logistic C=0.1"]
    ordered = [costs["logistic C=0.1"], costs["boosted 40x4"], costs["boosted 200x15"]]
    assert ordered == sorted(set(ordered))
    assert all(cost == round(cost) > 0 for cost in costs.values())


def test_a_feature_without_values_is_a_constant(dataset):
    features = dataset.features.copy()
    features[:, 2] = np.nan
    for family in FAMILIES:
        model = fit_model(first_of(family), features, dataset.is_win, seed=1)
        assert np.isfinite(win_probability(model, features)).all()


def test_a_library_that_is_missing_is_named(monkeypatch):
    original = builtins.__import__
    monkeypatch.setattr(
        registry.importlib,
        "import_module",
        lambda name: (_ for _ in ()).throw(ImportError(name)) if name == "lightgbm" else original(name),
    )
    assert reason_not_to_try("lightgbm") == (
        "The package lightgbm is not installed: pip install 'pattern-confidence[boosting]'."
    )
    monkeypatch.setattr(registry.importlib, "import_module", lambda _: (_ for _ in ()).throw(OSError("libgomp.so.1")))
    assert "cannot be loaded (libgomp.so.1)" in reason_not_to_try("xgboost")
    assert reason_not_to_try("logistic") is None


def test_a_family_that_the_compiler_refuses_is_not_tried(monkeypatch):
    monkeypatch.delitem(SUPPORTED_MODELS, "sklearn_ExtraTreesClassifier")
    registry._refusal_of_compiler.cache_clear()
    try:
        assert "ExtraTreesClassifier is not supported" in reason_not_to_try("extra_trees")
    finally:
        registry._refusal_of_compiler.cache_clear()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_what_is_compiled_is_the_library_s_model(family, dataset):
    model = fit_model(first_of(family), *sample(dataset))
    rows = dataset.features[:20]
    assembled = assemble(model)
    compiled = [evaluate(assembled, [None if np.isnan(value) else float(value) for value in row]) for row in rows]
    np.testing.assert_allclose(compiled, model.predict_proba(rows), atol=1e-6 if family == "xgboost" else 1e-12)


def test_networks_and_mixed_votes_cannot_be_explained(dataset):
    found = {}
    for family in ("logistic", "mlp", "extra_trees", "hist_gradient_boosting"):
        candidate = next(FAMILIES[family].configurations(seed=0))
        found[family] = can_explain(fit_model(candidate, *sample(dataset)))
    found["vote"] = can_explain(fit_model(ensemble([CANDIDATES[0], CANDIDATES[4]]), *sample(dataset)))
    assert found == {
        "logistic": True,
        "mlp": False,
        "extra_trees": True,
        "hist_gradient_boosting": True,
        "vote": False,
    }
