"""Edges and cells that are worked on in parts: the answer is that of all at once."""

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
