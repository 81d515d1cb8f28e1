"""Whatever is handed to an option: it works, or the error says what was expected. Nothing else comes out."""

import re
from decimal import Decimal
from fractions import Fraction

import meshio
import numpy as np
import pytest
import scipy.sparse
import skfem
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import meshmove
from meshmove import MeshmoveError, MongeAmpere, Neural, Smooth
from tests.shapes import front

FAST = meshmove.Monitor("gradient", intensity=4)
SQUARE = skfem.MeshTri().refined(3).with_boundaries({"left": lambda x: x[0] == 0})
N = SQUARE.p.shape[1]
RAGGED = [[1.0, 2.0], [3.0]]
MASKED = np.ma.masked_greater(front(SQUARE.p), 0.9)


def grumpy(x):
    """Writes to what it is given, and returns a part of it."""
    x *= 2
    return x[0]


ODD = [
    None, True, False, np.True_, 0, -1, 3, 2.5, -0.0, 1e-320, 1e308, np.nan, np.inf, -np.inf, 10**400,
    -(10**400), 1 + 2j,
    Fraction(1, 3), Decimal("0.5"), np.float32(0.5), np.int8(2), np.datetime64("2026-01-01"), "", "left",
    "hessian", "1",
    b"bytes", [], (), {}, set(), {1, 2}, [1, 2], (1, 2), ("a", "b"), (None, None), RAGGED, [None] * N, ["x"] * N,
    [[]],
    {"left": "fixed"}, {"left": 1}, {"left": None}, {1: "slide"}, {None: "fixed"}, {"lft": "slide"},
    {"left": ["slide"]},
    object(), type, int, skfem.MeshTri, MongeAmpere, meshmove.Monitor, len, lambda: 1.0, lambda x: x[7],
    lambda x: None, lambda x: "text", lambda x: RAGGED, lambda x: x[0] * np.nan, grumpy,
    lambda x: np.full(x.shape[1], np.inf), lambda x: 1e308 * x[0], lambda x: 1e-320 * (1 + x[0]),
    lambda x: np.ma.masked_less(x[0], 0.5), lambda x: [x[0], 1], range(3), iter([1, 2]),
    np.array(1.0), np.array([]), np.array([0.5]), np.array([np.nan]), np.array(["slide"]), np.arange(N),
    np.ones(N, bool),
    np.arange(N) - 5, np.arange(N) / 2, np.full(N, 1e308), np.full(N, 5e-324) * np.arange(N), np.full(N,
    1e308) * front(SQUARE.p),
    np.arange(N).astype(object), np.arange(N).astype("M8[s]"), np.ones((N, 0)), np.ones((3, N)), np.ones((N, 2,
    2)), MASKED,
    np.ma.masked_all(N), np.ma.masked_all(N, dtype=bool), np.longdouble(2) ** 2000 * np.ones(N), np.zeros(N,
    dtype="V4"),
    scipy.sparse.eye(N).tocsr(), scipy.sparse.coo_array(np.eye(N)), torch.ones(N, requires_grad=True),
    torch.arange(N), torch.ones(N, dtype=torch.bfloat16), torch.ones(N, dtype=torch.bool), torch.tensor(2.0),
    memoryview(b"abc"), Ellipsis, NotImplemented, slice(3), re.compile("a"), SQUARE, SQUARE.refined(1),
    skfem.MeshQuad(),
    skfem.MeshTet(), meshio.Mesh(SQUARE.p.T, [("triangle", SQUARE.t.T)]), skfem.MeshTri(SQUARE.p + 5, SQUARE.t),
    skfem.MeshTri(SQUARE.p * np.nan, SQUARE.t), FAST, Smooth(),
]  # fmt: skip
odd = st.sampled_from(range(len(ODD))).map(lambda k: ODD[k])
OPTIONS = ["monitor", "mover", "effort", "boundary", "fixed", "reference", "transfer", "device"]


def works_or_says_why(call):
    """The result of a call, or None where a documented error says what was expected."""
    try:
        return call()
    except (MeshmoveError, ValueError) as error:
        assert str(error).startswith("Expected "), f"{type(error).__name__}: {error}"
    return None


def check(call):
    out = works_or_says_why(call)
    if out is not None:
        assert np.isfinite(out.displacement).all() and np.isfinite(out.report.imbalance_after)
        assert all(np.isfinite(v).all() for v in out.fields.values())


@pytest.mark.parametrize("option", [*OPTIONS, "field"])
def test_one_odd_option_works_or_says_why(option):
    for value in ODD:
        options = {"field": front(SQUARE.p), "monitor": FAST, "mover": "smooth", option: value}
        check(lambda o=options: meshmove.adapt(SQUARE, **o))


@settings(max_examples=150)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*OPTIONS, "field", "montior"], odd)))
def test_several_odd_options_work_or_say_why(options):
    options = {"field": front(SQUARE.p), "monitor": FAST, "mover": "smooth", **options}
    if "montior" in options:
        works_or_says_why(lambda: meshmove.MovingMesh(SQUARE, **{k: v for k, v in options.items() if k != "field"}))
        del options["montior"]
    check(lambda: meshmove.adapt(SQUARE, **options))


@pytest.mark.parametrize("value", ODD, ids=lambda v: type(v).__name__)
def test_odd_meshes_steps_and_parameters_of_movers(value):
    works_or_says_why(lambda: meshmove.adapt(value, front, monitor=FAST, mover="smooth"))
    if not isinstance(value, int) or not 3 < value < 100:  # rounds take their time
        options = {"monitor": FAST, "mover": "smooth", "steps": value}
        works_or_says_why(lambda: meshmove.adapt_loop(SQUARE, lambda m: front(m.p), **options))
    works_or_says_why(lambda: meshmove.adapt_loop(SQUARE, lambda m: value, steps=1, monitor=FAST, mover="smooth"))
    if not callable(value):
        works_or_says_why(lambda: meshmove.adapt_loop(SQUARE, value, monitor=FAST, mover="smooth"))
    works_or_says_why(lambda: meshmove.MovingMesh(SQUARE, monitor=FAST, mover="smooth").step(front, value))
    for mover in (MongeAmpere, Smooth, Neural):
        for name in set(mover.__dataclass_fields__) - {"name"}:
            works_or_says_why(lambda m=mover, n=name: m(**{n: value}))
