"""Refinement never raises the defect; fine-tuning lowers the loss and repeats itself."""

import numpy as np
import pytest
import torch

from meshmove.geometry import Rectangle
from meshmove.solvers import project
from meshmove.solvers.hypino import HyPINO, Settings
from meshmove.solvers.hypino.finetune import finetune, random_start
from meshmove.solvers.hypino.refine import refine
from meshmove.solvers.pde import Dirichlet, LinearPDE, ProblemError
from meshmove.solvers.projection.field import Sum, Zero


@pytest.fixture(scope="module")
def pde():
    square = Rectangle((-1, -1), (1, 1), "all")
    return LinearPDE(square, uxx=-1, uyy=-1, source=lambda x: np.sin(3 * x[0]), conditions={"all": Dirichlet(0.5)})


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return HyPINO(Settings(raster=32, width=16, depths=(1, 1), window=4, hidden=12)).eval()


def test_an_emitter_that_solves_half_converges(pde):
    emit = lambda problem: Sum((project(problem, effort=0.02).field,), (0.5,))  # noqa: E731
    field, networks, history = refine(pde, emit, 2)
    assert [r.kept for r in history][0] and history[1].kept
    assert history[1].defect < 1e-3 < history[0].defect
    X = pde.unit.interior(100, seed=1).points
    assert np.allclose(field.jets(X)[0], project(pde).field.jets(X)[0], atol=1e-3)


def test_a_round_that_does_not_help_is_not_kept(pde):
    field, networks, history = refine(pde, lambda problem: Zero(), 3)
    assert len(networks) == 1 and not history[-1].kept
    assert len(history) == 2


def test_defects_never_rise_with_any_network(pde, model):
    solution = model.solve(pde, refine=3)
    defects = [r.defect for r in solution.history]
    assert all(b <= a for a, b in zip(defects, defects[1:], strict=False))
    assert np.isfinite(solution.error_estimate)


@pytest.mark.parametrize("wrong", [0.7, 3.0])
def test_a_round_that_lowers_the_defect_and_raises_the_error_is_not_kept(pde, wrong):
    """The second network mends a ripple, much of the residual and nothing of the error, and bends the solution."""
    exact = project(pde).field

    def wave(size, k):
        def jets(X):
            a, b = np.sin(k * np.pi * X)
            c, d = k * np.pi * np.cos(k * np.pi * X)
            return size * np.stack([a * b, c * b, a * d, -((k * np.pi) ** 2) * a * b, -((k * np.pi) ** 2) * a * b])

        return jets

    class Given:
        def __init__(self, jets):
            self.jets = jets

    ripple, bend = wave(1e-3, 4), wave(1e-3 * wrong, 1)
    given = iter([Given(lambda X: exact.jets(X) + ripple(X)), Given(lambda X: bend(X) - ripple(X))])
    field, _, history = refine(pde, lambda problem: next(given), 1)
    X = pde.unit.interior(400, seed=1).points
    errors = [
        np.linalg.norm(f.jets(X)[0] - exact.jets(X)[0]) for f in (Given(lambda X: exact.jets(X) + ripple(X)), field)
    ]
    assert errors[1] <= errors[0]
    u = np.linalg.norm(exact.jets(X)[0])
    assert history[0].error == pytest.approx(errors[0] / u, rel=0.1)
    assert history[-1].error == pytest.approx(errors[1] / u, rel=0.1)


def test_rounds_are_kept_by_defect_and_error_both(pde, model):
    history = refine(pde, model.emit, 4)[2]
    kept = [r for r in history if r.kept]
    for before, after in zip(kept, kept[1:], strict=False):
        assert after.error < before.error and after.defect < before.defect
    assert [r.kept for r in history[:-1]] == [True] * (len(history) - 1)


def test_refinement_does_not_raise_the_error_of_other_peoples_problems():
    """The shipped model on problems of tutorials: u known, five rounds."""
    unit = Rectangle((0, 0), (1, 1), "all")
    cases = [
        (lambda x: 1 + x[0] ** 2 + 2 * x[1] ** 2, {"source": -6.0}),  # FEniCS
        (lambda x: np.sin(np.pi * x).prod(0), {"source": lambda x: 2 * np.pi**2 * np.sin(np.pi * x).prod(0)}),
        (lambda x: np.exp(x[0]) * np.sin(x[1]), {}),
    ]  # fmt: skip
    pretrained = HyPINO.from_pretrained()
    x = unit.sample_interior(500, seed=1)
    for exact, more in cases:
        problem = LinearPDE(unit, uxx=-1, uyy=-1, conditions={"all": Dirichlet(exact)}, **more)
        before, after = (np.linalg.norm(pretrained.solve(problem, refine=r)(x) - exact(x)) for r in (0, 3))
        assert after <= 1.05 * before


def test_fine_tuning_lowers_the_loss_and_is_seeded(pde, model):
    start = model.emit(pde)
    first, history = finetune(pde, start, 12)
    again, _ = finetune(pde, start, 12)
    assert min(s.loss for s in history) < history[0].loss
    X = pde.unit.interior(50, seed=1).points
    assert np.array_equal(first.jets(X).detach().numpy(), again.jets(X).detach().numpy())
    with pytest.raises(ProblemError, match="steps"):
        finetune(pde, start, -1)
    with pytest.raises(ProblemError, match="adam=-2"):
        finetune(pde, start, 4, adam=-2)


def test_fine_tuning_by_adam_ends_when_it_is_told_to(pde, model):
    seen = []
    _, history = finetune(pde, model.emit(pde), 30, adam=30, watch=lambda step, network: seen.append(step) or True)
    assert seen == [10] and len(history) == 11


def test_a_random_start_has_the_same_shape_and_is_seeded(pde, model):
    emitted = model.emit(pde)
    a, b = random_start(emitted, 1), random_start(emitted, 1)
    assert all(torch.equal(a.parameters[k], b.parameters[k]) for k in a.parameters)
    assert not a.parameters["lattice"].any() and a.parameters["mixture"].all()
    assert {k: v.shape for k, v in a.parameters.items()} == {k: v.shape for k, v in emitted.parameters.items()}


def test_all_steps_in_sequence(pde, model):
    best = project(pde)
    x = pde.unit.to_physical(pde.unit.interior(100, seed=1).points)
    solution = model.solve(pde, refine=1, finetune=4, project="emitted", effort=0.02)
    assert np.allclose(solution(x), best(x), atol=1e-3)
    assert len(solution.history) >= 2 + 5 + 1
    assert np.allclose(model.solve(pde, project=True)(x), best(x))
    for bad in ({"refine": -1}, {"finetune": -1}, {"project": "all"}):
        with pytest.raises(ProblemError, match="Expected"):
            model.solve(pde, **bad)
    with pytest.raises(ProblemError, match="LinearPDE"):
        model.solve("u_xx = 0")
