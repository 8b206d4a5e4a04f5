"""Writes PL/pgSQL text; knows nothing of models or of the AST.

Every operator is written ``OPERATOR(pg_catalog.+)``, every function with its schema, every type by its SQL
keyword: the text means the same whatever the caller's search_path. Every literal is typed; a bare ``0.1``
would be numeric.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.compiler.errors import UnsupportedModelError
from trainer.compiler.limits import MAXIMUM_IDENTIFIER_BYTES

FLOAT = "double precision"
FLOATS = "double precision[]"
SINGLE = "real"
SINGLES = "real[]"
INTEGER = "integer"
INTEGERS = "integer[]"


class Infix(str):
    """An infix expression without parentheses; it gets them where it becomes an operand."""

    __slots__ = ()


def quote_identifier(name: str) -> str:
    """Quote one SQL identifier; raise `UnsupportedModelError` for one that PostgreSQL cannot hold."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = 0
    if size == 0 or size > MAXIMUM_IDENTIFIER_BYTES or "\0" in name:
        raise UnsupportedModelError(
            f"{json.dumps(name)} is no SQL identifier; give 1 to {MAXIMUM_IDENTIFIER_BYTES} bytes of text."
        )
    return '"' + name.replace('"', '""') + '"'


def quote_function_name(name: str) -> str:
    """Quote ``name`` or ``schema.name``, each part by itself."""
    parts = name.split(".")
    if len(parts) > 2:
        raise UnsupportedModelError(f"{json.dumps(name)} is no function name; give `name` or `schema.name`.")
    return ".".join(quote_identifier(part) for part in parts)


def quote_text(text: str) -> str:
    """Quote a string so that it is read the same under either value of standard_conforming_strings."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


class CodeGenerator:
    """Collects the lines of one PL/pgSQL function body and gives the text of expressions."""

    def __init__(self) -> None:
        self._declarations: dict[str, str] = {}
        self._lines: list[str] = []
        self._indent = 1

    # Expressions

    def number(self, value: float, *, single: bool = False) -> str:
        """Give the shortest literal that is read back as the same double precision value.

        With ``single`` it is a real, which the value must fit exactly.
        """
        return f"'{_float_text(value)}'::{SINGLE if single else FLOAT}"

    def untyped_number(self, value: float) -> str:
        """Give a literal that takes its type from the other operand or from the other branches of a CASE."""
        return f"'{_float_text(value)}'"

    def numbers(self, values: Iterable[float], lower: int | None = None, *, single: bool = False) -> str:
        """Give an array literal of numbers; ``lower`` is its first subscript where that is not 1."""
        return self._array_literal([_float_text(value) for value in values], SINGLES if single else FLOATS, lower)

    def numbers_or_null(self, values: Iterable[float]) -> str:
        """Give an array literal of numbers in which NaN is written as NULL."""
        return self._array_literal(["NULL" if value != value else _float_text(value) for value in values], FLOATS, None)

    def booleans(self, values: Iterable[bool]) -> str:
        """Give an array literal of booleans."""
        return self._array_literal(["t" if value else "f" for value in values], "boolean[]", None)

    def number_rows(self, rows: Iterable[Iterable[float]]) -> str:
        """Give a two-dimensional array literal of numbers; all rows have the same length."""
        text = ",".join("{" + ",".join(_float_text(value) for value in row) + "}" for row in rows)
        return f"'{{{text}}}'::{FLOATS}"

    def integers(self, values: Iterable[int]) -> str:
        """Give an array literal of integers."""
        return self._array_literal([str(int(value)) for value in values], INTEGERS, None)

    def integer_rows(self, rows: Iterable[Iterable[int]]) -> str:
        """Give a two-dimensional array literal of integers; all rows have the same length."""
        text = ",".join("{" + ",".join(str(int(value)) for value in row) + "}" for row in rows)
        return f"'{{{text}}}'::{INTEGERS}"

    def _array_literal(self, items: Sequence[str], type_name: str, lower: int | None) -> str:
        bounds = "" if lower is None else f"[{lower}:{lower + len(items) - 1}]="
        return f"'{bounds}{{{','.join(items)}}}'::{type_name}"

    def element(self, array: str, index: str | int) -> str:
        """Give one element of an array variable or of an array literal."""
        return f"{array if array.isidentifier() else f'({array})'}[{index}]"

    def operation(self, left: str, operator: str, right: str) -> str:
        """Give an infix expression; an operand that is one itself is put in parentheses."""
        left, right = (f"({text})" if isinstance(text, Infix) else text for text in (left, right))
        return Infix(f"{left} OPERATOR(pg_catalog.{operator}) {right}")

    def is_between_breakpoints(self, value: str, points: Iterable[float], *, odd: bool) -> str:
        """Give the test whether an odd, or an even, number of breakpoints lie below ``value``; null stays null."""
        bounds = self.numbers(math.nextafter(point, math.inf) for point in points)
        below = self.call("pg_catalog.width_bucket", value, bounds)
        return self.operation(self.operation(below, "&", "1"), "=", "1" if odd else "0")

    def as_float(self, value: str) -> str:
        """Give a real as double precision, which holds it exactly."""
        return f"({value})::{FLOAT}"

    def call(self, function: str, *arguments: str) -> str:
        """Give a call of a function that is written with its schema."""
        return f"{function}({', '.join(arguments)})"

    def choice(self, test: str, then: str, otherwise: str) -> str:
        """Give ``then`` where ``test`` is true, ``otherwise`` where it is false or null."""
        return f"CASE WHEN {test} THEN {then} ELSE {otherwise} END"

    def array(self, items: Iterable[str]) -> str:
        """Give an array made of expressions."""
        return f"ARRAY[{', '.join(items)}]"

    # Statements

    def declare(self, name: str, type_name: str) -> str:
        """Declare a local variable, once however often it is asked for, and return its name."""
        known = self._declarations.setdefault(name, type_name)
        if known != type_name:
            raise ValueError(f"{name} is declared as {known} and as {type_name}")
        return name

    def line(self, text: str) -> None:
        """Add one line at the present depth."""
        self._lines.append("  " * self._indent + text)

    def assign(self, variable: str, value: str) -> None:
        """Assign ``value`` to a variable or to an element of an array variable."""
        self.line(f"{variable} := {value};")

    def assign_choice(self, variable: str, test: str, then: str, otherwise: str) -> None:
        """Assign one of two values, written on a line each."""
        self.line(f"{variable} := CASE")
        self.line(f"  WHEN {test}")
        self.line(f"  THEN {then}")
        self.line(f"  ELSE {otherwise}")
        self.line("END;")

    def open(self, text: str) -> None:
        """Add a line that opens a block."""
        self.line(text)
        self._indent += 1

    def open_if(self, test: str) -> None:
        """Open an IF."""
        self.open(f"IF {test} THEN")

    def open_count(self, variable: str, last: int) -> None:
        """Open a loop in which ``variable`` runs from 1 to ``last``."""
        self.open(f"FOR {variable} IN 1..{last} LOOP")

    def open_each(self, variable: str, array: str, rows: bool = False) -> None:
        """Open a loop over the elements of an array, or over its rows."""
        self.open(f"FOREACH {variable}{' SLICE 1' if rows else ''} IN ARRAY {array} LOOP")

    def open_while(self, test: str) -> None:
        """Open a WHILE loop."""
        self.open(f"WHILE {test} LOOP")

    def otherwise(self) -> None:
        """Go on with the other branch of the innermost IF."""
        self._indent -= 1
        self.open("ELSE")

    def otherwise_if(self, test: str) -> None:
        """Go on with another branch of the innermost IF."""
        self._indent -= 1
        self.open(f"ELSIF {test} THEN")

    def close(self, keyword: str) -> None:
        """Close the innermost block: ``IF`` or ``LOOP``."""
        self._indent -= 1
        self.line(f"END {keyword};")

    def perform(self, call: str) -> None:
        """Call a function for its effect."""
        self.line(f"PERFORM {call};")

    def fail(self, message: str) -> None:
        """Raise an error; ``message`` is the compiler's own and holds neither quotes nor percent signs."""
        self.line(f"RAISE EXCEPTION '{message}' USING ERRCODE = 'invalid_parameter_value';")

    def give(self, value: str) -> None:
        """Add RETURN."""
        self.line(f"RETURN {value};")

    def body(self) -> str:
        """Give the text between the dollar quotes."""
        declarations = "".join(f"  {name} {type_name};\n" for name, type_name in self._declarations.items())
        declare = f"DECLARE\n{declarations}" if declarations else ""
        return f"\n{declare}BEGIN\n" + "\n".join(self._lines) + "\nEND\n"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function; ``name`` is quoted or a plain identifier, and empty where there is none."""

    name: str
    type_name: str


def function_name_with(name: str, suffix: str) -> str:
    """Return a function name of the same schema with a suffix, cut where PostgreSQL would cut it."""
    *schema, last = name.split(".")
    room = MAXIMUM_IDENTIFIER_BYTES - len(suffix.encode())
    kept = last.encode()[:room].decode(errors="ignore")
    if kept != last:
        # Two long names with the same beginning must not meet.
        digest = hashlib.sha256(last.encode()).hexdigest()[:8]
        kept = last.encode()[: room - 9].decode(errors="ignore") + "_" + digest
    return ".".join([*schema, kept + suffix])


def function_statements(
    name: str,
    parameters: Sequence[Parameter],
    language: str,
    safety: str,
    body: str,
    comment: str,
    revoke_from_public: bool,
) -> str:
    """Give CREATE FUNCTION, COMMENT ON FUNCTION and, when asked for, REVOKE; ``name`` is quoted already."""
    tag = "$function$"
    while tag in body:
        tag = f"{tag[:-1]}_$"
    declared = ", ".join(f"{parameter.name} {parameter.type_name}".lstrip() for parameter in parameters)
    signature = f"{name}({', '.join(parameter.type_name for parameter in parameters)})"
    text = (
        f"CREATE OR REPLACE FUNCTION {name}({declared}) RETURNS {FLOATS}\n"
        f"LANGUAGE {language} IMMUTABLE PARALLEL {safety}\n"
        f"AS {tag}{body}{tag};\n\n"
        f"COMMENT ON FUNCTION {signature} IS\n{quote_text(comment)};\n"
    )
    if revoke_from_public:
        text += f"\nREVOKE ALL ON FUNCTION {signature} FROM PUBLIC;\n"
    return text


def json_text(value: Any) -> str:
    """Give JSON in plain ASCII, so that names of any alphabet fit any server encoding."""
    return json.dumps(value, ensure_ascii=True, default=str)


def _float_text(value: float) -> str:
    text = repr(float(value)).removesuffix(".0")
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(text, text)
