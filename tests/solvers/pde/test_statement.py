"""Stating problems: kinds, texts, and every error that a bad statement gets."""

import pickle

import meshio
import numpy as np
import pytest
import skfem
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry import Disk, MeshmoveError, Polygon, Rectangle, UnsupportedMeshError
from meshmove.solvers.pde import (
    Dirichlet,
    Interval,
    LinearPDE,
    Neumann,
    NonlinearError,
    ProblemError,
    TimeInterval,
)

SQUARE = Rectangle((-1, -1), (1, 1), name="outer")
SIDES = Rectangle((-1, -1), (1, 1), names=("bottom", "right", "top", "left"))
ZERO = {"outer": Dirichlet()}
ENDS = {"left": Dirichlet(), "right": Dirichlet()}
LEFT = {"left": Dirichlet()}
HOLED = SQUARE - Disk((0, 0), 0.2, "hole")
LINE = {"time": TimeInterval(0, 1), "conditions": ENDS}


def poisson(domain=SQUARE, **rest):
    return LinearPDE(domain, **{"uxx": -1, "uyy": -1, "conditions": ZERO, **rest})


def heat(domain=SIDES, **rest):
    return LinearPDE(domain, **{"uy": 1, "uxx": -1, "time": "y", "initial": 0, "conditions": ENDS, **rest})


@pytest.mark.parametrize(
    ("kind", "pde"),
    [
        ("elliptic", lambda: poisson()),
        ("elliptic", lambda: poisson(uxx=lambda x: 1 + x[0] ** 2, uyy=2)),
        ("parabolic", lambda: LinearPDE(Interval(0, 1), ut=1, uxx=-1, initial=0, **LINE)),
        ("parabolic", lambda: heat()),
        ("parabolic", lambda: poisson(uyy=0)),
        ("hyperbolic", lambda: LinearPDE(Interval(0, 1), utt=1, uxx=-4, initial=0, velocity=0, **LINE)),
        ("first-order", lambda: LinearPDE(SIDES, ux=1, uy=0.5, conditions={**LEFT, "bottom": Dirichlet()})),
        ("first-order", lambda: LinearPDE(Interval(0, 1), ut=1, ux=2, initial=0, **{**LINE, "conditions": LEFT})),
        ("algebraic", lambda: LinearPDE(SQUARE, u=2, source=lambda x: x[0])),
    ],
)  # fmt: skip
def test_kinds(kind, pde):
    assert pde().kind == kind


@settings(max_examples=40, deadline=None)
@given(*[st.floats(-2, 2).map(lambda v: round(v, 2)) for _ in range(3)], st.floats(0.1, 2), st.floats(0.1, 2))
def test_sign_does_not_change_the_kind(u, ux, uy, a, b):
    one = poisson(u=u, ux=ux, uy=uy, uxx=a, uyy=b)
    other = poisson(u=-u, ux=-ux, uy=-uy, uxx=-a, uyy=-b)
    assert one.kind == other.kind == "elliptic"


def test_text():
    wave = LinearPDE(Interval(0, 2), utt=1, uxx=-4, ut=0.1, u=lambda x: x[0], source=2, initial=0, velocity=1, **LINE)
    assert repr(wave) == (
        "LinearPDE(hyperbolic: utt + 0.1 ut - 4 uxx + f(x) u = 2; left: Dirichlet(0), right: Dirichlet(0); "
        "u = 0 at t = 0; ut = 1 at t = 0)"
    )
    assert repr(Interval(0, 1, names=("a", "b"))) == "Interval(0, 1, names=('a', 'b'))"


@pytest.mark.parametrize(
    ("message", "state"),
    [
        ("coefficient other than zero.*u, ux, uy, uxx, uyy", lambda: LinearPDE(SQUARE, conditions=ZERO)),
        ("'outer', 'hole'.*got one on 'holes'", lambda: poisson(HOLED, conditions={"holes": Dirichlet()})),
        ("condition on every boundary.*'hole'", lambda: poisson(HOLED)),
        ("Dirichlet data", lambda: poisson(conditions={"outer": Neumann(1)})),
        ("initial velocity", lambda: LinearPDE(Interval(0, 1), utt=1, uxx=-1, initial=0, **LINE)),
        ("initial=", lambda: LinearPDE(Interval(0, 1), ut=1, uxx=-1, **LINE)),
        ("no initial velocity", lambda: LinearPDE(Interval(0, 1), ut=1, uxx=-1, initial=0, velocity=0, **LINE)),
        ("backward", lambda: LinearPDE(Interval(0, 1), ut=1, uxx=1, initial=0, **LINE)),
        ("opposite signs", lambda: LinearPDE(Interval(0, 1), utt=1, uxx=1, initial=0, velocity=0, **LINE)),
        ("derivative in time", lambda: LinearPDE(Interval(0, 1), uxx=1, initial=0, **LINE)),
        ("time axis for a hyperbolic", lambda: poisson(uyy=1)),
        ("time axis for a parabolic", lambda: poisson(uyy=0, uy=1)),
        ("TimeInterval.*with an Interval", lambda: LinearPDE(Interval(0, 1), uxx=1, conditions=ENDS)),
        ("make three", lambda: poisson(time=TimeInterval(0, 1))),
        ("Expected time=", lambda: poisson(ut=1)),
        ("Expected time=", lambda: poisson(initial=1)),
        ("'y' or None|\"y\" or None", lambda: poisson(time="x")),
        ("which are the same", lambda: heat(ut=1)),
        ("last time", lambda: heat(conditions={**ENDS, "top": Dirichlet()})),
        ("first time once", lambda: heat(conditions={**ENDS, "bottom": Dirichlet()})),
        ("lower side in time is straight", lambda: heat(Disk((0, 0), 1, "outer"), conditions=ZERO)),
        ("interior", lambda: poisson(SQUARE - Disk((0, 0), 3))),
        ("do not overlap", lambda: poisson(SQUARE - [Disk((0, 0), 0.3), Disk((0.2, 0), 0.3)])),
        ("0 apart at", lambda: poisson(SQUARE - [Disk((-0.2, 0), 0.2, "a"), Disk((0.2, 0), 0.2, "b")])),
        ("'a' and 'outer'|'outer' and 'a'", lambda: poisson(SQUARE - Disk((0.7, 0.2), 0.3, "a"))),
        ("at least 2e-05 apart", lambda: poisson(SQUARE - [Disk((0, 0.3), 0.3 - 1e-6, "a"), Disk((0, -0.3), 0.3)])),
        ("touches itself", lambda: poisson(SQUARE - (Disk((-0.3, 0), 0.3) | Disk((0.3, 0), 0.3)))),
        ("'a' and 'b'", lambda: poisson(SQUARE - [Rectangle((-1, -1), (0, 0), "a"), Rectangle((0, 0), (1, 1), "b")])),
        ("apart", lambda: poisson(SQUARE - Polygon(((0, 0), (1 - 1e-6, 0.1), (0, 0.2)), "tip"))),
        ("Dirichlet data", lambda: poisson(u=lambda x: 0 * x[0], conditions={"outer": Neumann()})),
        ("Dirichlet data", lambda: poisson(uyy=0, u=lambda x: 0 * x[0], conditions={"outer": Neumann()})),
        ("holes inside", lambda: poisson(SQUARE - Disk((1, 0), 0.3))),
        ("one kind.*elliptic at.*hyperbolic at", lambda: poisson(uxx=lambda x: x[0])),
        ("characteristics enter", lambda: LinearPDE(SIDES, ux=1, uy=0.5, conditions={**LEFT, "top": Dirichlet()})),
        ("finite number", lambda: poisson(u=np.nan)),
        ("number or a function.*'sin", lambda: poisson(source="sin(x)")),
        ("Dirichlet.value. or Neumann", lambda: poisson(conditions={"outer": 1.0})),
        ("dict from boundary name", lambda: poisson(conditions=[Dirichlet()])),
        ("without parameters", lambda: poisson(source=lambda: 1.0)),
        ("u, ux, uy, ut.*'uxxx'; derivatives beyond the second", lambda: poisson(uxxx=1)),
        ("'sources'; did you mean source", lambda: poisson(sources=1)),
        ("divergence, source, conditions.*got 'laplacian'", lambda: poisson(laplacian=1)),
        ("lower < upper", lambda: Interval(1, 0)),
        ("start < end", lambda: TimeInterval(1, 1)),
        ("two finite numbers", lambda: TimeInterval(0, np.inf)),
        ("two different names", lambda: Interval(0, 1, names=("a", "a"))),
    ],
)  # fmt: skip
def test_bad_statements(message, state):
    with pytest.raises(ProblemError, match=message):
        state()


def test_holes_with_a_gap_between_them_are_no_touch_and_united_ones_are_one():
    disks = [Disk((-0.2, 0), 0.2, "a"), Disk((0.2, 0), 0.2 - 1e-3, "b")]
    conditions = {"outer": Dirichlet(), "a": Dirichlet(1), "b": Neumann()}
    assert len(poisson(SQUARE - disks, conditions=conditions).unit.holes) == 2
    united = disks[0] | Disk((0.15, 0), 0.2, "b")
    assert len(poisson(SQUARE - united, conditions=conditions).unit.holes) == 1
    corner_in_common = [Rectangle((-0.4, -0.4), (0, 0), "a"), Rectangle((-0.2, -0.1), (0.1, 0.3), "b")]
    assert len(poisson(SQUARE - (corner_in_common[0] | corner_in_common[1]), conditions=conditions).unit.holes) == 1


def test_a_u_term_that_is_zero_here_and_there_is_one():
    pde = poisson(u=lambda x: np.maximum(x[0], 0), conditions={"outer": Neumann()})
    assert pde.kind == "elliptic"


@pytest.mark.parametrize("bad", [lambda x, u: u**2, lambda x, *, u: u])
def test_nonlinear(bad):
    with pytest.raises(NonlinearError, match="linear operator.*x, u"):
        poisson(u=bad)
    with pytest.raises(NonlinearError, match="the source"):
        poisson(source=bad)


@pytest.mark.parametrize(
    ("message", "bad"),
    [
        (r"nan at the point \(.*more\)", lambda x: np.full_like(x[0], np.nan)),
        (r"nan at the point \(.*\)", lambda x: np.where(x[0] == x[0].max(), np.nan, 1.0)),
        (r"shape \(3,\)", lambda x: np.ones(3)),
        (r"shape \(2, \d+\)", lambda x: x),
        ("complex128", lambda x: x[0] + 1j),
    ],
)
def test_bad_values(message, bad):
    with pytest.raises(ProblemError, match="the source.*" + message if "shape" not in message else message):
        poisson(source=bad).unit.interior(100)
    with pytest.raises(ProblemError, match=message):
        poisson(conditions={"outer": Dirichlet(bad)}).unit.boundary(100)


def test_inputs_are_not_changed():
    def greedy(x):
        x *= 2
        return x[0]

    pde = poisson(source=greedy)
    rows = pde.unit.interior(50)
    assert np.allclose(rows.source, 2 * rows.points[0])


def test_errors_are_the_packages():
    assert issubclass(ProblemError, MeshmoveError) and issubclass(NonlinearError, TypeError)


@pytest.mark.parametrize("mesh", [skfem.MeshTet(), skfem.MeshHex(), skfem.MeshLine()])
def test_meshes_of_other_dimensions(mesh):
    with pytest.raises(UnsupportedMeshError, match="plane.*dimensions"):
        poisson(mesh)


def test_meshio_in_space():
    cube = meshio.Mesh(np.eye(4)[:, :3], [("tetra", [[0, 1, 2, 3]])])
    with pytest.raises(UnsupportedMeshError, match="3 dimensions"):
        poisson(cube)


def test_an_unknown_domain():
    with pytest.raises(UnsupportedMeshError, match="shape such as Rectangle.*got 'square'.*skfem"):
        poisson("square")


def test_outflow_needs_no_condition_and_escape_routes_of_messages_work():
    both = SQUARE - (Disk((0, 0), 0.3, "hole") | Disk((0.2, 0), 0.3, "hole"))
    cut = SQUARE - (Disk((1, 0), 0.3, "hole") & SQUARE)
    for domain in (both, cut):
        assert poisson(domain, conditions={"outer": Dirichlet(), "hole": Neumann()}).kind == "elliptic"
    assert poisson(conditions={"outer": Neumann(1)}, u=1).kind == "elliptic"
    L = Polygon([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)], name="outer")
    assert poisson(L).kind == "elliptic"


def test_pickling():
    pde = pickle.loads(pickle.dumps(poisson(source=2.0)))
    assert repr(pde) == repr(poisson(source=2.0)) and pde.unit.interior(5).points.shape == (2, 5)


@pytest.mark.parametrize("size", [0.0, 1e-16, -3e-14])
def test_a_u_term_that_is_rounding_does_not_make_a_neumann_problem_one_with_a_solution(size):
    square = Rectangle((0, 0), (1, 1), name="all")
    with pytest.raises(ProblemError, match="known up to a constant only"):
        LinearPDE(square, uxx=-1, uyy=-1, u=lambda x: size * (1 + x[0]), source=1, conditions={"all": Neumann()})
    LinearPDE(square, uxx=-1, uyy=-1, u=lambda x: 1e-6 * (1 + x[0]), source=1, conditions={"all": Neumann()})


@pytest.mark.parametrize("source", [lambda x, y: x + y, lambda x, t: x + t])
def test_functions_of_coordinates_one_by_one_are_told_how_to_take_points(source):
    with pytest.raises(ProblemError, match=r"the source as a function of points.*alone.*x\[1\] is [yt]"):
        LinearPDE(Rectangle((0, 0), (1, 1), "all"), uxx=-1, uyy=-1, source=source, conditions={"all": Dirichlet()})
