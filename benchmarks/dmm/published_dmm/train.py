"""Training of the published network on one geometry: Adam, then BFGS for the last layer; checkpointed and resumed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import skfem
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import splu
from skfem.models.poisson import laplace
from torch import Tensor

from meshmove.geometry import facets_of
from meshmove.geometry.sliding import Slide
from meshmove.solvers.fem.meshes import skfem_mesh

from .case import Case
from .losses import boundary_loss, contracted, convexity_loss, interior_loss, total_loss
from .network import GraphBranch, GridBranch, PublishedDMM

__all__ = ["Config", "Trained", "move", "trained"]

log = logging.getLogger(__name__)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Config:
    """What training takes: batches of `fields` frames with `points` interior and `sides` boundary points each.

    The published batches are 160 frames of 120 points, for about 97 thousand steps on a GPU.
    """

    branch: str = "graph"
    seed: int = 0
    steps: int = 1500
    fields: int = 4
    points: int = 512
    sides: int = 64
    rate: float = 3e-4
    decay: float = 1e-5
    bfgs_rounds: int = 5
    bfgs_steps: int = 60
    bfgs_fields: int = 24

    @property
    def key(self) -> str:
        """A short name for these settings."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:10]


@dataclass(frozen=True)
class Trained:
    """A network, the CPU seconds that it took, and (step, interior, boundary, convexity) losses along the way."""

    network: PublishedDMM
    seconds: float
    history: list[tuple[float, ...]]


def build(case: Case, config: Config) -> PublishedDMM:
    """A network of this configuration with seeded weights."""
    torch.manual_seed(config.seed)
    if config.branch == "grid":
        return PublishedDMM(GridBranch(round(len(case.points) ** 0.5)))
    if config.branch == "graph":
        return PublishedDMM(GraphBranch(case.points))
    raise ValueError(f"Expected a branch 'graph' or 'grid' (got {config.branch!r})")


def trained(case: Case, config: Config, folder: str | os.PathLike[str], name: str, every: int = 100) -> Trained:
    """The network trained on a case, from its checkpoint in `folder` as far as that goes.

    A run that was interrupted goes on where it stopped, with the same result as one that was not.
    """
    path = Path(folder) / f"{name}-{config.branch}-{config.key}.pt"
    network = build(case, config)
    adam = torch.optim.Adam(network.parameters(), config.rate, weight_decay=config.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, config.rate, config.steps, pct_start=0.1)
    state = {"step": 0, "seconds": 0.0, "history": [], "done": False}
    if path.is_file():
        saved = torch.load(path, weights_only=True)
        network.load_state_dict(saved.pop("network"))
        adam.load_state_dict(saved.pop("adam"))
        schedule.load_state_dict(saved.pop("schedule"))
        state = saved
    network.train()
    start = time.process_time()

    def save() -> None:
        nonlocal start
        state["seconds"] += time.process_time() - start
        start = time.process_time()
        parts = {"network": network.state_dict(), "adam": adam.state_dict(), "schedule": schedule.state_dict()}
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({**state, **parts}, f"{path}.part")
        os.replace(f"{path}.part", path)

    while state["step"] < config.steps:
        losses = _adam_step(case, config, network, adam, state["step"])
        schedule.step()
        state["step"] += 1
        if state["step"] % every == 0 or state["step"] == config.steps:
            state["history"].append((float(state["step"]), *losses))
            log.info("%s step %d: interior %.3g, boundary %.3g, convexity %.3g", name, state["step"], *losses)
            save()
    if not state["done"]:
        network.eval()
        for r in range(config.bfgs_rounds):
            losses = _last_layer(case, config, network, r)
            state["history"].append((float(config.steps + r + 1), *losses))
            log.info("%s BFGS round %d: interior %.3g, boundary %.3g, convexity %.3g", name, r + 1, *losses)
        state["done"] = True
        save()
    network.eval()
    return Trained(network, state["seconds"], state["history"])


def _adam_step(case: Case, config: Config, network: PublishedDMM, adam: torch.optim.Adam, step: int) -> list[float]:
    rng = np.random.default_rng([config.seed, 1, step])  # of the step, so that a resumed run sees the same points
    which = rng.integers(len(case.fields), size=config.fields)
    xi = case.interior(which, config.points, rng)
    side, normals = case.boundary(config.fields, config.sides, rng)
    adam.zero_grad()
    inner, outer = network.features(case.inputs(which), xi, side)
    weight = network.last.weight[0]
    d = contracted(inner, weight)
    parts = (
        interior_loss(d, xi, case.monitor(which), case.theta[which]),
        boundary_loss(contracted(outer, weight), normals),
        convexity_loss(d),
    )
    total_loss(*parts).backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    adam.step()
    return [p.item() for p in parts]


def _last_layer(case: Case, config: Config, network: PublishedDMM, number: int) -> list[float]:
    """The random-feature step: the hidden layers stay, the output weights minimise the loss on a large batch."""
    rng = np.random.default_rng([config.seed, 2, number])
    which = rng.integers(len(case.fields), size=config.bfgs_fields)
    xi = case.interior(which, config.points, rng)
    side, normals = case.boundary(len(which), config.sides, rng)
    with torch.no_grad():
        inner, outer = network.features(case.inputs(which), xi, side)
    monitor, theta = case.monitor(which), case.theta[which]

    def parts(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        d = contracted(inner, weight)
        return (
            interior_loss(d, xi, monitor, theta),
            boundary_loss(contracted(outer, weight), normals),
            convexity_loss(d),
        )

    def value(w: Array) -> tuple[float, Array]:
        weight = torch.tensor(w, dtype=torch.float32, requires_grad=True)
        loss = total_loss(*parts(weight))
        (slope,) = torch.autograd.grad(loss, weight)
        return loss.item(), slope.numpy().astype(float)

    start = network.last.weight.detach().numpy()[0].astype(float)
    found = minimize(value, start, jac=True, method="BFGS", options={"maxiter": config.bfgs_steps})
    with torch.no_grad():
        network.last.weight[0] = torch.tensor(found.x, dtype=torch.float32)
        return [p.item() for p in parts(network.last.weight[0])]


def move(case: Case, network: PublishedDMM, fields: NDArray) -> Array:
    """Node positions (f, n, 2) for fields (f, n), in the mesh's own coordinates.

    The boundary condition is soft, so boundary nodes leave the boundary by about a cell. They are put back, and the
    correction is carried into the domain harmonically, so that no cell takes all of it: a courtesy that the published
    code does not have. Nothing keeps cells from inverting.
    """
    facets = facets_of(case.mesh)
    slide, extended = Slide(case.mesh, facets), _harmonic(case, np.unique(facets.nodes[facets.exterior]))
    u = torch.tensor(np.asarray(fields, np.float32)) / case.spread
    xi = torch.tensor(case.points, dtype=torch.float32)
    with torch.no_grad():
        steps = [network.displacement(f[None], xi[None])[0].numpy().astype(float) for f in u]
    raw = [case.mesh.points + case.scale * s for s in steps]
    return np.stack([slide.retract(x + extended(slide.retract(x) - x)) for x in raw])


def _harmonic(case: Case, boundary: NDArray) -> Callable[[Array], Array]:
    """Vectors at the nodes (n, 2), those at the boundary kept and the others replaced by a harmonic extension."""
    stiffness = laplace.assemble(skfem.Basis(skfem_mesh(case.mesh), skfem.ElementTriP1())).tocsr()
    free = np.setdiff1d(np.arange(len(case.points)), boundary)
    factors = splu(csc_matrix(stiffness[free][:, free]))
    coupling = stiffness[free][:, boundary]

    def extended(vectors: Array) -> Array:
        out = vectors.copy()
        out[free] = factors.solve(-(coupling @ vectors[boundary]))
        return out

    return extended
