"""Recipes: which terms a random monitor or field is made of, at which places and how wide, for a given mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from meshmove.geometry import CellMesh
from meshmove.geometry.arrays import Array
from meshmove.geometry.quality import vertex_volumes

from .analytic_terms import TERM, random_term

__all__ = ["MOST_TERMS", "RECIPES", "Frame", "Recipe", "random_recipe"]

Rng = np.random.Generator

#: terms of one monitor
MOST_TERMS = 5
#: widths of layers in mesh sizes, and the share of monitors that are thinner than the mesh can show
WIDTHS, THIN, THIN_SHARE = (1.0, 15.0), 0.3, 0.04
#: what a monitor is made of, and how often: "value" takes the terms as they are, "gradient" and "hessian" the norms of
#: the derivatives of their sum
RECIPES: dict[str, tuple[str, tuple[str, ...], float]] = {
    "bumps": ("value", ("bump",), 0.12),
    "rings": ("value", ("ring",), 0.1),
    "fronts": ("value", ("front",), 0.12),
    "shear layers": ("value", ("shear",), 0.06),
    "levels": ("value", ("step",), 0.05),
    "several": ("value", ("bump", "ring", "front", "shear", "step"), 0.12),
    "shocks by gradient": ("gradient", ("step", "step", "shear"), 0.1),
    "fields by gradient": ("gradient", ("mode", "bump", "step", "shear", "ring"), 0.12),
    "shocks by hessian": ("hessian", ("step", "step", "shear"), 0.08),
    "fields by hessian": ("hessian", ("mode", "bump", "step", "front", "ring"), 0.13),
}


@dataclass(frozen=True)
class Frame:
    """Where features of a mesh may be and how thin they may be.

    x = centre + scale * (normalised coordinates); z = metric @ normalised coordinates, in which the cells are round on
    average. `places` (n, dim) are the nodes in z, `sizes` (n,) their local mesh sizes, `low` and `high` the least and
    the greatest width of the domain.
    """

    centre: Array
    scale: float
    metric: Array
    places: Array
    sizes: Array
    low: float
    high: float
    weights: Array  #: volumes of the vertices, sum 1

    @classmethod
    def of(cls, mesh: CellMesh, round_cells: bool = True) -> Frame:
        """`round_cells`: features follow the stretching of the cells; else they are round in physical space."""
        low, high = mesh.points.min(axis=0), mesh.points.max(axis=0)
        centre, scale = 0.5 * (low + high), mesh.extent
        x = (mesh.points - centre) / scale
        edges = x[mesh.edges[:, 1]] - x[mesh.edges[:, 0]]
        squares, axes = np.linalg.eigh(edges.T @ edges / len(edges))
        mean = np.exp(np.log(squares).mean())
        metric, stretch = np.eye(mesh.dim), 1.0
        if squares[-1] > 1.5 * squares[0]:
            if round_cells:
                metric = (axes * np.sqrt(mean / squares)) @ axes.T
            else:
                stretch = np.sqrt(squares[-1] / mean)
        places = x @ metric.T
        volume = vertex_volumes(mesh)
        widths = np.sqrt(12 * np.linalg.eigvalsh(np.cov(places.T)).clip(0))
        sizes = stretch * (volume / scale**mesh.dim) ** (1 / mesh.dim)
        return cls(centre, scale, metric, places, sizes, widths[0], widths[-1], volume / volume.sum())


@dataclass(frozen=True)
class Recipe:
    """Terms of a field on normalised coordinates, and what the monitor takes of it."""

    name: str
    order: int  #: 0 value, 1 gradient, 2 Hessian
    table: Array  #: (MOST_TERMS, columns)
    count: int
    offset: float
    power: float
    root: float


def random_recipe(rng: Rng, frame: Frame, name: str | None = None) -> Recipe:
    """One of `RECIPES`, or the one that is named, at random places and widths of this mesh."""
    if name is None:
        share = np.array([r[2] for r in RECIPES.values()])
        name = str(rng.choice(list(RECIPES), p=share / share.sum()))
    what, kinds, _ = RECIPES[name]
    field = what != "value"
    if name == "several":
        count = int(rng.integers(2, 5))
    elif name.startswith("fields"):
        count = int(rng.integers(3, MOST_TERMS + 1))
    else:
        count = int(rng.choice([1, 2, 3], p=[0.65, 0.25, 0.1]))
    d = frame.places.shape[1]
    table = np.zeros((MOST_TERMS, (d + 2) * (d + 1) + len(TERM)))
    offset, thin = 0.0, rng.random() < THIN_SHARE
    # the indicator of a derivative has zeros inside of the layer: it is as fine as a narrower layer's value
    fine = (1.0, 1.2, 1.6)[("value", "gradient", "hessian").index(what)]
    base = _width(rng, frame, thin)
    for k in range(count):
        kind = kinds[rng.integers(len(kinds))]
        node = rng.choice(len(frame.places), p=frame.weights)
        extent = rng.uniform(frame.low, frame.high)
        size = frame.sizes[node] if kind == "bump" else np.quantile(frame.sizes, 0.75)
        width = fine * size * (base if rng.random() < 0.5 else _width(rng, frame, thin))
        width = min(width, max(0.25 * extent, size))
        rows, numbers = random_term(rng, kind, frame.places[node], width, extent)
        rows[:, :d] = rows[:, :d] @ frame.metric
        amplitude = 1.0 if k == 0 else rng.uniform(0.3, 1)
        numbers[TERM.index("delta") : TERM.index("gamma") + 1] *= amplitude * (rng.choice([-1, 1]) if field else 1)
        offset += 0.5 * amplitude if kind == "step" and not field else 0.0
        table[k] = np.concatenate([rows.ravel(), numbers])
    power, root = 1.0, 1.0
    if what == "value":
        power = rng.choice([0.5, 1.0, 2.0], p=[0.15, 0.7, 0.15])
    elif what == "gradient":
        power, root = (2.0, 0.5) if rng.random() < 0.6 else (rng.uniform(0.5, 1.5), 1.0)
    else:
        power = rng.uniform(0.4, 1.2)
    return Recipe(name, ("value", "gradient", "hessian").index(what), table, count, offset, power, root)


def _width(rng: Rng, frame: Frame, thin: bool) -> float:
    """In mesh sizes: log-uniform, no wider than the domain allows."""
    if thin:
        return float(np.exp(rng.uniform(np.log(THIN), np.log(WIDTHS[0]))))
    most = np.clip(0.3 * frame.low / np.median(frame.sizes), 2.0, WIDTHS[1])
    return float(np.exp(rng.uniform(np.log(WIDTHS[0]), np.log(most))))
