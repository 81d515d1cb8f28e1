"""What a file format does not keep of a mesh: found by writing and reading a small piece of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meshmove.meshes.regions import FEW, needs_integers

from .cell_sets import cell_groups, shallow_copy
from .periodic import n_pairs, within

if TYPE_CHECKING:
    import meshio

__all__ = ["lost", "piece"]

#: coordinates and data that differ by more, relative to the largest, were rounded
_ROUNDED = 1e-12
#: Gmsh's own bookkeeping, made anew by its writer
_INTERNAL = ("gmsh:dim_tags", "gmsh:geometrical", "gmsh:bounding_entities", "medit:", "su2:", "nastran:", "ugrid:")


def piece(mesh: meshio.Mesh, cells: int = 8) -> meshio.Mesh:
    """A few cells of every block, every group and of different numbers, with their nodes, data and sets."""
    import meshio

    groups = cell_groups(mesh)
    kept = []
    for k, block in enumerate(mesh.cells):
        members = [m[k] for m in groups.values()]
        first = [np.asarray(m[:1], np.int64) for m in members if m is not None and len(m)]
        numbers = [np.asarray(v[k]) for v in mesh.cell_data.values() if np.asarray(v[k]).dtype.kind in "iu"]
        first += [np.unique(v.ravel(), return_index=True)[1][:cells] for v in numbers if v.size == len(block)]
        spread = np.unique(np.linspace(0, len(block) - 1, cells).astype(np.int64)) if len(block) else np.empty(0, int)
        kept.append(np.unique(np.concatenate([spread, *first])).astype(np.int64))
    pinned = [np.asarray(v, np.int64).ravel()[:1] for v in mesh.point_sets.values()]
    used = [np.asarray(b.data)[ids].ravel() for b, ids in zip(mesh.cells, kept, strict=True)]
    pinned += [np.asarray(nodes, np.int64).ravel()[:2] for *_, nodes in mesh.gmsh_periodic or ()]
    nodes = np.unique(np.concatenate([np.empty(0, np.int64), *used, *pinned]).astype(np.int64))
    number = np.full(len(mesh.points), -1, np.int64)
    number[nodes] = np.arange(len(nodes))
    part = shallow_copy(mesh)
    part.points = np.asarray(mesh.points)[nodes]
    part.cells = [
        meshio.CellBlock(b.type, number[np.asarray(b.data)[ids]]) for b, ids in zip(mesh.cells, kept, strict=True)
    ]
    part.point_data = {k: np.asarray(v)[nodes] for k, v in mesh.point_data.items()}
    part.cell_data = {
        k: [np.asarray(v)[ids] for v, ids in zip(values, kept, strict=True)] for k, values in mesh.cell_data.items()
    }
    part.point_sets = {k: _within(v, number) for k, v in mesh.point_sets.items()}
    part.cell_sets = {
        k: [None if m is None else _positions(m, ids) for m, ids in zip(v, kept, strict=True)]
        for k, v in mesh.cell_sets.items()
        if not k.startswith("gmsh:")
    }
    part.gmsh_periodic = within(mesh.gmsh_periodic, number)
    return part


def _within(members: NDArray, number: NDArray) -> NDArray:
    found = number[np.asarray(members, np.int64).ravel()]
    return found[found >= 0]


def _positions(members: NDArray, ids: NDArray) -> NDArray:
    return np.flatnonzero(np.isin(ids, np.asarray(members, np.int64)))


def lost(before: meshio.Mesh, after: meshio.Mesh, whole: meshio.Mesh | None = None) -> list[str]:
    """What `after` does not hold of `before`, in words: cells, coordinates, data, sets.

    `whole`: the mesh that `before` is a piece of.
    """
    found = []
    have = _counts(after)
    found += [f"{k} cells" for k, n in _counts(before).items() if have.get(k, 0) < n]
    if not found and len(after.points) != len(before.points):
        found.append("the numbering of the nodes")
    elif not _alike(_in_space(before.points), _in_space(after.points)):
        found.append("digits of the coordinates")
    found += _data("point data", before.point_data, after.point_data)
    found += _data("cell data", before.cell_data, after.cell_data)
    found += [f"that cell data {name!r} are integers" for name in _turned_to_floats(whole or before, after)]
    groups = _sizes(cell_groups(after))
    wanted = _sizes(cell_groups(before))
    found += [f"cell set {k!r}" for k, n in wanted.items() if n and groups.get(k) != n and not k.isdigit()]
    points = {k: len(v) for k, v in after.point_sets.items()}
    found += [f"point set {k!r}" for k, v in before.point_sets.items() if points.get(k) != len(v)]
    return found + (["which nodes are periodic images"] if n_pairs(after) < n_pairs(before) else [])


def _counts(mesh: meshio.Mesh) -> dict[str, int]:
    out: dict[str, int] = {}
    for block in mesh.cells:
        out[block.type] = out.get(block.type, 0) + len(block)
    return out


def _sizes(groups: dict) -> dict[str, int]:
    return {k: sum(len(m) for m in v if m is not None) for k, v in groups.items()}


def _in_space(points: NDArray) -> NDArray:
    points = np.asarray(points, float)
    return np.pad(points, ((0, 0), (0, 3 - points.shape[1])))


def _data(what: str, before: dict, after: dict) -> list[str]:
    rest = {k: v for k, v in before.items() if not k.startswith(_INTERNAL)}
    missing = [k for k, v in rest.items() if not any(_alike(_flat(v), _flat(w)) for w in _same(k, v, after))]
    return [f"{what} {k!r}" for k in missing]


def _turned_to_floats(before: meshio.Mesh, after: meshio.Mesh) -> list[str]:
    """Integers that may be regions, and are not known as such where they come back as floating numbers."""
    found = []
    for name in (k for k in before.cell_data if k in after.cell_data and needs_integers(k)):
        values, kind = _flat(before.cell_data[name]), _flat(after.cell_data[name]).dtype.kind
        # as many as there may be regions, see `regions`
        several = 1 < len(np.unique(values)) <= max(FEW, len(values) / 2)
        found += [name] if several and kind == "f" and values.dtype.kind in "iu" else []
    return found


def _same(name: str, values: NDArray | list, after: dict) -> list:
    """Data of this name; failing that others, since some formats have a name of their own for the array they hold."""
    flat = _flat(values)
    if name in after:
        return [after[name]]
    return list(after.values()) if flat.dtype.kind in "iu" and len(np.unique(flat)) > 1 else []


def _flat(values: NDArray | list) -> NDArray:
    """All values in order of size: formats may write cells in another order."""
    parts = values if isinstance(values, list) else [values]
    return np.sort(np.concatenate([np.ravel(np.asarray(v)) for v in parts] or [np.empty(0)]))


def _alike(a: NDArray, b: NDArray) -> bool:
    if a.shape != b.shape or a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        return False
    scale = np.abs(a[np.isfinite(a)]).max(initial=0.0)
    return bool(np.allclose(a, b, rtol=0, atol=_ROUNDED * scale, equal_nan=True))
