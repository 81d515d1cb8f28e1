"""The weights in the package: complete, described, and worth shipping."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import meshmove
from meshmove.learning.weights import shipped
from meshmove.neural import DMM, MeshBatch, Settings
from meshmove.neural.aligning.network import Aligner
from meshmove.neural.dmm import FOLDER
from meshmove.neural.energy import imbalance, state
from meshmove.neural.training.samples import Samples
from meshmove.solvers import MMPDE
from meshmove.solvers.hypino.hypino import HyPINO
from meshmove.solvers.hypino.space import Space

MEGABYTES = 60


def test_there_is_a_model_for_each_dimension_with_its_card():
    assert shipped(FOLDER) == ["aligner-2d", "aligner-3d", "dmm-2d", "dmm-3d"]
    for name in ("aligner-2d", "aligner-3d"):
        card = (FOLDER / f"{name}.md").read_text()
        assert Aligner.from_pretrained(name).settings.rounds > 1
        assert all(word in card for word in ("Data", "Loss", "Budget", "Figures", "Limits"))
    for name, dim in (("dmm-2d", 2), ("dmm-3d", 3)):
        assert DMM.from_pretrained(name).settings.dim == dim
        card = (FOLDER / f"{name}.md").read_text()
        assert all(word in card for word in ("Data", "Loss", "Budget", "Figures", "meshmove train mover"))
    assert sum(p.stat().st_size for p in Path(FOLDER).iterdir()) < MEGABYTES * 2**20


def test_a_model_that_is_loaded_draws_no_random_numbers():
    loads = (
        DMM.from_pretrained,
        Aligner.from_pretrained,
        HyPINO.from_pretrained,
        Space.from_pretrained,
        MMPDE.from_pretrained,
    )
    for load in loads:
        torch.manual_seed(0)
        load()
        after = torch.rand(3)
        torch.manual_seed(0)
        assert torch.equal(after, torch.rand(3))


@pytest.mark.parametrize("dim", [2, 3])
def test_training_has_taught_something(dim):
    """Steps are cut in fewer meshes than by the plain iteration that the untrained network is, and less is left."""
    batch, monitor = Samples(dim, 77, 24, (150, 300)).batch(range(24 if dim == 2 else 8))
    results = []
    for model in (DMM.from_pretrained(f"dmm-{dim}d"), DMM(Settings(dim=dim)).eval()):
        trace = model(batch, monitor)
        left = imbalance(batch, state(batch, trace.points, monitor)).detach().add(0.02).log().mean()
        results.append((float((trace.cut < 0.75).double().mean()), float(left)))
    (cut, left), (plain_cut, plain_left) = results
    assert cut < plain_cut or plain_cut == 0
    assert left < plain_left + 0.05


def test_a_shipped_model_moves_a_batch_of_its_own_kind_of_mesh():
    batch, monitor = Samples(2, 5, 4, (100, 150)).batch(range(4))
    assert isinstance(batch, MeshBatch)
    trace = DMM.from_pretrained("dmm-2d")(batch, monitor)
    before = imbalance(batch, state(batch, batch.points, monitor))
    after = imbalance(batch, state(batch, trace.points.detach(), monitor))
    assert bool((after < 0.6 * before).all())


def test_adapt_with_the_network_by_name():
    mesh = meshmove.load(Path(meshmove.__file__).parent / "data" / "channel.msh")
    x, y = mesh.points[:, :2].T
    mesh.point_data["u"] = np.tanh(30 * (x - 1 - 0.5 * y))
    out = meshmove.adapt(mesh, "u", mover="dmm")
    assert out.report.mover == "dmm" and out.report.predicted_error_after < out.report.predicted_error_before
