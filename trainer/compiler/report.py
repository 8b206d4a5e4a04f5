"""What one compilation says about its result: size, form, expected cost."""

from dataclasses import dataclass

from trainer.compiler.costs import Costs


@dataclass(frozen=True)
class CompileReport:
    """Size of the SQL and of the model in it, and what its functions are expected to cost.

    ``steps`` is the largest number of splits that one call can visit, ``weights`` the number of weights of neural
    networks, all of which every call takes; they bound the time of a call. ``form`` is that
    of the function of an array: ``walk``, ``case`` or ``tiered``; ``functions`` are all that the SQL creates.
    ``costs`` has an entry for every form that is among them. A tiered function takes the CASE form after
    ``session_rows`` rows of a session and ``transaction_rows`` rows of a transaction. ``notes`` are sentences on what
    was left out and why.
    """

    algorithm: str
    library: str
    features: tuple[str, ...]
    classes: tuple[object, ...]
    sql_bytes: int
    trees: int
    splits: int
    leaves: int
    max_depth: int
    steps: int
    weights: int
    form: str
    functions: tuple[str, ...]
    costs: dict[str, Costs]
    session_rows: int | None
    transaction_rows: int | None
    runtime_helpers: tuple[str, ...]
    notes: tuple[str, ...]
