"""Problems made on the fly: solutions that solve them, data where they are due, pictures as the statement draws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from meshmove.geometry import Disk, Polygon, Rectangle
from meshmove.solvers.hypino.training.functions import Functions, draw_functions
from meshmove.solvers.hypino.training.operators import draw_operators
from meshmove.solvers.hypino.training.problems import build, draw, times_bubble
from meshmove.solvers.hypino.training.shapes import SAMPLES, draw_shapes
from meshmove.solvers.pde import Dirichlet, LinearPDE, Neumann


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def double(functions):
    parts = (getattr(functions, name) for name in Functions.__dataclass_fields__)
    return Functions(*(t.double() if t.is_floating_point() else t for t in parts))


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_derivatives_are_those_of_the_functions(seed):
    f = double(draw_functions(torch.eye(5), generator(seed)))
    X = (1.8 * torch.rand(2, 20, generator=generator(seed)) - 0.9).double()
    jets, h = f.jets(X), 1e-6
    for axis in (0, 1):
        step = torch.zeros(2, 1, dtype=torch.float64)
        step[axis] = h
        up, down = f.jets(X + step), f.jets(X - step)
        # differences of values, and of first derivatives
        for row, of in ((1 + axis, 0), (3 + axis, 1 + axis)):
            error = (jets[:, row] - (up[:, of] - down[:, of]) / (2 * h)).abs().amax(1)
            size = jets[:, row].abs().amax(1) + jets[:, of].abs().amax(1)
            assert bool((error < 1e-3 * size + 1e-7).all())


def test_functions_are_of_the_published_size():
    operators = draw_operators(200, generator(), 0.0).coefficients
    X = 2 * torch.rand(2, 500, generator=generator(5)) - 1
    jets = draw_functions(operators, generator()).jets(X)
    # the bounds are checked at other points
    assert float((jets[:, 0].abs().amax(1) <= 11).float().mean()) > 0.95
    assert float((jets[:, 0].std(1) > 0.08).float().mean()) > 0.97
    source = (operators[:, :, None] * jets).sum(1)
    assert float((source.abs().amax(1) <= 2e4).float().mean()) > 0.95


def test_operators_have_up_to_three_terms_and_data_where_they_are_due():
    o = draw_operators(4000, generator())
    c = o.coefficients
    count = (c != 0).sum(1)
    assert count.min() == 1 and count.max() == 3 and c.abs().max() <= 2.0
    xx, yy = c[:, 3], c[:, 4]
    wave = xx * yy < 0
    sides, slopes = o.dirichlet[:, :4], o.neumann[:, :4]
    started = sides & slopes  # value and velocity on the side where time starts
    assert bool((started[wave].sum(1) == 1).all()) and not bool(started[~wave].any())
    free = ~sides & ~slopes
    assert bool((free[wave][:, [1, 0, 3, 2]] == started[wave]).all())  # nothing where it ends
    heat = (xx != 0) & (yy == 0) & (c[:, 2] != 0)
    end = torch.where(c[:, 2] * xx < 0, 3, 2)[heat]
    assert bool(free[heat, end].all()) and bool(sides[heat, 5 - end].all()) and bool((free[heat].sum(1) == 1).all())
    elliptic = xx * yy > 0
    assert not bool(free[elliptic].any()) and bool(sides[elliptic].any(1).all())
    second = (xx != 0) | (yy != 0)
    assert not bool(slopes[~second].any()) and 0.15 < float((slopes & ~sides)[elliptic].float().mean()) < 0.25
    assert 0.1 < float(o.unlabelled.float().mean()) < 0.15 and bool((xx * yy > 0)[o.unlabelled].all())
    assert bool((o.dirichlet[:, 4:] ^ o.neumann[:, 4:]).all())


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_normals_point_out_of_the_domain_and_samples_lie_on_it(seed):
    shapes = draw_shapes(6, generator(seed))
    points, normals, counts = shapes.samples()
    assert points.shape == (6, 2, 4 * SAMPLES)
    torch.testing.assert_close(normals.norm(dim=1)[counts], torch.ones(int(counts.sum())), rtol=1e-4, atol=1e-4)
    for step, covered in ((2e-3, True), (-2e-3, False)):
        moved = points + step * normals
        # at a corner of a polygon a step out along one edge's normal may leave through the other
        assert float((shapes.covered(moved).any(1) == covered)[counts].float().mean()) > 0.98


def test_holes_do_not_touch_each_other():
    shapes = draw_shapes(300, generator())
    X = 2 * torch.rand(2, 3000, generator=generator(1)) - 1
    assert int(shapes.covered(X).sum(1).max()) == 1
    assert int(shapes.on.sum(1).max()) == 4 and int(shapes.on.sum(1).min()) == 0


def test_bubbles_vanish_on_sides_and_have_the_right_derivatives():
    d = draw(30, (0, 0), 64, 400, 0.0, 1.0)
    X = (2 * torch.rand(30, 2, 20, generator=generator()) - 1).double()
    f, h = double(d.functions), 1e-5

    def product(X):
        return times_bubble(f.jets(X), X, d.bubble)

    for axis in (0, 1):
        step = torch.zeros(2, 1, dtype=torch.float64)
        step[axis] = h
        for row, of in ((1 + axis, 0), (3 + axis, 1 + axis)):
            jets, slope = product(X)[:, row], (product(X + step)[:, of] - product(X - step)[:, of]) / (2 * h)
            assert float(((jets - slope).abs().amax(1) / (1 + jets.abs().amax(1))).max()) < 1e-2
    p = build(d, 32)
    side = ((p.edge[:, 0].abs() - 1).abs() < 1e-6) & d.bubble[:, :1]
    assert bool(side.any()) and float(p.values[:, 0][side].abs().max()) < 1e-4


def test_solutions_solve_their_problems():
    p = build(draw(40, (0, 0), 64, 80, 0.0), 32)
    torch.testing.assert_close((p.coefficients[:, :, None] * p.jets).sum(1), p.source)
    d = draw(40, (0, 0), 64, 80, 0.0)
    at_edge = d.functions.jets(p.edge)
    flux = (at_edge[:, 1:3] * p.normals).sum(1)
    torch.testing.assert_close(p.values[:, 0], at_edge[:, 0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(p.values[:, 1], flux, rtol=1e-2, atol=1e-2 * float(flux.abs().max()))
    assert bool(p.labelled.all()) and not bool(build(draw(8, (0, 0), 9, 9, 1.0), 16).labelled.any())


def test_a_batch_is_decided_by_its_seed_and_can_be_shared():
    one, other = (build(draw(8, (3, 5), 10, 10), 16).raster for _ in range(2))
    assert torch.equal(one, other)
    assert not torch.equal(one, build(draw(8, (3, 6), 10, 10), 16).raster)
    parts = [build(draw(8, (3, 5), 10, 10).share(rank, 2), 16).raster for rank in range(2)]
    torch.testing.assert_close(torch.cat(parts), one)


# of the first twelve those that a statement with names for whole boundaries can say
@pytest.mark.parametrize("index", [0, 2, 3, 5, 8, 10])
def test_the_picture_is_the_one_of_the_statement(index):
    """`UnitProblem.raster` draws the same problem as training did."""
    n, d = 64, draw(12, (11, 0), 10, 10, 0.0)
    raster = build(d, n).raster[index].double().numpy()
    o, s, f = d.operators[index : index + 1], d.shapes[index : index + 1], d.functions[index : index + 1]
    assert not (not (o.dirichlet | o.neumann)[0, :4].all() or (s.corners[0, 0].abs().amax() > 1 and s.on[0, 0])), (
        "a problem in time, or with a notch, whose pieces have other names"
    )

    def values(row):
        return lambda x: f.jets(torch.as_tensor(x, dtype=torch.float32))[0, row].double().numpy()

    square = Rectangle((-1, -1), (1, 1), name="outer")
    holes, conditions = [], {}
    for k in range(4):
        if s.on[0, k]:
            centre, corners = s.centre[0, k].double().numpy(), s.corners[0, k].double().numpy()
            corners = corners[np.append(np.hypot(*np.diff(corners, axis=0).T) > 1e-6, True)]
            name = f"hole {k}"
            holes.append(
                Disk(centre, float(s.radius[0, k]), name=name) if s.disk[0, k] else Polygon(corners, name=name)
            )
            conditions[name] = Dirichlet(values(0)) if o.dirichlet[0, 4 + k] else Neumann(0.0)
    assert not (o.neumann[0, :4].any()), "sides of different kinds, whose names are the rectangle's own"
    conditions["outer"] = Dirichlet(values(0))
    terms = dict(zip(("u", "ux", "uy", "uxx", "uyy"), o.coefficients[0].tolist(), strict=True))
    c = o.coefficients[0].double().numpy()

    def source(x):
        return c @ f.jets(torch.as_tensor(x, dtype=torch.float32))[0].double().numpy()

    theirs = LinearPDE(square - holes, **terms, source=source, conditions=conditions).unit.raster(n)
    agree = [float((theirs[k] == raster[k]).mean()) for k in (0, 1, 5)]
    assert min(agree) > 0.985, agree  # corners of pixels that a curve barely touches
    both = (theirs[0] > 0) & (raster[0] > 0)
    scale = np.abs(raster[2]).max()
    assert np.median(np.abs(theirs[2] - raster[2])[both]) < 0.02 * scale
    inside = (theirs[5] > 0) & (raster[5] > 0)
    np.testing.assert_allclose(theirs[4][inside], raster[4][inside], rtol=1e-2, atol=1e-3 * np.abs(raster[4]).max())
