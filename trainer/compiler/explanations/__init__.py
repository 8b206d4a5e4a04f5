"""Says, in SQL, what each feature contributes to a model's raw output.

Two methods are exact for trees, and `export` takes the cheaper one: `tables` for small trees, `quadrature` for all
others. `path` is the cheap attribution along the visited path, `linear` the rule for linear models. All tree methods
read the outcome of every test from one string of bytes (`decisions`). `reference` computes the same values from their
definition, for tests.
"""

from trainer.compiler.explanations.export import (
    explanation_cost,
    export_explanation,
    export_path_attribution,
    path_attribution_cost,
)

__all__ = ["explanation_cost", "export_explanation", "export_path_attribution", "path_attribution_cost"]
