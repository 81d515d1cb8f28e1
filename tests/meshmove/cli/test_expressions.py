"""Formulas on the command line: values, and everything that is no formula."""

import ast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshmove import FieldError
from meshmove.cli.expressions import CONSTANTS, FUNCTIONS, Expression

POINTS = np.array([[3.0, 0.25, 1.0], [4.0, 1.0, 2.0]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tanh(30*(x-1))", np.tanh(30 * (POINTS[0] - 1))),
        ("1 + 10*exp(-r^2)", 1 + 10 * np.exp(-(POINTS**2).sum(axis=0))),
        ("-x**2 + y/2 % 3", -(POINTS[0] ** 2) + POINTS[1] / 2 % 3),
        ("where(x < 1, 0, atan2(y, x))", np.where(POINTS[0] < 1, 0, np.arctan2(POINTS[1], POINTS[0]))),
        ("max(x, y) - minimum(x, y)", np.abs(POINTS[0] - POINTS[1])),
        ("2*pi + 0*x", np.full(3, 2 * np.pi)),
        ("(x > 1) * 2", 2.0 * (POINTS[0] > 1)),
        ("7", np.full(3, 7.0)),
        ("(" * 150 + "x" + ")" * 150, POINTS[0]),
        ("-" * 390 + "x", POINTS[0]),
    ],
)
def test_values(text, expected):
    values = Expression(text)(POINTS)
    assert values.shape == (3,) and np.allclose(values, expected, rtol=1e-13, atol=0)


def test_z_in_space_and_in_the_plane():
    assert Expression("z")(np.arange(6.0).reshape(3, 2)).tolist() == [4, 5]
    with pytest.raises(FieldError, match="the mesh is plane, it has no z"):
        Expression("x + z")(POINTS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tnh(x)", "did you mean 'tanh'"),
        ("sin(x, y)", "sin takes 1 argument, here it has 2"),
        ("temperature * 2", "it holds 'temperature'"),
        ("x +", "invalid syntax"),
        ("", "invalid syntax"),
        ("x.real", "it holds 'x.real'"),
        ("__import__('os').system('ls')", "it holds"),
        ("(lambda: 1)()", "it holds"),
        ("[c for c in x]", "it holds"),
        ("x if x > 1 else y", "it holds"),
        ("x[0]", "it holds"),
        ("'text'", "it holds"),
        ("True", "it holds"),
        ("1j * x", "it holds"),
        ("exp(x=1)", "it holds"),
        ("x, y", "it holds"),
        ("x := 1", "invalid syntax"),
        ("1" + "0" * 350, "a number is too large"),
        ("x" + "+x" * 1000, "at most 400 letters"),
        ("x\0", "null"),
    ],
)
def test_what_is_no_formula(text, why):
    with pytest.raises(FieldError, match=why):
        Expression(text)


@given(st.text(alphabet="xyzr0123456789.e+-*/^%()<>,= sincotahplgqrbmw_[]'\"", max_size=60))
def test_any_text_is_a_formula_or_a_documented_error(text):
    try:
        values = Expression(text)(POINTS)
    except FieldError:
        return
    assert values.shape == (3,) and values.dtype == float


def test_nothing_but_arithmetic_is_known():
    """Python's own names are no functions here, and every function here is one of NumPy's on numbers."""
    assert not {"eval", "open", "getattr", "vars", "type", "print"} & {*FUNCTIONS, *CONSTANTS}
    assert all(getattr(np, f.__name__) is f for f, _ in FUNCTIONS.values())
    for name, (_, count) in FUNCTIONS.items():
        assert np.shape(Expression(f"{name}({', '.join(['0.5'] * count)})")(POINTS)) == (3,)
        assert ast.parse(name)


def test_formulas_and_names_are_told_apart():
    assert all(map(Expression.like, ["x", "r", "tanh(30*(x-1))", "2*x", "x<1"]))
    assert not any(map(Expression.like, ["temperature", "u", "hesian", "T_1", "gmsh:dim_tags", "best"]))
