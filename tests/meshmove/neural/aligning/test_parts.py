"""The network on arrays: edges and cells in parts give the answer of all at once, and new weights are noticed."""

from __future__ import annotations

import numpy as np
import torch

from meshmove.neural.aligning.features import viewed
from meshmove.neural.aligning.fields import FieldBatch
from meshmove.neural.aligning.meshes import neighbours
from meshmove.neural.aligning.meshes.drawn import make_meshes
from meshmove.neural.aligning.network import Aligner


def test_parts_give_what_all_give_at_once(monkeypatch):
    model, batch = Aligner.from_pretrained(), FieldBatch.of(list(make_meshes(2, (80, 120), 5)))
    field = batch.hessians(batch.joined([np.tanh(5 * p.mesh.points[:, 0]) for p in batch.parts]))
    x = batch.batch.points
    view = viewed(batch.batch, x, field(x).mean(1).T)
    whole = model.coefficients(batch.batch, view)
    monkeypatch.setattr(neighbours, "TOGETHER", 37)
    with torch.no_grad():
        parts = model.coefficients(batch.batch, view)
    assert parts.shape == whole.shape and torch.allclose(parts, whole, atol=1e-5)


def test_weights_that_were_written_to_or_replaced_are_noticed():
    model, batch = Aligner.from_pretrained(), FieldBatch.of(list(make_meshes(1, (80, 120), 5)))
    x = batch.batch.points
    field = batch.hessians(batch.joined([np.tanh(5 * p.mesh.points[:, 0]) for p in batch.parts]))
    view = viewed(batch.batch, x, field(x).mean(1).T)
    bias = model.head[-1].bias

    def written():
        bias.fill_(0.3)

    def replaced():
        model.head[-1].bias = torch.nn.Parameter(torch.full_like(bias, -0.2))

    def written_as_data():
        model.head[-1].weight.data.mul_(3)

    def written_as_array():
        model.head[-1].weight.detach().numpy()[:] *= 0.3

    def loaded():
        model.load_state_dict(Aligner(model.settings).state_dict())

    last = None
    for change in (written, replaced, written_as_data, written_as_array, loaded):
        with torch.no_grad():
            before = model.coefficients(batch.batch, view)
            change()
            last = model.coefficients(batch.batch, view)
        assert not torch.allclose(before, last, atol=1e-3)
        assert torch.allclose(last, model.coefficients(batch.batch, view), atol=1e-5)  # by modules, with derivatives
    assert last is not None and not last.any()  # as a new network, which asks for nothing


def test_weights_of_inference_mode_count_as_others_do():
    batch = FieldBatch.of(list(make_meshes(1, (80, 120), 5)))
    fields = [np.tanh(5 * p.mesh.points[:, 0]) for p in batch.parts]
    with torch.no_grad():
        (expected,) = Aligner.from_pretrained().move(batch, fields)
    with torch.inference_mode():
        (found,) = Aligner.from_pretrained().move(batch, fields)
    assert torch.equal(found, expected) and not torch.equal(found, batch.batch.points)
