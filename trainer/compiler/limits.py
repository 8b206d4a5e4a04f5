"""Bounds on what is compiled: a model must neither break the server nor hold up the statement that calls it.

PostgreSQL itself ends at 1,600 columns per table, at 1 GB per statement and at 128 million array elements.
The bounds on size are tighter: they keep the first call of a session to about a second, any other to about
0.1 s.
"""

from trainer.compiler.errors import UnsupportedModelError

MAXIMUM_FEATURES = 1_600
MAXIMUM_CLASSES = 1_000
MAXIMUM_SPLITS = 1_000_000
MAXIMUM_STEPS = 500_000
MAXIMUM_CASE_SPLITS = 100_000
MAXIMUM_MEMBERS = 100
MAXIMUM_UNITS = 1_600
MAXIMUM_WEIGHTS = 500_000
# The explanation of a tree this deep takes a second to compile; the time grows with the square of the depth.
MAXIMUM_EXPLAINED_DEPTH = 400
MAXIMUM_ARGUMENTS = 100
MAXIMUM_SQL_BYTES = 64 * 1024 * 1024
MAXIMUM_IDENTIFIER_BYTES = 63


def check_limit(subject: str, value: int, maximum: int) -> None:
    """Raise `UnsupportedModelError` when there are more than ``maximum`` of ``subject``, a plural."""
    if value > maximum:
        raise UnsupportedModelError(
            f"The model has {value:,} {subject} and the compiler stops at {maximum:,}; fit a smaller model."
        )
