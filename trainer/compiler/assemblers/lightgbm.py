"""LightGBM: float64 features, thresholds, leaves and sums.

The numbers come from the text in which the library saves a model. After a fit the library itself has read its model
back from that text, so the text is what it predicts with, to the last bit: thresholds and leaves have 17 digits, the
slope of the logistic function has six.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from m2cgen import ast

from trainer.compiler import nodes
from trainer.compiler.assemblers.base import Assembler, binary_probabilities
from trainer.compiler.assemblers.tree import longest_path
from trainer.compiler.errors import UnsupportedModelError

FORMAT_VERSION = "v4"

# What the library takes for zero: magnitudes up to the float32 nearest to 1e-35.
ZERO_LIMIT = float(np.float32(1e-35))
BELOW_ZERO = float(np.nextafter(-ZERO_LIMIT, -np.inf))

# Between these bounds, no product of leaf sums and slopes underflows or overflows, which PostgreSQL raises an error
# about, and the library's way of reading a slope is known to the last bit.
SMALLEST_LEAF, LARGEST_LEAF = 1e-100, 1e100
SMALLEST_SLOPE, LARGEST_SLOPE = 1e-10, 1e10

# A split's decision type: two bits, and a number above them that says which values are missing.
CATEGORICAL = 1
DEFAULT_LEFT = 2
MISSING_SHIFT = 2
MISSING_IS_ZERO = 1
MISSING_IS_NAN = 2

SCORE_OBJECTIVES = ("regression", "regression_l1", "huber", "fair", "quantile", "mape")
EXPONENTIAL_OBJECTIVES = ("poisson", "gamma", "tweedie")
LOGISTIC_OBJECTIVES = ("binary", "cross_entropy")


class LightGBMAssembler(Assembler):
    """One leaf per tree, added from zero; the classes below add the link function."""

    @property
    def name(self) -> str:
        """The name of the model's class, for messages."""
        return type(self.model).__name__

    def read(self) -> "SavedModel":
        """Return the model as the library saves it; refuse what cannot be reproduced."""
        model, name = self.model, self.name
        if model.get_params().get("pred_early_stop", False) not in (False, "false"):
            raise UnsupportedModelError(
                f"{name} with pred_early_stop, which skips trees, is not supported; set it to False."
            )
        if any(list(values) != list(range(len(values))) for values in model.booster_.pandas_categorical or ()):
            raise UnsupportedModelError(
                f"{name} was fitted on columns of the pandas type category whose values are not the numbers 0, 1, ...;"
                " fit it on their codes (Series.cat.codes) and name the columns in categorical_feature."
            )
        saved = SavedModel.parse(model.booster_.model_to_string())
        if saved.version != FORMAT_VERSION:
            raise UnsupportedModelError(
                f"{name} saves its model in format {saved.version!r}, which is not supported; use LightGBM 4."
            )
        if any(int(tree.get("is_linear", 0)) for tree in saved.trees):
            raise UnsupportedModelError(f"{name} with linear_tree=True is not supported; use linear_tree=False.")
        return saved

    def scores(self, saved: "SavedModel") -> nodes.BoostedTreesExpr:
        """Return one score per output: the sum of leaves, or their mean for random forests."""
        divisor = float(len(saved.trees) // saved.outputs) if saved.is_average else None
        return self.sums(saved, divisor)

    def sums(self, saved: "SavedModel", divisor: float | None = None) -> nodes.BoostedTreesExpr:
        """Return one sum of leaves per output, divided by ``divisor`` if there is one."""
        trees = [_tree(self.name, table) for table in saved.trees]
        groups = [trees[output :: saved.outputs] for output in range(saved.outputs)]
        return nodes.BoostedTreesExpr(self.source, groups, np.zeros(saved.outputs), divisor=divisor)

    def refuse_objective(self, saved: "SavedModel", supported: str) -> UnsupportedModelError:
        """Return the error that names the objective of a model that cannot be compiled."""
        if not saved.objective:
            return UnsupportedModelError(
                f"{self.name} with a custom objective, whose link function the library does not know, is not supported;"
                f" use {supported}."
            )
        return UnsupportedModelError(
            f"{self.name} with objective={saved.objective!r} is not supported; use {supported}."
        )


class LGBMClassifierAssembler(LightGBMAssembler):
    """The logistic function of one score for two classes, the softmax of one score per class for more."""

    def read(self) -> "SavedModel":
        """Return the model as the library saves it; refuse a single class as well."""
        if len(self.model.classes_) == 1:
            raise UnsupportedModelError(f"{self.name} was fitted on a single class; fit it on at least two.")
        return super().read()

    def decision_function(self) -> ast.Expr:
        """Return the raw scores: sums of leaves, of random forests too."""
        saved, classes = self.read(), len(self.model.classes_)
        if saved.outputs != (1 if classes == 2 else classes):
            raise self.wrong_size(saved)
        return self.sums(saved)

    def wrong_size(self, saved: "SavedModel") -> UnsupportedModelError:
        """Return the error about a number of scores that does not go with the number of classes."""
        return UnsupportedModelError(
            f"{self.name} has {saved.outputs} scores for {len(self.model.classes_)} classes; leave objective and"
            " num_class at their defaults."
        )

    def assemble(self) -> ast.Expr:
        """Return probabilities in the order of ``classes_``."""
        saved, classes = self.read(), len(self.model.classes_)
        if saved.objective not in (*LOGISTIC_OBJECTIVES, "multiclass", "multiclassova"):
            raise self.refuse_objective(saved, "binary, cross_entropy, multiclass or multiclassova")
        if saved.outputs != (1 if saved.objective in LOGISTIC_OBJECTIVES else classes):
            raise self.wrong_size(saved)
        scores = self.scores(saved)
        if saved.objective in LOGISTIC_OBJECTIVES:
            return binary_probabilities(_sloped(scores, saved.slope))
        if saved.objective == "multiclass":
            return nodes.SoftmaxVector(scores)
        return ast.VectorVal(
            [ast.SigmoidExpr(_sloped(nodes.ElementExpr(scores, place), saved.slope)) for place in range(classes)]
        )


class LGBMRegressorAssembler(LightGBMAssembler):
    """The score itself, or what the objective makes of it."""

    def assemble(self) -> ast.Expr:
        """Return a scalar."""
        saved = self.read()
        if saved.objective in SCORE_OBJECTIVES:
            scores = self.scores(saved)
            return nodes.SignedSquareExpr(scores) if saved.is_square else scores
        if saved.objective in EXPONENTIAL_OBJECTIVES:
            return ast.ExpExpr(self.scores(saved))
        if saved.objective in LOGISTIC_OBJECTIVES:
            return ast.SigmoidExpr(_sloped(self.scores(saved), saved.slope))
        supported = ", ".join((*SCORE_OBJECTIVES, *EXPONENTIAL_OBJECTIVES, "binary"))
        raise self.refuse_objective(saved, f"{supported} or cross_entropy")


def _sloped(score: ast.Expr, slope: float) -> ast.Expr:
    return score if slope == 1 else ast.BinNumExpr(ast.NumVal(slope), score, ast.BinNumOpType.MUL)


@dataclass(frozen=True)
class SavedModel:
    """What the text of a saved model says: its header, and one table of texts per tree."""

    version: str
    outputs: int
    objective: str
    slope: float
    is_square: bool
    is_average: bool
    trees: list[Mapping[str, str]]

    @classmethod
    def parse(cls, text: str) -> "SavedModel":
        """Return the content of ``text``."""
        header, *trees = text.split("\nend of trees", 1)[0].split("\nTree=")
        fields = dict(_fields(header))
        objective, *settings = fields.get("objective", "").split() or [""]
        slope = next((text for name, _, text in (part.partition(":") for part in settings) if name == "sigmoid"), "1")
        return cls(
            version=fields.get("version", ""),
            outputs=int(fields["num_tree_per_iteration"]),
            objective=objective,
            slope=_coarse_number(slope),
            is_square="sqrt" in settings,
            is_average="average_output" in fields,
            trees=[dict(_fields(tree)) for tree in trees],
        )


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        name, _, value = line.partition("=")
        yield name, value


def _coarse_number(text: str) -> float:
    """Return the number that the library reads in the header, where it rounds once per step."""
    digits, _, exponent = text.partition("e")
    whole, _, fraction = digits.partition(".")
    value = float(whole)
    if fraction:
        value += float(fraction) / 10.0 ** len(fraction)
    scale = 10.0 ** abs(int(exponent or 0))
    value = value / scale if exponent.startswith("-") else value * scale
    if not SMALLEST_SLOPE <= value <= LARGEST_SLOPE:
        raise UnsupportedModelError(
            f"A model with sigmoid={text} is not supported; use a value from {SMALLEST_SLOPE} to {LARGEST_SLOPE}."
        )
    return value


def _tree(name: str, table: Mapping[str, str]) -> nodes.Tree:
    """Return the tree of one table; children of splits and leaves are numbered as in `nodes.Tree`."""
    leaves = _numbers(table, "leaf_value")
    magnitudes = np.abs(leaves[leaves != 0])
    if not ((magnitudes >= SMALLEST_LEAF) & (magnitudes <= LARGEST_LEAF)).all():
        raise UnsupportedModelError(
            f"{name} has a leaf whose absolute value lies outside {SMALLEST_LEAF} to {LARGEST_LEAF}; scale the target."
        )
    left, right = _integers(table, "left_child"), _integers(table, "right_child")
    given, kind = _numbers(table, "threshold"), _integers(table, "decision_type")
    categorical, default_left = (kind & CATEGORICAL) > 0, (kind & DEFAULT_LEFT) > 0
    missing_type = kind >> MISSING_SHIFT
    breakpoints = {}

    # What counts as zero is read as zero, and so is a missing value where the training data had none.
    zero_left = given >= 0
    threshold = np.where(zero_left, np.maximum(given, ZERO_LIMIT), np.minimum(given, BELOW_ZERO))
    missing_left = np.where(np.isin(missing_type, (MISSING_IS_ZERO, MISSING_IS_NAN)), default_left, zero_left)
    exceptions = (missing_type == MISSING_IS_ZERO) & (zero_left != default_left)
    for split in np.flatnonzero(exceptions).tolist():
        breakpoints[split] = {float(threshold[split])} ^ {BELOW_ZERO, ZERO_LIMIT}

    # The listed categories go left and all else right. Minus infinity is below all breakpoints, hence the exchange.
    left, right = np.where(categorical, right, left), np.where(categorical, left, right)
    missing_left |= categorical
    sets = _category_sets(table)
    for split in np.flatnonzero(categorical).tolist():
        breakpoints[split] = _category_breakpoints(sets[int(given[split])])

    sorted_points = {split: np.array(sorted(points)) for split, points in breakpoints.items()}
    for split, points in sorted_points.items():
        threshold[split] = points[0]
    return nodes.Tree(
        feature=_integers(table, "split_feature"),
        threshold=threshold,
        left=left,
        right=right,
        missing_left=missing_left,
        leaves=leaves[:, np.newaxis],
        depth=longest_path(left, right),
        breakpoints={split: points for split, points in sorted_points.items() if len(points) > 1},
        split_cover=_numbers(table, "internal_count"),
        leaf_cover=_numbers(table, "leaf_count"),
    )


def _category_sets(table: Mapping[str, str]) -> list[list[int]]:
    """Return the sets of categories of a tree; a category is the place of a bit in a set's words of 32 bits."""
    if table["num_cat"] == "0":
        return []
    bounds, words = _integers(table, "cat_boundaries").tolist(), _integers(table, "cat_threshold").tolist()
    return [
        [32 * place + bit for place, word in enumerate(words[start:end]) for bit in range(32) if word >> bit & 1]
        for start, end in pairwise(bounds)
    ]


def _category_breakpoints(categories: Iterable[int]) -> set[float]:
    """Return breakpoints of which an odd number lie below the values that truncate to one of ``categories``."""
    points: set[float] = set()
    for category in categories:
        first = float(np.nextafter(category, -np.inf)) if category else -1.0
        # Where one category ends and the next begins, there is no breakpoint.
        points ^= {first, float(np.nextafter(category + 1, -np.inf))}
    return points


def _numbers(table: Mapping[str, str], field: str) -> nodes.Floats:
    return np.array([float(text) for text in table[field].split()], dtype=np.float64)


def _integers(table: Mapping[str, str], field: str) -> nodes.Integers:
    return np.array([int(text) for text in table[field].split()], dtype=np.int64)
