"""Many sources of one operator: the same as one by one, with what the shared grid does not resolve left out."""

import numpy as np

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers import project
from meshmove.solvers.pde import Dirichlet, LinearPDE, Neumann
from meshmove.solvers.projection.many import alike, settle

HOLED = Rectangle((0, 0), (2, 1), "all") - Disk((0.6, 0.5), 0.2, "hole")
CONDITIONS = {"all": Dirichlet(lambda x: x[0]), "hole": Neumann()}


def _problem(source, **terms):
    return LinearPDE(HOLED, **({"uxx": -1, "uyy": -1, "ux": 2} | terms), source=source, conditions=CONDITIONS)


def _waves(k):
    return lambda x: np.sin(k * x[0] + x[1]) + k


def test_solutions_are_those_of_one_by_one():
    problems = [_problem(_waves(k)) for k in (1, 3, 5)]
    x = HOLED.sample_interior(200)
    for one, problem in zip(project(problems, tolerance=1e-4), problems, strict=True):
        assert one.how == "projected with others" and one.pde is problem
        u = project(problem, tolerance=1e-7)(x)
        assert np.linalg.norm(one(x) - u) < one.error_estimate * np.linalg.norm(u) < 1e-4 * np.linalg.norm(u)


def test_a_source_among_many_and_a_source_among_two_have_the_same_solution():
    problems = [_problem(_waves(k / 10)) for k in range(40)]
    many, two = settle(problems, 1e-4), settle([problems[37], problems[3]], 1e-4)
    X = problems[0].unit.to_unit(HOLED.sample_interior(200))
    for one, other in zip((many[37], many[3]), two, strict=True):
        assert np.allclose(one.field.jets(X)[0], other.field.jets(X)[0], rtol=0, atol=1e-9)
        assert np.isclose(one.estimate, other.estimate, rtol=1e-6)


def test_a_source_is_evaluated_once_on_each_grid():
    calls = []

    def counted(x):
        calls.append(x.shape[1])
        return np.sin(x[0]) + 1

    assert all(settle([_problem(_waves(1)), _problem(counted)], 1e-3))
    assert len(calls) == 1


def test_what_the_shared_grid_does_not_see_is_solved_by_itself():
    peak = lambda x: 1e4 * np.exp(-((x[0] - 1.3) ** 2 + (x[1] - 0.5) ** 2) / 0.03**2)  # noqa: E731
    narrow = lambda x: 1e6 * np.exp(-((x[0] - 1.31) ** 2 + (x[1] - 0.52) ** 2) / 0.005**2)  # noqa: E731
    problems = [_problem(f) for f in (1.0, peak, narrow)]
    settled = settle(problems, 1e-4)
    assert settled[0] is not None and settled[1:] == [None, None]


def test_alike_are_problems_that_differ_in_their_sources_only():
    first = _problem(1.0)
    again = Rectangle((0, 0), (2, 1), "all") - Disk((0.6, 0.5), 0.2, "hole")
    same = LinearPDE(again, uxx=-1, uyy=-1, ux=2, source=lambda x: x[0], conditions=CONDITIONS)
    assert alike(first, _problem(_waves(2))) and alike(first, same)
    other = LinearPDE(HOLED, uxx=-1, uyy=-1, ux=2, conditions=CONDITIONS | {"hole": Dirichlet()})
    assert not alike(first, other)
    assert not alike(first, _problem(1.0, ux=3)) and not alike(first, _problem(1.0, ux=lambda x: 2 + 0 * x[0]))


def test_singular_functions_that_add_to_the_equation():
    corner = Rectangle((-1, -1), (1, 1), "outer") - Rectangle((0, 0), (1, 1), "notch")
    conditions = {"outer": Dirichlet(), "notch": Dirichlet()}
    problems = [LinearPDE(corner, uxx=-1, uyy=-1, ux=3, source=_waves(k), conditions=conditions) for k in (1, 2)]
    one, _ = project(problems, tolerance=1e-3)
    assert one.how == "projected with others"
    alone, x = project(problems[0], tolerance=1e-4, effort=0.2), corner.sample_interior(200)
    off = np.linalg.norm(one(x) - alone(x)) / np.linalg.norm(alone(x))
    assert off < one.error_estimate + alone.error_estimate < 2e-3


def test_without_a_unique_solution_nothing_is_settled():
    square = Rectangle((0, 0), (1, 1), "all")
    problems = [  # the source is orthogonal to the eigenfunction
        LinearPDE(
            square,
            uxx=-1,
            uyy=-1,
            u=-2 * np.pi**2,
            source=lambda x, k=k: np.sin(k * np.pi * x[0]) * np.sin(np.pi * x[1]),
            conditions={"all": Dirichlet()},
        )
        for k in (2, 3)
    ]
    assert settle(problems, 1e-3) == [None, None]


def test_a_grid_that_solves_few_of_some_is_not_tried_for_the_others():
    calls = []

    def counted(x):
        calls.append(x.shape[1])
        return np.sin(9 * x[0]) + 1

    problems = [_problem(_waves(5 + k / 10)) for k in range(48)]
    problems[1] = _problem(counted)
    assert settle(problems, 1e-13) == 48 * [None]
    assert len(calls) == 1  # on the last grid, which all are left to


def test_sources_that_jump_between_points_are_not_believed_to_be_solved():
    square = Rectangle((0, 0), (1, 1), names=("south", "east", "north", "west"))
    sides = {"west": Dirichlet(), "east": Dirichlet(), "south": Neumann(), "north": Neumann()}
    problems, x = [], square.sample_interior(300)
    places = np.linspace(0.2, 0.8, 7)
    for place in places:
        source = lambda x, place=place: np.where(x[0] > place, 1.0, 0.0)  # noqa: E731
        problems.append(LinearPDE(square, uxx=-1, uyy=-1, source=source, conditions=sides))
    for tolerance in (1e-3, 0.2):
        for place, one in zip(places, settle(problems, tolerance), strict=True):
            assert (one is None) == (tolerance < 0.01)
            if one is not None:
                u = (1 - place) ** 2 / 2 * x[0] - np.maximum(x[0] - place, 0) ** 2 / 2
                v = one.field.jets(problems[0].unit.to_unit(x))[0]
                assert np.linalg.norm(v - u) < one.estimate * np.linalg.norm(u)
