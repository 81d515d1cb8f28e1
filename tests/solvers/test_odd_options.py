"""Whatever is handed to problems, solutions, data sets and rollouts: it works, or the error says what was expected."""

import numpy as np
import pytest
import skfem

from meshmove.geometry import Rectangle
from meshmove.solvers import (
    MMPDE,
    Dirichlet,
    Interval,
    LinearPDE,
    Neumann,
    ProblemError,
    Robin,
    TimeInterval,
    Trajectories,
    TrajectoryDataset,
    l2_error,
    project,
    solve_finite_elements,
    solve_poisson,
)
from meshmove.solvers.mmpde import Observation, Settings
from tests.odd import VALUES, each_option_works_or_says_why, works_or_says_why

SQUARE = Rectangle((0, 0), (1, 1), name="all")
MESH = skfem.MeshTri().refined(2)
N = MESH.nvertices


@pytest.fixture(scope="module")
def solution():
    problem = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=1.0, conditions={"all": Dirichlet()})
    return project(problem, tolerance=0.1, effort=0.02)


def test_odd_conditions_and_intervals():
    for condition in (Dirichlet, Neumann):
        each_option_works_or_says_why(condition, {"value": 0})
    each_option_works_or_says_why(Robin, {"alpha": 1, "beta": 1, "value": 0})
    each_option_works_or_says_why(Interval, {"lower": 0, "upper": 1, "names": ("left", "right")})
    each_option_works_or_says_why(TimeInterval, {"start": 0, "end": 1})


def test_odd_terms_and_data_of_a_problem():
    good = dict.fromkeys(("u", "ux", "uy", "uxy", "ut", "utt"), 0.0) | {"uxx": -1, "uyy": -1, "source": 1}
    good |= {"domain": SQUARE, "conditions": {"all": Dirichlet()}, "time": None, "initial": None, "velocity": None}
    each_option_works_or_says_why(LinearPDE, good)
    good = {"domain": SQUARE, "conditions": {"all": Dirichlet()}, "divergence": 1.0}
    each_option_works_or_says_why(LinearPDE, good, only=["divergence"])


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda x: x[5], "take x of shape .2, .*IndexError"),
        (lambda x: [x[0], 1], "numbers"),
        (lambda x: np.ma.masked_less(x[0], 0.5), "everywhere.*masked"),
        (lambda x: "text", "numbers"),
        (lambda x: x[0] * np.nan, "finite values"),
    ],
)
def test_functions_that_return_no_numbers_are_named(function, message):
    problem = LinearPDE(SQUARE, uxx=-1, uyy=-1, source=function, conditions={"all": Dirichlet()})
    with pytest.raises(ProblemError, match=f"(?s){message}"):
        project(problem, tolerance=0.1, effort=0.02)


def test_odd_questions_to_a_solution(solution):
    points = np.full((2, 3), 0.5)
    for method in (solution, solution.gradient, solution.hessian, solution.jets):
        each_option_works_or_says_why(lambda f=method, **o: f(**o), {"x": points, "outside": "nan"})
    for value in VALUES:
        works_or_says_why(lambda v=value: solution.residual(v))
        works_or_says_why(lambda v=value: solution.to_skfem(v))
        if not isinstance(value, int) or value < 1:
            works_or_says_why(lambda v=value: solution.boundary_residual(v))


def test_odd_options_of_finite_elements(solution):
    wrong = [v for v in VALUES if not isinstance(v, int | float | np.number) or not 0 < v < 100]
    for value in wrong:
        works_or_says_why(lambda v=value: solve_finite_elements(solution.pde, size=v))
        works_or_says_why(lambda v=value: solve_finite_elements(v))
    each_option_works_or_says_why(l2_error, {"mesh": MESH, "values": MESH.p[0], "exact": 0.0, "intorder": 3})
    each_option_works_or_says_why(solve_poisson, {"mesh": MESH, "source": 1.0, "dirichlet": 0.0, "solver": "direct"})


def test_odd_data_sets(tmp_path):
    good = {"mesh": MESH, "times": np.arange(3.0), "fields": {"u": np.zeros((1, 3, N))}}
    each_option_works_or_says_why(TrajectoryDataset.from_arrays, {**good, "attributes": None, "boundaries": None})
    for value in VALUES:
        for name in ("fields", "attributes", "boundaries"):
            options = {**good, name: {"a": value}}
            works_or_says_why(lambda o=options: TrajectoryDataset.from_arrays(**o))
        works_or_says_why(lambda v=value: TrajectoryDataset(v))
        works_or_says_why(lambda v=value: TrajectoryDataset.from_meshes(v, [0.0]))
        works_or_says_why(lambda v=value: TrajectoryDataset.from_meshes([MESH], v))
    data = TrajectoryDataset.from_arrays(**good).groups[0]
    parts = {name: getattr(data, name) for name in ("points", "cells", "times", "fields", "boundaries", "attributes")}
    each_option_works_or_says_why(Trajectories, parts)
    inside = {"points": np.full((3, 2), 0.5), "trajectory": 0, "frames": slice(None), "names": None}
    each_option_works_or_says_why(data.at, inside)


def test_odd_rollouts_and_observations():
    model = MMPDE(Settings(width=4, layers=1, bundle=2)).eval()
    start = np.sin(MESH.p[0])

    def run(**options):
        return list(model.rollout(**{"mesh": MESH, "u0": start, "steps": 2, **options}))

    few = [v for v in VALUES if not isinstance(v, int) or v < 10 or v > 10**20]
    for value in few:
        for name in ("u0", "steps", "attributes", "dt", "boundary"):
            works_or_says_why(lambda n=name, v=value: run(**{n: v}))
    seen = {"frame": 1, "values": {"u": np.zeros(2)}, "noise": 0.1, "nodes": [1, 2]}
    each_option_works_or_says_why(Observation, seen)
    trajectory = model.rollout(MESH, start, 2)
    for value in VALUES:
        works_or_says_why(lambda v=value: model.assimilate(trajectory, v))
        works_or_says_why(lambda v=value: model.assimilate(v, [Observation(**seen)]))
        works_or_says_why(lambda v=value: model.assimilate(trajectory, [], hold=v))
