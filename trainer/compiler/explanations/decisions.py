"""Takes every test of all trees once per row: a string with one byte per test, 1 where the row goes right.

The tests of a feature, sorted by threshold, come out as ones followed by zeros, and the number of ones is the rank of
the value among the thresholds. So one search per feature takes them all: the bytes are a slice of a constant.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trainer.compiler import nodes
from trainer.compiler.code_generator import CodeGenerator


class Test(NamedTuple):
    """What a split asks: a value goes right when an odd number of ``points`` lie below it."""

    feature: int
    is_set: bool
    points: tuple[float, ...]
    missing_left: bool


class Decisions:
    """The different tests of some trees, and each one's place among the bytes."""

    def __init__(self, trees: Sequence[nodes.Tree]) -> None:
        tests = [[test_of(tree, split) for split in range(tree.splits)] for tree in trees]
        self.tests = sorted({test for row in tests for test in row})
        self.places_of = {test: place for place, test in enumerate(self.tests)}
        self._places = {
            id(tree): np.array([self.places_of[test] for test in row], dtype=np.int64)
            for tree, row in zip(trees, tests, strict=True)
        }

    @property
    def features(self) -> list[int]:
        """The features that are tested."""
        return sorted({test.feature for test in self.tests})

    def places(self, tree: nodes.Tree) -> nodes.Integers:
        """Return the place of the byte of every split of a tree."""
        return self._places[id(tree)]

    def text(self, code: CodeGenerator, columns: str, may_be_missing: bool) -> str:
        """Give the expression of the bytes for a row in the array variable ``columns``, which holds no NaN."""
        sections = []
        for feature in self.features:
            value = code.element(columns, feature + 1)
            for is_set in (False, True):
                tests = [test for test in self.tests if (test.feature, test.is_set) == (feature, is_set)]
                if tests:
                    section = (_set_section if is_set else _threshold_section)(code, tests, value)
                    if may_be_missing:
                        section = f"COALESCE({section}, {_bytes(code, [not test.missing_left for test in tests])})"
                    sections.append(section)
        # A balanced tree of concatenations copies every byte a few times only.
        while len(sections) > 1:
            pairs = [code.operation(left, "||", right) for left, right in zip(sections[::2], sections[1::2])]
            sections = pairs + sections[2 * len(pairs) :]
        return sections[0]


def test_of(tree: nodes.Tree, split: int) -> Test:
    """Return the test of one split."""
    points = tree.breakpoints.get(split)
    thresholds = tree.threshold[split : split + 1] if points is None else points
    return Test(
        int(tree.feature[split]), len(thresholds) > 1, tuple(thresholds.tolist()), bool(tree.missing_left[split])
    )


def _threshold_section(code: CodeGenerator, tests: Sequence[Test], value: str) -> str:
    # No value lies above an infinite threshold.
    bounds = [math.nextafter(test.points[0], math.inf) for test in tests if test.points[0] < math.inf]
    window = _bytes(code, [True] * len(bounds) + [False] * len(tests))
    rank = code.call("pg_catalog.width_bucket", value, code.numbers(bounds))
    first = code.operation(str(len(bounds) + 1), "-", rank)
    return code.call("pg_catalog.substr", window, first, str(len(tests)))


def _set_section(code: CodeGenerator, tests: Sequence[Test], value: str) -> str:
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
