"""The network that aligns on tetrahedra and hexahedra: the laws of the plane hold in space."""

from __future__ import annotations

import numpy as np
import pytest
import skfem
import torch

import meshmove
from meshmove.geometry import CellMesh, PointLocator, Sides, Validity, inverted_cells
from meshmove.monitors import NodalHessians, Recovery, solution_error
from meshmove.movers import Alignment
from meshmove.neural import Aligner, FieldBatch, Neural
from meshmove.neural.aligning import fields
from meshmove.neural.aligning.fit import CONFIGS
from meshmove.neural.aligning.guard import let_through, let_through_one
from meshmove.neural.aligning.lift import sparse_lift
from meshmove.neural.aligning.meshes.drawn import make_meshes, uniform_cube
from meshmove.neural.aligning.meshes.one_mesh import OneMesh
from meshmove.neural.aligning.meshes.tensors import INDEX
from meshmove.neural.aligning.network import Settings
from meshmove.neural.aligning.objective import Objective, interpolation_error
from meshmove.neural.aligning.predicted import DUAL, predicted_errors
from meshmove.neural.aligning.samples import Group, prepared
from meshmove.procedural.fields import KINDS, random_field

TETRA, HEXA = (next(make_meshes(1, (70, 90), 3, quads=quads, dim=3)) for quads in (False, True))
BOTH = pytest.mark.parametrize("mesh", [TETRA, HEXA], ids=["tetra", "hexahedron"])


def network(size: float = 0.3, width: int = 12, layers: int = 2, rounds: int = 2) -> Aligner:
    """With random weights, in double precision."""
    torch.manual_seed(0)
    model = Aligner(Settings(width=width, layers=layers, rounds=rounds, turns=True, dim=3)).double()
    torch.nn.init.normal_(model.head[-1].weight, 0, size)
    return model


def ramp(x: np.ndarray) -> np.ndarray:
    return np.tanh(3 * (x @ [1.0, 0.3, -0.5] + (x**2).sum(1)))


def moved(model: Aligner, meshes: list[CellMesh], field=ramp) -> list[np.ndarray]:
    batch = FieldBatch.of(meshes, dtype=torch.float64)
    with torch.no_grad():
        return [x.numpy() for x in model.move(batch, [field(m.points) for m in meshes])]


@BOTH
def test_moves_turn_mirror_shift_and_scale_with_the_mesh_and_ignore_numbering(mesh):
    model = network()
    (plain,) = moved(model, [mesh])
    assert np.abs(plain - mesh.points).max() > 1e-3 and not len(inverted_cells(mesh, plain))
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.standard_normal((3, 3)))[0]
    order, cells = random.permutation(mesh.n_points), random.permutation(mesh.n_cells)
    points = (3 * mesh.points @ turn.T + 0.5)[order]
    kind, nodes = mesh.blocks[0].kind.name, np.argsort(order)[mesh.blocks[0].nodes][cells]
    other = CellMesh.single(points, nodes, kind)
    (found,) = moved(model, [other], lambda x: 40 * ramp(((x - 0.5) / 3) @ turn) + 7)
    assert np.allclose(found, 3 * plain[order] @ turn.T + 0.5, atol=1e-8)


def test_meshes_of_a_batch_move_as_they_do_alone():
    model, other = network(), next(make_meshes(1, (60, 70), 8, dim=3))
    for together, alone in zip(moved(model, [TETRA, other]), (TETRA, other), strict=True):
        assert np.allclose(together, moved(model, [alone])[0], atol=1e-9)


@BOTH
def test_a_round_by_arrays_is_that_by_tensors_and_its_lift_that_of_a_batch(mesh, monkeypatch):
    model = network()
    batch = FieldBatch.of([mesh], dtype=torch.float64)
    part, hessians = batch.parts[0], batch.hessians(batch.joined([ramp(mesh.points)]))
    one = OneMesh.of(part.mesh, part.projector, sparse_lift(part.mesh, part.slide, part.mesh.points))
    x = batch.batch.points
    with torch.no_grad():
        h = hessians(x).mean(1).T
        step = model.proposed(batch.batch, x, h)
        found = model.proposed(one, x.numpy(), h.numpy())
        assert np.allclose(found, step.numpy(), atol=1e-4 * float(step.abs().max()))
        for size in (1.0, 10.0):
            there, share = let_through(batch.batch, x, size * step)
            again, part_of_it = let_through_one(one, x.numpy(), size * step.numpy())
            assert np.allclose(there.numpy(), again, atol=1e-9) and abs(float(share) - part_of_it) < 1e-9
            assert float(batch.batch.ratio(there).min()) > 0
        (dense,) = moved(model, [mesh])
        monkeypatch.setattr(fields, "SMALL", 10)
        assert np.allclose(moved(model, [mesh])[0], dense, atol=1e-4)


def test_predicted_errors_are_those_that_judge_the_classical_mover():
    group = Group([prepared(TETRA, [2], 1)])
    field = group.drawn(torch.Generator().manual_seed(2))
    batch = group.batch
    noise = torch.randn(batch.points.shape, generator=torch.Generator().manual_seed(1))
    x = let_through(batch, batch.points, batch.project(noise) * 0.1 * batch.mean ** (1 / 3))[0]
    u = field.to(dtype=torch.float64).value(torch.from_numpy(TETRA.points), batch.node_graph).numpy()
    h, points = Recovery(TETRA).hessian(u), x.double().numpy()
    nodal = NodalHessians(Sides.of(TETRA), PointLocator(TETRA), h[None])
    components = nodal.value(points)[0]
    hessians = group.recovered(group.shown(field))
    assert np.allclose(hessians.nodal(x).T, components, atol=1e-3 * np.abs(components).max())
    slope, plain, dual = predicted_errors(batch, hessians, x)[:, 0].tolist()
    assert abs(slope / Alignment(TETRA, nodal, TETRA.points).squares(points)[0] - 1) < 2e-3
    judged = solution_error(TETRA, components[np.array(INDEX[3])], points)
    assert abs(plain ** ((1 - DUAL) / 2) * dual ** (DUAL / 2) / judged - 1) < 2e-3


@BOTH
def test_the_interpolation_error_is_that_of_many_points(mesh):
    group = Group([prepared(mesh, [2], 1)])
    field = random_field(np.random.default_rng(0), mesh, kind="wide bumps").to(dtype=torch.float64)
    found = interpolation_error(group.batch, field, torch.from_numpy(mesh.points), fine=True)
    random, block = np.random.default_rng(1), mesh.blocks[0]
    at = random.random((400, 3))
    if block.kind.is_simplex:
        at = -np.log(random.random((400, 4)))
        at = (at / at.sum(axis=1, keepdims=True))[:, 1:]
    shape, slope = block.kind.shape(at.T)
    x = mesh.points[block.nodes]
    graph = torch.zeros(len(x) * 400, dtype=torch.long)
    u = field.value(torch.from_numpy(mesh.points), graph[: mesh.n_points]).numpy()[block.nodes]
    jacobian = np.einsum("cvi,vdq->cqid", x, slope)
    own = np.einsum("cv,vdq,cqdi->cqi", u, slope, np.linalg.inv(jacobian))
    where = np.einsum("cvi,vq->cqi", x, shape)
    truth = field.gradient(torch.from_numpy(where.reshape(-1, 3)), graph).numpy().reshape(where.shape)
    size = np.abs(np.linalg.det(jacobian)) / (6 if block.kind.is_simplex else 1)
    exact = (((truth - own) ** 2).sum(axis=2) * size).mean(axis=1).sum()
    assert abs(float(found) / exact - 1) < 0.1


def test_gradients_of_fields_are_those_of_their_values():
    random = np.random.default_rng(3)
    for kind in KINDS:
        field = random_field(random, TETRA, kind=kind)
        x = torch.from_numpy(random.uniform(-0.4, 0.4, (20, 3))).requires_grad_()
        graph = torch.zeros(20, dtype=torch.long)
        (slope,) = torch.autograd.grad(field.value(x, graph).sum(), x)
        assert torch.allclose(field.gradient(x, graph), slope, rtol=1e-9, atol=1e-9)


def test_positions_are_differentiable_by_field_values():
    mesh, model = uniform_cube(3, "five"), network(0.05, width=6, layers=1)
    batch = FieldBatch.of([mesh], dtype=torch.float64)
    u, random = torch.from_numpy(ramp(mesh.points)), torch.Generator().manual_seed(0)
    along, weight = (torch.randn(k, generator=random, dtype=torch.float64) for k in ((27,), (27, 3)))

    def value(u: torch.Tensor) -> torch.Tensor:
        return (weight * model(batch.batch, batch.hessians(u, relative=True))[-1][0]).sum()

    (slope,) = torch.autograd.grad(value(u.requires_grad_()), u)
    with torch.no_grad():
        differences = (value(u + 1e-5 * along) - value(u - 1e-5 * along)) / 2e-5
    assert abs(float(slope @ along)) > 1e-4 and torch.isclose(slope @ along, differences, rtol=1e-4)


def test_a_step_of_descent_lowers_the_loss():
    group = Group([prepared(TETRA, [2], 1)])
    field = group.drawn(torch.Generator().manual_seed(2))
    model = network(0.02).float()
    objective = Objective(model)

    def loss() -> torch.Tensor:
        return objective(group.batch, group.recovered(group.shown(field)), field)[0]

    first = loss()
    first.backward()
    slope = sum(float((p.grad**2).sum()) for p in model.parameters())
    with torch.no_grad():
        for p in model.parameters():
            p -= 1e-3 / slope * p.grad
    assert -2e-3 < float((loss() - first).detach()) < -2e-4  # to first order by 1e-3


def test_hexahedra_that_fold_between_their_corners_are_drawn_back():
    part = fields.Part.of(CellMesh.single(*_hexahedron(), "hexahedron"))
    rest, corners, random = part.mesh.points, part.mesh.corners[0], np.random.default_rng(0)
    validity = Validity(part.mesh)

    def positive(x: np.ndarray) -> bool:
        return bool((np.linalg.det(x[corners[:, 1:]] - x[corners[:, :1]]) > 0).all())

    drawn = (rest + 0.4 * random.standard_normal(rest.shape) for _ in range(4000))
    folded = next(x for x in drawn if positive(x) and not validity.keeps(x))
    kept = part.kept(torch.from_numpy(folded)).numpy()
    assert positive(rest) and validity.keeps(kept) and not np.array_equal(kept, rest)
    assert np.array_equal(part.kept(torch.from_numpy(kept)).numpy(), kept)


@pytest.mark.parametrize("kind", ["tetra", "hexahedron"])
def test_adapt_aligns_in_space_and_the_true_error_falls(kind):
    t = np.linspace(0, 1, 8)
    element, mesh = {
        "tetra": (skfem.ElementTetP1(), skfem.MeshTet.init_tensor(t, t, t)),
        "hexahedron": (skfem.ElementHex1(), skfem.MeshHex.init_tensor(t, t, t)),
    }[kind]

    def shell(x):
        return np.tanh(5 * (np.sqrt((x**2).sum(0)) - 0.7))

    out = meshmove.adapt(mesh, shell, mover="dmm", effort=0.1)
    report = out.report
    assert report.objective == "alignment" and report.mover == "dmm" and report.inverted_cells == 0
    assert report.predicted_error_after < 0.9 * report.predicted_error_before
    corner = np.isin(out.mesh.p, (0, 1)).sum(axis=0)
    assert (corner >= np.isin(mesh.p, (0, 1)).sum(axis=0)).all()  # nodes stay on their sides

    def error(m):
        basis = skfem.Basis(m, element, intorder=4)
        u = basis.interpolate(shell(m.p))
        r = np.sqrt((basis.global_coordinates() ** 2).sum(0))
        slope = 5 / np.cosh(5 * (r - 0.7)) ** 2 * np.asarray(basis.global_coordinates()) / r
        return float((((u.grad - slope) ** 2).sum(0) * basis.dx).sum() ** 0.5)

    assert error(out.mesh) < 0.95 * error(mesh)


def test_balls_keep_their_boundary_and_bad_input_does_no_harm():
    ball = skfem.MeshTet.init_ball(2)
    random = np.random.default_rng(0)
    for field in (
        lambda x: np.tanh(6 * (x[0] - 0.2)),
        lambda x: 0 * x[0],
        lambda x: 3 + 2 * x[0] - x[2],
        lambda x: random.random(x.shape[1]),
        lambda x: np.tanh(6 * (x[0] - 0.2)).astype(np.float16),
    ):
        out = meshmove.adapt(ball, field(ball.p), mover="dmm", effort=0.1)
        assert out.report.inverted_cells == 0
        before, after = out.report.predicted_error_before, out.report.predicted_error_after
        assert before is None or after <= before * (1 + 1e-9)
        assert np.abs(np.linalg.norm(out.mesh.p[:, ball.boundary_nodes()], axis=0) - 1).max() < 0.03
    with pytest.raises(meshmove.FieldError, match="7"):
        meshmove.adapt(ball, np.where(np.arange(ball.p.shape[1]) == 7, np.nan, 1.0), mover="dmm")


def test_meshes_with_one_node_inside_or_none_and_several_fields():
    for n in (2, 3):
        mesh = skfem.MeshTet.init_tensor(*[np.linspace(0, 1, n)] * 3)
        u = np.stack([np.exp(3 * mesh.p[0]), 1e5 * mesh.p[1] ** 2 + mesh.p[2]], axis=1)
        out = meshmove.adapt(mesh, u, mover="dmm", effort=0.1)
        before, after = out.report.predicted_error_before, out.report.predicted_error_after
        assert out.report.inverted_cells == 0 and (n == 2 or after <= before)
        assert n == 3 or np.array_equal(out.mesh.p, mesh.p)


def test_the_weights_of_the_plane_lower_errors_in_space():
    model = Aligner.from_pretrained("aligner-2d").in_space(rounds=3)
    assert model.settings.dim == 3 and model.settings.rounds == 3
    for quads in (False, True):
        mesh = next(make_meshes(1, (300, 350), 3, quads=quads, dim=3))
        group = Group([prepared(mesh, [2], 1, kinds=("wide bumps",))])
        hessians = group.recovered(group.shown(group.drawn(torch.Generator().manual_seed(2))))
        rest = group.batch.points
        with torch.no_grad():
            there = model(group.batch, hessians)[-1][0]
            before, after = (float(predicted_errors(group.batch, hessians, y)[0]) for y in (rest, there))
        assert after < 0.9 * before  # their squares: 0.76 and 0.79


def test_networks_of_the_other_dimension_are_refused():
    t = np.linspace(0, 1, 4)
    mesh = skfem.MeshTet.init_tensor(t, t, t)
    with pytest.raises(ValueError, match="aligner for 3-D meshes.*got one for 2-D.*'aligner-3d'"):
        meshmove.adapt(mesh, lambda x: x[0] ** 3, mover=Neural(aligner=Aligner()))
    with pytest.raises(meshmove.UnsupportedMeshError, match="3-D meshes.*got 2-D ones.*'aligner-2d'"):
        network().move([next(make_meshes(1, (60, 70), 3))], [np.ones(3)])
    assert CONFIGS["space"].settings.dim == 3 and Neural().aligns(TETRA) and Neural().aligns(HEXA)


def _hexahedron() -> tuple[np.ndarray, np.ndarray]:
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], float)
    return points, np.arange(8)[None]
