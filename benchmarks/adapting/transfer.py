"""Point location at a million points, and the error of field transfer by interpolation and by projection."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

from benchmarks.harness import main, timed

import numpy as np  # isort: skip
from numpy.typing import NDArray

from meshmove.geometry.cells import KINDS
from meshmove.geometry.location import PointLocator
from meshmove.geometry.mesh import CellMesh
from meshmove.transfer import conservative, interpolate

Array = NDArray[np.float64]


def jittered(kind: str, n: int, amount: float = 0.2) -> CellMesh:
    """The unit square or cube, n boxes along a side split into cells of this kind, interior vertices jittered.

    Cells and their vertices are numbered at random where they are simplices: no order to profit from.
    """
    rng = np.random.default_rng(0)
    dim = KINDS[kind].dim
    box = KINDS["quad" if dim == 2 else "hexahedron"]
    index = np.indices((n + 1,) * dim).reshape(dim, -1).T
    ids = np.arange(len(index)).reshape((n + 1,) * dim)
    first = np.indices((n,) * dim).reshape(dim, -1).T
    cells = np.stack([ids[tuple((first + b).T)] for b in box.reference.astype(int)], axis=1)
    inside = (index > 0) & (index < n)
    points = (index + inside * rng.uniform(-amount, amount, index.shape)) / n
    if KINDS[kind].is_simplex:
        cells = rng.permutation(cells[:, box.simplices].reshape(-1, dim + 1))
    return CellMesh.single(points, cells, kind)


def moved(mesh: CellMesh) -> CellMesh:
    """Nodes drawn by up to a tenth of the domain towards a curve, the sides along themselves."""
    x = mesh.points
    bubble = np.sin(np.pi * x).prod(1)
    swirl = np.stack([np.cos(3 * x[:, (i + 1) % mesh.dim] + i) for i in range(mesh.dim)], axis=1)
    return mesh.moved(x + 0.1 * bubble[:, None] * swirl)


def front(x: Array) -> Array:
    """A smooth front across the domain, at points (dim, ...)."""
    return np.tanh(10 * (x[0] - 0.5 + 0.3 * np.sin(3 * x[1])))


def l2_error(mesh: CellMesh, values: Array) -> float:
    """L2 distance of the nodal values' field to the front, by quadrature of degree 5."""
    total = 0.0
    for block in mesh.blocks:
        xi, weight = block.kind.quadrature(5)
        shape, slope = block.kind.shape(xi)
        x = mesh.points[block.nodes]
        volume = np.abs(np.linalg.det(np.einsum("mvd,vcq->mqdc", x, slope))) * weight
        exact = front(np.einsum("vq,mvd->dmq", shape, x))
        total += float(((values[block.nodes] @ shape - exact) ** 2 * volume).sum())
    return float(np.sqrt(total))


def peak_mb(call: Callable[[], object]) -> float:
    """Largest amount of memory allocated at a time during the call, in MB (in a run of its own: it takes time)."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def locate_row(kind: str, n: int, m: int) -> dict[str, object]:
    """Locating m random points: in all, in a locator that is ready, and with a guess; the error of a linear field."""
    mesh = jittered(kind, n)
    x = np.random.default_rng(1).random((mesh.dim, m))
    locator: list[PointLocator] = []

    def everything() -> object:
        locator[:] = [PointLocator(mesh)]
        return locator[0].find(x)

    total, where = timed(everything)
    ready, _ = timed(lambda: locator[0].find(x))
    near = np.clip(x + 0.5 / n, 0, 1)
    warm, _ = timed(lambda: locator[0].find(near, where.cells))
    return {
        "case": f"locate {kind}",
        "cells": mesh.n_cells,
        "points": m,
        "seconds": total,
        "seconds_ready": ready,
        "seconds_guess": warm,
        "peak_mb": peak_mb(everything),
        "max_error": float(np.abs(where.interpolate(mesh.points) - x.T).max()),
    }


def transfer_rows(kind: str, n: int) -> list[dict[str, object]]:
    """A front carried to the moved mesh: L2 error, change of the integral, overshoot and time."""
    mesh = jittered(kind, n, 0.1)
    new = moved(mesh)
    values = front(mesh.points.T)
    ways: dict[str, Callable[[], object]] = {
        "interpolate": lambda: interpolate(mesh, values, new.points),
        "conservative": lambda: conservative(mesh, new, values),
        "conservative, bounds": lambda: conservative(mesh, new, values, True),
    }
    before = integral(mesh, values)
    size = integral(mesh, np.abs(values))
    rows: list[dict[str, object]] = []
    for name, call in ways.items():
        seconds, carried = timed(call)
        rows.append(
            {
                "case": f"transfer {kind}: {name}",
                "cells": mesh.n_cells,
                "seconds": seconds,
                "l2_error_before": l2_error(mesh, values),
                "l2_error": l2_error(new, carried),
                "integral_change": abs(integral(new, carried) - before) / size,
                "overshoot": float(max(carried.max() - values.max(), values.min() - carried.min(), 0)),
            }
        )
    return rows


def integral(mesh: CellMesh, values: Array) -> float:
    """Integral of the field of nodal values."""
    total = 0.0
    for block in mesh.blocks:
        xi, weight = block.kind.quadrature(5)
        shape, slope = block.kind.shape(xi)
        volume = np.abs(np.linalg.det(np.einsum("mvd,vcq->mqdc", mesh.points[block.nodes], slope))) * weight
        total += float((values[block.nodes] @ shape * volume).sum())
    return total


def run(quick: bool = False) -> list[dict[str, object]]:
    """All rows; `quick` takes a hundredth of the points and smaller meshes."""
    m = 10_000 if quick else 1_000_000
    sizes = {"triangle": 707, "tetra": 55, "quad": 1000, "hexahedron": 100}
    small = {"triangle": 70, "tetra": 12, "quad": 100, "hexahedron": 20}
    rows = [locate_row(kind, n, m) for kind, n in (small if quick else sizes).items()]
    for kind, counts in {"triangle": (40, 80, 160), "quad": (40, 80, 160), "tetra": (8, 16, 24)}.items():
        for n in counts[:2] if quick else counts:
            rows += transfer_rows(kind, n)
    return rows


if __name__ == "__main__":
    main(run)
