"""Data sets for metrics of performance, drawn by seed; arithmetic alone, so that every machine draws the same."""

import zlib
from typing import Any

import numpy as np


def drawn(seed: int) -> dict[str, Any]:
    """Return a reference with outcomes and later predictions without, of sizes and shares of wins that differ by seed.

    Scores are distinct. ``checksum`` tells whether the same numbers were drawn.
    """
    generator = np.random.default_rng(seed)
    parts = {}
    for name in ("reference", "later"):
        size = int(generator.integers(4, 120))
        # Wins rarely and mostly, decisions for all and for none.
        score = generator.random(size)
        score = [score, score * score, 1 - score * score][generator.integers(3)]
        probability = np.clip(score + generator.choice([0.0, 0.1, -0.2]) * (1 - score), 0, 1)
        predicted = score >= generator.choice([0.0, 0.3, 0.55, 0.9])
        is_win = generator.random(size) < probability
        parts[name] = {"score": score, "probability": probability, "predicted": predicted, "is_win": is_win}
    text = b"".join(column.tobytes() for part in parts.values() for column in part.values())
    return {**parts, "checksum": zlib.crc32(text)}
