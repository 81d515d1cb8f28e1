"""A hundred jittered Delaunay meshes of squares, L-shapes and channels with round holes; layers and ellipses."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.harness import CPU, Rows, imbalance, inverted, main, row, timed

import numpy as np  # isort: skip
import skfem
from numpy.typing import NDArray
from scipy.spatial import Delaunay

import meshmove

Array = NDArray[np.float64]
SHAPES = ("square", "L", "channel")


def delaunay(rng: np.random.Generator, nodes: int, shape: str) -> skfem.MeshTri:
    """About so many nodes on a jittered grid; holes of a channel are circles with nodes on them."""
    long = 2.0 if shape == "channel" else 1.0
    area = {"square": 1.0, "L": 0.75, "channel": 2.0}[shape]
    k = max(4, 2 * round(np.sqrt(nodes / area) / 2))
    h = 1 / k
    p = (
        np.stack(np.meshgrid(np.arange(round(long * k) + 1), np.arange(k + 1), indexing="ij"), axis=-1).reshape(-1, 2)
        * h
    )
    wall = (p == 0).any(axis=1) | (p[:, 0] >= long - h / 2) | (p[:, 1] >= 1 - h / 2)
    if shape == "L":
        p, wall = p[(p <= 0.5 + h / 4).any(axis=1)], wall[(p <= 0.5 + h / 4).any(axis=1)]
        wall = wall | ((p >= 0.5 - h / 4).all(axis=1))
    p[~wall] += rng.uniform(-0.3, 0.3, ((~wall).sum(), 2)) * h
    circles: list[tuple[Array, float]] = []
    if shape == "channel":
        for x in rng.permutation([0.45, 1.0, 1.55])[: rng.integers(1, 4)]:
            circles.append((np.array([x, 0.5]) + rng.uniform(-0.05, 0.05, 2), rng.uniform(0.08, 0.2)))
    for centre, radius in circles:
        p = p[wall_or_far(p, centre, radius + 0.6 * h)]
        count = max(12, round(2 * np.pi * radius / h))
        angle = 2 * np.pi * np.arange(count) / count + rng.uniform(0, 2 * np.pi)
        p = np.concatenate([p, centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)])
    t = Delaunay(p).simplices
    a, b = p[t[:, 1]] - p[t[:, 0]], p[t[:, 2]] - p[t[:, 0]]
    keep = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) > 1e-6 * h**2
    centre_of = p[t].mean(axis=1)
    if shape == "L":
        keep &= ~(centre_of > 0.5).all(axis=1)
    for centre, radius in circles:
        on = np.abs(np.linalg.norm(p - centre, axis=1) - radius) < 1e-9
        keep &= ~on[t].all(axis=1)
    used, t = np.unique(t[keep], return_inverse=True)
    return skfem.MeshTri(np.ascontiguousarray(p[used].T), np.ascontiguousarray(t.reshape(-1, 3).T))


def wall_or_far(p: Array, centre: Array, radius: float) -> NDArray[np.bool_]:
    """Points outside a circle."""
    return np.linalg.norm(p - centre, axis=1) > radius


def oblique(rng: np.random.Generator, long: float) -> Callable[[Array], Array]:
    """An oblique wavy layer or an ellipse."""
    centre, width = rng.uniform(0.2, 0.8, 2) * [long, 1], rng.uniform(0.03, 0.15)
    amplitude, angle = rng.uniform(3, 20), rng.uniform(0, 2 * np.pi)

    def layer(x: Array) -> Array:
        s = (x[0] - centre[0]) * np.cos(angle) + (x[1] - centre[1]) * np.sin(angle) + 0.1 * np.sin(9 * x[0])
        return 1 + amplitude / np.cosh(np.clip(s / width, -300, 300)) ** 2

    def ellipse(x: Array) -> Array:
        return 1 + amplitude * np.exp(-((np.hypot(x[0] - centre[0], 2 * (x[1] - centre[1])) - 0.25) ** 2) / width**2)

    return layer if rng.random() < 0.5 else ellipse


def case(seed: int) -> tuple[str, skfem.MeshTri, Callable[[Array], Array]]:
    """Shape, mesh and monitor of this number."""
    rng = np.random.default_rng(seed)
    shape = SHAPES[seed % 3]
    nodes = int(np.exp(rng.uniform(np.log(250), np.log(5000))))
    return shape, delaunay(rng, nodes, shape), oblique(rng, 2.0 if shape == "channel" else 1.0)


def run(quick: bool = False) -> Rows:
    """Medians and worst cases at the default effort."""
    meshmove.adapt(case(0)[1], monitor=case(0)[2], effort=0.3)  # imports
    found = []
    for seed in range(12 if quick else 100):
        shape, mesh, m = case(seed)
        seconds, out = timed(lambda mesh=mesh, m=m: meshmove.adapt(mesh, monitor=m, transfer=None), clock=CPU)
        p = out.mesh.p
        n = mesh.p.shape[1]
        found.append((imbalance(mesh.p, p, mesh.t, m), 1000 * seconds / n, inverted(mesh.p, p, mesh.t), seed, shape, n))
    values, times = np.array([f[0] for f in found]), np.array([f[1] for f in found])
    wrong = sum(f[2] for f in found)
    worst = found[int(values.argmax())]
    rows = [
        row("median imbalance", float(np.median(values)), "<= 0.03", bool(np.median(values) <= 0.03)),
        row("worst imbalance", float(values.max()), "<= 0.25", bool(values.max() <= 0.25)),
        row("median time per 1,000 nodes (s)", float(np.median(times)), "<= 0.1", bool(np.median(times) <= 0.1)),
        row("inverted cells", wrong, "0", wrong == 0),
        row("worst case", f"seed {worst[3]}, {worst[4]}, {worst[5]} nodes"),
    ]
    for shape in SHAPES:
        of = [f[0] for f in found if f[4] == shape]
        rows.append(row(f"median imbalance, {shape}", float(np.median(of))))
    return rows


if __name__ == "__main__":
    main(run)
