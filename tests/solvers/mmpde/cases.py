"""Meshes, data and models that the tests of the time stepper share: small enough to train within a second."""

import numpy as np
import torch

from meshmove.meshes.source import Source
from meshmove.solvers.data import TrajectoryDataset
from meshmove.solvers.generators.burgers import burgers_trajectories
from meshmove.solvers.mmpde import MMPDE, Config, Settings
from meshmove.solvers.mmpde.graph import Graph
from meshmove.solvers.mmpde.state import Moved, state_of
from meshmove.solvers.mmpde.training.samples import calibrate
from tests.shapes import box

SMALL = Settings(moving=True, bundle=2, width=8, layers=2, corrections=2, neighbours=6, interpolation=4, directions=4)
TINY = Config(
    SMALL,
    steps=4,
    batch=2,
    unroll=1,
    pushforward=0.5,
    validate_every=2,
    validation=4,
    patience=5,
    average=0.9,
)


def burgers(n=4, cells=8, frames=6, **options):
    """Trajectories on the unit square, with named sides and a viscosity each."""
    return burgers_trajectories(
        n, cells=cells, frames=frames, end=0.1 * (frames - 1), **({"viscosity": (0.01, 0.05), "stride": 1} | options)
    )


def dataset(*groups):
    return TrajectoryDataset(groups or (burgers(),))


def randomised(module, size=0.3, seed=0):
    """The module with weights at random, also those that start from zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(size * torch.randn(p.shape, generator=generator))
    return module.eval()


def model_of(data=None, seed=0, **settings):
    """An untrained model for a data set's fields, attributes and boundaries, with weights at random."""
    data = dataset() if data is None else data
    config = Config(SMALL).of(data)
    torch.manual_seed(seed)
    model = MMPDE(Settings(**(vars(config.settings) | settings)))
    calibrate(model, data)
    return randomised(model, 0.1, seed)


def graph_of(mesh, names=(), **options):
    return Graph.of(Source.of(mesh).cells, names, **options)


def jittered(kind="triangle", n=5, jitter=0.25, seed=0):
    return box(kind, n, jitter, seed)


def front(x, at=0.4):
    return np.tanh(12 * (x[0] - at))


def state_on(model, meshes, seed=0):
    """A state with fields and moved nodes at random on several meshes."""
    rng, s = np.random.default_rng(seed), model.settings
    graphs = [Graph.of(m, s.boundaries, s.reach, s.directions) for m in meshes]
    values = [rng.normal(size=(m.n_points, len(s.fields))) for m in meshes]
    attributes = [rng.uniform(0.01, 0.05, len(s.attributes)) for _ in meshes]
    moved = [m.points + rng.uniform(-0.03, 0.03, m.points.shape) for m in meshes] if s.moving else None
    return graphs, values, attributes, moved, joined_of(model, meshes, graphs, values, attributes, moved)


def joined_of(model, meshes, graphs, values, attributes, moved):
    """The state of meshes side by side, with nodes moved there, and values that no other node has."""
    s = model.settings
    if moved is None:
        return state_of(model, graphs, values, attributes)
    there = [
        Moved.of(m, x, torch.tensor(u[::-1].copy()).float(), m.points, s.neighbours if s.learned else 0)
        for m, x, u in zip(meshes, moved, values, strict=True)
    ]
    return state_of(model, graphs, values, attributes, there)
