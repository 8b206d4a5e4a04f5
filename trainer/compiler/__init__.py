"""Compiles fitted models to PL/pgSQL functions that give the library's own numbers.

A model goes through three stages, and each knows only its neighbour: an assembler (`assemblers/`) reads the
library's numbers into an AST (m2cgen's, plus `nodes`), an interpreter (`interpreter`) walks the AST, a
generator (`code_generator`) writes text. The text calls the SQL functions in `runtime/`. `reference`
evaluates the same AST in Python, to tell a wrong AST from wrong text.
"""

from trainer.compiler.assemblers import SUPPORTED_MODELS, assemble
from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.export import CompiledModel, compile_model, export_to_postgres
from trainer.compiler.report import CompileReport
from trainer.compiler.runtime import runtime_sql

__all__ = [
    "SUPPORTED_MODELS",
    "CompileReport",
    "CompiledModel",
    "UnsupportedModelError",
    "assemble",
    "compile_model",
    "export_to_postgres",
    "runtime_sql",
]
