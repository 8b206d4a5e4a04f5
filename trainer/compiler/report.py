"""What one compilation says about its result: size and worst-case cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CompileReport:
    """Size of the SQL and of the model in it.

    ``steps`` is the largest number of splits that one call can visit; it bounds the time of a call.
    """

    algorithm: str
    features: tuple[str, ...]
    classes: tuple[object, ...]
    sql_bytes: int
    trees: int
    splits: int
    leaves: int
    max_depth: int
    steps: int
    runtime_helpers: tuple[str, ...]
