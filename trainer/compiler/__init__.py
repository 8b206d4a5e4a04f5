"""Compiles fitted models to PL/pgSQL functions that give the library's own numbers.

A model goes through stages, and each knows only its neighbour: an assembler (`assemblers/`) reads the library's
numbers into an AST (m2cgen's, plus `nodes`), a pass (`folding`) moves transformers into the splits of trees, an
interpreter (`interpreter`, and for each way to write trees one in `forms/`) walks the AST, a generator
(`code_generator`) writes text. `export` chooses the forms by what they will cost (`costs`). The text calls the SQL
functions in `runtime/`. `reference` evaluates the same AST in Python, to tell a wrong AST from wrong text.
`explanations` writes a second function that says which feature contributed what.
"""

from trainer.compiler.assemblers import SUPPORTED_MODELS, assemble
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.explanations import explanation_cost, export_explanation, export_path_attribution
from trainer.compiler.export import CompiledModel, Form, compile_model, export_to_postgres
from trainer.compiler.report import CompileReport
from trainer.compiler.runtime import runtime_sql

__all__ = [
    "SUPPORTED_MODELS",
    "CompileReport",
    "CompiledModel",
    "Form",
    "UnsupportedModelError",
    "assemble",
    "compile_model",
    "explanation_cost",
    "export_explanation",
    "export_path_attribution",
    "export_to_postgres",
    "runtime_sql",
]
