"""Monitors and models that the tests of the neural mover share."""

import numpy as np
import torch

from meshmove.neural import DMM, MeshBatch, Settings
from meshmove.neural.training.samples import unit
from tests.shapes import box


class Wave:
    """A smooth density with an exact gradient: one at points (dim, n) in NumPy, one at (n, dim) in torch."""

    def value(self, x):
        return 2 + np.sin(3 * x).sum(axis=0) / len(x)

    def value_and_gradient(self, x):
        return self.value(x), 3 * np.cos(3 * x) / len(x)

    def __call__(self, x, graph):
        return 2 + torch.sin(3 * x).sum(1) / x.shape[1]


def bump(x, graph, height=4.0):
    """A bump off the middle of meshes in unit coordinates, at another place in each."""
    at = torch.cos(torch.arange(1, x.shape[1] + 1, device=x.device)[None] + graph[:, None]) / 4
    return 1 + height * torch.exp(-12 * ((x - at.to(x)) ** 2).sum(1))


def cube(kind, n=3, jitter=0.3, seed=0):
    """A jittered box in unit coordinates."""
    return unit(box(kind, n, jitter, seed))


def batch_of(*meshes, dtype=torch.float64):
    return MeshBatch.of(list(meshes), dtype=dtype)


def model_of(dim=2, head=0.0, seed=0, **settings):
    """An untrained model, which is a plain iteration; with `head` its advice is at random, and of that size."""
    torch.manual_seed(seed)
    model = DMM(Settings(dim=dim, **({"width": 8} | settings)))
    if head:
        for p in (*model.advisor.head[-1].parameters(), model.advisor.base.weight, model.advisor.rounds.weight):
            torch.nn.init.normal_(p, std=head)
    return model.eval()


def shifted(mesh, size=0.04, seed=1):
    """Positions near those of the mesh, also of its boundary."""
    return mesh.points + np.random.default_rng(seed).normal(scale=size / 3, size=mesh.points.shape)
