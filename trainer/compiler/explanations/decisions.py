"""Takes every test of all trees once per row: a string with one byte per test, 1 where the row goes right.

The tests of a feature, sorted by threshold, come out as ones followed by zeros, and the number of ones is the rank of
the value among the thresholds. So one search per feature takes them all: the bytes are a slice of a constant.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from trainer.compiler import nodes
from trainer.compiler.code_generator import CodeGenerator


class SplitTest(NamedTuple):
    """What a split asks: a value goes right when an odd number of ``points`` lie below it."""

    feature: int
    is_set: bool
    points: tuple[float, ...]
    missing_left: bool


class Decisions:
    """Some different tests, and each one's place among the bytes."""

    def __init__(self, tests: Iterable[SplitTest]) -> None:
        self.tests = sorted(set(tests))
        self.places = {test: place for place, test in enumerate(self.tests)}

    def text(self, code: CodeGenerator, columns: str, may_be_missing: bool) -> str:
        """Give the expression of the bytes for a row in the array variable ``columns``, which holds no NaN."""
        sections = []
        for (feature, is_set), group in groupby(self.tests, key=lambda test: (test.feature, test.is_set)):
            tests = list(group)
            section = (_set_section if is_set else _threshold_section)(code, tests, code.element(columns, feature + 1))
            if may_be_missing:
                section = f"COALESCE({section}, {_bytes(code, [not test.missing_left for test in tests])})"
            sections.append(section)
        # A balanced tree of concatenations copies every byte a few times only.
        while len(sections) > 1:
            pairs = zip(sections[::2], sections[1::2], strict=False)
            odd_one = sections[len(sections) // 2 * 2 :]
            sections = [code.operation(left, "||", right) for left, right in pairs] + odd_one
        return sections[0]


def split_test(tree: nodes.Tree, split: int) -> SplitTest:
    """Return the test of one split."""
    points = tree.breakpoints.get(split)
    thresholds = tree.threshold[split : split + 1] if points is None else points
    return SplitTest(
        int(tree.feature[split]), len(thresholds) > 1, tuple(thresholds.tolist()), bool(tree.missing_left[split])
    )


def _threshold_section(code: CodeGenerator, tests: Sequence[SplitTest], value: str) -> str:
    # No value lies above an infinite threshold.
    bounds = [math.nextafter(test.points[0], math.inf) for test in tests if test.points[0] < math.inf]
    window = _bytes(code, [True] * len(bounds) + [False] * len(tests))
    rank = code.call("pg_catalog.width_bucket", value, code.numbers(bounds))
    first = code.operation(str(len(bounds) + 1), "-", rank)
    return code.call("pg_catalog.substr", window, first, str(len(tests)))


def _set_section(code: CodeGenerator, tests: Sequence[SplitTest], value: str) -> str:
    points = np.unique([point for test in tests for point in test.points if point < math.inf])
    # One value of each interval between breakpoints: the last of each, and one above all.
    samples = np.append(points, np.inf)
    below = [np.searchsorted(np.array(test.points), samples, side="left") for test in tests]
    rows = np.array(below).T % 2 == 1
    rank = code.call(
        "pg_catalog.width_bucket", value, code.numbers(math.nextafter(point, math.inf) for point in points)
    )
    first = code.operation(code.operation(rank, "*", str(len(tests))), "+", "1")
    return code.call("pg_catalog.substr", _bytes(code, rows.ravel().tolist()), first, str(len(tests)))


def _bytes(code: CodeGenerator, bits: Sequence[bool]) -> str:
    """Give a constant string of bytes; an escape would depend on the session's settings."""
    return code.call("pg_catalog.decode", "'" + "".join("01" if bit else "00" for bit in bits) + "'", "'hex'")
