"""Conjugate gradients on a picture: they solve smooth problems roughly, of every kind, alike in every batch."""

import math

import pytest
import torch

from meshmove.geometry import Disk, Rectangle
from meshmove.solvers.fem.published_problems import BENCHMARKS
from meshmove.solvers.hypino import HyPINO
from meshmove.solvers.hypino.rough_solution import sweep, waves_on
from meshmove.solvers.pde import Dirichlet, LinearPDE, Neumann, ProblemError

N = 64
S = torch.linspace(-1 + 1 / N, 1 - 1 / N, N)


def relative(u, exact, inside=None):
    inside = torch.ones_like(exact) if inside is None else inside
    return float(((u - exact) * inside).norm() / (exact * inside).norm())


def picture(pde):
    c = torch.tensor(pde.unit.means, dtype=torch.float32)[None]
    return c, torch.tensor(pde.unit.raster(N), dtype=torch.float32)[None]


def test_the_basis_is_differentiated():
    b, h = waves_on(N), 2 / N
    middle = (b.at[2:] - b.at[:-2]) / (2 * h)
    slow = b.waves < 5
    assert float((middle - b.d[1:-1])[:, slow].abs().max()) < 0.05
    assert float(((b.d[2:] - b.d[:-2]) / (2 * h) - b.dd[1:-1])[:, slow].abs().max()) < 0.2


@pytest.mark.parametrize("name", ["HT", "HZ"])
def test_benchmarks_with_formulas(name):
    benchmark = BENCHMARKS[name]
    X = torch.stack([S.repeat(N), S.repeat_interleave(N)]).double().numpy()
    exact = torch.tensor(benchmark.exact(benchmark.pde.unit.to_physical(X)), dtype=torch.float32).view(N, N)
    errors = [relative(sweep(*picture(benchmark.pde), k).values[0], exact) for k in (6, 24, 60)]
    assert errors[1] < 0.15 and errors[2] < 0.08 and errors[0] > errors[1] > errors[2]


def test_more_sweeps_are_asked_for_and_make_the_answer_better():
    benchmark, model = BENCHMARKS["HT"], HyPINO.from_pretrained()
    x = benchmark.pde.domain.sample_interior(2000, seed=4)
    exact = torch.tensor(benchmark.exact(x))
    default, same, more = (model.emit(benchmark.pde, sweeps=n)(x) for n in (None, 60, 240))
    assert torch.equal(default, same) and relative(more, exact) < 0.7 * relative(default, exact)


@pytest.mark.parametrize("sweeps", [0, -1, 2.5, 10**6])
def test_sweeps_that_cannot_be_are_refused(sweeps):
    with pytest.raises(ProblemError, match="sweeps"):
        HyPINO.from_pretrained().emit(BENCHMARKS["HT"].pde, sweeps=sweeps)


def test_holes_and_derivatives_at_sides():
    """A harmonic function with Dirichlet values at a hole and derivatives on two sides."""
    exact = lambda x: x[0] ** 2 - x[1] ** 2 + x[0]  # noqa: E731
    names = ("bottom", "right", "top", "left")
    domain = Rectangle((-1, -1), (1, 1), names=names) - [Disk((0.2, 0.1), 0.4, name="hole")]
    conditions = {name: Dirichlet(exact) for name in ("bottom", "top", "hole")}
    conditions |= {"right": Neumann(3.0), "left": Neumann(1.0)}
    c, raster = picture(LinearPDE(domain, uxx=-1, uyy=-1, conditions=conditions))
    rough = sweep(c, raster, 40)
    X, Y = S.expand(N, N), S[:, None].expand(N, N)
    assert relative(rough.values[0], exact((X, Y)), raster[0, 5]) < 0.1
    for left, size in ((rough.equation, 0.1), (rough.value, 0.2), (rough.flux, 0.5)):
        assert float(left.abs().max()) < size


def close(u, v):
    """Within 1e-4 of the maximum."""
    assert float((u - v).abs().max()) < 1e-4 * float(v.abs().max())


def test_answers_are_proportional_to_the_data_and_alone_as_in_a_batch():
    raster = torch.zeros(2, 6, N, N)
    raster[:, 0, :, [0, -1]], raster[:, 5] = 1.0, 1.0
    raster[:, 2, :, -1] = torch.sin(S)
    raster[1, 4] = torch.cos(3 * S)
    c = torch.tensor([[0.0, 0, 0, 1, 1], [1.0, 0, 0, -1, 0]])
    both = sweep(c, raster, 12).values
    more = raster.clone()
    more[:, 2:5] *= -1000
    close(sweep(c, more, 12).values, -1000 * both)
    negative = torch.cat([raster[:, :4], -raster[:, 4:5], raster[:, 5:]], 1)
    close(sweep(-c, negative, 12).values, both)
    close(sweep(c[1:], raster[1:], 12).values[0], both[1])
    assert not bool(sweep(c, 0 * raster, 3).values.any())


@pytest.mark.parametrize("name", ["HT", "HZ", "PS-C", "PS-L", "PS-G"])
@pytest.mark.parametrize("sweeps", [12, 24, 60])
def test_rounding_decides_nothing(name, sweeps):
    """Pictures with symmetries, which leave whole families of waves to rounding unless conditions weigh unevenly."""
    c, raster = picture(BENCHMARKS[name].pde)
    double = sweep(c.double(), raster.double(), sweeps).values
    more = raster.double()
    more[:, 2:5] *= 7
    assert float((sweep(c.double(), more, sweeps).values / 7 - double).abs().max()) < 1e-9 * float(double.abs().max())
    close(sweep(c, raster, sweeps).values.double(), double)


def test_it_is_the_minimum_in_the_end():
    """Without a boundary u alone is the source over the coefficient, as far as waves carry it."""
    raster = torch.zeros(1, 6, N, N)
    raster[:, 5], raster[:, 4] = 1, torch.sin(2 * math.pi / 3 * S)
    rough = sweep(torch.tensor([[2.0, 0, 0, 0, 0]]), raster, 30)
    assert relative(rough.values[0], raster[0, 4] / 2) < 1e-2 and float(rough.equation.abs().max()) < 0.05
