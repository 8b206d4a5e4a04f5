"""The text layer: literals, quoting, statements."""

import math

import numpy as np
import pglast
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.compiler import UnsupportedModelError
from trainer.compiler.code_generator import (
    CodeGenerator,
    Parameter,
    function_name_with,
    function_statements,
    quote_function_name,
    quote_identifier,
    quote_text,
)


def parsed_name(text: str) -> list[str]:
    (statement,) = pglast.parse_sql(f"SELECT {text}()")
    return [part.sval for part in statement.stmt.targetList[0].val.funcname]


@given(st.floats())
def test_number_reads_back_as_the_same_double(value):
    text = CodeGenerator().number(value)
    literal, type_name = text.split("::")
    assert type_name == "double precision"
    read = float(literal.strip("'"))
    assert (
        math.isnan(read)
        if math.isnan(value)
        else (read, math.copysign(1, read))
        == (
            value,
            math.copysign(1, value),
        )
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1"),
        (-0.0, "-0"),
        (1e-5, "1e-05"),
        (5e-324, "5e-324"),
        (np.float32(0.1), "0.10000000149011612"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
    ],
)
def test_number_is_short_and_typed(value, text):
    assert CodeGenerator().number(value) == f"'{text}'::double precision"


def test_array_literals():
    code = CodeGenerator()
    assert code.numbers([1.5, 2]) == "'{1.5,2}'::double precision[]"
    assert code.numbers([1.5, 2], lower=-2) == "'[-2:-1]={1.5,2}'::double precision[]"
    assert code.integers(np.array([3, -4])) == "'{3,-4}'::integer[]"
    assert code.integer_rows(np.array([[1, 2], [3, 4]])) == "'{{1,2},{3,4}}'::integer[]"
    assert code.number_rows([[1, 2.5]]) == "'{{1,2.5}}'::double precision[]"


def test_operands_that_are_operations_get_parentheses():
    code = CodeGenerator()
    inner = code.operation("a", "-", "b")
    assert code.operation(inner, "/", "c") == "(a OPERATOR(pg_catalog.-) b) OPERATOR(pg_catalog./) c"


def test_a_variable_has_one_type():
    code = CodeGenerator()
    code.declare("v_x", "integer")
    with pytest.raises(ValueError, match="v_x"):
        code.declare("v_x", "text")


@pytest.mark.parametrize("name", ["a", 'a"b', "a b", "select", "Ä", "a;--", "$$", "'", "a\nb", "é" * 31, "a" * 63])
def test_identifier_is_one_identifier(name):
    assert parsed_name(quote_identifier(name)) == [name]


@pytest.mark.parametrize("name", ["", "a" * 64, "é" * 32, "a\0b", "\ud800"])
def test_identifier_that_postgres_cannot_hold(name):
    with pytest.raises(UnsupportedModelError, match="no SQL identifier"):
        quote_identifier(name)


def test_function_name_is_quoted_part_by_part():
    assert quote_function_name("score") == '"score"'
    assert parsed_name(quote_function_name('ml"x.Sc"ore')) == ['ml"x', 'Sc"ore']
    for name in ("a.b.c", ".a", "a.", "."):
        with pytest.raises(UnsupportedModelError):
            quote_function_name(name)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_text_is_one_string(text):
    (statement,) = pglast.parse_sql(f"SELECT {quote_text(text)}")
    assert statement.stmt.targetList[0].val.val.sval == text


def test_body_cannot_end_its_own_quotes():
    parameters = [Parameter("p", "double precision[]")]
    text = function_statements('"f"', parameters, "plpgsql", "SAFE", "BEGIN -- $function$ $function_$\nEND", "", False)
    create, comment = pglast.parse_sql(text)
    assert "$function_$\nEND" in create.stmt.options[-1].arg[0].sval
    assert comment.stmt.comment == ""


def test_derived_names_fit_and_do_not_meet():
    assert function_name_with("a.b", "_case") == "a.b_case"
    long = ["x" * 60 + end for end in ("abc", "abd")]
    derived = [function_name_with(f"s.{name}", "_columns") for name in long]
    assert len(set(derived)) == 2
    assert all(len(name.removeprefix("s.")) <= 63 and name.endswith("_columns") for name in derived)
    assert len(function_name_with("é" * 31, "_columns").encode()) <= 63
