"""`adapt` with the network: under guard, on every kind of mesh, and with the classical mover where it does not help."""

import numpy as np
import pytest
import skfem
import torch

import meshmove
from meshmove.movers import MongeAmpere, Move
from meshmove.neural import Neural, WeightsError
from meshmove.neural import mover as module
from tests.meshmove.neural.cases import model_of
from tests.shapes import SKFEM, assert_valid, box, bump, front, mesh_dim, ring, size

KINDS = ("triangle", "quad", "tetra", "hexahedron")
every_kind = pytest.mark.parametrize("kind", KINDS)
MODELS = {2: model_of(2), 3: model_of(3)}


@pytest.fixture(autouse=True)
def shipped(monkeypatch):
    """An untrained model in the place of the shipped one: a plain iteration."""
    monkeypatch.setattr(module, "pretrained", MODELS.__getitem__)


def mesh_of(kind):
    n = np.linspace(0, 1, size(kind) + 1)
    return SKFEM[kind].init_tensor(*[n] * mesh_dim(kind))


@every_kind
def test_a_move_has_no_inverted_cell_and_less_imbalance(kind):
    mesh = mesh_of(kind)
    before = mesh.p.copy()
    out = meshmove.adapt(mesh, monitor=bump, mover="dmm")
    assert_valid(out)
    report = out.report
    assert type(out.mesh) is type(mesh) and (mesh.p == before).all()
    assert report.mover == "dmm" and not report.warnings
    assert report.imbalance_after < 0.5 * report.imbalance_before
    assert 0 < report.step_cut <= 1 and report.polish is not None
    assert "classical polish" in str(report) and "guard" in str(report)
    on = (before == 0) | (before == 1)
    assert (out.mesh.p[on] == before[on]).all() and not (out.mesh.p == before).all()


@every_kind
@pytest.mark.parametrize("head", [1.0, 100.0])
def test_bad_advice_is_overruled(kind, head):
    out = meshmove.adapt(mesh_of(kind), monitor=bump, mover=Neural(model_of(mesh_dim(kind), head=head)))
    assert_valid(out)
    assert out.report.imbalance_after < 0.6 * out.report.imbalance_before


def test_the_model_can_be_given_and_the_polish_left_out():
    mesh = mesh_of("triangle")
    plain = meshmove.adapt(mesh, monitor=ring, mover=Neural(MODELS[2], polish=0))
    assert plain.report.polish == 0 and "none" in str(plain.report)
    polished = meshmove.adapt(mesh, monitor=ring, mover=Neural(MODELS[2], polish=6))
    assert polished.report.polish >= 2
    assert polished.report.imbalance_after < plain.report.imbalance_after
    assert polished.report.iterations > polished.report.polish
    assert meshmove.adapt(mesh, monitor=bump, mover="dmm", effort=0.04).report.polish == 0


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_a_model_in_half_precision_moves(precision):
    out = meshmove.adapt(mesh_of("triangle"), monitor=bump, mover=Neural(model_of(head=0.05).to(precision)))
    assert_valid(out)
    assert not out.report.warnings and out.report.imbalance_after < 0.5 * out.report.imbalance_before


def test_the_model_given_is_left_as_it_was():
    model = model_of(head=0.05).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    meshmove.adapt(mesh_of("triangle"), monitor=bump, mover=Neural(model))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


# -- where the classical mover takes over ------------------------------------------------------------------------------


def test_a_monitor_far_above_its_mean_goes_to_the_classical_mover():
    mesh = mesh_of("triangle")

    def steep(x):
        return 1 + 5000 * np.exp(-2000 * ((x - 0.5) ** 2).sum(axis=0))

    out = meshmove.adapt(mesh, monitor=steep, mover="dmm")
    assert_valid(out)
    assert any("times its mean" in w and "classical mover" in w for w in out.report.warnings)
    assert out.report.step_cut is None and out.report.polish is None
    classical = meshmove.adapt(mesh, monitor=steep, mover="monge-ampere")
    assert (out.mesh.p == classical.mesh.p).all()


def test_so_does_an_imbalance_beyond_training():
    def spike(x):
        return 1 + 400 * np.exp(-200 * ((x - 0.5) ** 2).sum(axis=0))

    out = meshmove.adapt(mesh_of("triangle"), monitor=spike, mover="dmm")
    assert_valid(out)
    assert any("imbalance is" in w and "classical mover" in w for w in out.report.warnings)


def test_a_network_that_does_not_help_is_not_followed(monkeypatch):
    mesh = mesh_of("triangle")
    for points in (lambda p: p.start[::-1].copy(), lambda p: p.start * np.nan):
        monkeypatch.setattr(
            Neural, "_proposal", lambda self, model, problem, rounds, points=points: (points(problem), 1.0, 3)
        )
        out = meshmove.adapt(mesh, monitor=bump, mover="dmm")
        assert_valid(out)
        assert any("moved by the classical mover" in w for w in out.report.warnings)
        assert out.report.imbalance_after < 0.5 * out.report.imbalance_before


def test_a_network_that_leaves_much_imbalance_is_compared_with_the_classical_mover(monkeypatch):
    mesh = mesh_of("triangle")
    monkeypatch.setattr(Neural, "_proposal", lambda self, model, problem, rounds: (problem.start, 1.0, 3))
    monkeypatch.setattr(module, "polish", lambda problem, points, steps, distortion: (points + 0.0, 0))
    start = mesh.translated((0.0, 0.0))
    out = meshmove.adapt(start, monitor=bump, mover="dmm")
    assert any("classical mover" in w for w in out.report.warnings)
    assert out.report.imbalance_after < 0.5 * out.report.imbalance_before


def test_a_polish_that_makes_it_worse_is_dropped(monkeypatch):
    mesh = mesh_of("triangle")
    monkeypatch.setattr(module, "polish", lambda problem, points, steps, distortion: (problem.slide.origin, 2))
    out = meshmove.adapt(mesh, monitor=bump, mover="dmm")
    assert out.report.polish == 0 and out.report.imbalance_after < 0.5 * out.report.imbalance_before


def test_a_constant_monitor_moves_nothing():
    mesh = mesh_of("quad")
    out = meshmove.adapt(mesh, monitor=lambda x: 3.0, mover="dmm")
    assert (out.mesh.p == mesh.p).all()


# -- the rest of the contract ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["triangle", "hexahedron"])
def test_fixed_nodes_and_boundaries_stay(kind):
    mesh = mesh_of(kind)
    held = np.flatnonzero(np.abs(mesh.p - 0.5).max(axis=0) < 0.2)
    out = meshmove.adapt(mesh, monitor=bump, mover="dmm", fixed=held, boundary="fixed")
    assert_valid(out)
    assert (out.mesh.p[:, held] == mesh.p[:, held]).all()
    outer = mesh.boundary_nodes()
    assert (out.mesh.p[:, outer] == mesh.p[:, outer]).all()
    assert np.abs(out.displacement).max() > 1e-3


def test_a_reference_keeps_repeated_moves_from_drifting():
    mesh = mesh_of("triangle")
    first = meshmove.adapt(mesh, monitor=ring, mover="dmm")
    again = meshmove.adapt(first.mesh, monitor=bump, mover="dmm", reference=mesh)
    direct = meshmove.adapt(mesh, monitor=bump, mover="dmm")
    assert_valid(again)
    assert again.report.imbalance_after < 1.5 * direct.report.imbalance_after + 0.02
    np.testing.assert_allclose(again.mesh.p, direct.mesh.p, atol=0.05)


def test_a_field_by_name_with_the_default_monitor():
    source = box("triangle", 10)
    import meshio

    mesh = meshio.Mesh(source.points, [("triangle", source.blocks[0].nodes)])
    mesh.point_data["u"] = front(source.points.T)
    out = meshmove.adapt(mesh, "u", mover="dmm")
    assert_valid(out)
    assert out.report.mover == "dmm" and out.report.predicted_error_after < 0.7 * out.report.predicted_error_before
    assert out.fields["u"].shape == (len(source.points),)
    given = meshmove.adapt(mesh, "u", monitor=meshmove.Monitor("hessian", intensity=5.0), mover="dmm")
    assert given.report.predicted_error_after < given.report.predicted_error_before


def test_a_second_order_and_a_curved_mesh():
    disk = skfem.MeshTri.init_circle(2)
    for mesh in (disk, skfem.MeshTri2.from_mesh(disk)):
        out = meshmove.adapt(mesh, monitor=lambda x: 1 + 3 * np.exp(-8 * ((x - 0.3) ** 2).sum(axis=0)), mover="dmm")
        assert_valid(out)
        assert out.report.imbalance_after < 0.6 * out.report.imbalance_before


def test_regions_and_components_are_moved_by_themselves():
    left = box("triangle", 5)
    two = skfem.MeshTri(left.points.T, left.blocks[0].nodes.T) + skfem.MeshTri(
        left.points.T + np.array([[2.0], [0]]), left.blocks[0].nodes.T
    )
    out = meshmove.adapt(two, monitor=lambda x: 1 + np.exp(-10 * (x[0] - 0.4) ** 2), mover="dmm")
    assert_valid(out)
    right = two.p[0] > 1.5
    assert np.abs(out.displacement[right]).max() < 1e-3 < np.abs(out.displacement[~right]).max()


def test_the_monitor_is_asked_within_the_mesh_only():
    def inside(x):
        assert x.min() >= 0 and x.max() <= 1
        return np.broadcast_to(1 + 4 * np.exp(-20 * ((x - 0.35) ** 2).sum(axis=0)), x.shape[1:])  # read-only

    assert_valid(meshmove.adapt(mesh_of("triangle"), monitor=inside, mover=Neural(model_of(head=30.0))))


@pytest.mark.parametrize("cells", [[[0, 1, 2]], [[0, 1, 2], [0, 2, 3]]])
def test_the_smallest_meshes_have_nothing_to_move(cells):
    mesh = skfem.MeshTri(np.array([[0.0, 1, 1, 0], [0, 0, 1, 1]])[:, : np.max(cells) + 1], np.array(cells).T)
    out = meshmove.adapt(mesh, monitor=lambda x: 1 + x[0], mover="dmm")
    assert (out.mesh.p == mesh.p).all()


def test_a_time_loop_uses_it():
    mesh = mesh_of("triangle")
    moving = meshmove.MovingMesh(mesh, mover="dmm")
    for t in (0.35, 0.45):
        step = moving.step(lambda x, t=t: np.tanh(15 * (x[0] - t)), 0.1)
        assert np.isfinite(step.velocity).all()
    assert step.velocity.any()


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_gpu_that_is_not_there_is_refused(device):
    for use in (
        lambda: meshmove.adapt(mesh_of("quad"), monitor=bump, mover="dmm", device=device),
        lambda: Neural(device=device),
    ):
        with pytest.raises(ValueError, match=f"device of this machine, which has the CPU.*{device}"):
            use()


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta", ""])
def test_other_devices_are_refused(device):
    with pytest.raises(ValueError, match="Expected"):
        meshmove.adapt(mesh_of("quad"), monitor=bump, mover="dmm", device=device)
    assert_valid(meshmove.adapt(mesh_of("quad"), monitor=bump, mover="dmm", device="cpu"))


def test_a_model_of_the_other_dimension_is_refused():
    with pytest.raises(ValueError, match=r"model for 2-D meshes \(got one for 3-D\).*dmm-2d"):
        meshmove.adapt(mesh_of("triangle"), monitor=bump, mover=Neural(MODELS[3]))
    with pytest.raises(ValueError, match="3-D"):
        meshmove.adapt(mesh_of("hexahedron"), monitor=bump, mover=Neural(MODELS[2]))


def test_a_model_that_is_not_there_is_told(monkeypatch, tmp_path):
    monkeypatch.undo()
    from meshmove.neural import dmm

    monkeypatch.setattr(dmm, "FOLDER", tmp_path)
    module.pretrained.cache_clear()
    with pytest.raises(WeightsError, match="dmm-2d"):
        meshmove.adapt(mesh_of("triangle"), monitor=bump, mover="dmm")
    model_of().save_pretrained(tmp_path / "dmm-2d.safetensors")
    try:
        assert module.pretrained(2) is module.pretrained(2)  # read once
        assert_valid(meshmove.adapt(mesh_of("triangle"), monitor=bump, mover="dmm"))
    finally:
        module.pretrained.cache_clear()


def test_movers_of_the_user_need_not_know_of_cuts():
    assert Move(np.zeros((1, 2)), 0).step_cut is None and Move(np.zeros((1, 2)), 0).polish is None
    out = meshmove.adapt(mesh_of("triangle"), monitor=bump, mover=MongeAmpere())
    assert out.report.step_cut is None and "polish" not in str(out.report)
