"""Laws of the network that aligns: what it does not depend on, and what it turns with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import meshmove
from meshmove.geometry import CellMesh, Slide, facets_of
from meshmove.learning.weights import WeightsError
from meshmove.neural.aligning import fields
from meshmove.neural.aligning.fields import FieldBatch, Part
from meshmove.neural.aligning.lift import sparse_lift
from meshmove.neural.aligning.meshes.drawn import make_meshes
from meshmove.neural.aligning.meshes.one_mesh import OneMesh
from meshmove.neural.aligning.network import Aligner, Settings
from meshmove.neural.aligning.predicted import merit, predicted_errors
from meshmove.neural.aligning.samples import Group, prepared

MESHES = list(make_meshes(2, (60, 110), 3))


def network(size: float = 0.3, turns: bool = True, **settings: int) -> Aligner:
    """With random weights, in double precision."""
    torch.manual_seed(0)
    settings = settings or {"width": 12, "layers": 2, "rounds": 3}
    model = Aligner(Settings(**settings, turns=turns)).double()
    torch.nn.init.normal_(model.head[-1].weight, 0, size)
    return model


def ramp(x: NDArray) -> NDArray:
    return np.tanh(3 * (x @ [1.0, 0.3] + (x**2).sum(1)))


def moved(model: Aligner, meshes: list[CellMesh], field=ramp) -> NDArray:
    batch = FieldBatch.of(meshes, dtype=torch.float64)
    with torch.no_grad():
        return torch.cat(model.move(batch, [field(m.points) for m in meshes])).numpy()


def test_an_untrained_network_moves_nothing():
    assert np.array_equal(moved(network(0.0), MESHES[:1]), MESHES[0].points)


def test_moves_turn_mirror_shift_and_scale_with_the_mesh_and_ignore_the_scale_of_the_field():
    model, mesh = network(), MESHES[0]
    plain = moved(model, [mesh])
    assert np.abs(plain - mesh.points).max() > 1e-3
    turn = np.array([[np.cos(0.7), np.sin(0.7)], [np.sin(0.7), -np.cos(0.7)]])
    there = mesh.moved(3 * mesh.points @ turn.T + 0.5)
    found = moved(model, [there], lambda x: 40 * ramp(((x - 0.5) / 3) @ turn) + 7)
    assert np.allclose(found, 3 * plain @ turn.T + 0.5, atol=1e-8)


def test_a_network_that_learns_to_turn_starts_from_one_that_does_not():
    model = network(turns=False)
    other = model.turning()
    assert other.settings.turns and np.allclose(moved(other, MESHES), moved(model, MESHES), atol=1e-9)
    torch.nn.init.ones_(other.head[-1].bias[-1:])
    assert np.abs(moved(other, MESHES) - moved(model, MESHES)).max() > 1e-4


def test_moves_do_not_depend_on_numbering():
    model, mesh = network(), MESHES[1]
    rng = np.random.default_rng(0)
    order, cells = rng.permutation(mesh.n_points), rng.permutation(mesh.n_cells)
    new = np.argsort(order)
    turned = new[mesh.corners[0]][cells][:, [1, 2, 0]]
    other = CellMesh.single(mesh.points[order], turned, "triangle")
    assert np.allclose(moved(model, [other]), moved(model, [mesh])[order], atol=1e-9)


def test_meshes_of_a_batch_move_as_they_do_alone():
    model = network()
    together = moved(model, MESHES)
    assert np.allclose(together, np.concatenate([moved(model, [m]) for m in MESHES]), atol=1e-9)


def test_the_lift_of_one_mesh_is_that_of_a_batch():
    facets = [facets_of(m) for m in MESHES]
    slides = [Slide(m, f) for m, f in zip(MESHES, facets, strict=True)]
    slides = [Slide(m, f, fixed=np.unique(s.curved_edges)) for m, f, s in zip(MESHES, facets, slides, strict=True)]
    batch = FieldBatch.of(MESHES, dtype=torch.float64).batch
    force = batch.project(
        torch.randn(batch.points.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )
    sizes = [m.n_points for m in MESHES]
    for mesh, slide, f, z in zip(MESHES, slides, force.split(sizes), batch.lift(force).split(sizes), strict=True):
        assert torch.allclose(
            torch.from_numpy(sparse_lift(mesh, slide, mesh.points)(f.numpy())), z, atol=1e-4 * float(z.abs().max())
        )


@pytest.mark.parametrize("mesh", MESHES, ids=lambda m: str(m.n_points))
def test_a_round_by_arrays_is_that_by_tensors(mesh):
    model, batch = network(), FieldBatch.of([mesh], dtype=torch.float64)
    part, hessians = batch.parts[0], batch.hessians(batch.joined([ramp(mesh.points)]))
    one = OneMesh.of(part.mesh, part.projector, sparse_lift(part.mesh, part.slide, part.mesh.points))
    x = batch.batch.points
    with torch.no_grad():
        for _ in range(2):
            h = hessians(x).mean(1).T
            step = model.proposed(batch.batch, x, h)
            found = model.proposed(one, x.numpy(), h.numpy())
            assert isinstance(found, np.ndarray)
            assert np.allclose(found, step.numpy(), atol=1e-4 * float(step.abs().max()))
            assert np.allclose(one.ratio(x.numpy()), batch.batch.ratio(x).numpy(), rtol=1e-12)
            x = x + 0.2 * step


def test_corners_stay_and_sides_are_not_left():
    mesh = CellMesh.single(*_square(7), "triangle")
    x = moved(network(), [mesh])
    low = mesh.points == 0
    assert np.array_equal(x[low], mesh.points[low]) and np.abs(x - mesh.points).max() > 1e-3


def test_positions_are_differentiable_by_field_values_and_weights():
    mesh = CellMesh.single(*_square(4), "triangle")
    batch = FieldBatch.of([mesh], dtype=torch.float64)
    model = network(0.05, width=6, layers=1, rounds=2)
    u = torch.from_numpy(ramp(mesh.points - 0.4)).requires_grad_()
    weight = model.head[-1].weight

    def positions(u: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        rounds = torch.func.functional_call(model, {"head.3.weight": w}, (batch.batch, batch.hessians(u)))
        return rounds[-1][0]

    assert torch.autograd.gradcheck(
        positions, (u, weight.detach().clone().requires_grad_()), atol=1e-6, nondet_tol=1e-12
    )


def test_large_meshes_of_a_batch_are_lifted_by_sparse_factors(monkeypatch):
    model, dense = network(), moved(network(), MESHES)
    monkeypatch.setattr(fields, "SMALL", 10)
    assert np.allclose(moved(model, MESHES), dense, atol=1e-5)
    batch = FieldBatch.of(MESHES, dtype=torch.float64)
    values = [torch.from_numpy(ramp(m.points)).requires_grad_() for m in MESHES]
    sum((x**2).sum() for x in model.move(batch, values)).backward()
    assert all(bool(torch.isfinite(u.grad).all()) and bool(u.grad.any()) for u in values)


def test_fields_without_second_derivatives_move_nothing():
    model = network().float()
    mesh = MESHES[0]
    for field in (0 * mesh.points[:, 0], 3 + mesh.points @ [2.0, -1.0]):
        (x,) = model.move([mesh], [field])
        assert np.allclose(x.detach().numpy(), mesh.points, atol=1e-6)


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e25, 1e300])
def test_neither_tiny_nor_huge_fields_are_ignored(size):
    model, mesh = network().float(), MESHES[0]
    with torch.no_grad():
        (plain,), (other,) = (model.move([mesh], [k * ramp(mesh.points)]) for k in (1.0, size))
    went = np.abs(plain.numpy() - mesh.points).max()
    assert went > 1e-3 and np.allclose(other.numpy(), plain.numpy(), atol=1e-3 * went)


def test_of_a_batch_that_is_judged_each_mesh_is_the_best_of_its_rounds_and_no_worse_than_it_came():
    batch, values = FieldBatch.of(MESHES, dtype=torch.float64), [ramp(m.points) for m in MESHES]
    hessians, rest = batch.hessians(batch.joined(values), relative=True), batch.batch.points

    def merits(x: torch.Tensor) -> torch.Tensor:
        return merit(predicted_errors(batch.batch, hessians, x))

    for model, better in ((network(), False), (Aligner.from_pretrained().double(), True)):
        with torch.no_grad():
            rounds = [merits(torch.cat(model.move(batch, values, rounds=k))) for k in (1, 2, 3)]
            found = merits(torch.cat(model.move(batch, values, rounds=3, judged=True)))
        assert torch.allclose(found, torch.stack([merits(rest), *rounds]).amin(0), atol=1e-9)
        assert bool((found < merits(rest) - 0.05).all()) is better


def test_what_a_batch_cannot_move_is_refused_by_name():
    tetra = CellMesh.single([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 2, 3]], "tetra")
    model, mesh = network(), MESHES[0]
    for meshes, values, why in (
        ([tetra], [[0, 1, 2, 3]], "2-D meshes.*got 3-D ones.*'aligner-3d'"),
        ([tetra, mesh], [[0, 1, 2, 3], ramp(mesh.points)], "got tetra, triangle"),
        ([], [], "at least one mesh"),
        ([mesh], [], "1 fields"),
        ([mesh], [np.ones(3)], f"{mesh.n_points} values"),
        ([mesh], [np.where(np.arange(mesh.n_points) == 7, np.nan, 1.0)], "7"),
    ):
        with pytest.raises(meshmove.MeshmoveError, match=why):
            model.move(meshes, values)


def test_half_precision_is_for_values_and_weights_and_not_for_positions():
    model, mesh = network().float(), MESHES[0]
    with pytest.raises(ValueError, match="float16"):
        FieldBatch.of([mesh], dtype=torch.float16)
    with torch.no_grad():
        (whole,) = model.move([mesh], [ramp(mesh.points).astype(np.float32)])
        (values,) = model.move([mesh], [ramp(mesh.points).astype(np.float16)])
        (weights,) = model.half().move([mesh], [ramp(mesh.points).astype(np.float32)])
    went = (whole - torch.from_numpy(mesh.points)).abs().max()
    assert whole.dtype == values.dtype == weights.dtype == torch.float32
    assert (weights - whole).abs().max() < 0.2 * went and bool(torch.isfinite(values).all())


def test_meshes_without_a_node_to_move_stay_beside_those_that_have_some():
    model = network().float()
    one = CellMesh.single([[0, 0], [1, 0], [0, 1]], [[0, 1, 2]], "triangle")
    none = CellMesh.single(*_square(2), "triangle")
    with torch.no_grad():
        x, y, z = model.move([one, MESHES[0], none], [[0.0, 1, 2], ramp(MESHES[0].points), ramp(none.points)])
    assert np.allclose(x.numpy(), one.points, atol=1e-6) and np.allclose(z.numpy(), none.points, atol=1e-6)
    assert np.abs(y.numpy() - MESHES[0].points).max() > 1e-3


def test_weights_are_saved_and_read(tmp_path):
    model = network(width=8, layers=1, rounds=2).float()
    again = Aligner.from_pretrained(model.save_pretrained(tmp_path / "w.safetensors"))
    assert again.settings == model.settings
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    with pytest.raises(WeightsError, match="'aligner'"):
        Aligner.from_pretrained("dmm-2d")


def test_a_group_recovers_what_the_product_recovers():
    group = Group([prepared(m, [1], 1) for m in MESHES])
    field = group.drawn(torch.Generator().manual_seed(0))
    batch = group.batch
    h = group.recovered(group.shown(field)).nodal(batch.points)
    u = field.to(dtype=torch.float64).value(batch.points.double(), batch.node_graph).numpy()
    first = 0
    for mesh in MESHES:
        exact = np.stack([r @ u[first : first + mesh.n_points] for r in Part.of(mesh).recovery], 1)
        assert np.allclose(h[first : first + mesh.n_points], exact, atol=2e-4 * np.abs(exact).max())
        first += mesh.n_points


def _square(n: int) -> tuple[NDArray, NDArray]:
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    a = (i[:-1, :-1] * n + j[:-1, :-1]).ravel()
    cells = np.concatenate([np.stack([a, a + n, a + n + 1], 1), np.stack([a, a + n + 1, a + 1], 1)])
    return np.stack([i.ravel(), j.ravel()], 1) / (n - 1), cells
