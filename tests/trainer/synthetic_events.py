"""Labelled events without a database: one feature carries as much signal as is asked for."""

import uuid

import numpy as np
import pandas as pd

from trainer.dataset import Dataset

FEATURES = ("signal", "atr_14_to_atr_100_log", "noise_1", "noise_2", "gappy")


def make_dataset(events: int = 1500, strength: float = 1.0, seed: int = 1, symbols: int = 3) -> Dataset:
    """Return daily events of several symbols over years; P(win) is logistic in the first feature."""
    random = np.random.default_rng(seed)
    days = pd.bdate_range("2010-01-04", periods=max(400, 2 * events // 3), tz="UTC")
    when = np.sort(random.integers(0, len(days), events))
    features = random.normal(size=(events, len(FEATURES)))
    features[random.random(events) < 0.1, FEATURES.index("gappy")] = np.nan
    chance = 1 / (1 + np.exp(0.8 - strength * features[:, 0]))
    outcome = np.where(random.random(events) < chance, "win", np.where(random.random(events) < 0.5, "loss", "timeout"))
    detected = days[when]
    table = pd.DataFrame(
        {
            "id": [uuid.UUID(int=int(position)) for position in range(events)],
            "symbol": [f"S{position % symbols}" for position in range(events)],
            "timeframe": "1d",
            "pattern_type": random.choice(["hammer", "doji_star", "engulfing"], events),
            "direction": random.choice(["bullish", "bearish"], events),
            "detected_at": detected,
            "rule_confidence": np.round(random.uniform(0.4, 0.9, events), 2),
            "outcome_label": outcome,
            "outcome_at": detected + pd.to_timedelta(random.integers(2, 15, events), unit="D"),
            "known_at": detected + pd.Timedelta(days=15),
            "realized_pnl": random.normal(0, 0.02, events),
            "data_quality_score": 1.0,
        }
    )
    return Dataset("TB2", table, features, FEATURES, pd.Timedelta(days=1), 0)
